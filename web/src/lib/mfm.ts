/**
 * MFM to elements. It knows no framework, sets styles through CSSOM and text
 * through text nodes: nothing that a person wrote is ever parsed as HTML.
 */
import { parse, parseSimple, type MfmNode } from 'mfm-js';

export interface MfmOptions {
	/** Name → address of custom emoji that are not this server's. */
	emojis?: Record<string, string>;
	/** Where the author lives; null is here. Mentions without a host are of that place. */
	host?: string | null;
	/** Names and such: emoji only. */
	simple?: boolean;
}

const maxNest = 20;
const maxScale = 5;

export function mfm(text: string, o: MfmOptions = {}): DocumentFragment {
	const nodes = o.simple ? parseSimple(text) : parse(text, { nestLimit: maxNest });
	const out = document.createDocumentFragment();
	add(out, nodes, o);
	return out;
}

/** Whether a text is nothing but a few emoji, which are then shown large. */
export function onlyEmoji(text: string): boolean {
	if (text.length > 200) return false;
	let n = 0;
	for (const node of parseSimple(text.trim())) {
		if (node.type === 'emojiCode' || node.type === 'unicodeEmoji') n++;
		else if (node.type !== 'text' || node.props.text.trim() !== '') return false;
	}
	return n > 0 && n <= 6;
}

/** The language of a text by its letters, so that Han characters get the right shapes; "" when nothing tells. */
export function scriptOf(text: string): '' | 'ko' | 'ja' {
	if (/[\u3041-\u30ff]/.test(text)) return 'ja';
	if (/[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]/.test(text)) return 'ko';
	return '';
}

/** The address of a custom emoji: of this server, or one that came with what is shown. */
export function emojiURL(name: string, o: MfmOptions): string | undefined {
	const known = o.emojis?.[name];
	if (known !== undefined) return safe(known);
	return o.host == null ? `/emoji/${encodeURIComponent(name)}.webp` : undefined;
}

function add(to: ParentNode, nodes: MfmNode[], o: MfmOptions): void {
	for (const n of nodes) to.append(build(n, o));
}

function el<K extends keyof HTMLElementTagNameMap>(name: K, className = '', children: MfmNode[] = [], o: MfmOptions = {}): HTMLElementTagNameMap[K] {
	const e = document.createElement(name);
	if (className) e.className = className;
	add(e, children, o);
	return e;
}

/** Only what a browser fetches or opens as a page may become an address. */
function safe(url: string): string | undefined {
	try {
		const u = new URL(url, location.origin);
		return u.protocol === 'https:' || u.protocol === 'http:' ? u.href : undefined;
	} catch {
		return undefined;
	}
}

function link(url: string, className: string): HTMLElement {
	const href = safe(url);
	if (href === undefined) return el('span', className);
	const a = el('a', className);
	a.href = href;
	if (!href.startsWith(`${location.origin}/`)) {
		a.target = '_blank';
		a.rel = 'nofollow noopener noreferrer ugc';
	}
	return a;
}

function text(s: string): DocumentFragment {
	const out = document.createDocumentFragment();
	for (const [i, line] of s.split(/\r\n|\r|\n/).entries()) {
		if (i > 0) out.append(document.createElement('br'));
		out.append(line);
	}
	return out;
}

function build(n: MfmNode, o: MfmOptions): Node {
	switch (n.type) {
		case 'text': return text(n.props.text);
		case 'bold': return el('b', '', n.children, o);
		case 'italic': return el('i', '', n.children, o);
		case 'strike': return el('del', '', n.children, o);
		case 'small': return el('small', 'mfm-small', n.children, o);
		case 'center': return el('div', 'mfm-center', n.children, o);
		case 'quote': return el('blockquote', 'mfm-quote', n.children, o);
		case 'plain': return el('span', '', n.children, o);
		case 'inlineCode': { const e = el('code', 'mfm-code'); e.append(n.props.code); return e; }
		case 'mathInline': { const e = el('code', 'mfm-code'); e.append(n.props.formula); return e; }
		case 'mathBlock': return block(n.props.formula, 'math');
		case 'blockCode': return block(n.props.code, n.props.lang ?? '');
		case 'unicodeEmoji': { const e = el('span', 'emoji'); e.append(n.props.emoji); return e; }
		case 'emojiCode': return customEmoji(n.props.name, o);
		case 'url': {
			const e = link(n.props.url, 'mfm-link');
			e.append(readable(n.props.url));
			return e;
		}
		case 'link': {
			const e = link(n.props.url, 'mfm-link');
			e.title = n.props.url;
			add(e, n.children, o);
			return e;
		}
		case 'mention': return mention(n.props.username, n.props.host, o);
		case 'hashtag': {
			const e = el('a', 'mfm-hashtag');
			e.href = `/tags/${encodeURIComponent(n.props.hashtag)}`;
			e.append(`#${n.props.hashtag}`);
			return e;
		}
		case 'search': {
			const e = link(`https://duckduckgo.com/?q=${encodeURIComponent(n.props.query)}`, 'mfm-search');
			e.append(n.props.content);
			return e;
		}
		case 'fn': return fn(n.props.name, n.props.args, n.children, o);
	}
}

function block(code: string, lang: string): HTMLElement {
	const pre = el('pre', 'mfm-block');
	const c = el('code');
	if (lang) c.dataset.lang = lang;
	c.append(code);
	pre.append(c);
	pre.tabIndex = 0;
	return pre;
}

