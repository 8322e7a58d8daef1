// The search page in a real browser. One line a step; the first failure ends it
// with 1. Screenshots go to build/shots.
//
// node search.mjs ORIGIN ALICE
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, alice] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const page = await person();
const notes = () => page.locator('[role=feed] article');
const texts = async () => (await notes().locator('div.text').allInnerTexts()).map((s) => s.trim());
const filter = (name) => page.getByRole('group', { name: '거르기' }).getByRole('button', { name });
const field = page.getByRole('searchbox');

async function shows(...want) {
	for (let i = 0; i < 100; i++) {
		if (JSON.stringify(await texts()) === JSON.stringify(want)) return;
		await page.waitForTimeout(100);
	}
	assert(false, `shows ${JSON.stringify(await texts())}, not ${JSON.stringify(want)}`);
}

await step('a guest finds what is public', async () => {
	await page.goto('/');
	await page.getByRole('navigation', { name: '주 메뉴' }).getByRole('link', { name: '검색' }).click();
	await page.getByText('공개된 노트와 내 노트, 나에게 온 노트를 찾아요.').waitFor();
	await field.fill('버터');
	await shows('버터를 녹여 바른 Toast', '버터롤이 다 구워졌어요');
	assert(new URL(page.url()).searchParams.get('q') === '버터', 'the address does not say what was looked for');
	assert(await page.getByRole('button', { name: '내 노트' }).count() === 0, 'a guest has notes');
	const marked = await page.evaluate(() => [...CSS.highlights.get('found')].map((r) => r.toString()));
	assert(JSON.stringify(marked) === JSON.stringify(['버터', '버터']), `marked: ${marked}`);
	await shot(page, 'search');
	await accessible(page, 'hits');
});

await step('what is typed is read as it is typed, and can be taken apart', async () => {
	await field.fill('버터 -toast');
	await field.press('Enter');
	await shows('버터롤이 다 구워졌어요');
	const parts = page.getByRole('list', { name: '이렇게 찾았어요' });
	await parts.getByRole('button', { name: '-toast 빼기' }).click();
	await shows('버터를 녹여 바른 Toast', '버터롤이 다 구워졌어요');
	assert(await field.inputValue() === '버터', 'the field says something else');
	await field.fill('버터 from:nobody');
	await page.getByText('모르는 이름이에요').first().waitFor();
	await page.getByText('찾은 노트가 없어요.').last().waitFor();
});

await step('a syllable that is being composed is looked for, and left alone', async () => {
	await field.fill('');
	await field.focus();
	const cdp = await page.context().newCDPSession(page);
	await cdp.send('Input.imeSetComposition', { text: '호밀', selectionStart: 2, selectionEnd: 2 });
	await shows('호밀빵은 내일');
	assert(await page.evaluate(() => document.activeElement?.getAttribute('type')) === 'search', 'the field lost what was being written');
	await cdp.send('Input.insertText', { text: '호밀빵' });
	await page.waitForTimeout(500);
	assert(await field.inputValue() === '호밀빵', `the field says ${await field.inputValue()}`);
	await shows('호밀빵은 내일');
});

await step('one finds the own, by filters, from a day on, and the oldest first', async () => {
	const { id } = await call(alice, 'i');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token: alice });
	await page.goto('/search?q=%EB%B9%84%EB%B0%80');
	await shows('비밀 반죽');
	await page.getByRole('button', { name: '비밀 빼기' }).click();
	await filter('내 노트').click();
	await shows('비밀 반죽', '호밀빵은 내일', '버터를 녹여 바른 Toast', '버터롤이 다 구워졌어요');
	await filter('투표').click();
	await shows('호밀빵은 내일');
	await filter('투표').click();
	await page.getByRole('button', { name: '새 노트부터' }).click();
	await shows('버터롤이 다 구워졌어요', '버터를 녹여 바른 Toast', '호밀빵은 내일', '비밀 반죽');
	await page.getByRole('button', { name: '옛 노트부터' }).click();
	await page.getByLabel('이 날부터 거슬러').fill('2020-01-31');
	await page.getByText('찾은 노트가 없어요.').last().waitFor();
	await page.getByRole('button', { name: '날짜 지우기' }).click();
	await shows('비밀 반죽', '호밀빵은 내일', '버터를 녹여 바른 Toast', '버터롤이 다 구워졌어요');
	await page.getByText('검색 방법').click();
	await shot(page, 'search-own');
	await accessible(page, 'own notes and help');
});

await step('more comes by pages, and what is deleted goes', async () => {
	for (let i = 1; i <= 25; i++) await call(alice, 'notes/create', { text: `식빵 ${i}` });
	await call(null, 'oven/settle');
	await field.fill('식빵');
	await page.getByRole('button', { name: '더 보기', exact: true }).click();
	for (let i = 0; i < 100 && await notes().count() < 25; i++) await page.waitForTimeout(100);
	assert(await notes().count() === 25, `${await notes().count()} notes of 25`);
	assert(await page.getByRole('button', { name: '더 보기', exact: true }).count() === 0, 'there is more');
	const { createdNote } = await call(alice, 'notes/create', { text: '식빵 끝' });
	await call(null, 'oven/settle');
	await field.press('Enter');
	await page.getByText('식빵 끝').waitFor();
	await call(alice, 'notes/delete', { noteId: createdNote.id });
	await page.getByText('식빵 끝').waitFor({ state: 'detached' });
});

await step('on a phone, in Japanese', async () => {
	const phone = await person('ja-JP', { viewport: { width: 390, height: 844 } });
	await phone.goto('/search?q=%EB%B2%84%ED%84%B0');
	await phone.locator('[role=feed] article').nth(1).waitFor();
	await phone.getByRole('searchbox', { name: '何を探しますか？' }).waitFor();
	await shot(phone, 'search-phone');
	await accessible(phone, 'a phone');
});

await step('who may not search is told so', async () => {
	await call(alice, 'admin/roles/update-default-policies', { policies: { canSearchNotes: false } });
	await page.goto('/search?q=%EB%B2%84%ED%84%B0');
	await page.getByText('이 서버에서는 노트를 검색할 수 없어요.').waitFor();
});

await browser.close();
