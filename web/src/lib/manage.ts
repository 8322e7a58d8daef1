/** Looking after this server's emoji. */
import { api } from './api.ts';
import { upload } from './upload.ts';

export interface Row {
	id: string;
	name: string;
	host: string | null;
	publicUrl: string;
	originalUrl: string;
	aliases: string[];
	category: string | null;
	license: string | null;
	isSensitive: boolean;
	localOnly: boolean;
	roleIdsThatCanBeUsedThisEmojiAsReaction: { id: string; name: string }[];
}

export interface Asked { where: 'local' | 'remote'; name: string; category: string; host: string }

export const pageSize = 50;

/** A page of the table, the first is 1, and how many there are. */
export async function rows(a: Asked, page: number): Promise<{ list: Row[]; all: number; pages: number }> {
	const query = { hostType: a.where, ...(a.name ? { name: a.name } : {}), ...(a.category ? { category: a.category } : {}), ...(a.where === 'remote' && a.host ? { host: a.host } : {}) };
	const r = await api<{ emojis: Row[]; allCount: number; allPages: number }>('v2/admin/emoji/list', { query, page, limit: pageSize, sortKeys: a.where === 'local' ? ['+category', '+name'] : ['+host', '+name'] });
	return { list: r.emojis, all: r.allCount, pages: r.allPages };
}

/** Words as they are typed: between commas or spaces, each once. */
export function words(text: string): string[] {
	return [...new Set(text.normalize('NFC').split(/[,、，\s]+/).filter((w) => w !== ''))];
}

/** A name for a picture's: what may stand in one, and nothing else. */
export function nameFor(file: string): string {
	return file.replace(/\.[^.]*$/, '').normalize('NFKD').replace(/[^\w]+/g, '_').replace(/^_+|_+$/g, '').toLowerCase().slice(0, 128);
}

/** Sends a file to the drive, and tells its id. */
export async function send(file: File): Promise<string> {
	return (await upload(file, () => {}).done).id;
}
