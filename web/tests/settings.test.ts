import jsQR from 'jsqr';
import { beforeEach, describe, expect, it } from 'vitest';
import { compile, muted, recallMutes, setMutes } from '../src/lib/mute.svelte.ts';
import { loadLanguage, loadTexts } from '../src/lib/i18n.ts';
import { length } from '../src/lib/length.ts';
import { permissions } from '../src/lib/permissions.ts';
import { applyPrefs, readPrefs, wideness, writePrefs } from '../src/lib/prefs.ts';
import { qr, qrPath } from '../src/lib/qr.ts';
import { match } from '../src/lib/router.svelte.ts';
import type { Note } from '../src/lib/types.ts';
import { read, written, wrong } from '../src/lib/words.ts';

beforeEach(() => localStorage.clear());

const note = (o: Partial<Note>): Note => ({ id: 'n', userId: 'b', text: null, cw: null, files: [], renoteId: null, replyId: null, ...o }) as Note;

describe('word mutes', () => {
	it('match all words of a rule, any rule, and expressions with their flags', () => {
		const test = compile([['빵', '크림'], ['cat'], '/라[멘면]/', '/NYA/i']);
		for (const yes of ['크림이 든 빵', 'a cat.', '라면', 'nya']) expect([yes, test(yes)]).toEqual([yes, true]);
		for (const no of ['빵', 'Cat', '라', '']) expect([no, test(no)]).toEqual([no, false]);
	});
	it('match nothing with what is no rule', () => {
		for (const rules of [null, undefined, 'x', [''], [[]], [['']], ['/(/'], ['/x/zz'], ['x'], [{}], [[1]]]) expect(compile(rules)('x (')).toBe(false);
	});
	it('forget nothing between two notes', () => {
		const test = compile(['/a/g']);
		expect([test('a'), test('a'), test('a')]).toEqual([true, true, true]);
	});
	it('take letters that are written in parts', () => {
		expect(compile([['김치']])('김치'.normalize('NFD').normalize('NFC'))).toBe(true);
		setMutes('me', [['김치'.normalize('NFD')]], []);
		expect(muted(note({ text: '김치찌개'.normalize('NFD') }), 'me')).toBe('soft');
	});
	it('look at text, warning, choices, descriptions, at what is quoted, answered and passed on', () => {
		setMutes('me', [['soft']], [['hard']]);
		expect(muted(note({ text: 'soft' }), 'me')).toBe('soft');
		expect(muted(note({ cw: 'hard', text: 'soft' }), 'me')).toBe('hard');
		expect(muted(note({ poll: { multiple: false, expiresAt: null, choices: [{ text: 'hard', votes: 0, isVoted: false }] } }), 'me')).toBe('hard');
		expect(muted(note({ files: [{ comment: 'soft' }] as Note['files'] }), 'me')).toBe('soft');
		expect(muted(note({ renote: note({ renote: note({ text: 'hard' }) }) }), 'me')).toBe('hard');
		expect(muted(note({ reply: note({ text: 'soft' }) }), 'me')).toBe('soft');
		expect(muted(note({ text: 'fine' }), 'me')).toBe('');
	});
	it('never hide one\'s own notes, nor anything from visitors', () => {
		setMutes('me', [['x']], [['x']]);
		expect(muted(note({ text: 'x', userId: 'me' }), 'me')).toBe('');
		expect(muted(note({ text: 'an answer', reply: note({ text: 'x', userId: 'me' }) }), 'me')).toBe('');
		expect(muted(note({ text: 'x' }), undefined)).toBe('');
	});
	it('are there before the account is, and only for whom they are', () => {
		setMutes('me', [['kept']], []);
		const kept = localStorage.getItem('mutes')!;
		setMutes('other', [], []);
		localStorage.setItem('mutes', kept);
		recallMutes('other');
		expect(muted(note({ text: 'kept' }), 'me')).toBe('');
		recallMutes('me');
		expect(muted(note({ text: 'kept' }), 'me')).toBe('soft');
	});
});

