/** What is done with channels. */
import { api } from './api.ts';
import { attempt, say } from './app.svelte.ts';
import { t } from './i18n.ts';
import type { Channel, Note } from './types.ts';

/** Pins a note of one's channel to it, or takes the pin off. */
export async function pin(note: Note): Promise<void> {
	await attempt(async () => {
		const channel = await api<Channel>('channels/show', { channelId: note.channelId });
		const on = !channel.pinnedNoteIds.includes(note.id);
		await api('channels/update', { channelId: channel.id, pinnedNoteIds: on ? [...channel.pinnedNoteIds, note.id] : channel.pinnedNoteIds.filter((id) => id !== note.id) });
		say(t(on ? 'note.pinned' : 'note.unpinned'));
	});
}

type Tie = 'isFollowing' | 'isFavorited' | 'isMuting';
const ends: Record<Tie, [string, string]> = {
	isFollowing: ['channels/follow', 'channels/unfollow'], isFavorited: ['channels/favorite', 'channels/unfavorite'], isMuting: ['channels/mute/create', 'channels/mute/delete'],
};

/** Follows, keeps or mutes a channel, or ends that. */
export async function tie(channel: Channel, which: Tie): Promise<void> {
	const on = !channel[which];
	await attempt(async () => {
		await api(ends[which][on ? 0 : 1], { channelId: channel.id });
		channel[which] = on;
	});
}
