/** The steps of signing in, as the server asks for them. */
import { api, ApiError } from './api.ts';

interface Descriptor { id: string; type: PublicKeyCredentialType; transports?: AuthenticatorTransport[] }
export interface AuthRequest { challenge: string; timeout?: number; rpId?: string; allowCredentials?: Descriptor[]; userVerification?: UserVerificationRequirement }

export type Step =
	| { finished: true; id: string; i: string }
	| { finished: false; next: 'captcha' | 'password' | 'totp' }
	| { finished: false; next: 'passkey'; authRequest: AuthRequest };

/** Errors that come with an id only. */
const codes: Record<string, string> = {
	'6cc579cc-885d-43d8-95c2-b8c7fc963280': 'NO_SUCH_USER',
	'e03a5f46-d309-4865-9b69-56282d94e1eb': 'SUSPENDED',
	'932c904e-9460-45b7-9ce6-7ed33be7eb2c': 'INCORRECT_PASSWORD',
	'22d05606-fbcf-421a-a2db-b32610dcfd1b': 'TOO_MANY_AUTHENTICATION_FAILURES',
	'cdf1235b-ac71-46d4-a3a6-84ccce48df6f': 'INVALID_TOKEN',
	'93b86c4b-72f9-40eb-9815-798928603d1e': 'PASSKEY',
	'b18c89a7-5b5e-4cec-bb5b-0419f332d430': 'PASSKEY',
	'2d16e51c-007b-4edd-afd2-f7dd02c947f6': 'PASSKEY',
	'36b96a7d-b547-412d-aeed-2d611cdc8cdc': 'UNKNOWN_KEY',
	'5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f12': 'CAPTCHA_FAILED',
	'5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f13': 'CAPTCHA_UNAVAILABLE',
	'2d84773e-f7b7-4d0b-8f72-bb69b584c912': 'PASSWORDLESS_LOGIN_DISABLED',
};

export interface Proof { username: string; password?: string; token?: string; credential?: unknown; answers?: Record<string, string> }

async function call<T>(name: string, params: Record<string, unknown>): Promise<T> {
	try {
		return await api<T>(name, params, null);
	} catch (e) {
		if (e instanceof ApiError && codes[e.id]) throw new ApiError(codes[e.id]!, e.status, e.message, e.id);
		throw e;
	}
}

export function signIn(p: Proof): Promise<Step> {
	return call<Step>('signin-flow', { ...p, answers: undefined, ...p.answers });
}

/** Whether this browser knows passkeys at all. */
export const passkeys = (): boolean => 'PublicKeyCredential' in globalThis && 'credentials' in navigator;

/** Signs in whoever the device knows, without a name. */
export async function signInByPasskey(): Promise<{ id: string; i: string }> {
	const { option, context } = await call<{ option: AuthRequest; context: string }>('signin-with-passkey', {});
	const credential = await provePasskey(option);
	return (await call<{ signinResponse: { id: string; i: string } }>('signin-with-passkey', { credential, context })).signinResponse;
}

export function fromBase64(s: string): ArrayBuffer {
	const b = atob(s.replaceAll('-', '+').replaceAll('_', '/'));
	return Uint8Array.from(b, (c) => c.charCodeAt(0)).buffer;
}

export function toBase64(b: ArrayBuffer): string {
	let s = '';
	for (const c of new Uint8Array(b)) s += String.fromCharCode(c);
	return btoa(s).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Has the device prove who is there; gives what signIn takes as credential. */
export async function provePasskey(r: AuthRequest): Promise<unknown> {
	let c: PublicKeyCredential | null;
	try {
		c = await navigator.credentials.get({
			publicKey: {
				...r, challenge: fromBase64(r.challenge),
				allowCredentials: (r.allowCredentials ?? []).map((d) => ({ ...d, id: fromBase64(d.id) })),
			},
		}) as PublicKeyCredential | null;
	} catch (e) {
		throw new ApiError('PASSKEY', 0, String(e));
	}
	if (!c) throw new ApiError('PASSKEY', 0, 'no credential');
	const a = c.response as AuthenticatorAssertionResponse;
	return {
		id: c.id, rawId: toBase64(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults(),
		authenticatorAttachment: c.authenticatorAttachment,
		response: {
			clientDataJSON: toBase64(a.clientDataJSON), authenticatorData: toBase64(a.authenticatorData), signature: toBase64(a.signature),
			userHandle: a.userHandle ? toBase64(a.userHandle) : undefined,
		},
	};
}
