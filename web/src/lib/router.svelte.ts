/** The address bar. Misskey's addresses, so that links of old keep working. */
export type Page = 'timeline' | 'user' | 'note' | 'notifications' | 'settings' | 'signin' | 'signup';
export interface Route { page: Page; arg: string; path: string }

const table: [RegExp, Page][] = [
	[/^\/$/, 'timeline'],
	[/^\/timeline\/(home|local|social|global)$/, 'timeline'],
	[/^\/(@[^/]+)$/, 'user'],
	[/^\/notes\/([^/]+)$/, 'note'],
	[/^\/my\/notifications$/, 'notifications'],
	[/^\/settings$/, 'settings'],
	[/^\/signin$/, 'signin'],
	[/^\/signup$/, 'signup'],
];

/** The client's page for a path, or null where the server's own page stays. */
export function match(path: string): Route | null {
	for (const [pattern, page] of table) {
		const m = pattern.exec(path);
		if (!m) continue;
		try {
			return { page, arg: decodeURIComponent(m[1] ?? ''), path };
		} catch {
			return null;
		}
	}
	return null;
}

export const router: { route: Route | null } = $state({ route: match(location.pathname) });

const places = new Map<string, number>();
let here = '';

function remember(): void {
	places.set(here, scrollY);
}

function arrive(path: string): void {
	router.route = match(path);
}

/** Goes to a page of the client, or leaves it for one of the server's. */
export function go(to: string): void {
	const url = new URL(to, location.href);
	if (!match(url.pathname)) {
		location.assign(url);
		return;
	}
	remember();
	if (url.pathname === location.pathname) {
		scrollTo({ top: 0, behavior: 'smooth' });
		return;
	}
	here = crypto.randomUUID?.() ?? String(Math.random());
	history.pushState({ key: here }, '', url);
	arrive(url.pathname);
	scrollTo(0, 0);
}

export function back(): void {
	if (history.length > 1 && here !== first) history.back();
	else go('/');
}

let first = '';

/** Listens to the browser's buttons and to links. */
export function listen(): void {
	history.scrollRestoration = 'manual';
	const had = (history.state as { key?: string } | null)?.key;
	here = first = had ?? String(Math.random());
	history.replaceState({ key: here }, '');
	const kept = Number(sessionStorage.getItem(`scroll:${here}`));
	if (kept) places.set(here, kept);
	addEventListener('pagehide', () => sessionStorage.setItem(`scroll:${here}`, String(scrollY)));
	addEventListener('popstate', (e) => {
		remember();
		here = (e.state as { key?: string } | null)?.key ?? '';
		if (!match(location.pathname)) {
			location.reload();
			return;
		}
		arrive(location.pathname);
	});
	document.addEventListener('click', (e) => {
		if (e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
		const a = (e.target as Element).closest?.('a[href]');
		if (!(a instanceof HTMLAnchorElement) || a.target || a.origin !== location.origin || a.hasAttribute('download')) return;
		if (a.hash && a.pathname === location.pathname) return;
		if (!match(a.pathname)) return;
		e.preventDefault();
		go(a.pathname);
	});
}

/** Where the reader was on this page; 0 for a page newly come to. */
export function place(): number {
	return places.get(here) ?? 0;
}
