/** What the worker knows while no page is open: whose browser this is, in which language, how it is told. Kept in IndexedDB, which both can read. */
export interface Remembered {
	account: { id: string; token: string };
	lang: 'ko' | 'ja' | 'en';
	/** The server's key, to which the subscription is bound. */
	key: string;
	/** The address that the server has of this browser. */
	endpoint: string;
	/** Notifications go from here once they are read elsewhere. */
	readToo: boolean;
}

function open(): Promise<IDBDatabase> {
	return new Promise((ok, fail) => {
		const r = indexedDB.open('push', 1);
		r.onupgradeneeded = () => { r.result.createObjectStore('now'); };
		r.onsuccess = () => ok(r.result);
		r.onerror = () => fail(r.error ?? new Error('indexedDB'));
	});
}

async function ask(mode: IDBTransactionMode, f: (s: IDBObjectStore) => IDBRequest): Promise<unknown> {
	const db = await open();
	try {
		return await new Promise((ok, fail) => {
			const tx = db.transaction('now', mode);
			const r = f(tx.objectStore('now'));
			tx.oncomplete = () => ok(r.result);
			tx.onabort = () => fail(tx.error ?? new Error('indexedDB'));
		});
	} finally {
		db.close();
	}
}

export async function recall(): Promise<Remembered | null> {
	return (await ask('readonly', (s) => s.get('it')) as Remembered | undefined) ?? null;
}

export async function remember(r: Remembered | null): Promise<void> {
	await ask('readwrite', (s) => (r ? s.put(r, 'it') : s.delete('it')));
}
