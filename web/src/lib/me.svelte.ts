/** One's own account, as the settings read and change it. */
import { api } from './api.ts';
import { app, leave, takeMe } from './app.svelte.ts';
import { writeAccount } from './session.ts';
import { signIn } from './signin.ts';
import type { Me } from './types.ts';

/** Changes the account: what is not named stays. */
export async function update(change: Record<string, unknown>): Promise<void> {
	takeMe(await api<Me>('i/update', change));
}

/** Reads the account anew, with what streams do not tell. */
export async function reread(): Promise<void> {
	takeMe(await api<Me>('i'));
}

/**
 * Does what ends every session of the account, this one too, and comes back in
 * with the password. Where that alone is not enough, it is asked for on the page for that.
 */
export async function renew(password: string, act: () => Promise<unknown>): Promise<void> {
	const username = app.me!.username;
	app.renewing = true;
	try {
		await act();
	} catch (e) {
		app.renewing = false;
		throw e;
	}
	const s = await signIn({ username, password }).catch(() => null);
	if (!s?.finished) {
		leave('/signin');
		return;
	}
	writeAccount({ id: s.id, token: s.i });
	location.replace('/settings/security');
}

/** What is shown besides the token: the password, and a code where codes are asked for. */
export interface Proof { password: string; token?: string }

export interface Question {
	title: string;
	text: string;
	yes: string;
	danger?: boolean;
	/** false where the password is enough whatever the account has. */
	code?: boolean;
	act: (p: Proof) => Promise<unknown>;
}

export const proving: { now: (Question & { done: (yes: boolean) => void }) | null } = $state({ now: null });

/** Asks who it is, and does it; whoever got it wrong may try again. It tells whether it was done. */
export function prove(q: Question): Promise<boolean> {
	return new Promise((done) => { proving.now = { ...q, done }; });
}
