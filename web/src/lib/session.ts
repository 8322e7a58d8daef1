/**
 * Who is signed in, in every tab. The account lies in localStorage under the
 * key that Misskey's client uses; what changes there in one tab is told to the
 * others, which start afresh: no tab acts for an account that another tab left.
 */
export interface Account { id: string; token: string }

const key = 'account';

export function readAccount(storage: Storage = localStorage): Account | null {
	try {
		const a = JSON.parse(storage.getItem(key) ?? 'null') as Partial<Account> | null;
		return a && typeof a.id === 'string' && typeof a.token === 'string' ? { id: a.id, token: a.token } : null;
	} catch {
		return null; // what cannot be read is nobody's
	}
}

/**
 * Keeps the account, or forgets it. The cookie holds no secret: it only lets the
 * server send the empty client at once instead of the page for visitors.
 */
export function writeAccount(a: Account | null, storage: Storage = localStorage): void {
	if (a) storage.setItem(key, JSON.stringify(a));
	else storage.removeItem(key);
	document.cookie = `client=${a ? 1 : 0}; path=/; max-age=${a ? 31_536_000 : 0}; samesite=lax`;
}

/** Calls back when another tab signed in, out, or changed the account. */
export function onOtherTab(current: Account | null, changed: () => void): void {
	addEventListener('storage', (e) => {
		if (e.storageArea !== localStorage || (e.key !== key && e.key !== null)) return;
		const now = readAccount();
		if (now?.id !== current?.id || now?.token !== current?.token) changed();
	});
}
