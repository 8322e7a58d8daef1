import { language, t } from './i18n.ts';

/** How long ago, in the fewest letters; from a week on, the day. */
export function ago(iso: string, now: number): string {
	const s = Math.max(0, (now - Date.parse(iso)) / 1000);
	if (s < 60) return t('time.now');
	if (s < 3600) return t('time.min', { n: Math.floor(s / 60) });
	if (s < 86_400) return t('time.hour', { n: Math.floor(s / 3600) });
	if (s < 7 * 86_400) return t('time.day', { n: Math.floor(s / 86_400) });
	return day(iso);
}

/** How long until, in the same words. */
export function until(iso: string, now: number): string {
	const s = Math.max(0, (Date.parse(iso) - now) / 1000);
	if (s < 3600) return t('time.min', { n: Math.max(1, Math.ceil(s / 60)) });
	if (s < 86_400) return t('time.hour', { n: Math.floor(s / 3600) });
	return t('time.day', { n: Math.floor(s / 86_400) });
}

export function day(iso: string): string {
	return new Intl.DateTimeFormat(language(), { dateStyle: 'medium' }).format(new Date(iso));
}

/** The whole time, for who asks. */
export function full(iso: string): string {
	return new Intl.DateTimeFormat(language(), { dateStyle: 'full', timeStyle: 'medium' }).format(new Date(iso));
}
