import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { icons } from '../src/icons.ts';
import coreEn from '../src/locales/en.json';
import coreJa from '../src/locales/ja.json';
import coreKo from '../src/locales/ko.json';
import admEn from '../src/locales/admin.en.json';
import admJa from '../src/locales/admin.ja.json';
import admKo from '../src/locales/admin.ko.json';
import setEn from '../src/locales/settings.en.json';
import setJa from '../src/locales/settings.ja.json';
import setKo from '../src/locales/settings.ko.json';
import { explain, fill, loadLanguage, loadSettingsTexts, t } from '../src/lib/i18n.ts';

const names = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
const ko: Record<string, string> = { ...coreKo, ...setKo, ...admKo };
const ja: Record<string, string> = { ...coreJa, ...setJa, ...admJa };
const en: Record<string, string> = { ...coreEn, ...setEn, ...admEn };
const catalogues: Record<string, Record<string, string>> = { ja, en };

function sources(dir: string): string[] {
	return readdirSync(dir, { withFileTypes: true }).flatMap((d) => (d.isDirectory() ? sources(join(dir, d.name)) : /\.(svelte|ts)$/.test(d.name) ? [join(dir, d.name)] : []));
}
const code = sources(join(import.meta.dirname, '../src')).map((f) => readFileSync(f, 'utf8')).join('\n');

describe('catalogues', () => {
	for (const [lang, texts] of Object.entries(catalogues)) {
		it(`${lang} has Korean's keys and no others, none empty`, () => {
			expect(Object.keys(texts).sort()).toEqual(Object.keys(ko).sort());
			expect(Object.entries(texts).filter(([, v]) => v.trim() === '')).toEqual([]);
		});
		it(`${lang} fills in the same values`, () => {
			for (const [k, v] of Object.entries(ko)) expect([k, names(texts[k]!)]).toEqual([k, names(v)]);
		});
	}
	it('hold every key that is asked for', () => {
		const asked = [...code.matchAll(/\bt\('([\w.]+)'/g)].map((m) => m[1]!);
		expect(asked.length).toBeGreaterThan(80);
		expect(asked.filter((k) => !(k in ko))).toEqual([]);
	});
	it('hold no key that nobody asks for', () => {
		const made = /^(tl|vis|emoji|noti|err|auth|compose|may)\./;
		// Of the settings, those whose end is put in: t(`set.kind.${k}`).
		const begins = [...code.matchAll(/`((?:set|adm)\.[\w.]+\.)\$\{/g)].map((m) => m[1]!);
		const names = new Set([...code.matchAll(/'([\w-]+)'/g)].map((m) => m[1]!));
		const put = (k: string): boolean => begins.some((b) => k.startsWith(b)) || names.has(k.replace(/^set\./, '').replace(/(Hint|\.about)$/, ''))
			|| [...names].some((n) => k === `set.ties.${n}Hint`);
		expect(Object.keys(ko).filter((k) => !made.test(k) && !code.includes(`'${k}'`) && !put(k))).toEqual([]);
	});
	it('say each thing in one place', () => {
		expect(Object.keys(setKo).filter((k) => k in coreKo)).toEqual([]);
		expect(Object.keys(admKo).filter((k) => k in coreKo || k in setKo)).toEqual([]);
		for (const k of Object.keys(setKo)) expect(/^(set|may|err)\./.test(k), k).toBe(true);
		for (const k of Object.keys(admKo)) expect(k.startsWith('adm.'), k).toBe(true);
	});
	it('templates have no text of their own', () => {
		for (const f of sources(join(import.meta.dirname, '../src')).filter((f) => f.endsWith('.svelte'))) {
			expect([f, /[\uac00-\ud7a3\u3041-\u30ff]/.test(readFileSync(f, 'utf8').replace(/<script[\s\S]*?<\/script>/, ''))]).toEqual([f, false]);
		}
	});
});

it('fills in values and leaves what it does not know', () => {
	expect(fill('{n}개 {x}', { n: 3 })).toBe('3개 {x}');
});

it('explains errors in the chosen language', async () => {
	await loadLanguage('ja');
	expect(t('tl.home')).toBe('ホーム');
	expect(explain({ code: 'NO_SUCH_USER' })).toBe(ja['err.NO_SUCH_USER']);
	expect(explain({ code: 'STRANGE' })).toContain('STRANGE');
	expect(explain({ code: 'CLEANUP_RUNNING' })).toContain('CLEANUP_RUNNING');
	await loadSettingsTexts();
	expect(explain({ code: 'CLEANUP_RUNNING' })).toBe(setJa['err.CLEANUP_RUNNING']);
	expect(t('tl.home')).toBe('ホーム');
});

it('every icon on the list is used', () => {
	expect(icons.filter((i) => !code.replace(/icons = \[[\s\S]*?\]/, '').includes(`'${i}'`) && !code.includes(`name="${i}"`))).toEqual([]);
});
