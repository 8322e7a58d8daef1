/** What this browser remembers of its own: how large text is, whether things move, how wide new notes go. */
import type { Visibility } from './types.ts';

export const sizes = ['small', 'normal', 'large', 'larger'] as const;
export type Size = (typeof sizes)[number];

export interface Prefs {
	size: Size;
	still: boolean;
	/** By account. */
	write: Record<string, { visibility: Visibility; localOnly: boolean }>;
}

const key = 'prefs';

export function readPrefs(storage: Storage = localStorage): Prefs {
	let p: Partial<Prefs> = {};
	try {
		p = (JSON.parse(storage.getItem(key) ?? '{}') ?? {}) as Partial<Prefs>;
	} catch {
		// what cannot be read is as if it were not there
	}
	return { size: sizes.includes(p.size as Size) ? p.size! : 'normal', still: p.still === true, write: p.write ?? {} };
}

export function writePrefs(change: Partial<Prefs>, storage: Storage = localStorage): void {
	storage.setItem(key, JSON.stringify({ ...readPrefs(storage), ...change }));
	applyPrefs(storage);
}

export function applyPrefs(storage: Storage = localStorage): void {
	const { size, still } = readPrefs(storage);
	const root = document.documentElement.dataset;
	if (size === 'normal') delete root.size;
	else root.size = size;
	if (still) root.still = '';
	else delete root.still;
}

/** How a note begins that answers nothing. */
export function wideness(account: string | undefined, storage: Storage = localStorage): { visibility: Visibility; localOnly: boolean } {
	return readPrefs(storage).write[account ?? ''] ?? { visibility: 'public', localOnly: false };
}
