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
	await f();
	console.log('ok', name);
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
		method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
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
	return new Misskey.api.APIClient({ origin, credential: token });
}

function stream(token: string): Misskey.Stream {
	return new Misskey.Stream(origin, { token }, { WebSocket });
}

const tag = Math.random().toString(36).slice(2, 8);
const alice = await signUp(`alice_${tag}`);
const bora = await signUp(`bora_${tag}`);
const api = client(alice.token);
const other = client(bora.token);

await step('sign in', async () => {
	const first = await signIn({ username: `alice_${tag}` });
	assert(!first.finished, 'finished without a password');
	const done = await signIn({ username: `alice_${tag}`, password: `password of alice_${tag}` });
	assert(done.finished && done.i === alice.token && done.id === alice.id, 'not signed in');
	const me = await api.request('i', {});
	assert(me.username === `alice_${tag}` && me.policies.canPublicNote, 'another account');
});

const live = stream(alice.token);
await heard<void>('the stream opens', (f) => live.on('_connected_', f));
const home = live.useChannel('homeTimeline');
const main = live.useChannel('main');

await step('follow, and the followed hears of it', async () => {
	const followed = heard<Misskey.entities.User>('followed', (f) => main.on('followed', f), (u) => u.id === bora.id);
	await other.request('following/create', { userId: alice.id });
	await api.request('following/create', { userId: bora.id });
	await followed;
	const relation = await api.request('users/relation', { userId: bora.id });
	assert(!Array.isArray(relation) && relation.isFollowing && relation.isFollowed, 'the tie is not there');
});

await step('post, and the home timeline is live', async () => {
	const note = heard<Misskey.entities.Note>('note', (f) => home.on('note', f), (n) => n.text === '따끈한 빵');
	const { createdNote } = await other.request('notes/create', { text: '따끈한 빵', visibility: 'home' });
	assert((await note).id === createdNote.id, 'another note');
	const list = await api.request('notes/timeline', { limit: 5 });
	assert(list[0]?.id === createdNote.id && list[0].user.username === `bora_${tag}`, 'not on the page');
});

const mine = (await api.request('notes/create', { text: '오늘의 식빵', poll: { choices: ['하나', '둘'] } })).createdNote;

await step('a reply and a mention arrive as notifications', async () => {
	const reply = heard<Misskey.entities.Note>('reply', (f) => main.on('reply', f), (n) => n.replyId === mine.id);
	const told = heard<Misskey.entities.Notification>('notification', (f) => main.on('notification', f), (n) => n.type === 'mention');
	await other.request('notes/create', { replyId: mine.id, text: '맛있겠다' });
	await other.request('notes/create', { text: `@alice_${tag} 안녕` });
	await reply;
	await told;
	const list = await api.request('i/notifications', { limit: 10, markAsRead: false });
	assert(list.some((n) => n.type === 'reply' && n.note.text === '맛있겠다'), 'no reply in the list');
	await api.request('notifications/mark-all-as-read', {});
	assert((await api.request('i', {})).unreadNotificationsCount === 0, 'still unread');
});

await step('a captured note tells of reactions, votes and its end', async () => {
	const updates = (type: string) => heard<{ type: string; id: string; body: Record<string, unknown> }>(type,
		(f) => live.on('noteUpdated', f as never), (e) => e.id === mine.id && e.type === type);
	live.send('subNote', { id: mine.id });
	// Capturing is not answered: the first event that comes back shows that it holds.
	await new Promise((r) => setTimeout(r, 500));
	const reacted = updates('reacted');
	await other.request('notes/reactions/create', { noteId: mine.id, reaction: '🍞' });
	assert((await reacted).body['reaction'] === '🍞', 'another reaction');
	const voted = updates('pollVoted');
	await other.request('notes/polls/vote', { noteId: mine.id, choice: 1 });
	assert((await voted).body['choice'] === 1, 'another choice');
	const shown = await other.request('notes/show', { noteId: mine.id });
	assert(shown.myReaction === '🍞' && shown.poll?.choices[1]?.isVoted && shown.poll.choices[1].votes === 1, 'not counted');
	const deleted = updates('deleted');
	await api.request('notes/delete', { noteId: mine.id });
	await deleted;
});

await step('an error has its id', async () => {
	try {
		await api.request('notes/show', { noteId: mine.id });
		throw new Error('a deleted note was shown');
	} catch (e) {
		assert(Misskey.api.isAPIError(e as Record<PropertyKey, unknown>), `no API error: ${String(e)}`);
		assert((e as Misskey.api.APIError).id === '24fcbfc6-2e37-42b6-8388-c29b3861a08d', 'another error');
	}
});

await step('a revoked token ends the stream', async () => {
	const closed = heard<void>('the stream closes', (f) => live.on('_disconnected_', f));
	await api.request('i/regenerate-token', { password: `password of alice_${tag}` });
	await closed;
	live.close();
	try {
		await api.request('i', {});
		throw new Error('the old token still works');
	} catch (e) {
		assert((e as Misskey.api.APIError).code === 'AUTHENTICATION_FAILED', `another error: ${String(e)}`);
	}
});

process.exit(0);
