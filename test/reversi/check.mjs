// Plays games again with misskey-reversi and compares each state: node check.mjs GAMES
// A line is a game: {map, opts, states: [{board, turn, black, white, crc32, winner}], moves: [pos]}.
// black and white are where each could put a stone.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const Reversi = require('misskey-reversi').default;
const CRC32 = require('crc-32');

let games = 0;
let states = 0;
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
	if (line === '') continue;
	const game = JSON.parse(line);
	const engine = new Reversi(game.map, { ...game.opts });
	game.states.forEach((theirs, i) => {
		if (i > 0) {
			const pos = game.moves[i - 1];
			if (!engine.canPut(engine.turn, pos)) fail(game, i, 'illegal move', pos);
			engine.put(engine.turn, pos);
		}
		const ours = {
			board: engine.board.map(s => s === undefined ? 'x' : s),
			turn: engine.turn,
			black: engine.canPutSomewhere(true),
			white: engine.canPutSomewhere(false),
			crc32: CRC32.str(JSON.stringify({ board: engine.board, turn: engine.turn })),
			winner: engine.isEnded ? engine.winner : 'none',
		};
		if (JSON.stringify(ours) !== JSON.stringify(theirs)) fail(game, i, ours, theirs);
		states++;
	});
	games++;
}
console.log(`${games} games, ${states} states`);

function fail(game, i, ours, theirs) {
	console.error(JSON.stringify({ map: game.map, opts: game.opts, moves: game.moves.slice(0, i), ours, theirs }, null, '\t'));
	process.exit(1);
}
