// Two servers on Fedify and one Oven: each thing that people do is done from
// either side and seen on the other. node drive.mjs ORIGIN
import assert from 'node:assert/strict';
import { Temporal } from '@js-temporal/polyfill';
import * as as from '@fedify/vocab';
import { startPeer } from './peer.mjs';

const oven = process.argv[2];

async function api(name, params, token) {
	const res = await fetch(`${oven}/api/${name}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ ...params, ...(token ? { i: token } : {}) }) });
	const text = await res.text();
	assert.ok(res.ok, `${name}: ${res.status} ${text}`);
	return text === '' ? null : JSON.parse(text);
}

const settle = () => api('oven/settle', { timeout: 20 });

async function meet(scheme, username) {
	const peer = await startPeer(scheme);
	const { token, id } = await api('signup', { username, password: 'password' });
	const call = (name, params = {}) => api(name, params, token);
	const step = async (what, f) => {
		await f();
		console.log(`ok ${scheme ?? 'rfc9421'} ${what}`);
	};
	// Fedify asks WebFinger over https only, so the address is taken by hand.
	const finger = await (await fetch(`${oven}/.well-known/webfinger?resource=acct:${username}@${new URL(oven).host}`)).json();
	const me = await peer.ctx.lookupObject(new URL(finger.links.find(l => l.rel === 'self').href));
	assert.ok(me instanceof as.Person, 'the actor of Oven');
	assert.equal(me.id.href, `${oven}/users/${id}`);
	const to = { id: me.id, inboxId: me.inboxId, endpoints: me.endpoints };
	let baker;

	await step('Oven finds and follows', async () => {
		baker = await call('users/show', { username: 'baker', host: peer.host });
		assert.equal(baker.name, 'Baker');
		assert.equal(baker.description, 'Bakes **bread**');
		await call('following/create', { userId: baker.id });
		await peer.got('Follow');
		await settle();
		assert.equal((await call('users/relation', { userId: baker.id })).isFollowing, true);
	});

	await step('Fedify follows Oven and is accepted', async () => {
		await peer.send(to, new as.Follow({ id: new URL('/follows/1', peer.origin), actor: peer.actor, object: me.id }));
		const accept = await peer.got('Accept');
		assert.equal(accept.activity.actorId.href, me.id.href);
		await settle();
		assert.equal((await call('users/relation', { userId: baker.id })).isFollowed, true);
	});

	let mine;
	await step('a note of Oven reaches Fedify', async () => {
		mine = (await call('notes/create', { text: '갓 구운 **식빵** #오븐 🍞', cw: '먹음직' })).createdNote;
		const { activity } = await peer.got('Create');
		const note = await activity.getObject(peer.ctx);
		assert.ok(note instanceof as.Note);
		assert.match(note.content.toString(), /<b>식빵<\/b>|<strong>식빵<\/strong>/);
		assert.equal(note.summary.toString(), '먹음직');
		assert.equal(note.attributionId.href, me.id.href);
		assert.equal(note.id.href, `${oven}/notes/${mine.id}`);
		const again = await peer.ctx.lookupObject(note.id);
		assert.equal(again.id.href, note.id.href);
	});

	let theirs;
	await step('a note of Fedify reaches Oven, as a reply', async () => {
		const id = new URL('/notes/1', peer.origin);
		const note = new as.Note({
			id, attribution: peer.actor, content: '<p>Looks <em>good</em></p>', published: now(), replyTarget: new URL(`${oven}/notes/${mine.id}`),
			tos: [as.PUBLIC_COLLECTION, me.id], ccs: [peer.ctx.getFollowersUri('baker')], tags: [new as.Mention({ href: me.id, name: `@${username}` })],
		});
		peer.notes.set('1', note);
		await peer.send(to, new as.Create({ id: new URL('/creates/1', peer.origin), actor: peer.actor, object: note, tos: note.toIds, ccs: note.ccIds }));
		await settle();
		[theirs] = await call('notes/replies', { noteId: mine.id });
		assert.equal(theirs?.text, 'Looks <i>good</i>');
		assert.equal(theirs.uri, id.href);
		assert.equal((await call('i/notifications'))[0].type, 'reply');
	});

	await step('Oven reacts, Fedify hears a Like', async () => {
		await call('notes/reactions/create', { noteId: theirs.id, reaction: '🍞' });
		const { activity } = await peer.got('Like');
		assert.equal(activity.objectId.href, `${peer.origin}/notes/1`);
		await call('notes/reactions/delete', { noteId: theirs.id });
		await peer.got('Undo', j => j.object?.type === 'Like');
	});

	await step('Fedify likes and reacts with an emoji', async () => {
		const object = new URL(`${oven}/notes/${mine.id}`);
		await peer.send(to, new as.Like({ id: new URL('/likes/1', peer.origin), actor: peer.actor, object }));
		await settle();
		assert.deepEqual((await call('notes/show', { noteId: mine.id })).reactions, { '❤': 1 });
		await peer.send(to, new as.Undo({ id: new URL('/undo/1', peer.origin), actor: peer.actor, object: new as.Like({ id: new URL('/likes/1', peer.origin), actor: peer.actor, object }) }));
		await peer.send(to, new as.EmojiReact({ id: new URL('/reacts/1', peer.origin), actor: peer.actor, object, content: '🥐' }));
		await settle();
		assert.deepEqual((await call('notes/show', { noteId: mine.id })).reactions, { '🥐': 1 });
	});

	await step('renotes, both ways', async () => {
		const renote = (await call('notes/create', { renoteId: theirs.id })).createdNote;
		const { activity } = await peer.got('Announce');
		assert.equal(activity.objectId.href, `${peer.origin}/notes/1`);
		await call('notes/delete', { noteId: renote.id });
		await peer.got('Undo', j => j.object?.type === 'Announce');
		await peer.send(to, new as.Announce({
			id: new URL('/announces/1', peer.origin), actor: peer.actor, object: new URL(`${oven}/notes/${mine.id}`), published: now(),
			tos: [as.PUBLIC_COLLECTION], ccs: [peer.ctx.getFollowersUri('baker')],
		}));
		await settle();
		assert.equal((await call('notes/show', { noteId: mine.id })).renoteCount, 1);
	});

	await step('a profile is changed', async () => {
		await call('i/update', { name: '제빵사' });
		const { activity } = await peer.got('Update');
		assert.equal((await activity.getObject(peer.ctx)).name.toString(), '제빵사');
	});

	await step('deletions, both ways', async () => {
		await call('notes/delete', { noteId: mine.id });
		const { activity } = await peer.got('Delete');
		assert.equal(activity.objectId?.href ?? (await activity.getObject(peer.ctx)).id.href, `${oven}/notes/${mine.id}`);
		peer.notes.delete('1');
		await peer.send(to, new as.Delete({ id: new URL('/deletes/1', peer.origin), actor: peer.actor, object: new as.Tombstone({ id: new URL('/notes/1', peer.origin) }), tos: [as.PUBLIC_COLLECTION] }));
		await settle();
		const res = await fetch(`${oven}/api/notes/show`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ noteId: theirs.id }) });
		assert.equal((await res.json()).error.code, 'NO_SUCH_NOTE');
	});

	await step('unfollow and block', async () => {
		await call('following/delete', { userId: baker.id });
		await peer.got('Undo', j => j.object?.type === 'Follow');
		await call('blocking/create', { userId: baker.id });
		await peer.got('Block');
		assert.equal((await call('users/relation', { userId: baker.id })).isFollowed, false);
	});
	peer.close();
}

function now() {
	return Temporal.Instant.from(new Date().toISOString());
}

await meet('draft-cavage-http-signatures-12', 'cava');
await meet(undefined, 'ninefour');
process.exit(0);
