import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { boot, reload, start } from './lib/app.svelte.ts';
import { languages, loadLanguage, type Language } from './lib/i18n.ts';
import { applyPrefs } from './lib/prefs.ts';
import { listen, router, place } from './lib/router.svelte.ts';

// A file that is no longer there means that the server has a new client, if it is
// not the network that is away.
addEventListener('vite:preloadError', () => {
	const last = Number(sessionStorage.getItem('reloaded') ?? 0);
	if (Date.now() - last < 60_000) return;
	reload(() => sessionStorage.setItem('reloaded', String(Date.now()))).catch(() => {});
});

/**
 * Takes the page over: the client is made beside the server's page and takes its
 * place in one step. Where the client has no page, the server's stays.
 */
async function take(): Promise<void> {
	if (!router.route) return;
	const lang = document.documentElement.lang as Language;
	await loadLanguage(languages.includes(lang) ? lang : boot.lang as Language);
	applyPrefs();
	listen();
	start();
	const target = document.createElement('div');
	target.id = 'app';
	mount(App, { target });
	document.querySelector('link[href="/style.css"]')?.remove();
	document.body.replaceChildren(target);
	scrollTo(0, place().y);
}

void take();
