import { expect, test } from 'vitest';
import { has, matches, toggle, typed, write, type Part } from '../src/lib/query.ts';

const part = (kind: string, text: string, more: Partial<Part> = {}): Part => ({ clause: 0, kind, text, not: false, at: null, known: true, ...more });

test('parts are written as they are typed', () => {
	expect(typed(part('word', '버터'))).toBe('버터');
	expect(typed(part('phrase', '갓 구운 빵', { not: true }))).toBe('-"갓 구운 빵"');
	expect(typed(part('tag', '빵'))).toBe('#빵');
	expect(typed(part('from', 'me', { not: true }))).toBe('-from:me');
	expect(write([part('word', 'a'), part('word', 'b', { clause: 1 }), part('word', 'c', { clause: 1 }), part('has', 'image', { clause: 2 })])).toBe('a b OR c has:image');
});

test('filters are turned on and off', () => {
	expect(toggle('빵  has:image', 'has:image')).toBe('빵');
	expect(toggle('빵', 'has:image')).toBe('빵 has:image');
	expect(has('빵 -has:image', 'has:image')).toBe(false);
});

test('what was looked for is found in texts', () => {
	const at = (text: string, ...parts: Part[]): string[] => matches(text, parts).map(([a, b]) => text.slice(a, b));
	expect(at('버터롤과 버터', part('word', '버터'))).toEqual(['버터', '버터']);
	expect(at('Butter, rebutter Büttér', part('word', 'butter'))).toEqual(['Butter', 'Büttér']);
	expect(at('갓 구운 빵!', part('phrase', '구운 빵'), part('word', '갓'))).toEqual(['구운 빵', '갓']);
	expect(at('토스트', part('word', '토스트', { not: true }), part('from', '토'))).toEqual([]);
	expect(at('가나다', part('word', ''))).toEqual([]);
	expect(at('İx x', part('word', 'x'))).toEqual(['x']);
});
