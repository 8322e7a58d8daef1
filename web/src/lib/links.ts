/** What is shown beside links: which of a text's addresses, and what the server knows of them. */
import { parse, type MfmNode } from 'mfm-js';
import { language } from './i18n.ts';
import type { Note } from './types.ts';

/** As the server's /url answers. */
export interface Summary {
	title: string;
	icon: string | null;
	description: string | null;
	thumbnail: string | null;
	player: { url: string | null; width: number | null; height: number | null; allow: string[] };
	sitename: string | null;
	sensitive: boolean;
	url: string;
}

/** How many links of a note are shown. */
const most = 3;

/** The addresses in a note's text that get a card: not those in silent links, nor of the note itself or the one it quotes. */
export function linksOf(note: Note, origin = location.origin): string[] {
	if (!note.text?.includes('://')) return [];
	const none = new Set<string | null | undefined>();
	for (const n of [note, note.renote]) if (n) none.add(n.url).add(n.uri).add(`${origin}/notes/${n.id}`);
	const found = new Set<string>();
	const walk = (nodes: MfmNode[]): void => {
		for (const n of nodes) {
			const at = n.type === 'url' || (n.type === 'link' && !n.props.silent) ? plain(n.props.url) : undefined;
			if (at !== undefined && !none.has(at)) found.add(at);
			if (n.type !== 'link' && n.children) walk(n.children);
		}
	};
	walk(parse(note.text, { nestLimit: 20 }));
	return [...found].slice(0, most);
}

/** An http address without what only the browser needs of it. */
function plain(url: string): string | undefined {
	try {
		const u = new URL(url);
		if (u.protocol !== 'https:' && u.protocol !== 'http:') return undefined;
		u.hash = '';
		return u.href;
	} catch {
		return undefined;
	}
}

const freshFor = 60_000;
const spread = 6000;

/**
 * How long a card waits before it asks, in ms. A note of elsewhere that was just written is on thousands of servers at
 * this moment: they do not all look at the page at once.
 */
export function patience(note: Note, now = Date.now(), chance = Math.random()): number {
	return note.user.host !== null && now - Date.parse(note.createdAt) < freshFor ? 300 + chance * spread : 0;
}

const known = new Map<string, Promise<Summary | null>>();
const keep = 200;

const query = (url: string): string => `url=${encodeURIComponent(url)}&lang=${language()}`;

/** What the server knows of a page; null when there is nothing to show. */
export function summaryOf(url: string): Promise<Summary | null> {
	let s = known.get(url);
	if (!s) {
		s = ask(url);
		known.set(url, s);
		if (known.size > keep) known.delete(known.keys().next().value!);
	}
	return s;
}

async function ask(url: string): Promise<Summary | null> {
	try {
		const res = await fetch(`/url?${query(url)}`, { credentials: 'omit' });
		if (res.ok) return (await res.json()) as Summary;
		if (res.status === 429 || res.status >= 500) known.delete(url);
	} catch {
		known.delete(url);
	}
	return null;
}

/** The page of this server that frames the player of a page. Nothing else may be framed. */
export function playerPage(url: string): string {
	return `/url/player?${query(url)}`;
}
