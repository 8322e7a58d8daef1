import { describe, expect, it } from 'vitest';
import { cap, Feed, isGap, waitingCap } from '../src/lib/feed.ts';

const n = (i: number): { id: string } => ({ id: `a${String(i).padStart(5, '0')}` });
const ids = (f: Feed<{ id: string }>): string[] => f.rows.map((r) => (isGap(r) ? 'gap' : String(Number(r.id.slice(1)))));
const down = (from: number, to: number): { id: string }[] => Array.from({ length: from - to + 1 }, (_, i) => n(from - i));
function feed(...page: number[]): Feed<{ id: string }> {
	const f = new Feed<{ id: string }>();
	f.reset(page.map(n));
	return f;
}

describe('live notes', () => {
	it('are shown at the top, once, in order', () => {
		const f = feed(3, 1);
		f.arrive(n(4), true);
		f.arrive(n(4), true);
		f.arrive(n(2), true);
		expect(ids(f)).toEqual(['4', '3', '2', '1']);
	});
	it('wait while one reads', () => {
		const f = feed(1);
		f.arrive(n(2), false);
		f.arrive(n(3), true);
		expect(ids(f)).toEqual(['1']);
		expect(f.waiting.length).toBe(2);
		f.show();
		expect(ids(f)).toEqual(['3', '2', '1']);
	});
	it('too many to wait leave a gap', () => {
		const f = feed(1);
		for (let i = 2; i < 50; i++) f.arrive(n(i), false);
		expect(f.waiting.length).toBe(waitingCap);
		f.show();
		expect(ids(f).slice(-2)).toEqual(['gap', '1']);
		expect(ids(f)[0]).toBe('49');
	});
	it('do not make the list endless', () => {
		const f = feed(1);
		for (let i = 2; i < cap + 50; i++) f.arrive(n(i), true);
		expect(f.rows.length).toBe(cap);
	});
});

describe('after a reconnect', () => {
	it('a page that reaches what is known leaves no gap', () => {
		const f = feed(5, 4);
		f.missed(down(8, 4), 30, true);
		expect(ids(f)).toEqual(['8', '7', '6', '5', '4']);
	});
	it('a full page that does not reach it leaves one, which is filled from above', () => {
		const f = feed(5, 4);
		f.missed(down(100, 98), 3, true);
		expect(ids(f)).toEqual(['100', '99', '98', 'gap', '5', '4']);
		const gap = f.rows.find(isGap)!;
		f.fill(gap, down(97, 95), 3);
		expect(ids(f)).toEqual(['100', '99', '98', '97', '96', '95', 'gap', '5', '4']);
		f.fill(f.rows.find(isGap)!, [n(6), n(5), n(4)], 3);
		expect(ids(f)).toEqual(['100', '99', '98', '97', '96', '95', '6', '5', '4']);
	});
	it('what waited is below the gap', () => {
		const f = feed(5);
		f.arrive(n(6), false);
		f.missed(down(100, 98), 3, false);
		expect(ids(f)).toEqual(['100', '99', '98', 'gap', '6', '5']);
	});
	it('nothing new changes nothing', () => {
		const f = feed(5, 4);
		f.missed(down(5, 4), 30, false);
		expect(ids(f)).toEqual(['5', '4']);
		expect(f.waiting.length).toBe(0);
	});
	it('an empty list takes the page', () => {
		const f = feed();
		f.missed(down(3, 1), 3, true);
		expect(ids(f)).toEqual(['3', '2', '1']);
	});
});

it('older pages are added once, and the deleted go everywhere', () => {
	const f = feed(5, 4);
	f.older(down(4, 2));
	f.arrive(n(6), false);
	f.remove(n(6).id);
	f.remove(n(3).id);
	expect(ids(f)).toEqual(['5', '4', '2']);
	expect(f.waiting).toEqual([]);
});
