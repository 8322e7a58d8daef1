/** What the whole client shares: who is signed in, the stream, messages, dialogs, the clock. */
import { api, useToken } from './api.ts';
import { explain, t } from './i18n.ts';
import { onOtherTab, readAccount, writeAccount, type Account } from './session.ts';
import { Stream } from './stream.ts';
import type { Boot, Me, Note } from './types.ts';

export interface MenuItem { label: string; icon?: import('../icons.ts').IconName; danger?: boolean; checked?: boolean; hint?: string; act: () => void }
export interface ComposeFor { reply?: Note; quote?: Note }

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
	picker: { pick: (emoji: string) => void } | null;
}

export const app: Shared = $state({
	account: readAccount(), me: null, unread: 0, online: true, now: Date.now(), toast: '', menu: null, ask: null, compose: null, picker: null,
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
	onOtherTab(app.account, () => location.replace('/'));
	if (!app.account) return;
	writeAccount(app.account);
	void refreshMe();
	const s = stream();
	s.onState((up) => { app.online = up; });
	s.onReconnect(() => void refreshMe());
	s.channel('main', (type, body) => {
		if (type === 'notification') for (const f of heard) f(body);
		else if (type === 'unreadNotification') app.unread++;
		else if (type === 'readAllNotifications') app.unread = 0;
		else if (type === 'meUpdated') app.me = { ...app.me, ...(body as Me) };
		else if (type === 'myTokenRegenerated') leave();
	});
}

const heard = new Set<(n: unknown) => void>();

/** Calls back for every notification that comes live. */
export function onNotification(f: (n: unknown) => void): () => void {
	heard.add(f);
	return () => heard.delete(f);
}

async function refreshMe(): Promise<void> {
	try {
		app.me = await api<Me>('i');
		app.unread = app.me.unreadNotificationsCount;
	} catch (e) {
		// A token that is no longer good is forgotten; a network that is down is not its fault.
		const { status, code } = e as { status?: number; code?: string };
		if (status === 401 || code === 'AUTHENTICATION_FAILED') leave();
	}
}

/** Takes an account in and starts afresh: nothing of another account stays in memory. */
export function enter(a: Account): void {
	writeAccount(a);
	location.replace('/');
}

export function leave(): void {
	writeAccount(null);
	location.replace('/');
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