/** An address as people read it: without the scheme, decoded, not endless. */
function readable(url: string): string {
	let s = url.replace(/^https?:\/\//, '');
	try {
		s = decodeURI(s);
	} catch {
		// it stays as it was written
	}
	return s.length > 60 ? `${s.slice(0, 57)}…` : s;
}

function customEmoji(name: string, o: MfmOptions): Node {
	const url = emojiURL(name, o);
	if (url === undefined) return document.createTextNode(`:${name}:`);
	const img = el('img', 'emoji custom');
	img.alt = `:${name}:`;
	img.title = `:${name}:`;
	img.decoding = 'async';
	img.loading = 'lazy';
	// One that is not there is shown as it was written.
	img.addEventListener('error', () => img.replaceWith(`:${name}:`), { once: true });
	img.src = url;
	return img;
}

function mention(username: string, host: string | null, o: MfmOptions): HTMLElement {
	const there = host ?? o.host ?? null;
	const at = there === null || there === location.host ? '' : `@${there}`;
	const a = el('a', 'mfm-mention');
	a.href = `/@${username}${at}`;
	a.append(`@${username}`);
	if (at) {
		const h = el('span', 'mfm-host');
		h.append(at);
		a.append(h);
	}
	return a;
}

type Args = Record<string, string | true>;

function num(v: string | true | undefined, or: number, min: number, max: number): number {
	const n = typeof v === 'string' ? Number.parseFloat(v) : Number.NaN;
	return Number.isFinite(n) ? Math.min(max, Math.max(min, n)) : or;
}

/** A time such as 1.5s, as CSS takes it. */
function seconds(v: string | true | undefined): string | undefined {
	return typeof v === 'string' && /^-?\d{1,3}(\.\d{1,3})?s$/.test(v) ? v : undefined;
}

function colour(v: string | true | undefined): string | undefined {
	return typeof v === 'string' && /^([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i.test(v) ? `#${v}` : undefined;
}

const animated = new Set(['tada', 'jelly', 'twitch', 'shake', 'spin', 'jump', 'bounce', 'rainbow']);
const fonts: Record<string, string> = { serif: 'serif', monospace: 'monospace', cursive: 'cursive', fantasy: 'fantasy', emoji: 'emoji', math: 'math' };

function fn(name: string, args: Args, children: MfmNode[], o: MfmOptions): Node {
	const e = el('span', `mfm-fn mfm-${name}`, children, o);
	if (animated.has(name)) {
		const speed = seconds(args.speed);
		const delay = seconds(args.delay);
		if (speed && !speed.startsWith('-')) e.style.animationDuration = speed;
		if (delay) e.style.animationDelay = delay;
		if (name === 'spin') {
			if (args.x) e.classList.add('mfm-x');
			else if (args.y) e.classList.add('mfm-y');
			if (args.left) e.style.animationDirection = 'reverse';
			else if (args.alternate) e.style.animationDirection = 'alternate';
		}
		return e;
	}
	switch (name) {
		case 'x2': case 'x3': case 'x4': return e;
		case 'flip': e.style.transform = args.h && args.v ? 'scale(-1, -1)' : args.v ? 'scaleY(-1)' : 'scaleX(-1)'; return e;
		case 'rotate': e.style.transform = `rotate(${num(args.deg, 90, -3600, 3600)}deg)`; e.style.transformOrigin = 'center center'; return e;
		case 'scale': e.style.transform = `scale(${num(args.x, 1, -maxScale, maxScale)}, ${num(args.y, 1, -maxScale, maxScale)})`; return e;
		case 'position': e.style.transform = `translate(${num(args.x, 0, -50, 50)}em, ${num(args.y, 0, -50, 50)}em)`; return e;
		case 'fg': e.style.color = colour(args.color) ?? '#f00'; return e;
		case 'bg': e.style.backgroundColor = colour(args.color) ?? '#f00'; return e;
		case 'border': {
			const styles = ['hidden', 'dotted', 'dashed', 'solid', 'double', 'groove', 'ridge', 'inset', 'outset'];
			const style = typeof args.style === 'string' && styles.includes(args.style) ? args.style : 'solid';
			e.style.border = `${num(args.width, 1, 0, 20)}px ${style} ${colour(args.color) ?? 'currentcolor'}`;
			e.style.borderRadius = `${num(args.radius, 0, 0, 100)}px`;
			if (!args.noclip) e.style.overflow = 'clip';
			return e;
		}
		case 'font': {
			const family = Object.keys(args).find((a) => a in fonts);
			if (family) e.style.fontFamily = fonts[family]!;
			return e;
		}
		case 'blur': e.tabIndex = 0; return e;
		case 'sparkle': return e;
		case 'ruby': return ruby(children, o);
		case 'unixtime': return unixtime(children);
		default: {
			// A function that is not known is shown as it was written.
			const out = document.createDocumentFragment();
			out.append(`$[${name} `);
			add(out, children, o);
			out.append(']');
			return out;
		}
	}
}

function ruby(children: MfmNode[], o: MfmOptions): HTMLElement {
	const r = el('ruby');
	const rt = el('rt');
	const last = children.at(-1);
	if (children.length === 1 && last?.type === 'text') {
		const [base = '', ...over] = last.props.text.split(' ');
		r.append(base);
		rt.append(over.join(' '));
	} else {
		add(r, children.slice(0, -1), o);
		if (last) rt.append(last.type === 'text' ? last.props.text.trim() : build(last, o));
	}
	r.append(rt);
	return r;
}

function unixtime(children: MfmNode[]): HTMLElement {
	const first = children[0];
	const at = new Date(first?.type === 'text' ? Number.parseInt(first.props.text, 10) * 1000 : Number.NaN);
	const e = el('time', 'mfm-time');
	if (Number.isNaN(at.getTime())) {
		e.append('?');
		return e;
	}
	e.dateTime = at.toISOString();
	e.append(new Intl.DateTimeFormat(document.documentElement.lang || undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(at));
	return e;
}
