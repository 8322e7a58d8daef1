import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { icons } from '../src/icons.ts';
import { explain, fill, loadLanguage, loadTexts, t } from '../src/lib/i18n.ts';

const names = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
const locales = join(import.meta.dirname, '../src/locales');
/** The catalogues, and what their keys begin with; the core's may begin with anything. */
const areas: Record<string, RegExp> = { '': /./, 'settings.': /^(set|may|err)\./, 'admin.': /^(adm|err)\./, 'search.': /^search\./, 'push.': /^push\./, 'emoji.': /^(emo|about|err)\./, 'channels.': /^(ch|err)\./, 'drive.': /^(dr|err)\./, 'charts.': /^chart\./ };
const read = (area: string, lang: string): Record<string, string> => JSON.parse(readFileSync(join(locales, `${area}${lang}.json`), 'utf8')) as Record<string, string>;
const all = (lang: string): Record<string, string> => Object.assign({}, ...Object.keys(areas).map((a) => read(a, lang))) as Record<string, string>;
const ko = all('ko');
const ja = all('ja');
const catalogues: Record<string, Record<string, string>> = { ja, en: all('en') };

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
		const made = /^(push|about|tl|vis|emoji|noti|err|auth|compose|may)\./;
		// Of the settings, those whose end is put in: t(`set.kind.${k}`).
		const begins = [...code.matchAll(/`((?:set|adm|emo|ch|dr|chart)\.[\w.]+\.)\$\{/g)].map((m) => m[1]!);
		const names = new Set([...code.matchAll(/'([\w-]+)'/g)].map((m) => m[1]!));
		const put = (k: string): boolean => begins.some((b) => k.startsWith(b)) || names.has(k.replace(/^set\./, '').replace(/(Hint|\.about)$/, ''))
			|| [...names].some((n) => k === `set.ties.${n}Hint`);
		expect(Object.keys(ko).filter((k) => !made.test(k) && !code.includes(`'${k}'`) && !put(k))).toEqual([]);
	});
	it('are all looked at', () => {
		expect(readdirSync(locales).sort()).toEqual(Object.keys(areas).flatMap((a) => ['ko', 'ja', 'en'].map((l) => `${a}${l}.json`)).sort());
	});
	it('say each thing in one place', () => {
		const said = new Set<string>();
		for (const [area, form] of Object.entries(areas)) {
			for (const k of Object.keys(read(area, 'ko'))) {
				expect([area, k, said.has(k), form.test(k)]).toEqual([area, k, false, true]);
				said.add(k);
			}
		}
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
	await loadTexts('settings');
	expect(explain({ code: 'CLEANUP_RUNNING' })).toBe(read('settings.', 'ja')['err.CLEANUP_RUNNING']);
	expect(t('tl.home')).toBe('ホーム');
});

it('every icon on the list is used', () => {
	expect(icons.filter((i) => !code.replace(/icons = \[[\s\S]*?\]/, '').includes(`'${i}'`) && !code.includes(`name="${i}"`))).toEqual([]);
});
