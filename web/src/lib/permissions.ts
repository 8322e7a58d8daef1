/** What an app may do, said in few words: what it sees, and what it changes. */
import { language, t, type Key } from './i18n.ts';

const things = ['account', 'blocks', 'channels', 'chat', 'clip-favorite', 'drive', 'favorites', 'federation', 'flash', 'flash-likes', 'following', 'gallery', 'gallery-likes',
	'invite-codes', 'messaging', 'mutes', 'notes', 'notifications', 'page-likes', 'pages', 'reactions', 'report-abuse', 'user-groups', 'votes'];

/** One line a verb. What this client has no name for is said as it was written. */
export function permissions(list: string[]): { verb: string; things: string }[] {
	const by = { read: [] as string[], write: [] as string[], admin: [] as string[], other: [] as string[] };
	for (const p of list) {
		const [verb, noun = '', more] = p.split(':');
		if (more !== undefined && noun === 'admin') by.admin.push(p);
		else if ((verb === 'read' || verb === 'write') && things.includes(noun)) by[verb].push(t(`may.${noun}` as Key));
		else by.other.push(p);
	}
	const join = (words: string[]): string => words.join(language() === 'ja' ? '、' : ', ');
	return [
		{ verb: t('set.may.read'), things: join(by.read) }, { verb: t('set.may.write'), things: join(by.write) },
		{ verb: t('set.may.admin'), things: by.admin.length > 0 ? t('set.may.adminThings', { n: by.admin.length }) : '' }, { verb: t('set.may.other'), things: join(by.other) },
	].filter((l) => l.things !== '');
}
