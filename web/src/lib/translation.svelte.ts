/** Notes in the reader's own language, for as long as the page lives. How they come to be is translate.ts, which is fetched when somebody wants it. */
import { app, boot } from './app.svelte.ts';
import type { Note } from './types.ts';

export interface Translation {
	busy: boolean;
	/** The text that was translated: another one after an edit is not shown under it. */
	of: string;
	text?: string;
	/** The language it was in, as the reader calls it. */
	from?: string;
	trouble?: string;
}

/** By the note's id. */
export const translations: Record<string, Translation> = $state({});

/** Whether the reader can have this note translated. */
export function translatable(note: Note): boolean {
	return !!boot.translates && app.account !== null && (app.me?.policies.canUseTranslator ?? true) && !!note.text && !note.isHidden;
}

export function translationOf(note: Note): Translation | undefined {
	const it = translations[note.id];
	return it && it.of === note.text ? it : undefined;
}
