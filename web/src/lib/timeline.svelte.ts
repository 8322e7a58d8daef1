/** The timelines. They outlive the pages that show them: going back finds them as they were left. */
import type { WindowVirtualizerHandle } from 'virtua/svelte';
import { api } from './api.ts';
import { app, attempt, stream } from './app.svelte.ts';
import { Feed, isGap, pageSize, waitingCap, type Gap, type Row } from './feed.ts';
import { muted } from './mute.svelte.ts';
import { adopt, onGone } from './notes.svelte.ts';
import type { Note } from './types.ts';

export const kinds = ['home', 'local', 'social', 'global'] as const;
export type Kind = (typeof kinds)[number];

/** Where the notes of a list come from: pages by an endpoint, live ones by a channel of the stream. */
interface Source { endpoint: string; channel: string; params: Record<string, unknown> }

const sources: Record<Kind, Source> = {
	home: { endpoint: 'notes/timeline', channel: 'homeTimeline', params: {} },
	local: { endpoint: 'notes/local-timeline', channel: 'localTimeline', params: {} },
	social: { endpoint: 'notes/hybrid-timeline', channel: 'hybridTimeline', params: {} },
	global: { endpoint: 'notes/global-timeline', channel: 'globalTimeline', params: {} },
};

export class Timeline {
	rows: Row<Note>[] = $state.raw([]);
	waiting = $state(0);
	/** What is going on: the first page, an older one, nothing. */
	state: 'first' | 'older' | 'idle' | 'failed' = $state('idle');
	ended = $state(false);
	/** Set while rows are put above what is read, so that it does not move. */
	shift = $state(false);
	/** Whether a live note may be shown at once; the page that shows the list knows. */
	atTop: () => boolean = () => false;
	cache: ReturnType<WindowVirtualizerHandle['getCache']> | undefined;
	#feed = new Feed<Note>();
	#started = false;
	/** What is written now is heard. */
	#hears = false;

	#ends: (() => void)[] = [];

	constructor(private readonly source: Source) {}

	/** Hears no more of what is written. */
	stop(): void {
		for (const end of this.#ends) end();
	}

	/** Fetches the first page and listens; nothing the second time. */
	start(): void {
		if (this.#started) return;
		this.#started = true;
		this.#ends.push(stream().channel(this.source.channel, (type, body) => {
			if (type !== 'note') return;
			const n = adopt(body as Note);
			if (this.#hidden(n)) return;
			// Who has just written looks for it.
			const mine = n.userId === app.account?.id && !document.hidden && scrollY < 8;
			if (mine) this.#feed.show();
			this.#feed.arrive(n, mine || this.#free());
			this.#update(true);
		}, this.source.params, () => {
			this.#hears = true;
			void this.#catchUp();
		}), stream().onState((up) => { if (!up) this.#hears = false; }), onGone((id) => {
			for (const r of this.#feed.rows) if (!('gap' in r) && r.renoteId === id && r.text === null) this.#feed.remove(r.id);
			this.#feed.remove(id);
			this.#update(false);
		}));
		void this.first();
	}

	async first(): Promise<void> {
		this.state = 'first';
		const heard = this.#hears;
		try {
			const page = await this.#page({});
			// What came live meanwhile may be newer than the page.
			const live = [...this.#feed.rows, ...this.#feed.waiting].filter((r): r is Note => !isGap(r) && r.id > (page[0]?.id ?? ''));
			this.#feed.reset(page);
			for (const n of live) this.#feed.arrive(n, this.#free());
			this.ended = page.length === 0;
			this.#update(false);
			this.state = 'idle';
			// Probably all there is; asking says so.
			if (page.length < pageSize) await this.older();
		} catch {
			this.state = 'failed';
			return;
		}
		// What was written after the server made the page and before it listened for this reader.
		if (!heard && this.#hears) await this.#catchUp();
	}

	async older(): Promise<void> {
		if (this.state !== 'idle' || this.ended) return;
		const last = this.#feed.rows.at(-1);
		if (!last) return;
		this.state = 'older';
		try {
			// A page of nothing but what is muted would leave the reader where he was.
			for (let from = last.id, tries = 0; tries < 5; tries++) {
				const page = await this.#page({ untilId: from });
				this.#feed.older(page);
				this.ended = page.length === 0;
				if (page.some((n) => !this.#hidden(n)) || this.ended) break;
				from = page.at(-1)!.id;
			}
			this.#update(false);
		} catch {
			// The next scroll tries again.
		}
		this.state = 'idle';
	}

	show(): void {
		this.#feed.show();
		this.#update(false);
	}

	/** Fetches what a gap stands for. */
	async fill(gap: Gap): Promise<void> {
		await attempt(async () => {
			const page = await this.#page({ untilId: gap.above });
			this.#feed.fill(gap, page, pageSize);
			this.#update(false);
		});
	}

	#hidden(n: Note): boolean {
		return muted(n, app.account?.id) === 'hard';
	}

	#free(): boolean {
		return !document.hidden && this.atTop();
	}

	async #catchUp(): Promise<void> {
		if (this.state === 'first') return; // whoever asked for the page looks afterwards
		if (this.state === 'failed') {
			await this.first();
			return;
		}
		try {
			const newest = this.#feed.newest();
			let page = newest === undefined ? [] : await this.#page({ limit: waitingCap, sinceId: newest });
			if (newest === undefined || page.length === waitingCap) page = await this.#page({ limit: waitingCap });
			this.#feed.missed(page, waitingCap, this.#free());
			this.#update(true);
		} catch {
			// The next reconnect tries again.
		}
	}

	async #page(params: Record<string, unknown>): Promise<Note[]> {
		const page = await api<Note[]>(this.source.endpoint, { ...this.source.params, limit: pageSize, ...params });
		return page.map(adopt);
	}

	#update(above: boolean): void {
		this.shift = above && !this.atTop();
		this.rows = this.#feed.rows;
		this.waiting = this.#feed.waiting.length;
	}
}

const all = new Map<string, Timeline>();

export function timeline(kind: Kind): Timeline {
	let t = all.get(kind);
	if (!t) all.set(kind, t = new Timeline(sources[kind]));
	return t;
}

/** How many channels' notes are kept, and heard of. */
const channelsKept = 3;

/** The notes of a channel; those of the channel that was looked at longest ago are let go. */
export function channelTimeline(channelId: string): Timeline {
	const key = `channel:${channelId}`;
	const t = all.get(key) ?? new Timeline({ endpoint: 'channels/timeline', channel: 'channel', params: { channelId } });
	all.delete(key);
	all.set(key, t);
	for (const old of [...all.keys()].filter((k) => k.startsWith('channel:')).slice(0, -channelsKept)) {
		all.get(old)!.stop();
		all.delete(old);
	}
	return t;
}