describe('rules as text', () => {
	it('come back as they were', () => {
		for (const rules of [[['a', 'b'], ['빵']], ['/x|y/i', ['c']], [['two words', 'x']], [['/not', 'an expression/']], [['a "quote"']]]) expect(read(written(rules))).toEqual(rules);
	});
	it('leave out empty lines and spaces', () => {
		expect(read('\n  a   b \n\n/c d/\n""\n')).toEqual([['a', 'b'], '/c d/']);
	});
	it('name the line that is no expression', () => {
		expect(wrong(read('a\n/b/\n/(/'))).toBe('/(/');
		expect(wrong(read('a ( b\n/b/'))).toBeNull();
	});
});

describe('QR codes', () => {
	/** What a reader of codes sees in the rows, with a margin. */
	function seen(text: string): string | undefined {
		const rows = qr(text);
		const scale = 4;
		const side = (rows.length + 8) * scale;
		const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
		rows.forEach((row, y) => row.forEach((dark, x) => {
			if (!dark) return;
			for (let dy = 0; dy < scale; dy++) for (let dx = 0; dx < scale; dx++) pixels.fill(0, (((y + 4) * scale + dy) * side + (x + 4) * scale + dx) * 4, (((y + 4) * scale + dy) * side + (x + 4) * scale + dx) * 4 + 3);
		}));
		return jsQR(pixels, side, side)?.data;
	}
	it('are read as what was written, in every size', () => {
		const address = 'otpauth://totp/oven.example:bora?issuer=oven.example&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
		expect(seen(address)).toBe(address);
		for (const n of [1, 14, 15, 40, 84, 120, 150, 180, 213, 214, 300, 412, 600, 900]) {
			const text = 'aZ0:/?&=-'.repeat(101).slice(0, n);
			expect([n, seen(text)]).toEqual([n, text]);
		}
		expect(seen('오븐 🍞')).toBe('오븐 🍞');
	});
	it('say when a text is too long', () => {
		expect(() => qr('x'.repeat(3000))).toThrow(RangeError);
	});
	it('are the same as a path', () => {
		expect(qrPath([[true, true, false], [false, true, true]])).toBe('M0 0h2v1H0zM1 1h2v1H1z');
	});
});

it('knows the addresses of the settings', () => {
	expect(match('/settings')).toMatchObject({ page: 'settings', arg: '' });
	expect(match('/settings/mute-block')).toMatchObject({ page: 'settings', arg: 'mute-block' });
	expect(match('/settings/a/b')).toBeNull();
});

it('remembers what a browser prefers', () => {
	expect(readPrefs()).toEqual({ size: 'normal', still: false, write: {} });
	writePrefs({ size: 'large', write: { me: { visibility: 'home', localOnly: true } } });
	writePrefs({ still: true });
	expect(document.documentElement.dataset).toMatchObject({ size: 'large', still: '' });
	expect(wideness('me')).toEqual({ visibility: 'home', localOnly: true });
	expect(wideness('other')).toEqual({ visibility: 'public', localOnly: false });
	localStorage.setItem('prefs', '{"size":"huge"');
	applyPrefs();
	expect(document.documentElement.dataset.size).toBeUndefined();
});

it('says what apps may do, and how long things take', async () => {
	await loadLanguage('ko');
	await loadTexts('settings');
	expect(permissions(['read:account', 'write:notes', 'write:reactions', 'read:admin:meta', 'strange'])).toEqual([
		{ verb: '보기', things: '계정 정보' }, { verb: '바꾸기', things: expect.stringMatching(/^노트.+리액션$/) }, { verb: '관리', things: '관리 권한 1개' }, { verb: '그 밖에', things: 'strange' },
	]);
	expect([length(0), length(90), length(7200), length(200_000)]).toEqual(['1초', '2분', '2시간', '3일']);
});
