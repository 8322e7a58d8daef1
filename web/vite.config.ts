import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { build } from 'vite';
import { defineConfig, type Plugin } from 'vitest/config';
import { icons } from './src/icons.ts';

/**
 * virtual:icons is name → the path of a Tabler icon, for the names of
 * src/icons.ts only. An icon is one <path>, so that no sprite has to be fetched
 * before the first button has a picture.
 */
function iconPaths(): Plugin {
	return {
		name: 'icons',
		resolveId: (id) => (id === 'virtual:icons' ? '\0icons' : null),
		load(id) {
			if (id !== '\0icons') return null;
			const paths: Record<string, string> = {};
			for (const name of icons) {
				const svg = readFileSync(join(import.meta.dirname, 'node_modules/@tabler/icons/icons/outline', `${name}.svg`), 'utf8');
				paths[name] = [...svg.matchAll(/<path d="([^"]+)"/g)].map((m) => m[1]!.replace(/^m/, 'M')).join('');
			}
			return `export default ${JSON.stringify(paths)}`;
		},
	};
}

/**
 * virtual:emoji-ko is emoji → what it is called in Korean and is looked for by. It is asked for
 * when a Korean reader first opens the picker.
 */
function koreanEmoji(): Plugin {
	return {
		name: 'emoji-ko',
		resolveId: (id) => (id === 'virtual:emoji-ko' ? '\0emoji-ko' : null),
		load(id) {
			if (id !== '\0emoji-ko') return null;
			const all = JSON.parse(readFileSync(join(import.meta.dirname, 'node_modules/emojibase-data/ko/compact.json'), 'utf8')) as { unicode: string; label: string; tags?: string[] }[];
			return `export default ${JSON.stringify(Object.fromEntries(all.map((e) => [e.unicode.replaceAll('\ufe0f', ''), [e.label, ...(e.tags ?? [])]])))}`;
		},
	};
}

/** Compresses what is worth it beside the file: the server picks by Accept-Encoding. */
function compressed(): Plugin {
	return {
		name: 'compressed',
		apply: 'build',
		writeBundle({ dir }) {
			const from = join(dir!, 'assets');
			for (const name of readdirSync(from)) {
				if (!/\.(js|css|json|svg)$/.test(name)) continue;
				const path = join(from, name);
				if (statSync(path).size < 1024) continue;
				const raw = readFileSync(path);
				writeFileSync(`${path}.gz`, gzipSync(raw, { level: 9 }));
				writeFileSync(`${path}.br`, brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
			}
		},
	};
}

/** The service worker: one file beside the others, whose address never changes. */
function worker(): Plugin {
	return {
		name: 'worker',
		apply: 'build',
		async closeBundle() {
			await build({
				configFile: false,
				logLevel: 'warn',
				build: {
					outDir: 'dist/app', emptyOutDir: false, copyPublicDir: false, target: 'es2022', modulePreload: { polyfill: false },
					rolldownOptions: { input: 'src/worker/sw.ts', output: { format: 'iife', entryFileNames: 'sw.js' } },
				},
			});
		},
	};
}

export default defineConfig({
	plugins: [svelte(), iconPaths(), koreanEmoji(), compressed(), worker()],
	base: '/',
	// The tests render components: the browser's half of Svelte.
	resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
	build: {
		outDir: 'dist/app',
		emptyOutDir: true,
		target: 'es2022',
		manifest: true,
		modulePreload: { polyfill: false },
		// A data: address would be against the policy that the server sends.
		assetsInlineLimit: 0,
		rolldownOptions: { input: 'src/main.ts' },
	},
	test: { environment: 'jsdom', include: ['tests/**/*.test.ts'] },
});
