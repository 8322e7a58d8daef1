/** An answer that is not a success. code is the server's, or "NETWORK". */
export class ApiError extends Error {
	constructor(readonly code: string, readonly status: number, message: string, readonly id = '') {
		super(message);
	}
}

let token: string | null = null;

/** Whose calls the next ones are; null is nobody. */
export function useToken(t: string | null): void {
	token = t;
}

/** Calls an endpoint. It gives null where the server answers without a body. */
export async function api<T = unknown>(name: string, params: Record<string, unknown> = {}, as: string | null = token): Promise<T> {
	let res: Response;
	try {
		res = await fetch(`/api/${name}`, {
			method: 'POST', credentials: 'omit', cache: 'no-store', headers: { 'content-type': 'application/json' },
			body: JSON.stringify(as === null ? params : { ...params, i: as }),
		});
	} catch (e) {
		throw new ApiError('NETWORK', 0, String(e));
	}
	if (res.status === 204) return null as T;
	const body: unknown = await res.json().catch(() => null);
	if (!res.ok) {
		const e = (body as { error?: { code?: string; message?: string; id?: string } } | null)?.error;
		throw new ApiError(e?.code ?? 'INTERNAL_ERROR', res.status, e?.message ?? res.statusText, e?.id);
	}
	return body as T;
}
