import type ko from '../locales/ko.json';
import type admin from '../locales/admin.ko.json';
import type settings from '../locales/settings.ko.json';

/** Korean is the source language: its keys are the keys. */
export type Key = keyof typeof ko | keyof typeof settings | keyof typeof admin;
export const languages = ['ko', 'ja', 'en'] as const;
export type Language = (typeof languages)[number];

let texts: Record<string, string> = {};
let current: Language = 'ko';

/** Fetches the catalogue of a language; the server's page has it under way already. */
export async function loadLanguage(lang: Language): Promise<void> {
	const m = lang === 'ko' ? await import('../locales/ko.json') : lang === 'ja' ? await import('../locales/ja.json') : await import('../locales/en.json');
	texts = { ...m.default };
	current = lang;
	document.documentElement.lang = lang;
}

/** Fetches what only the settings say. */
export async function loadSettingsTexts(): Promise<void> {
	const m = current === 'ko' ? await import('../locales/settings.ko.json') : current === 'ja' ? await import('../locales/settings.ja.json') : await import('../locales/settings.en.json');
	Object.assign(texts, m.default);
}

/** Fetches what only the page of those who look after the server says. */
export async function loadAdminTexts(): Promise<void> {
	const m = current === 'ko' ? await import('../locales/admin.ko.json') : current === 'ja' ? await import('../locales/admin.ja.json') : await import('../locales/admin.en.json');
	Object.assign(texts, m.default);
}

export function language(): Language {
	return current;
}

/** The text of a key, with {names} filled in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
	return fill(texts[key] ?? key, values);
}

export function fill(text: string, values: Record<string, string | number>): string {
	return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

/** What to say about an error. */
export function explain(e: unknown): string {
	const code = (e as { code?: string }).code ?? 'INTERNAL_ERROR';
	return texts[`err.${code}`] ?? t('err.other', { code });
}
