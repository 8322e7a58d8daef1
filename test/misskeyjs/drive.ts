// Lives on a running Oven as a Misskey client does: through misskey-js, its
// types and its stream. One line a step; the first failure ends it with 1.
//
// node build/drive.js ORIGIN
import { WebSocket } from 'ws';
import * as Misskey from 'misskey-js';

const origin = process.argv[2] ?? 'http://127.0.0.1:3000';
const patience = 10_000; // ms

function assert(ok: unknown, what: string): asserts ok {
	if (!ok) throw new Error(what);
}

async function step(name: string, f: () => Promise<void>): Promise<void> {
	try {
		await f();
	} catch (e) {
		console.error('FAIL', name, e);
		process.exit(1);
	}
	console.log('ok', name);
}

/** What must fail, as the error that it fails with. */
async function refused(what: Promise<unknown>): Promise<Misskey.api.APIError> {
	const e: unknown = await what.then(() => { throw new Error('not refused'); }, (e: unknown) => e);
	assert(Misskey.api.isAPIError(e as Record<PropertyKey, unknown>), `no API error: ${String(e)}`);
	return e as Misskey.api.APIError;
}

/** A promise of the first event that wanted() takes. */
function heard<T>(what: string, listen: (f: (x: T) => void) => void, wanted: (x: T) => boolean = () => true): Promise<T> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`not heard within ${patience} ms: ${what}`)), patience);
		listen((x) => {
			if (!wanted(x)) return;
			clearTimeout(timer);
			resolve(x);
		});
	});
}

/** A call that APIClient has no overload for: those outside the list of endpoints. */
async function post<Req, Res>(name: string, body: Req): Promise<Res> {
	const res = await fetch(`${origin}/api/${name}`, {
		method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(patience),
	});
	assert(res.ok, `${name} answered ${res.status}`);
	return await res.json() as Res;
}

function signUp(username: string): Promise<Misskey.entities.SignupResponse> {
	return post('signup', { username, password: `password of ${username}` });
}

function signIn(req: Misskey.entities.SigninFlowRequest): Promise<Misskey.entities.SigninFlowResponse> {
	return post('signin-flow', req);
}

function client(token: string | null): Misskey.api.APIClient {
	return new Misskey.api.APIClient({
		origin, credential: token, fetch: (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(patience) }),
	});
}

function stream(token: string): Misskey.Stream {
	return new Misskey.Stream(origin, { token }, { WebSocket });
}

/** Waits until the server has taken all that the stream was sent: it takes one thing after the other and answers a connect. */
async function taken(s: Misskey.Stream): Promise<void> {
	const id = `taken_${Math.random()}`;
	const answer = heard<{ id: string }>('connected', (f) => s.on('connected' as never, f as never), (e) => e.id === id);
	s.send('connect', { channel: 'localTimeline', id, pong: true });
	await answer;
	s.send('disconnect', { id });
}

const tag = Math.random().toString(36).slice(2, 8);
const names = { alice: `alice_${tag}`, bora: `bora_${tag}` };
let alice!: Misskey.entities.SignupResponse;
let bora!: Misskey.entities.SignupResponse;

await step('sign up', async () => {
	alice = await signUp(names.alice);
	bora = await signUp(names.bora);
	assert(alice.username === names.alice && alice.token !== bora.token, 'not two accounts');
});

const api = client(alice.token);
const other = client(bora.token);

await step('sign in', async () => {
	const first = await signIn({ username: names.alice });
	// Misskey's word for the password, with a captcha where there is one; 'password' is for those with a second factor.
	assert(!first.finished && first.next === 'captcha', 'a password was not asked for');
	const done = await signIn({ username: names.alice, password: `password of ${names.alice}` });
	assert(done.finished && done.i === alice.token && done.id === alice.id, 'not signed in');
	const me = await api.request('i', {});
	assert(me.id === alice.id && me.username === names.alice && me.policies.canPublicNote, 'another account');
});

const live = stream(alice.token);
await step('the stream opens', () => heard<void>('_connected_', (f) => live.on('_connected_', f)));
const home = live.useChannel('homeTimeline');
const main = live.useChannel('main');

/** The first notification of a type that comes live. */
function notified(type: Misskey.entities.Notification['type']): Promise<Misskey.entities.Notification> {
	return heard(`notification ${type}`, (f) => main.on('notification', f), (n: Misskey.entities.Notification) => n.type === type);
}

await step('follow, and the followed hears of it', async () => {
	await taken(live);
	const followed = heard<Misskey.entities.User>('followed', (f) => main.on('followed', f), (u) => u.id === bora.id);
	const told = notified('follow');
	await other.request('following/create', { userId: alice.id });
	await followed;
	await told;
	const follow = heard<Misskey.entities.User>('follow', (f) => main.on('follow', f), (u) => u.id === bora.id);
	await api.request('following/create', { userId: bora.id });
	await follow;
	const relation = await api.request('users/relation', { userId: bora.id });
	assert(!Array.isArray(relation) && relation.isFollowing && relation.isFollowed, 'the tie is not there');
});

