/** This server's custom emoji. Asked for when first needed, and kept fresh by what everybody is told when one comes, changes or goes. */
import { stream } from './app.svelte.ts';
import { fromCustom, type Emoji } from './emoji.ts';
import type { CustomEmoji } from './types.ts';

class Catalogue {
	emoji: Emoji[] = $state.raw([]);
	failed = $state(false);
	#begun: Promise<void> | undefined;

	/** Has it there; nothing the second time. The answer waits for the first look. */
	open(): Promise<void> {
		return this.#begun ??= this.#start();
	}

	#start(): Promise<void> {
		stream().onReconnect(() => void this.#read());
		stream().onBroadcast((type, body) => {
			const b = body as { emoji?: CustomEmoji; emojis?: CustomEmoji[] };
			if (type === 'emojiAdded' && b.emoji) this.#put([b.emoji]);
			else if (type === 'emojiUpdated') this.#put(b.emojis ?? []);
			else if (type === 'emojiDeleted') this.#drop((b.emojis ?? []).map((e) => e.name));
		});
		return this.#read();
	}

	/** The browser keeps the answer with its tag: one that has not changed is not sent again. */
	async #read(): Promise<void> {
		try {
			const res = await fetch('/api/emojis', { cache: 'no-cache', credentials: 'omit' });
			if (!res.ok) throw new Error(String(res.status));
			this.#set((await res.json() as { emojis: CustomEmoji[] }).emojis.map(fromCustom));
			this.failed = false;
		} catch {
			this.failed = true; // the next reconnect tries again
		}
	}

	#put(list: CustomEmoji[]): void {
		const names = new Set(list.map((e) => e.name));
		this.#set([...this.emoji.filter((e) => !names.has(e.name)), ...list.map(fromCustom)]);
	}

	#drop(names: string[]): void {
		this.#set(this.emoji.filter((e) => !names.includes(e.name)));
	}

	#set(list: Emoji[]): void {
		this.emoji = list.sort((a, b) => compare(a.category ?? '', b.category ?? '') || compare(a.name, b.name));
	}
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const catalogue = new Catalogue();

/** The emoji by their categories, those without one last. */
export function categories(list: Emoji[], without: string): { key: string; title: string; emoji: Emoji[] }[] {
	const by = new Map<string, Emoji[]>();
	for (const e of list) by.set(e.category ?? '', [...(by.get(e.category ?? '') ?? []), e]);
	const rest = by.get('');
	by.delete('');
	return [...[...by].map(([c, emoji]) => ({ key: `c:${c}`, title: c, emoji })), ...(rest ? [{ key: 'c:', title: without, emoji: rest }] : [])];
}
