/**
 * Word mutes. The account keeps the rules in Misskey's format: each is words
 * that must all occur, or "/an expression/flags". They are applied here, as in
 * every client of Misskey; the server only keeps them.
 */
import type { Note } from './types.ts';

export type Rule = string | string[];
/** soft: a line that can be opened stands for the note. hard: nothing does. */
export type Muted = '' | 'soft' | 'hard';
type Test = (text: string) => boolean;

const nothing: Test = () => false;

/** One test for all rules. What is no rule, or an expression that this browser does not know, matches nothing. */
export function compile(rules: unknown): Test {
	const tests = (Array.isArray(rules) ? rules : []).flatMap((r: unknown): Test[] => {
		if (Array.isArray(r)) {
			const words = r.filter((w): w is string => typeof w === 'string' && w !== '').map((w) => w.normalize('NFC'));
			return words.length > 0 ? [(text) => words.every((w) => text.includes(w))] : [];
		}
		const m = typeof r === 'string' ? /^\/(.+)\/(.*)$/.exec(r) : null;
		if (!m) return [];
		try {
			// Without g and y: they would remember where the last note ended.
			const expression = new RegExp(m[1]!, m[2]!.replace(/[gy]/g, ''));
			return [(text) => expression.test(text)];
		} catch {
			return [];
		}
	});
	return tests.length > 0 ? (text) => tests.some((test) => test(text)) : nothing;
}

const key = 'mutes';
let rules: { soft: Test; hard: Test } = $state.raw({ soft: nothing, hard: nothing });
let now = '';

function use(soft: unknown, hard: unknown): boolean {
	const next = JSON.stringify([soft ?? [], hard ?? []]);
	if (next === now) return false;
	now = next;
	rules = { soft: compile(soft), hard: compile(hard) };
	return true;
}

/** The rules as they were when the account was last seen here, so that nothing that is muted shows up while it is asked for. */
export function recallMutes(id: string, storage: Storage = localStorage): void {
	try {
		const kept = JSON.parse(storage.getItem(key) ?? 'null') as { id?: string; soft?: unknown; hard?: unknown } | null;
		if (kept?.id === id) use(kept.soft, kept.hard);
	} catch {
		// the account's own come in a moment
	}
}

/** Takes over the account's rules. */
export function setMutes(id: string, soft: unknown, hard: unknown, storage: Storage = localStorage): void {
	if (use(soft, hard)) storage.setItem(key, JSON.stringify({ id, soft, hard }));
}

export function forgetMutes(storage: Storage = localStorage): void {
	storage.removeItem(key);
}

/** What a card of the note shows: its own words, and of what it answers, quotes or passes on. One's own are left out. */
function words(n: Note | undefined, me: string, depth: number): string[] {
	if (!n || depth > 2) return [];
	const own = n.userId === me ? [] : [n.cw, n.text, ...(n.files ?? []).map((f) => f.comment), ...(n.poll?.choices ?? []).map((c) => c.text)];
	return [own.filter((s) => s).join('\n').normalize('NFC'), ...words(n.reply, me, depth + 1), ...words(n.renote, me, depth + 1)];
}

/** Whether a note is muted for the account. Its own never are, nor is anything for visitors. */
export function muted(n: Note, me: string | undefined): Muted {
	const { soft, hard } = rules;
	if (me === undefined || n.userId === me || (soft === nothing && hard === nothing)) return '';
	const texts = words(n, me, 0).filter((s) => s !== '');
	return texts.some(hard) ? 'hard' : texts.some(soft) ? 'soft' : '';
}
