import { beforeEach, describe, expect, it } from 'vitest';
import { readDraft, writeDraft, type Draft } from '../src/lib/draft.ts';
import { find, recent, used, type Emoji } from '../src/lib/emoji.ts';
import { composing, sends, whenComposed } from '../src/lib/ime.ts';
import { readAccount, writeAccount } from '../src/lib/session.ts';
import { fromBase64, toBase64 } from '../src/lib/signin.ts';
import { match } from '../src/lib/router.svelte.ts';
import { readCookie } from '../src/lib/theme.ts';

beforeEach(() => localStorage.clear());
const key = (init: KeyboardEventInit & { keyCode?: number }): KeyboardEvent => new KeyboardEvent('keydown', init as KeyboardEventInit);

describe('Korean input', () => {
	it('leaves keys to the input method, Safari\'s late Enter included', () => {
		expect(composing(key({ key: 'Enter', isComposing: true }))).toBe(true);
		expect(composing(key({ key: 'Enter', keyCode: 229 }))).toBe(true);
		expect(composing(key({ key: 'Enter', keyCode: 13 }))).toBe(false);
	});
	it('sends with Ctrl+Enter in any layout, and with nothing less', () => {
		expect(sends(key({ key: 'Enter', ctrlKey: true }))).toBe(true);
		expect(sends(key({ key: 'Process', code: 'Enter', ctrlKey: true, isComposing: true }))).toBe(true);
		expect(sends(key({ key: 'Enter', metaKey: true }))).toBe(true);
		expect(sends(key({ key: 'Enter' }))).toBe(false);
	});
	it('waits for the syllable under way', async () => {
		const field = document.createElement('textarea');
		document.body.append(field);
		field.value = '가';
		const got: string[] = [];
		whenComposed(field, false, (t) => got.push(t));
		whenComposed(field, true, (t) => got.push(t));
		expect(got).toEqual(['가']);
		field.value = '각';
		field.dispatchEvent(new CompositionEvent('compositionend'));
		await Promise.resolve();
		expect(got).toEqual(['가', '각']);
	});
});

describe('drafts', () => {
	const d: Draft = { text: '쓰다 만', cw: null, visibility: 'followers', localOnly: true, poll: { choices: ['가', ''], multiple: false, after: 0 } };
	it('keep the whole form, and forget what is empty', () => {
		writeDraft('me:new', d);
		expect(readDraft('me:new')).toMatchObject(d);
		expect(readDraft('you:new')).toBeNull();
		writeDraft('me:new', { ...d, text: ' ', poll: null });
		expect(readDraft('me:new')).toBeNull();
	});
	it('bear a spoilt storage', () => {
		localStorage.setItem('drafts', '{');
		expect(readDraft('x')).toBeNull();
		writeDraft('x', d);
		expect(readDraft('x')?.text).toBe('쓰다 만');
	});
});

describe('the account', () => {
	it('is kept, forgotten, and never half', () => {
		writeAccount({ id: 'a', token: 'secret' });
		expect(readAccount()).toEqual({ id: 'a', token: 'secret' });
		expect(readCookie('client')).toBe('1');
		expect(document.cookie).not.toContain('secret');
		writeAccount(null);
		expect(readAccount()).toBeNull();
		localStorage.setItem('account', '{"id":"a"}');
		expect(readAccount()).toBeNull();
	});
});

describe('emoji', () => {
	const e = (name: string, ...words: string[]): Emoji => ({ char: name, name, words, group: 0 });
	it('are found by name and alias, the nearest first', () => {
		const all = [e('bread_knife'), e('bread', '빵'), e('sandwich', 'bread'), e('shortbread')];
		expect(find(all, ':bread').map((x) => x.name)).toEqual(['bread', 'sandwich', 'bread_knife', 'shortbread']);
		expect(find(all, '빵'.normalize('NFD')).map((x) => x.name)).toEqual(['bread']);
		expect(find(all, ' ')).toEqual([]);
	});
	it('used last come first, once', () => {
		used('🍮'); used('❤'); used('🍮');
		expect(recent()).toEqual(['🍮', '❤']);
		localStorage.setItem('recentEmoji', '{"a":1}');
		expect(recent()).toEqual([]);
	});
});

it('credentials are base64url there and back', () => {
	expect(toBase64(fromBase64('-_8A'))).toBe('-_8A');
});

it('pages are known by Misskey\'s addresses', () => {
	expect(match('/@bora@b.example')).toMatchObject({ page: 'user', arg: '@bora@b.example' });
	expect(match('/notes/abc')).toMatchObject({ page: 'note', arg: 'abc' });
	expect(match('/timeline/local')).toMatchObject({ page: 'timeline', arg: 'local' });
	expect(match('/tags/x')).toBeNull();
	expect(match('/@%')).toBeNull();
});
