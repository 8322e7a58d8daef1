import { describe, expect, it } from 'vitest';
import { linksOf, patience } from '../src/lib/links.ts';
import type { Note } from '../src/lib/types.ts';

const note = (text: string | null, more: Partial<Note> = {}): Note => ({ id: 'n1', text, createdAt: new Date(1e12).toISOString(), user: { host: null }, ...more }) as Note;
const at = (text: string, more: Partial<Note> = {}): string[] => linksOf(note(text, more), 'https://here.example');

describe('links of a note', () => {
	it('are its addresses, each once, three at most', () => {
		expect(at('a https://a.example/x#y b <https://b.example/> https://a.example/x')).toEqual(['https://a.example/x', 'https://b.example/']);
		expect(at('https://1.example https://2.example https://3.example https://4.example')).toHaveLength(3);
		expect(linksOf(note(null), 'x')).toEqual([]);
		expect(at('no address')).toEqual([]);
	});
	it('are not those of silent links, nor in code, nor other schemes', () => {
		expect(at('[a](https://a.example/) ?[b](https://b.example/) **https://c.example/** `https://d.example/` javascript://e.example/')).toEqual(['https://a.example/', 'https://c.example/']);
		expect(at('$[x2 https://f.example/]')).toEqual(['https://f.example/']);
	});
	it('are not the note itself, nor what it quotes', () => {
		const quoted = note('x', { id: 'q1', uri: 'https://far.example/notes/1', url: 'https://far.example/@a/1' });
		expect(at('RE: https://far.example/notes/1 https://far.example/@a/1 https://here.example/notes/q1 https://here.example/notes/n1 https://here.example/notes/z', { renote: quoted })).toEqual(['https://here.example/notes/z']);
	});
});

describe('a card', () => {
	it('waits by chance where a fresh note came from elsewhere', () => {
		const far = note('x', { user: { host: 'b.example' } as Note['user'] });
		expect(patience(far, 1e12 + 1000, 0)).toBeGreaterThan(0);
		expect(patience(far, 1e12 + 1000, 1)).toBeGreaterThan(5000);
		expect(patience(far, 1e12 + 120_000, 1)).toBe(0);
		expect(patience(note('x'), 1e12 + 1000, 1)).toBe(0);
	});
});
