/** A folder of one's drive as it is now: its folders, its files page by page, and what changes live. */
import { api } from './api.ts';
import { stream } from './app.svelte.ts';
import type { DriveFile } from './types.ts';

export interface Folder { id: string; name: string; parentId: string | null; parent?: Folder | null }
/** A file as the drive knows it. */
export interface Kept extends DriveFile { createdAt: string; size: number; folderId: string | null }

export const orders = ['+createdAt', '-createdAt', '-name', '+name', '+size', '-size'] as const;
export type Order = (typeof orders)[number];

const page = 60;
/** How many files a search looks at before it asks whether to go on. */
const stretch = 1000;

export class Drive {
	folder: Folder | null = $state.raw(null);
	folders: Folder[] = $state.raw([]);
	files: Kept[] = $state.raw([]);
	ended = $state(false);
	/** Files that a search has looked at; null where nothing is looked for. */
	looked: number | null = $state(null);
	#order: Order = '+createdAt';
	#word = '';
	#from = '';
	#turn = 0;

	constructor(readonly id: string | null) {}

	/** Keeps what is shown as it is in the drive, until what it gives is called. */
	listen(): () => void {
		return stream().channel('drive', (type, body) => {
			const f = body as Kept;
			const here = (f.folderId ?? null) === this.id;
			const known = this.files.some((o) => o.id === f.id);
			if (type === 'fileCreated' && here && !known && this.looked === null) this.files = [f, ...this.files];
			else if (type === 'fileUpdated' && (here || this.looked !== null)) this.files = known ? this.files.map((o) => (o.id === f.id ? { ...o, ...f } : o)) : this.looked === null ? [f, ...this.files] : this.files;
			else if (type === 'fileUpdated' || type === 'fileDeleted') this.files = this.files.filter((o) => o.id !== (type === 'fileDeleted' ? body : f.id));
			else if (type.startsWith('folder')) void this.#above().catch(() => {});
		});
	}

	/** Reads the folder anew: in an order, or all folders for what has a word in its name. */
	async open(order: Order, word = ''): Promise<void> {
		this.#order = order;
		this.#word = word.trim().normalize('NFC').toLowerCase();
		this.#turn++;
		this.#from = '';
		this.files = [];
		this.ended = false;
		this.looked = this.#word === '' ? null : 0;
		await Promise.all([this.#above(), this.more()]);
	}

	async #above(): Promise<void> {
		const [folder, folders] = await Promise.all([
			this.id === null ? null : api<Folder>('drive/folders/show', { folderId: this.id }),
			api<Folder[]>('drive/folders', { folderId: this.id, limit: 100 }),
		]);
		this.folder = folder;
		this.folders = folders.sort((a, b) => a.name.localeCompare(b.name));
	}

	async more(): Promise<void> {
		const turn = this.#turn;
		if (this.#word !== '') {
			await this.#search(turn);
			return;
		}
		const got = await api<Kept[]>('drive/files', { folderId: this.id, sort: this.#order, limit: page, ...(this.#from ? { untilId: this.#from } : {}) });
		if (turn !== this.#turn) return;
		this.#take(got, got);
		this.ended = got.length < page;
	}

	/** The server finds whole names only: parts of names are looked for here, through the files of all folders. */
	async #search(turn: number): Promise<void> {
		for (let n = 0; n < stretch && !this.ended; n += 100) {
			const got = await api<Kept[]>('drive/stream', { limit: 100, ...(this.#from ? { untilId: this.#from } : {}) });
			if (turn !== this.#turn) return;
			this.looked = (this.looked ?? 0) + got.length;
			this.#take(got, got.filter((f) => f.name.normalize('NFC').toLowerCase().includes(this.#word)));
			this.ended = got.length < 100;
		}
	}

	#take(got: Kept[], shown: Kept[]): void {
		this.#from = got.at(-1)?.id ?? this.#from;
		this.files = [...this.files, ...shown.filter((f) => !this.files.some((o) => o.id === f.id))];
	}
}

/** The folders from the drive's root down to one. */
export function way(folder: Folder | null): Folder[] {
	return folder ? [...way(folder.parent ?? null), folder] : [];
}
