/** Numbers over time, as the server counts them: by hours or days of UTC, the newest first. */
import { api } from './api.ts';

export type Span = 'day' | 'hour';
export const lengths: Record<Span, number> = { day: 30, hour: 48 };

/** A number of a chart over time; null where nobody was there to count. */
export interface Line { name: string; values: (number | null)[] }
export interface Drawn {
	span: Span;
	/** When each bucket begins, the oldest first, in ms. */
	times: number[];
	lines: Line[];
	/** Buckets that were counted for a part of their time only. */
	partly: boolean[];
	/** How many buckets lie before the first that was ever counted. */
	before: number;
}

/** Which numbers of an endpoint are drawn: what they are called, and where in the answer they are. */
export interface Chart { endpoint: string; params?: Record<string, unknown>; lines: [name: string, path: string][] }

type Answer = { [k: string]: Answer } | number[];

function at(answer: Answer, path: string): number[] {
	let v: Answer | undefined = answer;
	for (const key of path.split('.')) v = Array.isArray(v) ? undefined : v?.[key];
	return Array.isArray(v) ? v : [];
}

/** Reads a chart, and when it was not counted. */
export async function read(c: Chart, span: Span, now: number = Date.now()): Promise<Drawn> {
	const q = { span, limit: lengths[span], offset: now };
	const [answer, { hours, since }] = await Promise.all([api<Answer>(c.endpoint, { ...q, ...c.params }, null), api<{ hours: number[]; since: string | null }>('oven/charts/hours', q, null)]);
	return draw(c.lines.map(([name, path]) => [name, at(answer, path)]), hours, span, now, since === null ? now : Date.parse(since));
}

/** Puts the oldest first, and gaps where there are only zeros because nobody counted. */
export function draw(lines: [name: string, values: number[]][], hours: number[], span: Span, now: number, since: number): Drawn {
	const each = span === 'day' ? 86_400_000 : 3_600_000;
	const last = Math.floor(now / each) * each;
	const n = hours.length;
	const full = span === 'day' ? 24 : 1;
	const times = hours.map((_, i) => last - (n - 1 - i) * each);
	const first = times.findIndex((ms) => ms + each > since);
	return {
		span,
		times,
		before: first < 0 ? n : first,
		lines: lines.map(([name, values]) => ({ name, values: hours.map((_, i) => (hours[n - 1 - i] === 0 ? null : values[n - 1 - i] ?? null)) })),
		// The bucket that is under way is not over yet, and the first began when the server did, which is no fault.
		partly: hours.map((_, i) => i < n - 1 && times[i]! > since && hours[n - 1 - i]! > 0 && hours[n - 1 - i]! < full),
	};
}

/** Runs of buckets without a number from the first that was counted on, as [first, behind the last]. */
export function gaps(values: (number | null)[], before = 0): [number, number][] {
	const out: [number, number][] = [];
	for (const [i, v] of values.entries()) {
		if (v !== null || i < before) continue;
		const run = out.at(-1);
		if (run?.[1] === i) run[1] = i + 1;
		else out.push([i, i + 1]);
	}
	return out;
}

/** The way of a line through a field of width × height, broken where there is a gap. */
export function path(values: (number | null)[], most: number, width: number, height: number): string {
	const step = width / Math.max(1, values.length - 1);
	let open = false;
	let d = '';
	for (const [i, v] of values.entries()) {
		if (v === null) {
			open = false;
			continue;
		}
		const x = i * step;
		const y = (height - (most > 0 ? v / most : 0) * height).toFixed(1);
		// One that stands alone is a short line: a point would hardly be seen.
		if (open) d += `L${x.toFixed(1)} ${y}`;
		else if (values[i + 1] == null) d += `M${Math.max(0, x - 3).toFixed(1)} ${y}L${Math.min(width, x + 3).toFixed(1)} ${y}`;
		else d += `M${x.toFixed(1)} ${y}`;
		open = true;
	}
	return d;
}

/** A round number that is not less. */
export function roof(n: number): number {
	if (n <= 4) return 4;
	const power = 10 ** Math.floor(Math.log10(n));
	return [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= n)!;
}
