// Notifications of a browser that has no page open. The push service is one of
// this test's: a browser's own is far away. What the server sends to it is
// opened as RFC 8291 says and given to the real worker as the browser would.
//
// node push.mjs ORIGIN ALICE BORA
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, alice, bora] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);

const sent = [];
const device = createECDH('prime256v1');
device.generateKeys();
const auth = randomBytes(16);

/** RFC 8291 §3.4 and RFC 8188 §2. */
function opened(b) {
	const [salt, size] = [b.subarray(0, 16), b[20]];
	const sender = b.subarray(21, 21 + size);
	const derive = (secret, by, info, n) => Buffer.from(hkdfSync('sha256', secret, by, info, n));
	const ikm = derive(device.computeSecret(sender), auth, Buffer.concat([Buffer.from('WebPush: info\0'), device.getPublicKey(), sender]), 32);
	const body = b.subarray(21 + size);
	const d = createDecipheriv('aes-128-gcm', derive(ikm, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16), derive(ikm, salt, Buffer.from('Content-Encoding: nonce\0'), 12));
	d.setAuthTag(body.subarray(-16));
	const plain = Buffer.concat([d.update(body.subarray(0, -16)), d.final()]);
	return plain.subarray(0, plain.lastIndexOf(2)).toString();
}
const service = createServer((req, res) => {
	const parts = [];
	req.on('data', (b) => parts.push(b));
	req.on('end', () => {
		sent.push({ at: req.url, text: opened(Buffer.concat(parts)) });
		res.writeHead(201).end();
	});
});
await new Promise((ok) => { service.listen(0, '127.0.0.1', ok); });
const push = `http://127.0.0.1:${service.address().port}`;

/** The browser's half that is far away: run in pages and in the worker. */
function standIn({ push, p256dh, auth }) {
	const bytes = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0)).buffer;
	let n = 0;
	let now = null;
	PushManager.prototype.getSubscription = async () => now;
	PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => {
		if (globalThis.deaf) throw new DOMException('Registration failed - push service error', 'AbortError');
		if (!userVisibleOnly || new Uint8Array(applicationServerKey)[0] !== 4) throw new DOMException('no', 'NotAllowedError');
		const me = {
			endpoint: `${push}/${globalThis.window ? 'page' : 'worker'}/${++n}`, options: { applicationServerKey: new Uint8Array(applicationServerKey).buffer },
			getKey: (k) => bytes(k === 'auth' ? auth : p256dh), unsubscribe: async () => { if (now === me) now = null; return true; },
		};
		return now = me;
	};
}
const standing = { push, p256dh: device.getPublicKey('base64'), auth: auth.toString('base64') };

const page = await person();
const context = page.context();
await context.grantPermissions(['notifications'], { origin });
await context.addInitScript(standIn, standing);
const cdp = await context.newCDPSession(page);
await cdp.send('ServiceWorker.enable');
let registrationId;
cdp.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
	for (const r of registrations) registrationId = r.isDeleted ? undefined : r.registrationId;
});

const wait = async (what, f) => {
	for (let i = 0; i < 150; i++) {
		const v = await f();
		if (v) return v;
		await new Promise((r) => { setTimeout(r, 100); });
	}
	throw new Error(`not within 15 s: ${what}`);
};
const worker = () => wait('a worker', () => context.serviceWorkers().find((w) => w.url().endsWith('/sw.js')));
const shown = async () => (await worker()).evaluate(async () => (await registration.getNotifications()).map((n) => ({ title: n.title, body: n.body, tag: n.tag, data: n.data, actions: n.actions.length })));
const deliver = (data) => cdp.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data });
/** The next message for the browser, given to the worker until something has come of it: what Chromium is given here for a worker that is just ending is lost. */
async function receive(type, what, came) {
	const m = await wait(`a message ${type}`, () => {
		const i = sent.findIndex((s) => JSON.parse(s.text).type === type);
		return i >= 0 && sent.splice(i, 1)[0];
	});
	let looks = 0;
	await wait(what, async () => {
		if (looks++ % 40 === 0) await deliver(m.text);
		return came();
	});
	return m;
}
const press = async (title, action = '') => (await worker()).evaluate(async ([title, action]) => {
	const n = (await registration.getNotifications()).find((n) => n.title === title);
	dispatchEvent(new NotificationEvent('notificationclick', { notification: n, action }));
}, [title, action]);

const me = await call(alice, 'i');
const her = await call(bora, 'i');
await call(bora, 'i/update', { name: '하늘' });

await step('the browser is asked nothing before the switch is pressed, and why it did not work is said', async () => {
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id: me.id, token: alice });
	await page.goto('/settings/notifications');
	await page.getByRole('switch', { name: '알림 받기' }).waitFor();
	assert(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length) === 0, 'a worker without having been asked');
	await page.evaluate(() => { globalThis.deaf = true; });
	await page.getByRole('switch', { name: '알림 받기' }).click();
	await page.getByText('브라우저의 푸시 서비스에 닿지 못했어요.').waitFor();
	assert(!await page.getByRole('switch', { name: '알림 받기' }).isChecked(), 'it is said to be on');
	await page.evaluate(() => { globalThis.deaf = false; });
});

