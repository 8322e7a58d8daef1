/** Having this browser told: the push service's subscription, and the server's knowledge of it. Both the page and the worker do it. */
import type { Remembered } from './memory.ts';

export type Call = (name: string, params: Record<string, unknown>) => Promise<unknown>;

export function base64url(b: ArrayBuffer | null): string {
	return btoa(String.fromCharCode(...new Uint8Array(b ?? new ArrayBuffer(0)))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}

/** The browser's subscription under the server's key. One under another key is of no use, and is given up. */
async function subscription(manager: PushManager, key: string): Promise<PushSubscription> {
	const had = await manager.getSubscription();
	if (had && base64url(had.options.applicationServerKey) === key) return had;
	await had?.unsubscribe();
	return manager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
}

/** Subscribes and tells the server; once more where the server has another key by now. It gives what is to be remembered. */
export async function enroll(manager: PushManager, r: Remembered, call: Call): Promise<Remembered> {
	let now = r;
	for (let last = false; ; last = true) {
		const s = await subscription(manager, now.key);
		const told = await call('sw/register', {
			endpoint: s.endpoint, auth: base64url(s.getKey('auth')), publickey: base64url(s.getKey('p256dh')), sendReadMessage: now.readToo,
		}) as { key: string; sendReadMessage: boolean };
		if (now.endpoint && now.endpoint !== s.endpoint) await call('sw/unregister', { endpoint: now.endpoint });
		const kept = told.key === now.key;
		now = { ...now, key: told.key, endpoint: s.endpoint, readToo: told.sendReadMessage };
		if (kept || last) return now;
	}
}
