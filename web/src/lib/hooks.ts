/** Addresses that are told what happens to the server, and who is told of reports. */
import { api } from './api.ts';

export const events = ['abuseReport', 'abuseReportResolved', 'userCreated', 'inactiveModeratorsWarning', 'inactiveModeratorsInvitationOnlyChanged'] as const;
export type Event = (typeof events)[number];

export interface Hook { id: string; isActive: boolean; latestSentAt: string | null; latestStatus: number | null; name: string; on: Event[]; url: string; secret: string }
export type HookFields = Pick<Hook, 'isActive' | 'name' | 'on' | 'url' | 'secret'>;

export interface Recipient { id: string; isActive: boolean; name: string; method: 'email' | 'webhook'; userId?: string; user?: { username: string }; systemWebhookId?: string; systemWebhook?: Hook }

/** Makes a webhook, or says anew what one is. */
export async function saveHook(id: string | null, f: HookFields): Promise<Hook> {
	return id === null ? api<Hook>('admin/system-webhook/create', f) : api<Hook>('admin/system-webhook/update', { id, ...f });
}

/** Makes somebody told of reports, or says anew who is. */
export async function saveRecipient(id: string | null, r: Omit<Recipient, 'id' | 'user' | 'systemWebhook'>): Promise<Recipient> {
	const about = { isActive: r.isActive, name: r.name, method: r.method, ...(r.method === 'email' ? { userId: r.userId } : { systemWebhookId: r.systemWebhookId }) };
	const at = 'admin/abuse-report/notification-recipient';
	return id === null ? api<Recipient>(`${at}/create`, about) : api<Recipient>(`${at}/update`, { id, ...about });
}