await step('post, and the home timeline is live', async () => {
	const note = heard<Misskey.entities.Note>('note', (f) => home.on('note', f), (n) => n.text === '따끈한 빵');
	const { createdNote } = await other.request('notes/create', { text: '따끈한 빵', visibility: 'home' });
	assert((await note).id === createdNote.id, 'another note');
	const list = await api.request('notes/timeline', { limit: 5 });
	assert(list[0]?.id === createdNote.id && list[0].user.username === names.bora, 'not on the page');
});

const mine = (await api.request('notes/create', { text: '오늘의 식빵', poll: { choices: ['하나', '둘'] } })).createdNote;

await step('a reply', async () => {
	const reply = heard<Misskey.entities.Note>('reply', (f) => main.on('reply', f), (n) => n.replyId === mine.id);
	const told = notified('reply');
	const { createdNote } = await other.request('notes/create', { replyId: mine.id, text: '맛있겠다' });
	assert((await reply).id === createdNote.id, 'another reply');
	const n = await told;
	assert(n.type === 'reply' && n.userId === bora.id && n.note.id === createdNote.id, 'told of something else');
	const children = await api.request('notes/children', { noteId: mine.id });
	assert(children.some((c) => c.id === createdNote.id), 'not below the note');
});

await step('a mention', async () => {
	const mention = heard<Misskey.entities.Note>('mention', (f) => main.on('mention', f), (n) => n.userId === bora.id && n.replyId == null);
	const told = notified('mention');
	const { createdNote } = await other.request('notes/create', { text: `@${names.alice} 안녕` });
	assert((await mention).id === createdNote.id && createdNote.mentions?.includes(alice.id), 'another mention');
	await told;
});

await step('a renote', async () => {
	const renote = heard<Misskey.entities.Note>('renote', (f) => main.on('renote', f), (n) => n.renoteId === mine.id);
	const told = notified('renote');
	const { createdNote } = await other.request('notes/create', { renoteId: mine.id });
	const heardOf = await renote;
	assert(heardOf.id === createdNote.id && heardOf.text === null && heardOf.renote?.text === '오늘의 식빵', 'another renote');
	await told;
	assert((await api.request('notes/show', { noteId: mine.id })).renoteCount === 1, 'not counted');
});

await step('notifications are listed and read', async () => {
	const list = await api.request('i/notifications', { limit: 10, markAsRead: false });
	for (const type of ['follow', 'reply', 'mention', 'renote']) assert(list.some((n) => n.type === type), `no ${type} in the list`);
	assert((await api.request('i', {})).unreadNotificationsCount === list.length, 'another number of unread ones');
	const read = heard<void>('readAllNotifications', (f) => main.on('readAllNotifications', f));
	await api.request('notifications/mark-all-as-read', {});
	await read;
	const me = await api.request('i', {});
	assert(me.unreadNotificationsCount === 0 && !me.hasUnreadNotification, 'still unread');
});

await step('a captured note tells of reactions, votes and its end', async () => {
	type Update = Parameters<Misskey.StreamEvents['noteUpdated']>[0];
	const updated = <T extends Update['type']>(type: T) => heard<Extract<Update, { type: T }>>(`noteUpdated ${type}`,
		(f) => live.on('noteUpdated', f as (e: Update) => void), (e) => e.id === mine.id && e.type === type);
	live.send('subNote', { id: mine.id });
	await taken(live);

	const reacted = updated('reacted');
	const told = notified('reaction');
	await other.request('notes/reactions/create', { noteId: mine.id, reaction: '🍞' });
	const reaction = await reacted;
	assert(reaction.body.reaction === '🍞' && reaction.body.userId === bora.id, 'another reaction');
	const n = await told;
	assert(n.type === 'reaction' && n.reaction === '🍞', 'told of another reaction');

	const voted = updated('pollVoted');
	await other.request('notes/polls/vote', { noteId: mine.id, choice: 1 });
	assert((await voted).body.choice === 1, 'another choice');
	const shown = await other.request('notes/show', { noteId: mine.id });
	assert(shown.myReaction === '🍞' && shown.reactions['🍞'] === 1, 'the reaction is not counted');
	assert(shown.poll?.choices[1]?.isVoted && shown.poll.choices[1].votes === 1, 'the vote is not counted');

	const unreacted = updated('unreacted');
	await other.request('notes/reactions/delete', { noteId: mine.id });
	assert((await unreacted).body.reaction === '🍞', 'another reaction was taken back');

	const deleted = updated('deleted');
	await api.request('notes/delete', { noteId: mine.id });
	assert(!Number.isNaN(Date.parse((await deleted).body.deletedAt)), 'no time of deletion');
});

