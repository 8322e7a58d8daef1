import { language } from './i18n.ts';

/** How long something takes, in the one unit that says it: "3 minutes". */
export function length(seconds: number): string {
	const [n, unit] = seconds < 60 ? [Math.max(1, seconds), 'second'] : seconds < 3600 ? [seconds / 60, 'minute'] : seconds < 86_400 ? [seconds / 3600, 'hour'] : [seconds / 86_400, 'day'];
	return new Intl.NumberFormat(language(), { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 }).format(Math.ceil(n));
}

export function count(n: number): string {
	return new Intl.NumberFormat(language()).format(n);
}

/** A size, in the unit that says it: "12 MB". */
export function bytes(n: number): string {
	const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
	let i = 0;
	for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
	return new Intl.NumberFormat(language(), { style: 'unit', unit: units[i]!, unitDisplay: 'short', maximumFractionDigits: n < 10 ? 1 : 0 }).format(n);
}
