// Writes the boards that misskey-reversi comes with as JSON: node maps.mjs OUT
import { readFileSync, writeFileSync } from 'node:fs';

const source = readFileSync('node_modules/misskey-reversi/maps.ts', 'utf8');
const maps = [...source.matchAll(/data: \[([^\]]*)\]/g)].map(m => [...m[1].matchAll(/'([^']*)'/g)].map(row => row[1]));
writeFileSync(process.argv[2], JSON.stringify(maps));
