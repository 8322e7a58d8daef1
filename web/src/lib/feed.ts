/**
 * The order of things in a live list, without anything of the screen: what is
 * shown, what waits for the reader, and where something is missing.
 */
export interface Item { id: string }

/** A place where there are more things than were fetched: between the item above it and the one below. */
export interface Gap { gap: true; id: string; below: string; above: string }

export type Row<T> = T | Gap;

export function isGap<T extends Item>(r: Row<T>): r is Gap {
	return 'gap' in r;
}

/** How many rows a list keeps, and how many wait in a tab that nobody looks at. */
export const cap = 400;
export const waitingCap = 30;
export const pageSize = 30;

const byIdDown = (a: Item, b: Item): number => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

export class Feed<T extends Item> {
	rows: Row<T>[] = [];
	waiting: T[] = [];
	/** Some that should wait were let go: a gap stands below those that are left. */
	#dropped = false;

	has(id: string): boolean {
		return this.rows.some((r) => r.id === id) || this.waiting.some((r) => r.id === id);
	}

	/** The first page, or the page of another list. */
	reset(page: T[]): void {
		this.rows = [...page].sort(byIdDown);
		this.waiting = [];
		this.#dropped = false;
	}

	/** The next older page. */
	older(page: T[]): void {
		const fresh = page.filter((p) => !this.has(p.id)).sort(byIdDown);
		this.rows = [...this.rows, ...fresh];
	}

	/** A live one: shown when the reader is at the top, else it waits. */
	arrive(item: T, atTop: boolean): void {
		if (this.has(item.id)) return;
		if (!atTop || this.waiting.length > 0) {
			this.waiting = [item, ...this.waiting].sort(byIdDown);
			if (this.waiting.length > waitingCap) {
				this.waiting = this.waiting.slice(0, waitingCap);
				this.#dropped = true;
			}
			return;
		}
		this.#put([item]);
	}

	/** Shows what waits. */
	show(): void {
		const waiting = this.waiting;
		const gap = this.#dropped;
		this.waiting = [];
		this.#dropped = false;
		if (waiting.length === 0) return;
		if (gap) this.#above(waiting);
		else this.#put(waiting);
	}

	/** The newest that is known, where a look for what was missed begins. */
	newest(): string | undefined {
		return this.waiting[0]?.id ?? this.rows.find((r) => !isGap(r))?.id;
	}

	/**
	 * What was written while the line was down. newestPage is the newest page of
	 * the list and size its full length: a full page that does not reach what is
	 * known leaves a gap, said and not hidden.
	 */
	missed(newestPage: T[], size: number, atTop: boolean): void {
		const known = this.newest();
		const page = [...newestPage].sort(byIdDown);
		const fresh = page.filter((p) => !this.has(p.id) && (known === undefined || p.id > known));
		if (fresh.length === 0) return;
		const reaches = page.length < size || page.some((p) => known !== undefined && p.id <= known);
		if (reaches) {
			for (const p of fresh.reverse()) this.arrive(p, atTop);
			return;
		}
		// What waited lies below the gap, and there is only one: it is shown with the rest.
		this.show();
		this.#above(fresh);
	}

	/** Fills a gap from above: page is what lies below its upper edge, newest first. */
	fill(gap: Gap, page: T[], size: number): void {
		const at = this.rows.findIndex((r) => isGap(r) && r.id === gap.id);
		if (at < 0) return;
		const inside = page.filter((p) => p.id > gap.below && p.id < gap.above && !this.has(p.id)).sort(byIdDown);
		const reaches = page.length < size || page.some((p) => p.id <= gap.below);
		const last = inside.at(-1);
		const rest: Row<T>[] = reaches || !last ? [] : [makeGap(gap.below, last.id)];
		this.rows = [...this.rows.slice(0, at), ...inside, ...rest, ...this.rows.slice(at + 1)];
	}

	remove(id: string): void {
		this.rows = this.rows.filter((r) => r.id !== id);
		this.waiting = this.waiting.filter((r) => r.id !== id);
	}

	#above(items: T[]): void {
		const known = this.rows.find((r) => !isGap(r))?.id;
		const last = items.at(-1);
		const between: Row<T>[] = known !== undefined && last ? [makeGap(known, last.id)] : [];
		this.#trim([...items, ...between, ...this.rows]);
	}

	#put(items: T[]): void {
		const fresh = [...items];
		const rows = [...this.rows];
		// One that comes late finds its place by its id.
		for (const f of fresh.sort(byIdDown).reverse()) {
			const at = rows.findIndex((r) => r.id < f.id);
			if (at < 0) rows.push(f);
			else rows.splice(at, 0, f);
		}
		this.#trim(rows);
	}

	/** What is cut off at the end is fetched again when the reader gets there. */
	#trim(rows: Row<T>[]): void {
		this.rows = rows.slice(0, cap);
	}
}

function makeGap(below: string, above: string): Gap {
	// An id that sorts right below the upper edge.
	return { gap: true, id: `${above.slice(0, -1)}${String.fromCharCode(above.charCodeAt(above.length - 1) - 1)}~gap`, below, above };
}
