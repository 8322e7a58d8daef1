/** The emoji that can be picked: this server's, and Unicode's with names and keywords. Loaded when first needed. */
import list from '@misskey-dev/emoji-data/emojilist.json';
import { api } from './api.ts';
import { language } from './i18n.ts';
import type { CustomEmoji } from './types.ts';

/** char is what is sent: the emoji itself, or ":name:". */
export interface Emoji { char: string; name: string; url?: string; words: string[]; group: number }

let unicode: Emoji[] | undefined;
let custom: Promise<Emoji[]> | undefined;

export async function unicodeEmoji(): Promise<Emoji[]> {
	if (unicode) return unicode;
	const en = (await import('@misskey-dev/emoji-data/indexes/en-US.json')).default as Record<string, string[]>;
	const ja = language() === 'ja' ? (await import('@misskey-dev/emoji-data/indexes/ja-JP.json')).default as Record<string, string[]> : {};
	unicode = list.map(([char, name, group]) => ({ char, name, group, words: [...(en[char] ?? []), ...(ja[char] ?? [])] }));
	return unicode;
}

export function customEmoji(): Promise<Emoji[]> {
	custom ??= api<{ emojis: CustomEmoji[] }>('emojis', {}, null).then(
		(r) => r.emojis.map((e) => ({ char: `:${e.name}:`, name: e.name, url: e.url, words: e.aliases, group: -1 })),
		(e: unknown) => { custom = undefined; throw e; },
	);
	return custom;
}

/** Those that a word finds: whole names first, then beginnings, then what merely holds it. */
export function find(all: Emoji[], word: string, most = 60): Emoji[] {
	const q = word.trim().normalize('NFC').toLowerCase().replaceAll(':', '');
	if (q === '') return [];
	const ranked: [number, Emoji][] = [];
	for (const e of all) {
		const names = [e.name, ...e.words].map((w) => w.toLowerCase());
		const rank = names.includes(q) || e.char === word.trim() ? 0 : names.some((w) => w.startsWith(q)) ? 1 : names.some((w) => w.includes(q)) ? 2 : 3;
		if (rank < 3) ranked.push([rank, e]);
	}
	return ranked.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, e]) => e);
}

const recentMost = 24;

export function recent(storage: Storage = localStorage): string[] {
	try {
		const r: unknown = JSON.parse(storage.getItem('recentEmoji') ?? '[]');
		return Array.isArray(r) ? r.filter((x): x is string => typeof x === 'string') : [];
	} catch {
		return [];
	}
}

export function used(char: string, storage: Storage = localStorage): void {
	storage.setItem('recentEmoji', JSON.stringify([char, ...recent(storage).filter((c) => c !== char)].slice(0, recentMost)));
}
