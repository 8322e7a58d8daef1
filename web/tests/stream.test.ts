import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { backoff, Stream, type SocketLike } from '../src/lib/stream.ts';

class Fake implements SocketLike {
	readyState = 0;
	sent: string[] = [];
	onopen: SocketLike['onopen'] = null;
	onclose: SocketLike['onclose'] = null;
	onmessage: SocketLike['onmessage'] = null;
	send(d: string): void { this.sent.push(d); }
	close(): void { this.readyState = 3; }
	open(): void { this.readyState = 1; this.onopen?.(new Event('open')); }
	lose(): void { this.readyState = 3; this.onclose?.(new CloseEvent('close')); }
	say(m: unknown): void { this.onmessage?.(new MessageEvent('message', { data: typeof m === 'string' ? m : JSON.stringify(m) })); }
	types(): string[] { return this.sent.filter((s) => s.startsWith('{')).map((s) => { const m = JSON.parse(s) as { type: string; body: { channel?: string; id: string } }; return `${m.type} ${m.body.channel ?? m.body.id}`; }); }
}

let sockets: Fake[] = [];
let s: Stream;
beforeEach(() => {
	vi.useFakeTimers();
	sockets = [];
	s = new Stream(() => { const f = new Fake(); sockets.push(f); return f; });
});
afterEach(() => { s.close(); vi.useRealTimers(); });

it('opens channels and captures again after a reconnect, and says so', () => {
	const again = vi.fn();
	s.onReconnect(again);
	s.channel('homeTimeline', () => {});
	s.capture('n1');
	s.capture('n1');
	sockets[0]!.open();
	expect(sockets[0]!.types()).toEqual(['connect homeTimeline', 'subNote n1']);
	expect(again).not.toHaveBeenCalled();
	sockets[0]!.lose();
	vi.advanceTimersByTime(2000);
	sockets[1]!.open();
	expect(sockets[1]!.types()).toEqual(['connect homeTimeline', 'subNote n1']);
	expect(again).toHaveBeenCalledOnce();
	s.release('n1');
	expect(sockets[1]!.types()).toHaveLength(2);
	s.release('n1');
	expect(sockets[1]!.types().at(-1)).toBe('unsubNote n1');
});

it('says when the server listens, each time anew', () => {
	const ready = vi.fn();
	s.channel('homeTimeline', () => {}, {}, ready);
	s.channel('main', () => {});
	for (const i of [0, 1]) {
		sockets[i]!.open();
		const asked = sockets[i]!.sent.map((m) => (JSON.parse(m) as { body: { id: string; pong?: boolean } }).body);
		expect(asked.map((b) => b.pong)).toEqual([true, undefined]);
		expect(ready).toHaveBeenCalledTimes(i);
		sockets[i]!.say({ type: 'connected', body: { id: asked[0]!.id } });
		expect(ready).toHaveBeenCalledTimes(i + 1);
		sockets[i]!.lose();
		vi.advanceTimersByTime(2000);
	}
});

it('hands messages to their channel only, and bears nonsense', () => {
	const home = vi.fn();
	const note = vi.fn();
	s.onNote(note);
	const close = s.channel('homeTimeline', home);
	sockets[0]!.open();
	const { id } = (JSON.parse(sockets[0]!.sent[0]!) as { body: { id: string } }).body;
	sockets[0]!.say('{');
	sockets[0]!.say({ type: 'channel', body: { id: 'other', type: 'note', body: 1 } });
	sockets[0]!.say({ type: 'channel', body: { id, type: 'note', body: 2 } });
	sockets[0]!.say({ type: 'noteUpdated', body: { id: 'n', type: 'reacted', body: 3 } });
	expect(home.mock.calls).toEqual([['note', 2]]);
	expect(note.mock.calls).toEqual([['n', 'reacted', 3]]);
	close();
	sockets[0]!.say({ type: 'channel', body: { id, type: 'note', body: 4 } });
	expect(home).toHaveBeenCalledOnce();
});

it('gives up a line that does not answer', () => {
	sockets[0]!.open();
	vi.advanceTimersByTime(30_000);
	expect(sockets[0]!.sent).toContain('ping');
	sockets[0]!.say('pong');
	vi.advanceTimersByTime(20_000);
	expect(sockets).toHaveLength(1);
	vi.advanceTimersByTime(40_000);
	expect(sockets.length).toBeGreaterThan(1);
});

it('waits longer each time, up to half a minute', () => {
	expect(backoff(0, () => 0)).toBe(500);
	expect(backoff(3, () => 1)).toBe(8000);
	expect(backoff(50, () => 1)).toBe(30_000);
});
