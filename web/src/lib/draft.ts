/** What is being written, kept until it is sent: the whole form, by account and by what it answers. */
import type { DriveFile, Visibility } from './types.ts';

export interface Draft {
	text: string;
	cw: string | null;
	visibility: Visibility;
	localOnly: boolean;
	poll: { choices: string[]; multiple: boolean; after: number } | null;
	/** What is attached; older drafts have none. */
	files?: DriveFile[];
}

const most = 30;

function all(storage: Storage): Record<string, Draft & { at: number }> {
	try {
		return (JSON.parse(storage.getItem('drafts') ?? '{}') ?? {}) as Record<string, Draft & { at: number }>;
	} catch {
		return {};
	}
}

export function readDraft(key: string, storage: Storage = localStorage): Draft | null {
	return all(storage)[key] ?? null;
}

/** Keeps a draft; an empty one is forgotten, and so is the oldest of too many. */
export function writeDraft(key: string, d: Draft | null, storage: Storage = localStorage): void {
	const drafts = all(storage);
	const empty = !d || (d.text.trim() === '' && !d.cw && !d.poll?.choices.some((c) => c !== '') && !d.files?.length);
	if (empty) delete drafts[key];
	else drafts[key] = { ...d, at: Date.now() };
	const kept = Object.entries(drafts).sort(([, a], [, b]) => b.at - a.at).slice(0, most);
	try {
		storage.setItem('drafts', JSON.stringify(Object.fromEntries(kept)));
	} catch {
		// A full storage costs the draft, not the writing.
	}
}
