/**
 * QR codes (ISO/IEC 18004) of texts in bytes, with error correction M, which
 * is what phones read from screens with. It gives rows of dark and light.
 */

// Of level M, by version: correction bytes of a block, and blocks.
const correction = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28];
const blockCount = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49];

/** How many bytes a version has for data and correction together. */
function capacity(version: number): number {
	let bits = (16 * version + 128) * version + 64;
	if (version >= 2) {
		const n = Math.floor(version / 7) + 2;
		bits -= (25 * n - 10) * n - 55;
		if (version >= 7) bits -= 36;
	}
	return bits >> 3;
}

const dataSize = (version: number): number => capacity(version) - correction[version - 1]! * blockCount[version - 1]!;

/** Multiplies in GF(2^8) with the polynomial 0x11d. */
function times(a: number, b: number): number {
	let z = 0;
	for (let i = 7; i >= 0; i--) {
		z = (z << 1) ^ ((z >>> 7) * 0x11d);
		z ^= ((b >>> i) & 1) * a;
	}
	return z;
}

function generator(degree: number): number[] {
	const g = Array<number>(degree).fill(0).with(-1, 1);
	let root = 1;
	for (let i = 0; i < degree; i++) {
		for (let j = 0; j < degree; j++) g[j] = times(g[j]!, root) ^ (j + 1 < degree ? g[j + 1]! : 0);
		root = times(root, 2);
	}
	return g;
}

function remainder(data: number[], divisor: number[]): number[] {
	const r = divisor.map(() => 0);
	for (const b of data) {
		const factor = b ^ r.shift()!;
		r.push(0);
		divisor.forEach((d, i) => { r[i]! ^= times(d, factor); });
	}
	return r;
}

/** The bytes that are drawn: data and correction, block by block interleaved. */
function codewords(bytes: Uint8Array, version: number): number[] {
	const bits: number[] = [];
	const put = (value: number, n: number): void => { for (let i = n - 1; i >= 0; i--) bits.push((value >>> i) & 1); };
	const size = dataSize(version);
	put(4, 4); // bytes
	put(bytes.length, version < 10 ? 8 : 16);
	for (const b of bytes) put(b, 8);
	put(0, Math.min(4, size * 8 - bits.length));
	put(0, (8 - bits.length % 8) % 8);
	for (let pad = 0xec; bits.length < size * 8; pad ^= 0xec ^ 0x11) put(pad, 8);
	const data = Array.from({ length: size }, (_, i) => bits.slice(i * 8, i * 8 + 8).reduce((v, b) => v << 1 | b, 0));

	const n = blockCount[version - 1]!;
	const ecc = correction[version - 1]!;
	const all = capacity(version);
	const short = Math.floor(all / n) - ecc;
	const shorts = n - all % n;
	const g = generator(ecc);
	const blocks: { data: number[]; ecc: number[] }[] = [];
	for (let i = 0, at = 0; i < n; i++) {
		const length = short + (i < shorts ? 0 : 1);
		const part = data.slice(at, at + length);
		at += length;
		blocks.push({ data: part, ecc: remainder(part, g) });
	}
	const out: number[] = [];
	for (let i = 0; i <= short; i++) for (const b of blocks) if (i < b.data.length) out.push(b.data[i]!);
	for (let i = 0; i < ecc; i++) for (const b of blocks) out.push(b.ecc[i]!);
	return out;
}

/** Where the small squares lie that help to straighten the picture. */
function alignments(version: number): number[] {
	if (version === 1) return [];
	const n = Math.floor(version / 7) + 2;
	const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (n * 2 - 2)) * 2;
	const out = [6];
	for (let at = version * 4 + 10; out.length < n; at -= step) out.splice(1, 0, at);
	return out;
}

