import type ko from '../locales/ko.json';
import type admin from '../locales/admin.ko.json';
import type search from '../locales/search.ko.json';
import type channels from '../locales/channels.ko.json';
import type charts from '../locales/charts.ko.json';
import type drive from '../locales/drive.ko.json';
import type emoji from '../locales/emoji.ko.json';
import type settings from '../locales/settings.ko.json';

/** Korean is the source language: its keys are the keys. */
export type Key = keyof typeof ko | keyof typeof settings | keyof typeof admin | keyof typeof search | keyof typeof emoji | keyof typeof channels | keyof typeof drive | keyof typeof charts;
export const languages = ['ko', 'ja', 'en'] as const;
export type Language = (typeof languages)[number];
/** What only some pages say has catalogues of its own. */
export type Area = 'settings' | 'admin' | 'search' | 'emoji' | 'channels' | 'drive' | 'charts';

let texts: Record<string, string> = {};
let current: Language = 'ko';

const catalogues = import.meta.glob<{ default: Record<string, string> }>(['../locales/*.json', '!../locales/push.*.json']);
const read = async (name: string): Promise<Record<string, string>> => (await catalogues[`../locales/${name}.json`]!()).default;

/** Fetches the catalogue of a language; the server's page has it under way already. */
export async function loadLanguage(lang: Language): Promise<void> {
	texts = { ...await read(lang) };
	current = lang;
	document.documentElement.lang = lang;
}

/** Fetches what only some pages say. */
export async function loadTexts(area: Area): Promise<void> {
	Object.assign(texts, await read(`${area}.${current}`));
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
