// Writes sequences.txt: every text that the emoji pattern of
// @misskey-dev/emoji-data matches as one emoji, one a line, sorted.
// A line that ends in "!" is an emoji that may not be followed by U+FE0E.
//
//   npm i --prefix /tmp/emoji @misskey-dev/emoji-data@17.0.0
//   node gen.mjs /tmp/emoji/node_modules/@misskey-dev/emoji-data > sequences.txt

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { emojiRegex } = await import(pathToFileURL(resolve(process.argv[2], 'built/regex.mjs')));

const source = emojiRegex.source;
let at = 0;

// The pattern is finite: alternatives, classes, groups, "?" and one look-ahead.
function alternatives() {
	const all = [...sequence()];
	while (source[at] === '|') {
		at++;
		all.push(...sequence());
	}
	return all;
}

function sequence() {
	let made = [''];
	while (at < source.length && source[at] !== '|' && source[at] !== ')') {
		let part = atom();
		if (source[at] === '?') {
			at++;
			part = [...part, ''];
		}
		made = made.flatMap(head => part.map(tail => head + tail));
	}
	return made;
}

function atom() {
	if (source.startsWith('(?!\\ufe0e)', at)) {
		at += '(?!\\ufe0e)'.length;
		return ['!'];
	}
	if (source[at] === '(') {
		at += source.startsWith('(?:', at) ? 3 : 1;
		const inner = alternatives();
		at++;
		return inner;
	}
	if (source[at] !== '[') return [String.fromCharCode(unit())];
	at++;
	const units = [];
	while (source[at] !== ']') {
		const from = unit();
		let to = from;
		if (source[at] === '-') {
			at++;
			to = unit();
		}
		for (let u = from; u <= to; u++) units.push(String.fromCharCode(u));
	}
	at++;
	return units;
}

function unit() {
	if (source[at] === '\\') {
		at += 6;
		return parseInt(source.slice(at - 4, at), 16);
	}
	return source.charCodeAt(at++);
}

const whole = new RegExp(`^(?:${source})`);
const kept = new Set();
for (const made of alternatives()) {
	// A look-ahead before a skin tone is always true.
	const text = made.replaceAll('!', '');
	const guarded = made.endsWith('!');
	if (text === '\ufe0f' || whole.exec(text)?.[0] !== text) continue;
	kept.add(guarded ? `${text}!` : text);
}
process.stdout.write([...kept].sort().join('\n') + '\n');