const masks: ((x: number, y: number) => boolean)[] = [
	(x, y) => (x + y) % 2 === 0, (_, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
	(x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => x * y % 2 + x * y % 3 === 0,
	(x, y) => (x * y % 2 + x * y % 3) % 2 === 0, (x, y) => ((x + y) % 2 + x * y % 3) % 2 === 0,
];

/** The code of a text as rows of modules, true is dark. */
export function qr(text: string): boolean[][] {
	const bytes = new TextEncoder().encode(text);
	let version = 1;
	while (dataSize(version) < bytes.length + (version < 10 ? 2 : 3)) if (++version > 40) throw new RangeError('too long for a QR code');
	const size = version * 4 + 17;
	const dark = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
	const fixed = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
	const set = (x: number, y: number, v: boolean): void => {
		if (x < 0 || y < 0 || x >= size || y >= size) return;
		dark[y]![x] = v;
		fixed[y]![x] = true;
	};

	for (let i = 0; i < size; i++) {
		set(6, i, i % 2 === 0);
		set(i, 6, i % 2 === 0);
	}
	for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) {
		for (let dy = -4; dy <= 4; dy++) {
			for (let dx = -4; dx <= 4; dx++) {
				const d = Math.max(Math.abs(dx), Math.abs(dy));
				set(cx + dx, cy + dy, d !== 2 && d !== 4);
			}
		}
	}
	const at = alignments(version);
	for (const [i, x] of at.entries()) {
		for (const [j, y] of at.entries()) {
			if ((i === 0 && j === 0) || (i === 0 && j === at.length - 1) || (i === at.length - 1 && j === 0)) continue;
			for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
		}
	}
	if (version >= 7) {
		let rest = version;
		for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
		const bits = version << 12 | rest;
		for (let i = 0; i < 18; i++) {
			const v = ((bits >>> i) & 1) === 1;
			set(size - 11 + i % 3, Math.floor(i / 3), v);
			set(Math.floor(i / 3), size - 11 + i % 3, v);
		}
	}
	const format = (mask: number): void => {
		let rest = mask; // level M is 00
		for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
		const bits = (mask << 10 | rest) ^ 0x5412;
		const bit = (i: number): boolean => ((bits >>> i) & 1) === 1;
		for (let i = 0; i <= 5; i++) set(8, i, bit(i));
		set(8, 7, bit(6));
		set(8, 8, bit(7));
		set(7, 8, bit(8));
		for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
		for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
		for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
		set(8, size - 8, true);
	};
	format(0);

	const words = codewords(bytes, version);
	let i = 0;
	for (let right = size - 1; right >= 1; right -= 2) {
		if (right === 6) right = 5;
		for (let step = 0; step < size; step++) {
			for (let j = 0; j < 2; j++) {
				const x = right - j;
				const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
				if (fixed[y]![x] || i >= words.length * 8) continue;
				dark[y]![x] = ((words[i >>> 3]! >>> (7 - (i & 7))) & 1) === 1;
				i++;
			}
		}
	}

	const turn = (mask: number): void => {
		for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (!fixed[y]![x] && masks[mask]!(x, y)) dark[y]![x] = !dark[y]![x];
	};
	let best = 0;
	let least = Infinity;
	for (let mask = 0; mask < 8; mask++) {
		turn(mask);
		format(mask);
		const p = penalty(dark);
		if (p < least) [best, least] = [mask, p];
		turn(mask);
	}
	turn(best);
	format(best);
	return dark;
}

/** How hard a picture is to read: long runs, blocks of one shade, what looks like a corner, more of one shade than of the other. */
function penalty(m: boolean[][]): number {
	const size = m.length;
	let p = 0;
	let darks = 0;
	for (const across of [true, false]) {
		for (let a = 0; a < size; a++) {
			let line = '';
			for (let b = 0; b < size; b++) line += (across ? m[a]![b] : m[b]![a]) ? '1' : '0';
			for (const run of line.match(/0{5,}|1{5,}/g) ?? []) p += run.length - 2;
			for (const look of ['10111010000', '00001011101']) for (let at = line.indexOf(look); at >= 0; at = line.indexOf(look, at + 1)) p += 40;
			if (across) darks += line.replaceAll('0', '').length;
		}
	}
	for (let y = 0; y + 1 < size; y++) {
		for (let x = 0; x + 1 < size; x++) {
			const v = m[y]![x];
			if (v === m[y]![x + 1] && v === m[y + 1]![x] && v === m[y + 1]![x + 1]) p += 3;
		}
	}
	return p + Math.floor(Math.abs(darks * 20 - size * size * 10) / (size * size)) * 10;
}

/** The same as the path of an SVG, one unit a module. */
export function qrPath(rows: boolean[][]): string {
	let d = '';
	for (const [y, row] of rows.entries()) {
		for (let x = 0; x < row.length; x++) {
			if (!row[x]) continue;
			let to = x;
			while (row[to + 1]) to++;
			d += `M${x} ${y}h${to - x + 1}v1H${x}z`;
			x = to;
		}
	}
	return d;
}
