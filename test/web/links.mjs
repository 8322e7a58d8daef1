// Cards of links and translations in a real browser. One line a step; the first
// failure ends it with 1. Screenshots go to build/shots.
//
// node links.mjs ORIGIN ALICE BORA SITE
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, ta, tb, site] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const bora = await person();
const { id } = await call(tb, 'i');
await bora.goto('/');
await bora.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token: tb });
const write = async (text, more = {}) => (await call(ta, 'notes/create', { text, ...more })).createdNote.id;
const note = (i) => bora.locator(`article[data-note="${i}"]`).first();

await step('a link has a card, which moves nothing when it comes', async () => {
	const made = await write(`아침에 들렀던 곳이에요. ${site}/bread`);
	const silent = await write(`?[조용히](${site}/bread) 소개만 할게요.`);
	const missing = await write(`사라진 곳 ${site}/gone`);
	const warned = await write(`숨김 ${site}/bread`, { cw: '접음' });
	await bora.addInitScript(() => {
		globalThis.moved = 0;
		new PerformanceObserver((l) => { for (const e of l.getEntries()) globalThis.moved += e.sources.some((s) => s.node?.closest?.('article')) ? e.value : 0; }).observe({ type: 'layout-shift', buffered: true });
	});
	const answer = bora.waitForResponse((r) => r.url().includes('/url?') && r.status() === 200);
	await bora.goto('/timeline/local');
	const card = note(made).locator('.card');
	await card.waitFor();
	const before = (await card.boundingBox()).height;
	await answer;
	await card.getByRole('link', { name: '갓 구운 식빵, 매일 아침 일곱 시' }).waitFor();
	assert((await card.boundingBox()).height === before, 'the card grew');
	const img = card.locator('img');
	assert((await img.getAttribute('src')).startsWith(`${origin}/proxy/preview.webp?`), 'the picture is fetched elsewhere');
	await img.evaluate((i) => i.decode());
	assert(await card.getByRole('link').getAttribute('href') === `${site}/bread`, 'the card leads elsewhere');
	assert(await note(silent).locator('.card').count() === 0, 'a silent link has a card');
	assert(await note(warned).locator('.card').count() === 0, 'a closed note has a card');
	await note(missing).getByText('/gone').first().waitFor();
	const moved = await bora.evaluate(() => globalThis.moved);
	assert(moved < 0.02, `things moved by ${moved}`);
	await accessible(bora, 'a card');
	await shot(bora, 'link', 'ko', undefined, false);
});

await step('a picture that is not for all eyes is veiled; a player comes when it is pressed', async () => {
	const night = await write(`${site}/night`);
	const film = await write(`${site}/film`);
	await bora.goto(`/notes/${night}`);
	const veil = note(night).getByRole('button', { name: '눌러서 보기' });
	await veil.waitFor();
	assert(await note(night).locator('img.veiled').count() === 1, 'it is not veiled');
	await veil.click();
	assert(await note(night).locator('img.veiled').count() === 0, 'it stays veiled');
	await bora.goto(`/notes/${film}`);
	const play = note(film).getByRole('button', { name: '빵 굽는 영상 재생' });
	await play.waitFor();
	assert(await bora.locator('iframe').count() === 0, 'a frame nobody asked for');
	const page = bora.waitForResponse((r) => r.url().startsWith(`${origin}/url/player?`));
	await play.click();
	const res = await page;
	assert(res.status() === 200 && res.headers()['content-security-policy'].includes('frame-src https:'), `the player's page: ${res.status()}`);
	await bora.frameLocator('iframe').locator('iframe[src^="https://player.example/1"]').waitFor();
	await note(film).getByRole('button', { name: '플레이어 닫기' }).click();
	assert(await bora.locator('iframe').count() === 0, 'the frame stays');
});

await step('a note is translated', async () => {
	const made = await write('Fresh bread today');
	const busy = await write('The baker is busy');
	const ask = async (i) => {
		await bora.goto(`/notes/${i}`);
		await note(i).getByRole('button', { name: '더 보기 메뉴' }).click();
		await bora.getByRole('menuitem', { name: '번역' }).click();
	};
	await ask(made);
	await note(made).getByText('오늘의 신선한 빵').waitFor();
	await note(made).getByText('영어에서 번역했어요').waitFor();
	await accessible(bora, 'a translation');
	await shot(bora, 'translation', 'ko', undefined, false);
	await note(made).getByRole('button', { name: '번역 닫기' }).click();
	assert(await note(made).getByText('오늘의 신선한 빵').count() === 0, 'it stays');
	await ask(busy);
	await note(busy).getByText('지금은 번역할 수 없어요.').waitFor();
	await note(busy).getByRole('button', { name: '다시 해 보기' }).waitFor();
});

await browser.close();
