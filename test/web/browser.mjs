// What the drivers of the browser share: people with browsers of their own,
// steps, screenshots, axe, and calls of the API beside the browser.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createHmac } from 'node:crypto';
import { chromium } from 'playwright-core';

const shots = new URL('../../build/shots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** As on a slow phone with a bad line: answers come late and in any order, and a finger stays on what it presses. */
const slow = process.env.OVEN_TEST_SLOW === '1';

async function slowed(context, page) {
	const locator = Object.getPrototypeOf(page.locator('html'));
	if (!locator.quick) {
		locator.quick = locator.click;
		locator.click = function (o) { return this.quick({ delay: 90, ...o }); };
	}
	await context.route((u) => u.pathname.startsWith('/api/'), async (route) => {
		await new Promise((r) => { setTimeout(r, Math.random() ** 3 * 900); });
		await route.continue().catch(() => {}); // the page has gone meanwhile
	});
	const cdp = await context.newCDPSession(page);
	await cdp.send('Emulation.setCPUThrottlingRate', { rate: 3 });
}

export function assert(ok, what) {
	if (!ok) throw new Error(what);
}

/** A browser against the server at origin. */
export async function open(origin) {
	const browser = await chromium.launch({
		executablePath: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => existsSync(p)),
		args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
	});
	/** What was against the content policy, and errors that nobody caught. */
	const violations = [];
	const pages = [];

	async function person(lang = 'ko-KR', options = {}) {
		const context = await browser.newContext({ baseURL: origin, locale: lang, viewport: { width: 1280, height: 900 }, ...options });
		context.setDefaultTimeout(15_000);
		await context.addInitScript(() => {
			addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI, e.sourceFile, e.lineNumber, e.sample));
		});
		const page = await context.newPage();
		if (slow) await slowed(context, page);
		page.on('console', (m) => {
			if (m.text().startsWith('CSP') || /content security policy|trusted ?type/i.test(m.text())) violations.push(m.text());
		});
		page.on('pageerror', (e) => violations.push(`page error: ${e.stack ?? e}`));
		pages.push(page);
		return page;
	}

	async function step(name, f) {
		const began = performance.now();
		try {
			await f();
			assert(violations.length === 0, violations.join('\n'));
		} catch (e) {
			console.error('FAIL', name, e);
			for (const [i, p] of pages.entries()) {
				console.error(p.url(), await p.locator('body').innerText().catch(() => ''));
				await p.screenshot({ path: `${shots}failure-${i}.png` }).catch(() => {});
			}
			await browser.close();
			process.exit(1);
		}
		console.log('ok', name, `${Math.round(performance.now() - began)} ms`);
	}

	async function call(token, name, params = {}) {
		const res = await fetch(`${origin}/api/${name}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...(token ? { i: token } : {}), ...params }) });
		assert(res.ok, `${name}: ${res.status} ${await res.clone().text()}`);
		return res.status === 204 ? null : res.json();
	}

	// RFC 6238. Codes are taken once, so the server's clock is moved on for each.
	let offset = 0;
	async function code(secret) {
		offset += 30_000;
		await call(null, 'oven/clock', { offsetMs: offset });
		const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
		const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
		const at = Buffer.alloc(8);
		at.writeBigUInt64BE(BigInt(Math.floor((Date.now() + offset) / 30_000)));
		const h = createHmac('sha1', key).update(at).digest();
		return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
	}

	return { browser, person, step, call, code };
}

async function painted(page, theme) {
	await page.evaluate((t) => {
		if (t) document.documentElement.dataset.theme = t;
		else delete document.documentElement.dataset.theme;
	}, theme);
}

/** Pictures of a page into build/shots: wide and narrow, light and dark. */
export async function shot(page, name, lang = 'ko', looks = [[1280, 'light'], [1280, 'dark'], [390, 'light'], [390, 'dark']], fullPage = true) {
	const before = page.viewportSize();
	if (fullPage) await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
	for (const [width, theme] of looks) {
		await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
		await painted(page, theme);
		await page.screenshot({ path: `${shots}${name}-${lang}-${width}-${theme}.png`, animations: 'disabled', fullPage });
	}
	await painted(page, null);
	await page.setViewportSize(before);
}

// One a page, and never detached: that would take a virtual authenticator along.
const sessions = new WeakMap();

/** What axe finds on the page, in each theme. It runs outside the page's policy. */
export async function accessible(page, where, themes = ['light', 'dark']) {
	if (!sessions.has(page)) sessions.set(page, await page.context().newCDPSession(page));
	const cdp = sessions.get(page);
	for (const theme of themes) {
		await painted(page, theme);
		const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', {
			expression: `${axeSource};axe.run({runOnly:['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa']}).then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 160) + ' ' + n.failureSummary)])))`,
			awaitPromise: true, returnByValue: true, allowUnsafeEvalBlockedByCSP: true,
		});
		assert(!exceptionDetails, `axe on ${where}: ${JSON.stringify(exceptionDetails)}`);
		assert(result.value === '[]', `axe on ${where}, ${theme}: ${result.value}`);
	}
	await painted(page, null);
}
