// A small ActivityPub server on Fedify: it knows nothing of Oven, brings its
// own vocabulary, signatures and rules, and remembers what it was told.
import { createServer } from 'node:http';
import { createFederation, generateCryptoKeyPair, MemoryKvStore } from '@fedify/fedify';
import * as as from '@fedify/vocab';

/** Starts a server; scheme is the form of signature it tries first. */
export async function startPeer(scheme) {
	const heard = [];
	const waiting = [];
	const notes = new Map();
	const keys = [await generateCryptoKeyPair('RSASSA-PKCS1-v1_5')];
	const server = createServer();
	await new Promise(done => server.listen(0, '127.0.0.1', done));
	const origin = `http://127.0.0.1:${server.address().port}`;

	const federation = createFederation({ kv: new MemoryKvStore(), origin, allowPrivateAddress: true, ...(scheme ? { firstKnock: scheme } : {}) });
	federation.setActorDispatcher('/users/{identifier}', async (ctx, name) => {
		if (name !== 'baker') return null;
		const pairs = await ctx.getActorKeyPairs(name);
		return new as.Person({
			id: ctx.getActorUri(name), preferredUsername: name, name: 'Baker', summary: 'Bakes <b>bread</b>', url: new URL('/@baker', origin),
			inbox: ctx.getInboxUri(name), outbox: ctx.getOutboxUri(name), followers: ctx.getFollowersUri(name),
			endpoints: new as.Endpoints({ sharedInbox: ctx.getInboxUri() }),
			publicKey: pairs[0].cryptographicKey, assertionMethods: pairs.map(p => p.multikey),
		});
	}).setKeyPairsDispatcher(() => keys);
	federation.setOutboxDispatcher('/users/{identifier}/outbox', () => ({ items: [] }));
	federation.setFollowersDispatcher('/users/{identifier}/followers', () => ({ items: [] }));
	federation.setObjectDispatcher(as.Note, '/notes/{id}', (_ctx, { id }) => notes.get(id) ?? null);

	const inbox = federation.setInboxListeners('/users/{identifier}/inbox', '/inbox');
	for (const type of [as.Follow, as.Accept, as.Create, as.Update, as.Delete, as.Announce, as.Like, as.EmojiReact, as.Undo, as.Block, as.Move, as.Flag]) {
		inbox.on(type, async (ctx, activity) => {
			const json = await activity.toJsonLd({ contextLoader: ctx.contextLoader });
			heard.push({ type: type.name, activity, json });
			for (const look of [...waiting]) look();
			if (activity instanceof as.Follow) {
				const sender = await activity.getActor(ctx);
				await ctx.sendActivity({ identifier: 'baker' }, sender, new as.Accept({
					id: new URL(`/accepts/${heard.length}`, origin), actor: ctx.getActorUri('baker'), object: activity,
				}));
			}
		});
	}

	server.on('request', async (req, res) => {
		const chunks = [];
		for await (const c of req) chunks.push(c);
		const request = new Request(origin + req.url, { method: req.method, headers: req.headers, ...(chunks.length ? { body: Buffer.concat(chunks) } : {}) });
		const answer = await federation.fetch(request, { contextData: undefined });
		res.writeHead(answer.status, Object.fromEntries(answer.headers));
		res.end(Buffer.from(await answer.arrayBuffer()));
	});

	const ctx = federation.createContext(new URL(origin), undefined);
	return {
		origin, host: new URL(origin).host, ctx, notes, actor: ctx.getActorUri('baker'),
		close: () => server.close(),
		/** Waits for an activity and takes it. */
		async got(type, wanted = () => true) {
			const until = Date.now() + 15_000;
			for (;;) {
				const i = heard.findIndex(h => h.type === type && wanted(h.json));
				if (i >= 0) return heard.splice(i, 1)[0];
				const left = until - Date.now();
				if (left <= 0) throw new Error(`no ${type} was heard; heard: ${heard.map(h => h.type)}`);
				await new Promise(done => {
					const look = () => { clearTimeout(timer); waiting.splice(waiting.indexOf(look), 1); done(); };
					const timer = setTimeout(look, left);
					waiting.push(look);
				});
			}
		},
		async send(to, activity) {
			await ctx.sendActivity({ identifier: 'baker' }, to, activity, { fanout: 'skip', immediate: true });
		},
	};
}
