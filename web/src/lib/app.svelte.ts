/** What the whole client shares: who is signed in, the stream, messages, dialogs, the clock. */
import { api, useToken } from './api.ts';
import { explain, t } from './i18n.ts';
import { forgetMutes, recallMutes, setMutes } from './mute.svelte.ts';
import { onOtherTab, readAccount, writeAccount, type Account } from './session.ts';
import { Stream } from './stream.ts';
import type { Boot, DriveFile, Me, Note, NoteChannel } from './types.ts';

export interface MenuItem { label: string; icon?: import('../icons.ts').IconName; danger?: boolean; checked?: boolean; hint?: string; act: () => void }
/** channel is where a note goes that answers nothing; an answer stays where what it answers is. */
export interface ComposeFor { reply?: Note; quote?: Note; channel?: NoteChannel | undefined }

interface Shared {
	account: Account | null;
	me: Me | null;
	unread: number;
	online: boolean;
	now: number;
	toast: string;
	menu: { anchor: HTMLElement; items: MenuItem[] } | null;
	ask: { text: string; yes: string; danger: boolean; answer: (yes: boolean) => void } | null;
	compose: ComposeFor | null;
	/** note is what is reacted to. */
	picker: { pick: (emoji: string) => void; note?: Note } | null;
	drive: { pick: (files: DriveFile[]) => void; most: number } | null;
	/** The account's token is being exchanged for another: nobody is to be signed out for that. */
	renewing: boolean;
}

export const app: Shared = $state({
	account: readAccount(), me: null, unread: 0, online: true, now: Date.now(), toast: '', menu: null, ask: null, compose: null, picker: null, drive: null, renewing: false,
});

export const boot: Boot = JSON.parse(document.getElementById('boot')?.textContent || '{}') as Boot;

let line: Stream | null = null;

/** The one stream of this tab. */
export function stream(): Stream {
	line ??= new Stream(() => {
		const at = new URL('/streaming', location.href);
		at.protocol = at.protocol.replace('http', 'ws');
		if (app.account) at.searchParams.set('i', app.account.token);
		return new WebSocket(at);
	});
	return line;
}

/** Starts what goes on as long as the page lives. */
export function start(): void {
	useToken(app.account?.token ?? null);
	setInterval(() => { app.now = Date.now(); }, 20_000);
	onOtherTab(app.account, () => { if (!app.renewing) location.replace('/'); });
	void tended();
	if (!app.account) return;
	writeAccount(app.account);
	recallMutes(app.account.id);
	void refreshMe();
	const s = stream();
	s.onState((up) => { app.online = up; });
	s.onReconnect(() => void refreshMe());
	s.channel('main', (type, body) => {
		for (const f of heard) f(type, body);
		if (type === 'unreadNotification') app.unread++;
		else if (type === 'readAllNotifications' || type === 'notificationFlushed') app.unread = 0;
		else if (type === 'meUpdated') takeMe(body as Me);
		else if (type === 'myTokenRegenerated' && !app.renewing) expelled();
	});
}

const heard = new Set<(type: string, body: unknown) => void>();

/** Calls back for what the account is told live. */
export function onMain(f: (type: string, body: unknown) => void): () => void {
	heard.add(f);
	return () => heard.delete(f);
}

/** Calls back for every notification that comes live. */
export function onNotification(f: (n: unknown) => void): () => void {
	return onMain((type, body) => { if (type === 'notification') f(body); });
}

/** Takes over what the server tells of the account. */
export function takeMe(me: Me): void {
	app.me = { ...app.me, ...me };
	setMutes(me.id, app.me.mutedWords, app.me.hardMutedWords);
}

/** The token is no longer good. Another tab may have a new one already: that is left alone. */
function expelled(): void {
	if (readAccount()?.token === app.account?.token) leave();
	else location.replace('/');
}

async function refreshMe(): Promise<void> {
	try {
		const me = await api<Me>('i');
		takeMe(me);
		app.unread = me.unreadNotificationsCount;
	} catch (e) {
		// A token that is no longer good is forgotten; a network that is down is not its fault.
		const { status, code } = e as { status?: number; code?: string };
		if ((status === 401 || code === 'AUTHENTICATION_FAILED') && !app.renewing) expelled();
	}
}

/** Takes an account in and starts afresh: nothing of another account stays in memory. */
export function enter(a: Account): void {
	writeAccount(a);
	location.replace('/');
}

export function leave(to = '/'): void {
	writeAccount(null);
	forgetMutes();
	void silenced().finally(() => location.replace(to));
}

/** Loads the page anew once the server answers: without it nothing but the browser's own page of errors would come. */
export async function reload(first?: () => void): Promise<void> {
	await api('ping');
	first?.();
	location.reload();
}

/** Whether this browser has a worker, or is to have one: it is told of notifications, or the client is installed as an app. */
async function worked(): Promise<boolean> {
	return 'serviceWorker' in navigator && (matchMedia('(display-mode: standalone)').matches || await navigator.serviceWorker.getRegistration() !== undefined);
}

async function tended(): Promise<void> {
	if (await worked()) await (await import('./push.ts')).tend().catch(() => {}); // the next page tries again
}

/** Nobody is told here any more of what is an account's that has left; a network that is slow holds nobody back. */
async function silenced(): Promise<void> {
	if (!await worked()) return;
	const off = import('./push.ts').then((m) => m.turnOff()).catch(() => {});
	await Promise.race([off, new Promise((late) => { setTimeout(late, 3000); })]);
}

let fading: ReturnType<typeof setTimeout> | undefined;

/** Says something for a moment. */
export function say(text: string): void {
	app.toast = text;
	clearTimeout(fading);
	fading = setTimeout(() => { app.toast = ''; }, 4000);
}

/** Does something that may fail; what went wrong is said. It tells whether it went well. */
export async function attempt(f: () => Promise<unknown>): Promise<boolean> {
	try {
		await f();
		return true;
	} catch (e) {
		say(explain(e));
		return false;
	}
}

export function ask(text: string, yes: string = t('ok'), danger = false): Promise<boolean> {
	return new Promise((answer) => { app.ask = { text, yes, danger, answer }; });
}

export async function copy(text: string): Promise<void> {
	if (await attempt(() => navigator.clipboard.writeText(text))) say(t('note.copied'));
}
