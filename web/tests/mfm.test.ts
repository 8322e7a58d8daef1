import { describe, expect, it } from 'vitest';
import { mfm, onlyEmoji, scriptOf, type MfmOptions } from '../src/lib/mfm.ts';

function html(text: string, o: MfmOptions = {}): string {
	const d = document.createElement('div');
	d.append(mfm(text, o));
	return d.innerHTML;
}

describe('MFM', () => {
	it('never makes elements of what was written', () => {
		expect(html('<img src=x onerror=alert(1)>')).toBe('&lt;img src=x onerror=alert(1)&gt;');
		expect(html('[x](javascript:alert(1))')).not.toContain('href');
		expect(html('$[fg.color=red;x:y x]')).not.toContain('x:y;');
	});
	it('builds text, lines, emphasis', () => {
		expect(html('가\n**나** ~~다~~ <small>라</small>')).toBe('가<br><b>나</b> <del>다</del> <small class="mfm-small">라</small>');
		expect(html('`a<b`')).toBe('<code class="mfm-code">a&lt;b</code>');
		expect(html('> 인용')).toContain('<blockquote class="mfm-quote">인용');
	});
	it('links mentions to the author\'s server', () => {
		expect(html('@bora')).toContain('href="/@bora"');
		expect(html('@bora', { host: 'b.example' })).toContain('href="/@bora@b.example"');
		expect(html('@bora@c.example', { host: 'b.example' })).toContain('href="/@bora@c.example"');
		expect(html('#빵')).toContain('href="/tags/%EB%B9%B5"');
	});
	it('opens other sites elsewhere, without telling where from', () => {
		const a = html('https://example.com/%EB%B9%B5');
		expect(a).toContain('rel="nofollow noopener noreferrer ugc"');
		expect(a).toContain('example.com/빵');
	});
	it('shows emoji of this server and of the author\'s', () => {
		expect(html(':blob:')).toContain('src="/emoji/blob.webp"');
		expect(html(':blob:', { host: 'b.example' })).toBe(':blob:');
		expect(html(':blob:', { host: 'b.example', emojis: { blob: 'https://b.example/e.png' } })).toContain('alt=":blob:"');
		expect(html(':blob:', { host: 'b.example', emojis: { blob: 'javascript:1' } })).toBe(':blob:');
	});
	it('keeps functions within bounds', () => {
		expect(html('$[scale.x=100,y=2 a]')).toContain('scale(5, 2)');
		expect(html('$[spin.speed=0.5s,left a]')).toMatch(/mfm-spin" style="animation-duration: 0.5s; animation-direction: reverse;/);
		expect(html('$[spin.speed=1s;color:red a]')).toBe('$[spin.speed=1s;color:red a]');
		expect(html('$[spin.speed=9999s a]')).not.toContain('style');
		expect(html('$[ruby 天気 てんき]')).toBe('<ruby>天気<rt>てんき</rt></ruby>');
		expect(html('$[unixtime 0]')).toContain('datetime="1970-01-01T00:00:00.000Z"');
		expect(html('$[nothing a]')).toBe('$[nothing a]');
	});
	it('parses names for emoji only', () => {
		expect(html('**굵게** :a:', { simple: true })).toContain('**굵게**');
	});
	it('bears the deep and the endless', () => {
		expect(html(`${'$[x2 '.repeat(200)}a${']'.repeat(200)}`)).toContain('a');
		expect(html('*'.repeat(3000))).toContain('***');
	});
});

it('knows what is only emoji', () => {
	expect(onlyEmoji('🍮 :a:')).toBe(true);
	expect(onlyEmoji('🍮 맛')).toBe(false);
	expect(onlyEmoji('')).toBe(false);
});

it('knows Korean and Japanese by their letters', () => {
	expect([scriptOf('오늘 天気'), scriptOf('天気です'), scriptOf('天気'), scriptOf('hello')]).toEqual(['ko', 'ja', '', '']);
});
