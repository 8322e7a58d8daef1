/** Has notes translated. */
import { api } from './api.ts';
import { explain, language, t } from './i18n.ts';
import { translations } from './translation.svelte.ts';
import type { Note } from './types.ts';

export function untranslate(note: Note): void {
	delete translations[note.id];
}

export async function translate(note: Note): Promise<void> {
	const of = note.text ?? '';
	if (translations[note.id]?.busy) return;
	translations[note.id] = { busy: true, of };
	try {
		const got = await api<{ sourceLang: string; text: string } | null>('notes/translate', { noteId: note.id, targetLang: language() });
		translations[note.id] = got ? { busy: false, of, text: got.text, from: nameOf(got.sourceLang) } : { busy: false, of, trouble: t('translate.nothing') };
	} catch (e) {
		translations[note.id] = { busy: false, of, trouble: (e as { code?: string }).code === 'UNAVAILABLE' ? t('translate.unavailable') : explain(e) };
	}
}

/** A language as the reader calls it. */
function nameOf(tag: string): string {
	try {
		return (tag && new Intl.DisplayNames([language()], { type: 'language' }).of(tag.toLowerCase())) || tag;
	} catch {
		return tag;
	}
}
