// Checks recorded answers against misskey-js' types: node check.mjs RECORDS OUT
// The last line is "implemented N / 437, valid M"; OUT gets the list as JSON.
// Exit code 1 when an endpoint that exists is not valid.
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import { schemas } from './schemas.mjs';

// What only the fork of Butterscone has. misskey-js does not type it.
const fork = ['admin/queue/promote', 'i/read-all-unread-notes', 'i/truncate-account', 'notes/update'];

const [records, out] = process.argv.slice(2);
const { defs, answers } = schemas();
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: 'all', $defs: defs });
const validators = new Map();
for (const [name, codes] of Object.entries(answers)) {
	if (codes['200'] && codes['200'] !== true) {
		validators.set(name, ajv.compile({ $id: 'answer/' + name, $defs: defs, ...codes['200'] }));
	}
}

const heard = new Map(); // endpoint → answers
for (const file of readdirSync(records)) {
	for (const line of readFileSync(join(records, file), 'utf8').split('\n')) {
		if (line === '') continue;
		const r = JSON.parse(line);
		heard.set(r.name, [...(heard.get(r.name) ?? []), r]);
	}
}
const existing = new Set((heard.get('endpoints') ?? []).flatMap(r => r.body));
const known = [...Object.keys(answers), ...fork.filter(name => !(name in answers))].sort();

const list = [];
let failed = 0;
for (const name of known) {
	if (!existing.has(name)) {
		list.push({ name, implemented: false });
		continue;
	}
	const problem = problemOf(name);
	list.push({ name, implemented: true, valid: !problem, answers: heard.get(name)?.length ?? 0, ...(problem ? { problem } : {}) });
	if (problem) {
		failed++;
		console.error(`${name}: ${problem}`);
	}
}

function problemOf(name) {
	const all = heard.get(name);
	if (!all) return 'no answer was recorded';
	const codes = answers[name];
	if (!codes) return null; // the fork's
	for (const r of all) {
		if (r.status === 204 || r.body === undefined) {
			if (!codes['204'] && !validators.get(name)?.(null)) return 'answered 204';
			continue;
		}
		const validate = validators.get(name);
		if (!validate) return codes['200'] ? null : `answered ${r.status} with a body`;
		if (!validate(r.body)) return explain(validate.errors, r.body);
	}
	return null;
}

function explain(errors, body) {
	return errors.slice(0, 6).map(e => `${e.instancePath} ${e.message}${e.params.allowedValue !== undefined ? ' ' + JSON.stringify(e.params.allowedValue) : ''}`).join('; ') +
		' in ' + JSON.stringify(body).slice(0, 300);
}

mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, JSON.stringify(list, null, '\t') + '\n');
const implemented = list.filter(e => e.implemented).length;
console.log(`implemented ${implemented} / ${known.length}, valid ${implemented - failed}`);
process.exitCode = failed === 0 ? 0 : 1;
