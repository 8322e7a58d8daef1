/** Muted words as they are written in a field, a rule a line, and as Misskey keeps them. */
import type { Rule } from './mute.svelte.ts';

/** A word with a space in it stands in quotes, so that nothing is lost that another client wrote. */
export function written(rules: Rule[]): string {
	return rules.map((r) => (Array.isArray(r) ? r.map((w) => (/[\s"]/.test(w) || w.startsWith('/') ? `"${w.replaceAll('"', '\\"')}"` : w)).join(' ') : r)).join('\n');
}

export function read(text: string): Rule[] {
	return text.split('\n').map((l) => l.trim().normalize('NFC')).filter((l) => l !== '').map((line): Rule => {
		if (/^\/.+\/[a-z]*$/.test(line)) return line;
		return [...line.matchAll(/"((?:\\"|[^"])*)"|(\S+)/g)].map((m) => (m[1] !== undefined ? m[1].replaceAll('\\"', '"') : m[2]!)).filter((w) => w !== '');
	}).filter((r) => r.length > 0);
}

/** The first line that is an expression which cannot be one; null when all are well. */
export function wrong(rules: Rule[]): string | null {
	for (const r of rules) {
		const m = typeof r === 'string' ? /^\/(.+)\/([a-z]*)$/.exec(r) : null;
		if (!m) continue;
		try {
			new RegExp(m[1]!, m[2]);
		} catch {
			return r as string;
		}
	}
	return null;
}
