/**
 * Every note that is on the screen, once: a reaction that comes live changes the
 * one object that all lists show.
 */
import { api } from './api.ts';
import { app, attempt, stream } from './app.svelte.ts';
import type { Note } from './types.ts';

const known = new Map<string, Note>();
const held = new Map<string, number>();
const gone = new Set<(id: string) => void>();
const most = 2000;
/** What this tab did and will hear of again: not to be counted twice. */
const echoes = new Map<string, number>();
let listening = false;

/** The one object of a note. */
export function adopt(raw: Note): Note {
	if (raw.renote) raw.renote = adopt(raw.renote);
	if (raw.reply) raw.reply = adopt(raw.reply);
	const old = known.get(raw.id);
	if (old) {
		// Live notes are packed for everyone: they do not tell what the reader did.
		Object.assign(old, raw, raw.myReaction === undefined ? { myReaction: old.myReaction } : {});
		return old;
	}
	const n: Note = $state(raw);
	known.set(n.id, n);
	if (known.size > most) {
		for (const id of known.keys()) {
			if (known.size <= most) break;
			if (!held.has(id)) known.delete(id);
		}
	}
	return n;
}

/** Keeps a note live while something shows it; the answer lets it go. */
export function hold(id: string): () => void {
	if (!listening) {
		listening = true;
		stream().onNote(heard);
	}
	held.set(id, (held.get(id) ?? 0) + 1);
	stream().capture(id);
	return () => {
		const n = (held.get(id) ?? 1) - 1;
		if (n > 0) held.set(id, n);
		else held.delete(id);
		stream().release(id);
	};
}

/** Calls back when a note is deleted. */
export function onGone(f: (id: string) => void): () => void {
	gone.add(f);
	return () => gone.delete(f);
}

function forget(id: string): void {
	for (const f of gone) f(id);
	known.delete(id);
}

function echo(key: string): void {
	echoes.set(key, (echoes.get(key) ?? 0) + 1);
}

function isEcho(key: string): boolean {
	const n = echoes.get(key) ?? 0;
	if (n === 0) return false;
	if (n === 1) echoes.delete(key);
	else echoes.set(key, n - 1);
	return true;
}

function heard(id: string, type: string, body: unknown): void {
	const n = known.get(id);
	if (!n) return;
	const b = body as { reaction?: string; emoji?: { name: string; url: string } | null; userId?: string; choice?: number };
	const mine = b.userId !== undefined && b.userId === app.account?.id;
	switch (type) {
		case 'reacted': {
			if (!b.reaction || (mine && isEcho(`+${id}`))) return;
			const key = keyOf(b.reaction);
			if (b.emoji) n.reactionEmojis[b.emoji.name] = b.emoji.url;
			if (mine) n.myReaction = key;
			count(n, key, 1);
			break;
		}
		case 'unreacted':
			if (!b.reaction || (mine && isEcho(`-${id}`))) return;
			if (mine) n.myReaction = null;
			count(n, keyOf(b.reaction), -1);
			break;
		case 'pollVoted': {
			const c = n.poll?.choices[b.choice ?? -1];
			if (c && !isEcho(`v${id}:${b.choice}`)) c.votes++;
			break;
		}
		case 'deleted':
			forget(id);
			break;
	}
}

/** Reactions are counted under names with their place: ":name@.:" is this server's. */
export function keyOf(reaction: string): string {
	const m = /^:([\w+-]+):$/.exec(reaction);
	return m ? `:${m[1]}@.:` : reaction;
}

function count(n: Note, key: string, by: number): void {
	const now = (n.reactions[key] ?? 0) + by;
	if (now > 0) n.reactions[key] = now;
	else delete n.reactions[key];
}

/** Reacts, changes the reaction, or takes it back when it is the same. */
export async function react(n: Note, reaction: string): Promise<void> {
	const before = n.myReaction ?? null;
	const key = keyOf(reaction);
	if (before !== null) {
		await takeBack(n, before);
		if (before === key) return;
	}
	n.myReaction = key;
	count(n, key, 1);
	echo(`+${n.id}`);
	if (!await attempt(() => api('notes/reactions/create', { noteId: n.id, reaction }))) {
		isEcho(`+${n.id}`);
		if (n.myReaction === key) n.myReaction = null;
		count(n, key, -1);
	}
}

async function takeBack(n: Note, key: string): Promise<void> {
	n.myReaction = null;
	count(n, key, -1);
	echo(`-${n.id}`);
	if (!await attempt(() => api('notes/reactions/delete', { noteId: n.id }))) {
		isEcho(`-${n.id}`);
		n.myReaction = key;
		count(n, key, 1);
	}
}

/** Votes, and shows it at once. */
export async function vote(n: Note, choice: number): Promise<void> {
	const c = n.poll?.choices[choice];
	if (!c || c.isVoted) return;
	c.isVoted = true;
	c.votes++;
	const key = `v${n.id}:${choice}`;
	echo(key);
	if (!await attempt(() => api('notes/polls/vote', { noteId: n.id, choice }))) {
		isEcho(key);
		c.isVoted = false;
		c.votes--;
	}
}

export async function remove(n: Note): Promise<void> {
	if (await attempt(() => api('notes/delete', { noteId: n.id }))) forget(n.id);
}
