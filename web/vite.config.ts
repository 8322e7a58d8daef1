import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
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

export default defineConfig({
	plugins: [svelte(), iconPaths(), compressed()],
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
