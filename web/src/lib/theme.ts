/** Light, dark, or as the device. A cookie tells the server, so that its page has the right colours from the first frame. */
export type Theme = 'auto' | 'light' | 'dark';

export function readCookie(name: string, from: string = document.cookie): string {
	return from.split('; ').find((c) => c.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

export function keep(name: string, value: string): void {
	document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
}

export function theme(): Theme {
	const v = readCookie('theme');
	return v === 'light' || v === 'dark' ? v : 'auto';
}

export function setTheme(v: Theme): void {
	keep('theme', v);
	if (v === 'auto') delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = v;
}
