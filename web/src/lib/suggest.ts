/** What the writer is in the middle of, for which the rest can be proposed: an emoji, somebody's name, a tag. */
export interface Asked { kind: 'emoji' | 'user' | 'tag'; word: string; from: number; to: number }

const letter = /[\p{L}\p{N}\p{M}_]/u;
const forms: [Asked['kind'], RegExp][] = [
	['emoji', /:([\p{L}\p{N}\p{M}_+-]{1,40})$/u],
	['user', /@([\w.-]{1,40}(?:@[\w.:-]{0,80})?)$/],
	['tag', /#([\p{L}\p{N}\p{M}_]{1,60})$/u],
];

/** What stands before the caret; null when that is nothing to propose for. */
export function asked(text: string, caret: number): Asked | null {
	const before = text.slice(Math.max(0, caret - 130), caret);
	for (const [kind, form] of forms) {
		const m = form.exec(before);
		if (!m) continue;
		// In the middle of a word, of a time (12:30) or an address, none of these begin.
		const previous = before.slice(0, m.index).at(-1);
		if (previous !== undefined && (letter.test(previous) || previous === ':' || previous === '/')) continue;
		return { kind, word: m[1]!.normalize('NFC'), from: caret - m[0].length, to: caret };
	}
	return null;
}
