/** The emoji that can be picked: this server's, and Unicode's with names and keywords. Loaded when first needed. */
import list from '@misskey-dev/emoji-data/emojilist.json';
import { language } from './i18n.ts';
import type { CustomEmoji, Note } from './types.ts';

/** char is what is sent: the emoji itself, or ":name:". */
export interface Emoji { char: string; name: string; url?: string; words: string[]; group: number; category?: string; sensitive?: boolean; roles?: string[] }

let unicode: Emoji[] | undefined;

export async function unicodeEmoji(): Promise<Emoji[]> {
	if (unicode) return unicode;
	const lang = language();
	const en = (await import('@misskey-dev/emoji-data/indexes/en-US.json')).default as Record<string, string[]>;
	const own = lang === 'ja' ? (await import('@misskey-dev/emoji-data/indexes/ja-JP.json')).default as Record<string, string[]>
		: lang === 'ko' ? (await import('virtual:emoji-ko')).default : {};
	const bare = (char: string): string => (lang === 'ko' ? char.replaceAll('\ufe0f', '') : char);
	unicode = list.map(([char, name, group]) => ({ char, name, group, words: [...(en[char] ?? []), ...(own[bare(char)] ?? [])] }));
	return unicode;
}

export function fromCustom(e: CustomEmoji): Emoji {
	return {
		char: `:${e.name}:`, name: e.name, url: e.url, words: e.aliases, group: -1, category: e.category ?? '', sensitive: e.isSensitive ?? false,
		roles: e.roleIdsThatCanBeUsedThisEmojiAsReaction ?? [],
	};
}

/** Whether a reader with these roles may react with an emoji to a note: its author may want none that are sensitive, and some emoji are for some roles. */
export function may(e: Emoji, note: Note, roles: string[]): boolean {
	if (e.sensitive && note.reactionAcceptance?.startsWith('nonSensitiveOnly')) return false;
	return !e.roles || e.roles.length === 0 || e.roles.some((r) => roles.includes(r));
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
