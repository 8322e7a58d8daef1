/** The address bar. Misskey's addresses, so that links of old keep working. */
export type Page = 'timeline' | 'user' | 'note' | 'notifications' | 'settings' | 'search' | 'admin' | 'emojis' | 'about' | 'drive' | 'channels' | 'channel' | 'channelNew' | 'channelEdit' | 'signin' | 'signup' | 'forgot' | 'reset' | 'verify' | 'complete';
export interface Route { page: Page; arg: string; path: string }

const table: [RegExp, Page][] = [
	[/^\/$/, 'timeline'],
	[/^\/timeline\/(home|local|social|global)$/, 'timeline'],
	[/^\/(@[^/]+)$/, 'user'],
	[/^\/notes\/([^/]+)$/, 'note'],
	[/^\/my\/notifications$/, 'notifications'],
	[/^\/settings(?:\/([a-z-]+))?$/, 'settings'],
	[/^\/search$/, 'search'],
	[/^\/admin$/, 'admin'],
	[/^\/(?:admin\/emojis|custom-emojis-manager)$/, 'emojis'],
	[/^\/my\/drive(?:\/folder\/([^/]+))?$/, 'drive'],
	[/^\/channels$/, 'channels'],
	[/^\/channels\/new$/, 'channelNew'],
	[/^\/channels\/([^/]+)$/, 'channel'],
	[/^\/channels\/([^/]+)\/edit$/, 'channelEdit'],
	[/^\/about(?:\/(emojis|charts))?$/, 'about'],
	[/^\/signin$/, 'signin'],
	[/^\/signup$/, 'signup'],
	[/^\/forgot$/, 'forgot'],
	[/^\/reset-password\/([^/]+)$/, 'reset'],
	[/^\/verify-email\/([^/]+)$/, 'verify'],
	[/^\/signup-complete\/([^/]+)$/, 'complete'],
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

/** A place on a page: how far down, and the note that was first on the screen there, with its distance from the top. */
export type Place = { y: number; note?: string; top?: number };

const places = new Map<string, Place>();
let here = '';

function remember(): void {
	const first = [...document.querySelectorAll<HTMLElement>('article[data-note]')].find((a) => a.getBoundingClientRect().top > 60);
	places.set(here, { y: scrollY, ...(first ? { note: first.dataset.note, top: first.getBoundingClientRect().top } : {}) } as Place);
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
	if (kept) places.set(here, { y: kept });
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
		go(a.pathname + a.search);
	});
}

/** Where the reader was on this page; the top of a page newly come to. */
export function place(): Place {
	return places.get(here) ?? { y: 0 };
}

/**
 * Brings the reader back to a place. Rows are measured as they come into sight, and move what is below them: until that has
 * ended, or the reader scrolls himself, the note he had before him is kept where it was.
 */
export function comeBack(to: Place): void {
	if (to.y <= 0) return;
	if (to.note === undefined) {
		requestAnimationFrame(() => scrollTo(0, to.y));
		return;
	}
	let still = 0;
	let over = false;
	const stop = (): void => { over = true; };
	const own = ['wheel', 'touchstart', 'keydown', 'pointerdown'];
	for (const e of own) addEventListener(e, stop, { once: true, passive: true });
	const until = performance.now() + 3000;
	const step = (): void => {
		if (over) return;
		const row = document.querySelector(`[data-note="${CSS.escape(to.note!)}"]`);
		const off = row ? row.getBoundingClientRect().top - to.top! : to.y - scrollY;
		if (Math.abs(off) > 1) {
			scrollBy(0, off);
			still = 0;
		} else still++;
		if (still < 20 && performance.now() < until) requestAnimationFrame(step);
		else for (const e of own) removeEventListener(e, stop);
	};
	scrollTo(0, to.y);
	requestAnimationFrame(step);
}