await step('a game of reversi', async () => {
	type Game = Misskey.entities.ReversiGameDetailed;
	const mine = stream(alice.token), theirs = stream(bora.token);
	const invited = heard<{ user: Misskey.entities.User }>('invited', (f) => theirs.useChannel('reversi').on('invited', f as never));
	const matched = heard<{ game: Game }>('matched', (f) => mine.useChannel('reversi').on('matched', f));
	await Promise.all([taken(mine), taken(theirs)]);
	assert(await api.request('reversi/match', { userId: bora.id }) === null, 'a game with nobody');
	assert((await invited).user.id === alice.id, 'invited by another');
	assert((await other.request('reversi/invitations', {}))[0]?.id === alice.id, 'not listed');
	const { id } = await other.request('reversi/match', { userId: alice.id });
	assert((await matched).game.id === id, 'another game');

	const seats = [mine, theirs].map((s) => s.useChannel('reversiGame', { gameId: id }));
	const [first, second] = seats as [typeof seats[number], typeof seats[number]];
	const all = <T>(what: string, listen: (s: typeof first, f: (x: T) => void) => void) => Promise.all(seats.map((s) => heard<T>(what, (f) => listen(s, f))));
	await Promise.all([taken(mine), taken(theirs)]);
	const set = heard<{ key: string; value: unknown }>('updateSettings', (f) => second.on('updateSettings', f as never));
	first.send('updateSettings', { key: 'map', value: ['-wb-'] });
	assert(JSON.stringify(await set.then(({ key, value }) => ({ key, value }))) === '{"key":"map","value":["-wb-"]}', 'another rule');
	first.send('updateSettings', { key: 'bw', value: '1' });
	await taken(mine); // before anybody agrees
	const started = all<{ game: Game }>('started', (s, f) => s.on('started', f));
	for (const s of seats) s.send('ready', true);
	const [{ game }] = await started as [{ game: Game }, { game: Game }];
	assert(game.isStarted && game.black === 1 && game.map.join('') === '-wb-', 'another game has begun');

	type Log = { time: number; player: boolean; operation: 'put'; pos: number; id: string | null };
	const log = all<Log>('log', (s, f) => s.on('log', f));
	const ended = all<{ winnerId: string | null; game: Game }>('ended', (s, f) => s.on('ended', f));
	first.send('putStone', { pos: 0, id: 'stone' });
	for (const l of await log) assert(l.player && l.operation === 'put' && l.pos === 0 && l.id === 'stone', `another move: ${JSON.stringify(l)}`);
	for (const e of await ended) assert(e.winnerId === alice.id && e.game.winner?.id === alice.id && e.game.logs.length === 1, 'another end');
	const verified = await client(null).request('reversi/verify', { gameId: id, crc32: '0' });
	assert(verified.desynced && verified.game?.id === id, 'another board is right, too');
	mine.close();
	theirs.close();
});

await step('an error has its code and id', async () => {
	const gone = await refused(api.request('notes/show', { noteId: mine.id }));
	assert(gone.code === 'NO_SUCH_NOTE' && gone.id === '24fcbfc6-2e37-42b6-8388-c29b3861a08d' && gone.kind === 'client', `another error: ${JSON.stringify(gone)}`);
	const wrong = await refused(api.request('notes/timeline', { limit: 1000 }));
	assert(wrong.code === 'INVALID_PARAM' && wrong.id === '3d81ceae-475f-4600-b2a8-2bc116157532', `another error: ${JSON.stringify(wrong)}`);
	const nobody = await refused(client(null).request('i', {} as never));
	assert(nobody.code === 'CREDENTIAL_REQUIRED' && nobody.id === '1384574d-a912-4b81-8601-c7b1c4085df1', `another error: ${JSON.stringify(nobody)}`);
});

await step('a revoked token ends the stream', async () => {
	const closed = heard<void>('_disconnected_', (f) => live.on('_disconnected_', f));
	await api.request('i/regenerate-token', { password: `password of ${names.alice}` });
	await closed;
	live.close();
	const old = await refused(api.request('i', {}));
	assert(old.code === 'AUTHENTICATION_FAILED' && old.id === 'b0a7f5f8-dc2f-4171-b91f-de88ad238e14', `another error: ${JSON.stringify(old)}`);
	const done = await signIn({ username: names.alice, password: `password of ${names.alice}` });
	assert(done.finished && done.i !== alice.token, 'no new token');
	assert((await client(done.i).request('i', {})).id === alice.id, 'the new token is of somebody else');
});

process.exit(0);
