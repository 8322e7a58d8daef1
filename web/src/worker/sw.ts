/**
 * The worker: it shows notifications while no page is open, brings their reader
 * to what they are about, and says so when the server cannot be reached. It
 * keeps nothing of what the server answers.
 */
import { enroll, type Call } from '../push/enroll.ts';
import { recall, remember, type Remembered } from '../push/memory.ts';
import { say, texts, type Texts, type Told } from '../push/words.ts';

declare const self: ServiceWorkerGlobalScope;

/** What a push service brings, in Misskey's form. */
interface Message { type: string; userId: string; dateTime: number; body?: Told }
interface Shown { to: string; who: string[]; user: string | undefined }

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(Promise.all([self.clients.claim(), self.registration.navigationPreload?.enable()])));

const calls = (r: Remembered): Call => async (name, params) => {
	const res = await fetch(`/api/${name}`, {
		method: 'POST', credentials: 'omit', cache: 'no-store', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...params, i: r.account.token }),
	});
	if (!res.ok) throw new Error(`${name}: ${res.status}`);
	return res.status === 204 ? null : res.json();
};

self.addEventListener('push', (e) => e.waitUntil(told(e.data?.json() as Message | undefined)));

async function told(m: Message | undefined): Promise<void> {
	const r = await recall();
	if (!m || !r || m.userId !== r.account.id) {
		// Meant for somebody who has left this browser: it is none of the next one's business.
		await (await self.registration.pushManager.getSubscription())?.unsubscribe();
		return;
	}
	if (m.type === 'notification' && m.body) await show(m.body, texts[r.lang]);
	else if (m.type === 'readAllNotifications') await allRead(texts[r.lang]);
}

async function show(n: Told, t: Texts): Promise<void> {
	const { tag } = say(n, t);
	const [before] = await self.registration.getNotifications({ tag });
	const said = say(n, t, (before?.data as Shown | undefined)?.who);
	const data: Shown = { to: said.to, who: said.who, user: n.user?.id ?? n.userId };
	// TypeScript's types know neither actions nor the time.
	const options: NotificationOptions & { timestamp: number; actions: { action: string; title: string }[] } = {
		body: said.body, tag, data, badge: '/icons/badge.png', icon: said.icon ?? '/icons/192.png', timestamp: Date.parse(n.createdAt),
		actions: said.asks ? [{ action: 'accept', title: t['push.accept'] }, { action: 'reject', title: t['push.reject'] }] : [],
	};
	await self.registration.showNotification(said.title, options);
}

/** Browsers want something shown for every message; what says that all is read goes away by itself. */
async function allRead(t: Texts): Promise<void> {
	for (const n of await self.registration.getNotifications()) n.close();
	await self.registration.showNotification(t['push.read'], { tag: 'read', silent: true, icon: '/icons/192.png', data: { to: '/my/notifications', who: [], user: undefined } satisfies Shown });
	await new Promise((done) => { setTimeout(done, 1000); });
	for (const n of await self.registration.getNotifications({ tag: 'read' })) n.close();
}

self.addEventListener('notificationclick', (e) => {
	e.notification.close();
	e.waitUntil(answer(e.action, e.notification.data as Shown));
});

async function answer(action: string, shown: Shown): Promise<void> {
	if ((action === 'accept' || action === 'reject') && shown.user) {
		try {
			const r = await recall();
			if (r) await calls(r)(`following/requests/${action}`, { userId: shown.user });
			return;
		} catch {
			// It is seen there what has become of it.
		}
	}
	await open(shown.to);
}

/** Brings a page of ours to where it should be, or opens one. */
async function open(to: string): Promise<void> {
	const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
	for (const w of [...windows].sort((a, b) => Number(b.focused) - Number(a.focused))) {
		await w.focus().catch(() => {}); // not every browser lets it
		if (await goes(w, to)) return;
	}
	await self.clients.openWindow(to);
}

/** Whether a page answers that it goes there: one that is no page of the client's does not. */
function goes(w: WindowClient, to: string): Promise<boolean> {
	return new Promise((done) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => done(true);
		setTimeout(() => done(false), 800);
		w.postMessage({ type: 'go', to }, [port2]);
	});
}

// The push service gave the browser another address.
self.addEventListener('pushsubscriptionchange', (e) => (e as ExtendableEvent).waitUntil((async () => {
	const r = await recall();
	if (r) await remember(await enroll(self.registration.pushManager, r, calls(r)));
})()));

self.addEventListener('fetch', (e) => {
	if (e.request.mode === 'navigate' && e.request.method === 'GET') e.respondWith(page(e));
});

async function page(e: FetchEvent): Promise<Response> {
	try {
		return (await e.preloadResponse as Response | undefined) ?? await fetch(e.request);
	} catch {
		const lang = (await recall().catch(() => null))?.lang ?? (navigator.language.startsWith('ko') ? 'ko' : navigator.language.startsWith('ja') ? 'ja' : 'en');
		return unreachable(lang);
	}
}

function unreachable(lang: 'ko' | 'ja' | 'en'): Response {
	const t = texts[lang];
	return new Response(`<!doctype html><html lang="${lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>${t['push.offline']}</title>
<style>body{display:grid;place-items:center;min-height:90vh;margin:0 24px;font:1rem/1.6 system-ui,sans-serif;text-align:center;word-break:keep-all;background:#f5f5f2;color:#1d1f23}h1{font-size:1.375rem}a{color:#1c6e63;font-weight:600}@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e7ea}a{color:#6bcab9}}</style>
<main><h1>${t['push.offline']}</h1><p>${t['push.offlineHint']}</p><p><a href="">${t['push.again']}</a></p></main></html>`, { status: 503, headers: { 'content-type': 'text/html; charset=utf-8' } });
}
