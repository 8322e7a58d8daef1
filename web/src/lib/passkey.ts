/** Makes a passkey. */
import { ApiError } from './api.ts';
import { fromBase64, toBase64 } from './signin.ts';

interface Descriptor { id: string; type: PublicKeyCredentialType; transports?: AuthenticatorTransport[] }

/** What the server asks for, in its JSON form. */
export interface CreationRequest {
	challenge: string;
	rp: PublicKeyCredentialRpEntity;
	user: { id: string; name: string; displayName: string };
	pubKeyCredParams: PublicKeyCredentialParameters[];
	timeout?: number;
	excludeCredentials?: Descriptor[];
	authenticatorSelection?: AuthenticatorSelectionCriteria;
	attestation?: AttestationConveyancePreference;
}

/** Has the device make a key; gives what the server takes as credential. */
export async function makePasskey(r: CreationRequest): Promise<unknown> {
	let c: PublicKeyCredential | null;
	try {
		c = await navigator.credentials.create({
			publicKey: {
				...r, challenge: fromBase64(r.challenge), user: { ...r.user, id: fromBase64(r.user.id) },
				excludeCredentials: (r.excludeCredentials ?? []).map((d) => ({ ...d, id: fromBase64(d.id) })),
			},
		}) as PublicKeyCredential | null;
	} catch (e) {
		throw new ApiError((e as DOMException).name === 'InvalidStateError' ? 'PASSKEY_EXISTS' : 'PASSKEY', 0, String(e));
	}
	if (!c) throw new ApiError('PASSKEY', 0, 'no credential');
	const a = c.response as AuthenticatorAttestationResponse;
	return {
		id: c.id, rawId: toBase64(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults(), authenticatorAttachment: c.authenticatorAttachment,
		response: { clientDataJSON: toBase64(a.clientDataJSON), attestationObject: toBase64(a.attestationObject), transports: a.getTransports?.() ?? [] },
	};
}
