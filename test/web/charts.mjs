// Charts in a real browser. One line a step; the first failure ends it with 1.
//
// node charts.mjs ORIGIN ALICE
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, token] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const page = await person();
const chart = (name) => page.getByRole('figure', { name, exact: true });
/** The last row of a chart's table, and how many rows say that nothing was counted. */
const table = async (name) => {
	const rows = await chart(name).locator('tbody tr').evaluateAll((l) => l.map((r) => [...r.children].map((c) => c.textContent)));
	return { last: rows.at(-1), none: rows.filter((r) => r.slice(1).every((c) => /기록 없음|記録なし|not counted/.test(c))).length, all: rows.length };
};

await step('what was counted is drawn, and what was not is a gap and is said', async () => {
	for (let i = 0; i < 3; i++) await call(token, 'notes/create', { text: `오늘의 빵 ${i}` });
	// The numbers are folded from what has happened, a little later.
	for (let i = 0; i < 100 && (await call(null, 'charts/notes', { span: 'day', limit: 1 })).local.inc[0] < 3; i++) await new Promise((r) => { setTimeout(r, 200); });
	const guest = await person('en-US');
	await guest.goto('/about');
	await guest.getByRole('link', { name: 'Statistics' }).click();
	await guest.getByRole('figure', { name: 'New notes' }).waitFor();
	await guest.close();
	const { id } = await call(token, 'i');
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto('/admin');
	await page.getByRole('link', { name: '통계 보기' }).click();
	const c = chart('새 노트');
	await c.locator('svg .line').first().waitFor({ state: 'attached' });
	const t = await table('새 노트');
	assert(t.all === 30 && t.last[1] === '3' && t.last[2] === '0', `the table: ${JSON.stringify(t)}`);
	// It has counted today, and on no day of the four weeks before.
	assert(t.none >= 28, `${t.none} days without numbers`);
	await c.getByText(`${t.none}일은 서버가 세지 못했어요.`).waitFor();
	await c.locator('.field').scrollIntoViewIfNeeded();
	const [d, hole] = [await c.locator('.line.l0').getAttribute('d'), await c.locator('.hole').boundingBox()];
	assert(d.split('M').length === 2 && !d.includes('M0.0'), `the line goes through the gap: ${d}`);
	const field = await c.locator('.field svg').boundingBox();
	assert(hole.width > field.width * .8 && hole.x >= field.x - 1, `the gap is ${JSON.stringify(hole)}`);
	for (const name of ['활동한 사람', '계정', '연합한 서버', '연합 요청', '새 파일']) await chart(name).locator('svg .line').first().waitFor({ state: 'attached' });
});

await step('by hours, read by pointer and by keys', async () => {
	await page.getByText('시간별').click();
	const c = chart('새 노트');
	await c.getByText('시간은 서버가 세지 못했어요.').waitFor();
	assert((await table('새 노트')).all === 48, 'there are not 48 hours');
	await c.locator('.field').scrollIntoViewIfNeeded();
	const box = await c.locator('.field svg').boundingBox();
	await page.mouse.move(box.x + box.width - 1, box.y + 80);
	await c.locator('.legend b').first().waitFor();
	assert(await c.locator('.legend b').first().innerText() === (await table('새 노트')).last[1], 'the pointer reads another number');
	await c.locator('summary').focus();
	await page.keyboard.press('Enter');
	await c.getByRole('region', { name: '새 노트 표' }).waitFor();
	await page.keyboard.press('Tab');
	assert(await page.evaluate(() => document.activeElement.getAttribute('aria-label')) === '새 노트 표', 'the table cannot be scrolled by keys');
	await accessible(page, 'statistics');
	await page.keyboard.press('Shift+Tab');
	await page.keyboard.press('Enter');
	await page.getByText('날짜별').click();
	await chart('새 노트').getByText('일은 서버가 세지 못했어요.').waitFor();
	await shot(page, 'charts', 'ko');
	for (const lang of ['ja', 'en']) {
		await page.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
		await page.reload();
		await page.locator('svg .line').first().waitFor({ state: 'attached' });
		await shot(page, 'charts', lang, [[390, 'light']]);
	}
	await page.context().addCookies([{ name: 'lang', value: 'ko', url: origin }]);
});

await step('what somebody does is on the profile', async () => {
	await page.goto('/@alice');
	await page.getByRole('tab', { name: '활동' }).click();
	await chart('노트').locator('svg .line').first().waitFor({ state: 'attached' });
	assert((await table('노트')).last[1] === '3', JSON.stringify(await table('노트')));
	for (const name of ['팔로워', '프로필 조회']) await chart(name).locator('svg .line').first().waitFor({ state: 'attached' });
	await accessible(page, 'activity');
	await shot(page, 'activity', 'ko', [[1280, 'light'], [390, 'dark']]);
	await page.getByRole('tab', { name: '노트', exact: true }).click();
	await page.locator('article[data-note]', { hasText: '오늘의 빵 2' }).waitFor();
});

await browser.close();
