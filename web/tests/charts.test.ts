import { describe, expect, it } from 'vitest';
import { draw, gaps, path, roof } from '../src/lib/charts.ts';

const now = Date.parse('2026-03-05T10:20:00Z');

describe('charts', () => {
	it('put the oldest first, and know what was not counted from what was nothing', () => {
		const d = draw([['a', [4, 3, 0, 1]]], [11, 24, 0, 3], 'day', now, 0);
		expect(d.times.map((ms) => new Date(ms).toISOString().slice(0, 10))).toEqual(['2026-03-02', '2026-03-03', '2026-03-04', '2026-03-05']);
		expect(d.lines[0]!.values).toEqual([1, null, 3, 4]);
		// Of today it is not said that it was counted in part only.
		expect(d.partly).toEqual([true, false, false, false]);
		expect(draw([['a', [0, 0]]], [1, 0], 'hour', now, 0).lines[0]!.values).toEqual([null, 0]);
	});
	it('begin when the server did', () => {
		const d = draw([['a', [4, 0, 3, 0]]], [11, 0, 7, 0], 'day', now, Date.parse('2026-03-03T17:30:00Z'));
		expect(d.lines[0]!.values).toEqual([null, 3, null, 4]);
		expect(gaps(d.lines[0]!.values, d.before)).toEqual([[2, 3]]);
		expect(d.partly).toEqual([false, false, false, false]);
		expect(draw([['a', [0, 0]]], [0, 0], 'hour', now, now).before).toBe(1);
	});
	it('break where nothing was counted', () => {
		expect(gaps([null, null, 1, null, 2, null])).toEqual([[0, 2], [3, 4], [5, 6]]);
		expect(path([0, 4, null, 2, null, 4], 4, 50, 100)).toBe('M0.0 100.0L10.0 0.0M27.0 50.0L33.0 50.0M47.0 0.0L50.0 0.0');
		expect(path([0, 0], 0, 10, 10)).toBe('M0.0 10.0L10.0 10.0');
		expect(path([null, null], 4, 10, 10)).toBe('');
	});
	it('have room to a round number', () => {
		expect([0, 3, 5, 12, 21, 99, 100, 101, 2400].map(roof)).toEqual([4, 4, 5, 20, 25, 100, 100, 200, 2500]);
	});
});
