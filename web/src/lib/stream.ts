/**
 * One WebSocket for everything live. Channels and captured notes are remembered
 * and asked for again after a reconnect; onReconnect then lets timelines look
 * for what was missed, since the server does not repeat it.
 */
type Body = Record<string, unknown>;
type Listener = (type: string, body: unknown) => void;

interface Channel { name: string; params: Body; listener: Listener; ready: (() => void) | undefined }

export interface SocketLike {
	readyState: number;
	send(data: string): void;
	close(): void;
	onopen: ((e: Event) => void) | null;
	onclose: ((e: CloseEvent) => void) | null;
	onmessage: ((e: MessageEvent) => void) | null;
}

/** How long to wait before try n, in ms: doubling to half a minute, with half of it by chance. */
export function backoff(n: number, random: () => number = Math.random): number {
	const full = Math.min(30_000, 1000 * 2 ** n);
	return full / 2 + random() * full / 2;
}

const pingEvery = 30_000;
const answersWithin = 10_000;

export class Stream {
	#socket: SocketLike | null = null;
	#channels = new Map<string, Channel>();
	#captured = new Map<string, number>();
	#noteListeners = new Set<(id: string, type: string, body: unknown) => void>();
	#broadcasts = new Set<Listener>();
	#reconnected = new Set<() => void>();
	#state = new Set<(up: boolean) => void>();
	#tries = 0;
	#ever = false;
	#next = 0;
	#retry: ReturnType<typeof setTimeout> | undefined;
	#pings: ReturnType<typeof setInterval> | undefined;
	#pong: ReturnType<typeof setTimeout> | undefined;
	#stopped = false;

	constructor(private readonly open: () => SocketLike) {
		this.#connect();
		if (typeof addEventListener === 'function') {
			addEventListener('online', () => this.#hurry());
			document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#hurry(); });
		}
	}

	/**
	 * Opens a channel and gives what closes it. ready is called whenever the
	 * server says that it is open: from then on everything is heard.
	 */
	channel(name: string, listener: Listener, params: Body = {}, ready?: () => void): () => void {
		const id = `c${this.#next++}`;
		const c = { name, params, listener, ready };
		this.#channels.set(id, c);
		this.#join(id, c);
		return () => {
			if (this.#channels.delete(id)) this.#send('disconnect', { id });
		};
	}

	/** Asks for the events of a note; each call has to be given back by release. */
	capture(id: string): void {
		const n = this.#captured.get(id) ?? 0;
		this.#captured.set(id, n + 1);
		if (n === 0) this.#send('subNote', { id });
	}

	release(id: string): void {
		const n = this.#captured.get(id) ?? 0;
		if (n > 1) {
			this.#captured.set(id, n - 1);
		} else if (this.#captured.delete(id)) {
			this.#send('unsubNote', { id });
		}
	}

	onNote(f: (id: string, type: string, body: unknown) => void): () => void {
		this.#noteListeners.add(f);
		return () => this.#noteListeners.delete(f);
	}

	/** Calls back for what everybody who is connected is told. */
	onBroadcast(f: Listener): () => void {
		this.#broadcasts.add(f);
		return () => this.#broadcasts.delete(f);
	}

	onReconnect(f: () => void): () => void {
		this.#reconnected.add(f);
		return () => this.#reconnected.delete(f);
	}

	onState(f: (up: boolean) => void): () => void {
		this.#state.add(f);
		return () => this.#state.delete(f);
	}

	close(): void {
		this.#stopped = true;
		clearTimeout(this.#retry);
		this.#quiet();
		this.#socket?.close();
	}

	#connect(): void {
		if (this.#stopped) return;
		const s = this.open();
		this.#socket = s;
		s.onopen = () => {
			this.#tries = 0;
			for (const [id, c] of this.#channels) this.#join(id, c);
			for (const id of this.#captured.keys()) this.#send('subNote', { id });
			this.#pings = setInterval(() => this.#ping(), pingEvery);
			for (const f of this.#state) f(true);
			if (this.#ever) for (const f of this.#reconnected) f();
			this.#ever = true;
		};
		s.onmessage = (e: MessageEvent) => this.#hear(String(e.data));
		s.onclose = () => {
			if (this.#socket !== s) return;
			this.#socket = null;
			this.#quiet();
			for (const f of this.#state) f(false);
			if (!this.#stopped) this.#retry = setTimeout(() => this.#connect(), backoff(this.#tries++));
		};
	}

	/** A network that came back or a tab that is looked at again need not wait. */
	#hurry(): void {
		if (this.#socket || this.#stopped) {
			if (this.#socket?.readyState === 1) this.#ping();
			return;
		}
		clearTimeout(this.#retry);
		this.#connect();
	}

	#ping(): void {
		const s = this.#socket;
		if (s?.readyState !== 1) return;
		s.send('ping');
		clearTimeout(this.#pong);
		this.#pong = setTimeout(() => {
			// The line is dead though nobody said so, as after a laptop's sleep.
			s.close();
			s.onclose?.(new CloseEvent('close'));
		}, answersWithin);
	}

	#quiet(): void {
		clearInterval(this.#pings);
		clearTimeout(this.#pong);
	}

	#join(id: string, c: Channel): void {
		this.#send('connect', { channel: c.name, id, params: c.params, ...(c.ready ? { pong: true } : {}) });
	}

	#send(type: string, body: Body): void {
		if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify({ type, body }));
	}

	#hear(data: string): void {
		clearTimeout(this.#pong);
		if (data === 'pong') return;
		let m: { type?: string; body?: { id?: string; type?: string; body?: unknown } };
		try {
			m = JSON.parse(data) as typeof m;
		} catch {
			return;
		}
		const b = m.body;
		if (m.type === 'connected' && b?.id) this.#channels.get(b.id)?.ready?.();
		if (m.type?.startsWith('emoji')) for (const f of this.#broadcasts) f(m.type, b);
		if (!b?.id || !b.type) return;
		if (m.type === 'channel') this.#channels.get(b.id)?.listener(b.type, b.body);
		else if (m.type === 'noteUpdated') for (const f of this.#noteListeners) f(b.id, b.type, b.body);
	}
}