let endpoint = '';
await step('switched on by keyboard, and what is read elsewhere goes', async () => {
	await page.getByRole('switch', { name: '알림 받기' }).focus();
	await page.keyboard.press('Space');
	const also = page.getByRole('switch', { name: '다른 곳에서 읽으면 지우기' });
	await also.waitFor();
	endpoint = await page.evaluate(async () => (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).endpoint);
	assert((await call(alice, 'sw/show-registration', { endpoint })).sendReadMessage === false, 'read messages unasked');
	await also.click();
	await wait('read messages', async () => (await call(alice, 'sw/show-registration', { endpoint })).sendReadMessage === true);
	await accessible(page, 'push settings');
	await shot(page, 'push');
	for (const lang of ['ja', 'en']) {
		await context.addCookies([{ name: 'lang', value: lang, url: origin }]);
		await page.reload();
		await page.getByRole('switch').nth(1).waitFor();
		await shot(page, 'push', lang, [[390, 'light']]);
	}
	await context.addCookies([{ name: 'lang', value: 'ko', url: origin }]);
	await page.reload();
	await page.getByRole('switch', { name: '알림 받기' }).waitFor();
});

await step('a page is no part of it: what the server sends is shown, in the reader\'s language', async () => {
	await (await worker()).evaluate(standIn, standing);
	const note = (await call(alice, 'notes/create', { text: '오늘의 빵' })).createdNote;
	await call(bora, 'notes/create', { text: '@alice 안녕하세요' });
	await receive('notification', 'the mention', async () => (await shown()).some((n) => n.title === '하늘 님이 멘션했어요' && n.body === '@alice 안녕하세요'));
	await call(bora, 'notes/reactions/create', { noteId: note.id, reaction: '🍞' });
	const m = await receive('notification', 'the reaction', async () => (await shown()).some((n) => n.title === '하늘 님이 🍞 리액션했어요'));
	// One more of the same note is told in the same place.
	const other = JSON.parse(m.text);
	other.body.user = { ...other.body.user, id: 'other', name: '노엘' };
	await deliver(JSON.stringify(other));
	await wait('both reactions in one', async () => {
		const all = (await shown()).filter((n) => n.tag === `reaction:${note.id}`);
		return all.length === 1 && all[0].title === '노엘 님 외 1명이 리액션했어요';
	});
});

await step('pressed, it brings the open page to what it is about', async () => {
	await page.goto('/timeline/local');
	await page.getByText('오늘의 빵').first().waitFor();
	await page.evaluate(() => { globalThis.same = true; });
	const { data } = (await shown()).find((n) => n.title === '하늘 님이 멘션했어요');
	await press('하늘 님이 멘션했어요');
	await page.waitForURL(`**${data.to}`);
	assert(await page.evaluate(() => globalThis.same === true), 'the page was loaded anew');
	assert(!(await shown()).some((n) => n.title === '하늘 님이 멘션했어요'), 'it is still shown');
});

await step('pressed where no page is open, it opens one', async () => {
	const w = await worker();
	await w.evaluate(() => { Clients.prototype.openWindow = async (to) => { globalThis.openedAt = to; return null; }; });
	await page.goto('about:blank');
	await press('노엘 님 외 1명이 리액션했어요');
	await wait('a page', () => w.evaluate(() => /^\/notes\/\w+$/.test(globalThis.openedAt)));
	await page.goto('/settings/notifications');
	await page.getByRole('switch', { name: '알림 받기' }).waitFor();
});

await step('a request to follow is answered in the notification', async () => {
	await call(alice, 'i/update', { isLocked: true });
	await call(bora, 'following/create', { userId: me.id });
	const title = '하늘 님이 팔로우를 요청했어요';
	await receive('notification', 'the request', async () => (await shown()).some((n) => n.title === title && n.actions === 2));
	await press(title, 'accept');
	await wait('the follow', async () => (await call(alice, 'users/followers', { userId: me.id })).some((f) => f.followerId === her.id));
});

await step('read elsewhere, all goes away', async () => {
	await call(bora, 'notes/create', { text: '@alice 한 번 더' });
	await receive('notification', 'it', async () => (await shown()).length > 0);
	await call(alice, 'notifications/mark-all-as-read');
	await receive('readAllNotifications', 'nothing shown', async () => (await shown()).length === 0);
});

await step('another address of the push service is told to the server', async () => {
	const w = await worker();
	await w.evaluate(() => { dispatchEvent(new ExtendableEvent('pushsubscriptionchange')); });
	await wait('the new one', async () => await call(alice, 'sw/show-registration', { endpoint: `${push}/worker/1` }));
	const r = await call(alice, 'sw/show-registration', { endpoint: `${push}/worker/1` });
	assert(r.sendReadMessage, 'what was chosen is forgotten');
	await wait('the old one is told no more', async () => await call(alice, 'sw/show-registration', { endpoint }) === null);
});

await step('without the server, a page says so', async () => {
	await wait('control', () => page.evaluate(() => navigator.serviceWorker.controller !== null));
	await cdp.send('Network.enable');
	await context.setOffline(true);
	await page.goto('/settings').catch(() => {});
	await page.getByRole('heading', { name: '서버에 닿을 수 없어요' }).waitFor();
	await shot(page, 'offline', 'ko', [[390, 'light']]);
	await context.setOffline(false);
	await page.getByRole('link', { name: '다시 시도' }).click();
	await page.getByRole('heading', { name: '설정' }).waitFor();
});

await step('signed out, nothing is told here any more', async () => {
	await page.getByRole('button', { name: '로그아웃' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '로그아웃' }).click();
	await page.getByRole('link', { name: '로그인' }).first().waitFor();
	for (const e of [endpoint, `${push}/worker/1`]) await wait(`${e} is told no more`, async () => await call(alice, 'sw/show-registration', { endpoint: e }) === null);
	await wait('no worker', () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length === 0));
});

await step('the client can be installed as an app', async () => {
	const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
	const { errors, data } = await cdp.send('Page.getAppManifest');
	assert(errors.length === 0 && JSON.parse(data).name === '갓 구운 서버', `the manifest: ${JSON.stringify(errors)}`);
	assert(installabilityErrors.every((e) => e.errorId === 'in-incognito'), `not installable: ${JSON.stringify(installabilityErrors)}`);
});

await browser.close();
service.close();
