/** Sending files to one's drive. */
import { ApiError } from './api.ts';
import { app } from './app.svelte.ts';
import type { DriveFile } from './types.ts';

/** An upload under way. */
export interface Upload { done: Promise<DriveFile>; stop: () => void }

/** Sends a file; moved is told of the part that has gone out, 0 to 1. Misskey's API wants a form, and only this way of sending tells how far it is. */
export function upload(file: File, moved: (part: number) => void = () => {}, folder: string | null = null): Upload {
	const x = new XMLHttpRequest();
	const done = new Promise<DriveFile>((ok, fail) => {
		const broken = (): void => fail(new ApiError('NETWORK', 0, ''));
		x.upload.onprogress = (e) => { if (e.lengthComputable) moved(e.loaded / e.total); };
		x.onerror = broken;
		x.onabort = () => fail(new ApiError('STOPPED', 0, ''));
		x.onload = () => {
			let body: unknown = null;
			try {
				body = JSON.parse(x.responseText);
			} catch {
				// A proxy in between answered in its own way.
			}
			if (x.status === 200 && body) ok(body as DriveFile);
			else if (x.status === 413) fail(new ApiError('MAX_FILE_SIZE_EXCEEDED', 413, ''));
			else fail(new ApiError((body as { error?: { code?: string } } | null)?.error?.code ?? 'INTERNAL_ERROR', x.status, ''));
		};
	});
	const form = new FormData();
	form.append('i', app.account!.token);
	if (folder !== null) form.append('folderId', folder);
	form.append('name', named(file).normalize('NFC'));
	form.append('file', file);
	x.open('POST', '/api/drive/files/create');
	x.send(form);
	return { done, stop: () => x.abort() };
}

/** What a file is called: one that was pasted is called image.png by every browser, and by nobody else. */
function named(file: File): string {
	if (file.name && file.name !== 'image.png') return file.name;
	const now = new Date();
	const two = (n: number): string => String(n).padStart(2, '0');
	const ext = file.type.startsWith('image/') ? `.${file.type.slice(6).replace('jpeg', 'jpg').replace(/\W.*/, '')}` : '';
	return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())} ${two(now.getHours())}-${two(now.getMinutes())}-${two(now.getSeconds())}${ext}`;
}

/** The files that somebody pastes or drops; texts are none. */
export function filesOf(data: DataTransfer | null): File[] {
	return data ? [...data.files] : [];
}
