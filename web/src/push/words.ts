/** What a notification says, where it leads, and with which others it is one. */
import en from '../locales/push.en.json';
import ja from '../locales/push.ja.json';
import ko from '../locales/push.ko.json';

export type Texts = typeof ko;
export const texts: Record<'ko' | 'ja' | 'en', Texts> = { ko, ja, en };

interface Person { id: string; username: string; host: string | null; name: string | null; avatarUrl?: string }

/** A notification as the server sends it: of a note there is only its summary. */
export interface Told {
	id: string;
	type: string;
	createdAt: string;
	user?: Person;
	userId?: string;
	note?: { id: string; text?: string; renoteId?: string | null };
	reaction?: string;
	header?: string | null;
	body?: string;
	icon?: string | null;
	role?: { name?: string };
}

export interface Said {
	title: string;
	body: string;
	/** Those that are of one thing replace one another. */
	tag: string;
	to: string;
	icon: string | undefined;
	/** Who is counted when several are of one thing. */
	who: string[];
	/** It can be answered there and then. */
	asks: boolean;
}

/** before are those who are counted already in the notification that this one replaces. */
export function say(n: Told, t: Texts, before: string[] = []): Said {
	const name = n.user?.name || n.user?.username || t['push.somebody'];
	const fill = (text: string, values: Record<string, string | number> = {}): string => text.replace(/\{(\w+)\}/g, (_, k: string) => String(k === 'name' ? name : values[k] ?? ''));
	const who = [...new Set([...before, n.user?.id ?? n.userId ?? ''])].filter((id) => id !== '');
	const note = n.note ? `/notes/${n.note.id}` : '/my/notifications';
	const person = n.user ? `/@${n.user.username}${n.user.host ? `@${n.user.host}` : ''}` : '/my/notifications';
	const said: Said = { title: '', body: n.note?.text ?? '', tag: n.id, to: note, icon: n.user?.avatarUrl, who, asks: false };
	const more = who.length - 1;
	switch (n.type) {
		case 'mention': case 'reply': case 'quote': case 'note': case 'pollEnded': return { ...said, title: fill(t[`push.${n.type}`]) };
		case 'reaction': {
			const with_ = (n.reaction ?? '').replace(/^:([\w+-]+)@.*:$/, ':$1:');
			return { ...said, title: more > 0 ? fill(t['push.reactions'], { n: more }) : fill(t['push.reaction'], { reaction: with_ }), tag: `reaction:${n.note?.id}` };
		}
		case 'renote': {
			const of = n.note?.renoteId ?? n.note?.id;
			return { ...said, title: more > 0 ? fill(t['push.renotes'], { n: more }) : fill(t['push.renote']), tag: `renote:${of}`, to: of ? `/notes/${of}` : note };
		}
		case 'follow': case 'followRequestAccepted': return { ...said, title: fill(t[`push.${n.type}`]), to: person };
		case 'receiveFollowRequest': return { ...said, title: fill(t['push.receiveFollowRequest']), to: '/my/notifications', asks: true };
		case 'roleAssigned': return { ...said, title: t['push.roleAssigned'], body: n.role?.name ?? '' };
		case 'login': return { ...said, title: t['push.login'], to: '/settings/security' };
		case 'createToken': return { ...said, title: t['push.createToken'], to: '/settings/security' };
		case 'app': return { ...said, title: n.header || t['push.other'], body: n.body ?? '', icon: n.icon ?? said.icon };
		case 'achievementEarned': case 'exportCompleted': case 'test': return { ...said, title: t[`push.${n.type}`] };
		default: return { ...said, title: t['push.other'] };
	}
}
