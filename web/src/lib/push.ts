/** Having this browser tell of notifications while no page is open: as the settings switch it, and as a page tends it. */
import { enroll } from '../push/enroll.ts';
import { recall, remember } from '../push/memory.ts';
import { api, ApiError } from './api.ts';
import { app, boot, onMain } from './app.svelte.ts';
import { language } from './i18n.ts';
import { go } from './router.svelte.ts';

declare const trustedTypes: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string } } | undefined;

/** Why a browser is not told: it cannot, the server does not, the reader once said no. */
export type State = 'on' | 'off' | 'denied' | 'incapable' | 'unoffered';

export function capable(): boolean {
	return 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;
}

export async function look(): Promise<{ state: State; readToo: boolean }> {
	const r = capable() ? await recall() : null;
	const mine = r !== null && r.account.id === app.account?.id;
	if (!capable()) return { state: 'incapable', readToo: false };
	if (boot.push === '') return { state: 'unoffered', readToo: false };
	if (Notification.permission === 'denied') return { state: 'denied', readToo: false };
	return { state: mine && Notification.permission === 'granted' ? 'on' : 'off', readToo: mine && r.readToo };
}

let policy: { createScriptURL(url: string): string } | undefined;

function worker(): Promise<ServiceWorkerRegistration> {
	policy ??= typeof trustedTypes === 'undefined' ? { createScriptURL: (url) => url }
		: trustedTypes.createPolicy('app', { createScriptURL: (url) => {
			if (url !== '/sw.js') throw new TypeError(url);
			return url;
		} });
	return navigator.serviceWorker.register(policy.createScriptURL('/sw.js'), { scope: '/', updateViaCache: 'none' });
}

/** Asks whoever pressed the button, and has the browser told. Only to be called for a press. */
export async function turnOn(): Promise<void> {
	if (await Notification.requestPermission() !== 'granted') throw new ApiError('PUSH_DENIED', 0, '');
	await worker();
	const ready = await navigator.serviceWorker.ready;
	const r = { account: { ...app.account! }, lang: language(), key: boot.push, endpoint: '', readToo: false };
	await remember(await enroll(ready.pushManager, r, api).catch((e: unknown) => {
		throw e instanceof ApiError ? e : new ApiError('PUSH_SERVICE', 0, String(e));
	}));
}

/** Has the browser told no more, by anybody. */
export async function turnOff(): Promise<void> {
	const r = await recall();
	await remember(null);
	const at = await navigator.serviceWorker.getRegistration();
	const s = await at?.pushManager.getSubscription();
	for (const endpoint of new Set([r?.endpoint, s?.endpoint])) if (endpoint) await api('sw/unregister', { endpoint }, null).catch(() => {});
	await s?.unsubscribe();
	for (const n of await at?.getNotifications() ?? []) n.close();
	await at?.unregister();
}

/** Whether what is read elsewhere goes from here. */
export async function setReadToo(sendReadMessage: boolean): Promise<void> {
	const r = await recall();
	if (!r) return;
	const now = await api<{ sendReadMessage: boolean }>('sw/update-registration', { endpoint: r.endpoint, sendReadMessage });
	await remember({ ...r, readToo: now.sendReadMessage });
}

/** While a page is open: it goes where a notification leads, and what has changed meanwhile is told to the worker and to the server. */
export async function tend(): Promise<void> {
	navigator.serviceWorker.addEventListener('message', (e) => {
		const m = e.data as { type?: string; to?: string };
		if (m.type !== 'go' || !m.to) return;
		e.ports[0]?.postMessage(true);
		go(m.to);
	});
	onMain((type) => {
		if (type === 'readAllNotifications') void navigator.serviceWorker.getRegistration().then((at) => at?.getNotifications()).then((shown) => shown?.forEach((n) => n.close()));
	});
	const at = await worker();
	const r = await recall();
	if (!r || boot.push === '') return;
	if (r.account.id !== app.account?.id || Notification.permission !== 'granted') {
		await turnOff();
		return;
	}
	const s = await at.pushManager.getSubscription();
	const known = s && s.endpoint === r.endpoint && r.key === boot.push && await api('sw/show-registration', { endpoint: s.endpoint });
	const now = { ...r, account: { ...app.account }, lang: language(), key: boot.push };
	await remember(known ? now : await enroll(at.pushManager, now, api));
}
