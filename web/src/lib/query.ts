/** A query as the server has read it, and how it is typed. */
export interface Part { clause: number; kind: string; text: string; not: boolean; at: string | null; known: boolean }

const bare = new Set(['word', 'phrase']);

/** A part as it is typed. */
export function typed(p: Part): string {
	const quoted = p.kind === 'phrase' || /\s/.test(p.text) ? `"${p.text}"` : p.text;
	return (p.not ? '-' : '') + (p.kind === 'tag' ? `#${p.text}` : bare.has(p.kind) ? quoted : `${p.kind}:${quoted}`);
}

/** A query as it is typed: parts of one clause are alternatives. */
export function write(parts: Part[]): string {
	return parts.map((p, i) => (i > 0 && parts[i - 1]!.clause === p.clause ? 'OR ' : '') + typed(p)).join(' ');
}

/** Whether a filter stands in what is typed. */
export function has(query: string, filter: string): boolean {
	return query.split(/\s+/).includes(filter);
}

/** What is typed with a filter more, or without it. */
export function toggle(query: string, filter: string): string {
	const words = query.split(/\s+/).filter((w) => w !== '');
	return (words.includes(filter) ? words.filter((w) => w !== filter) : [...words, filter]).join(' ');
}

/** The form in which texts are compared; as long as the text, so that places in one are places in the other. */
function plain(s: string): string {
	return [...s].map((c) => {
		const l = c.toLowerCase().normalize('NFD');
		const d = /^\p{Script=Latin}/u.test(l) ? l[0]! : c.toLowerCase();
		return d.length === c.length ? d : c;
	}).join('');
}

/** Where in a text the words stand that were looked for. */
export function matches(text: string, parts: Part[]): [number, number][] {
	const out: [number, number][] = [];
	const where = plain(text);
	for (const p of parts) {
		if (p.not || !(bare.has(p.kind) || p.kind === 'tag')) continue;
		const what = plain(p.text);
		if (what === '') continue;
		const latin = /^[\p{Script=Latin}\p{N}]/u.test(what);
		for (let i = where.indexOf(what); i >= 0; i = where.indexOf(what, i + what.length)) {
			if (latin && i > 0 && /[\p{Script=Latin}\p{N}_]/u.test(where[i - 1]!)) continue;
			out.push([i, i + what.length]);
		}
	}
	return out;
}
