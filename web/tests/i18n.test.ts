import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { icons } from '../src/icons.ts';
import en from '../src/locales/en.json';
import ja from '../src/locales/ja.json';
import ko from '../src/locales/ko.json';
import { explain, fill, loadLanguage, t } from '../src/lib/i18n.ts';

const names = (s: string): string[] => [...s.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!).sort();
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
		const made = /^(tl|vis|emoji|noti|err|settings|auth|compose)\./;
		expect(Object.keys(ko).filter((k) => !made.test(k) && !code.includes(`'${k}'`))).toEqual([]);
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
});

it('every icon on the list is used', () => {
	expect(icons.filter((i) => !code.replace(/icons = \[[\s\S]*?\]/, '').includes(`'${i}'`) && !code.includes(`name="${i}"`))).toEqual([]);
});
