// Custom emoji in a real browser: read, picked, proposed while writing, and
// looked after. One line a step; the first failure ends it with 1.
//
// node emoji.mjs ORIGIN ALICE BORA FILES NOTE HOST
// ALICE is the administrator's token; FILES a directory with a picture and an
// archive; NOTE has a reaction of the server HOST.
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, alice, bora, files, noteId, host] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const card = (page, text) => page.locator('article[data-note]', { hasText: text }).first();
const button = (page, name) => page.getByRole('button', { name, exact: true });

async function enter(page, token, path) {
	const { id } = await call(token, 'i');
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto(path);
}
async function speak(page, lang) {
	await page.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
	await page.reload();
}

const root = await person();
const page = await person();

await step('an administrator adds one from a picture', async () => {
	await enter(root, alice, '/settings');
	await root.getByRole('link', { name: '이모지 관리' }).click();
	await root.getByText('모두 5,000개').waitFor();
	await root.getByLabel('이모지 추가').setInputFiles(`${files}/Fresh Bread.png`);
	const d = root.getByRole('dialog');
	await d.waitFor();
	assert(await d.getByLabel('이름', { exact: true }).inputValue() === 'fresh_bread', 'the name is not taken from the file');
	await d.getByLabel('범주').fill('빵');
	await d.getByLabel('별칭', { exact: true }).fill('식빵, 갓구운빵');
	await d.getByLabel('라이선스').fill('CC0');
	await accessible(root, 'the form of an emoji');
	await d.getByRole('button', { name: '저장' }).click();
	await d.waitFor({ state: 'detached' });
	const e = await call(null, 'emoji', { name: 'fresh_bread' });
	assert(e.category === '빵' && e.aliases.join() === '식빵,갓구운빵' && e.license === 'CC0', JSON.stringify(e));
});

await step('emoji stand in names, texts and reactions, from here and elsewhere', async () => {
	await call(bora, 'i/update', { name: '하늘 :fresh_bread:' });
	const { id } = (await call(bora, 'notes/create', { text: '오늘의 :fresh_bread: 그리고 :nothing_such:' })).createdNote;
	await call(bora, 'notes/create', { renoteId: id, text: '인용이에요' });
	await call(alice, 'notes/reactions/create', { noteId: id, reaction: ':fresh_bread:' });
	await enter(page, bora, '/timeline/local');
	const c = page.locator(`article[data-note="${id}"]`);
	await c.locator('.text img[alt=":fresh_bread:"]').waitFor();
	await c.locator('.who img[alt=":fresh_bread:"]').waitFor();
	await c.locator('.chip img[alt=":fresh_bread:"]').waitFor();
	await c.getByText(':nothing_such:').waitFor();
	await card(page, '인용이에요').locator('.qtext img[alt=":fresh_bread:"]').waitFor();
	const far = page.locator(`article[data-note="${noteId}"] .chip`, { has: page.locator('img[alt=":far_bread:"]') });
	await far.waitFor();
	assert(await far.isDisabled(), 'a reaction that this server has no emoji for can be pressed');
});

await step('thousands are picked from, and only those in sight are there', async () => {
	await card(page, '먼 곳에서도').getByRole('button', { name: '리액션' }).click();
	const d = page.getByRole('dialog');
	await button(d, ':many_0:').waitFor();
	const there = await d.getByRole('button').count();
	assert(there > 40 && there < 400, `${there} buttons`);
	await d.getByRole('searchbox').fill('many_7');
	assert(await button(d, ':many_7: (열람 주의)').locator('img').evaluate((i) => getComputedStyle(i).filter) === 'blur(5px)', 'a sensitive one is shown');
	await d.getByRole('searchbox').fill('many_8');
	await button(d, ':many_80:').waitFor();
	assert(await button(d, ':many_8:').count() === 0, 'one for a role is offered to others');
	await d.getByRole('combobox', { name: '범주' }).selectOption('묶음 24');
	await button(d, ':many_4801:').waitFor();
	await d.getByRole('group', { name: '범주' }).getByRole('button', { name: '깃발' }).click();
	await d.getByRole('heading', { name: '깃발' }).waitFor();
	await accessible(page, 'the picker');
	await shot(page, 'emoji-picker', 'ko', [[1280, 'light'], [390, 'dark']], false);
});

await step('searched by alias, moved in by arrows, and what was used last comes first', async () => {
	const d = page.getByRole('dialog');
	await d.getByRole('searchbox').fill('갓구운');
	await button(d, ':fresh_bread:').waitFor();
	await d.getByRole('searchbox').fill('many_4');
	await button(d, ':many_4:').waitFor();
	await page.keyboard.press('ArrowDown');
	await page.keyboard.press('ArrowRight');
	assert(await page.evaluate(() => document.activeElement.dataset.place) === '0 1', 'the arrow does not move');
	await page.keyboard.press('ArrowDown');
	assert(await page.evaluate(() => document.activeElement.dataset.place) === '1 1', 'the arrow does not go down');
	const name = await page.evaluate(() => document.activeElement.getAttribute('aria-label'));
	await page.keyboard.press('Enter');
	await card(page, '먼 곳에서도').locator(`.chip[aria-pressed="true"] img[alt="${name}"]`).waitFor();
	await card(page, '먼 곳에서도').getByRole('button', { name: '리액션' }).click();
	const recent = d.getByRole('heading', { name: '최근' });
	await recent.waitFor();
	assert(await d.locator('[data-place="1 0"]').getAttribute('aria-label') === name, 'the last one is not the first');
	await d.getByRole('searchbox').fill('웃는');
	await button(d, 'grinning').waitFor();
});

await step('one that comes is there at once, and one that goes is not', async () => {
	const d = page.getByRole('dialog');
	await d.getByRole('searchbox').fill('rye');
	await page.getByText('이모지가 없어요').or(d.locator('[data-place]')).first().waitFor();
	assert(await button(d, ':rye_new:').count() === 0, 'it is there before it is made');
	const { fileId } = { fileId: (await call(alice, 'drive/stream', { limit: 1 }))[0].id };
	const { id } = await call(alice, 'admin/emoji/add', { name: 'rye_new', fileId });
	await button(d, ':rye_new:').waitFor();
	await call(alice, 'admin/emoji/update', { id, name: 'rye_old' });
	await button(d, ':rye_old:').waitFor();
	await button(d, ':rye_new:').waitFor({ state: 'detached' });
	await call(alice, 'admin/emoji/delete', { id });
	await button(d, ':rye_old:').waitFor({ state: 'detached' });
	await page.keyboard.press('Escape');
});

await step('proposed while one writes: emoji, people, tags; not within words and times', async () => {
	await call(alice, 'notes/create', { text: '#빵굽기 시작' });
	await page.goto('/timeline/local');
	await card(page, '#빵굽기').waitFor();
	await page.keyboard.press('KeyN');
	const d = page.getByRole('dialog');
	const field = d.getByRole('textbox', { name: '내용' });
	await field.pressSequentially('좋은 :fresh');
	await d.getByRole('option', { name: ':fresh_bread:' }).waitFor();
	await accessible(page, 'proposals');
	await shot(page, 'emoji-propose', 'ko', [[1280, 'light'], [390, 'dark']], false);
	await page.keyboard.press('Enter');
	assert(await field.inputValue() === '좋은 :fresh_bread:', await field.inputValue());
	await field.pressSequentially(' @ali');
	await d.getByRole('option', { name: /@alice/ }).waitFor();
	await page.keyboard.press('Tab');
	await field.pressSequentially('#빵');
	await d.getByRole('option', { name: '#빵굽기' }).click();
	assert(await field.inputValue() === '좋은 :fresh_bread: @alice #빵굽기 ', await field.inputValue());
	for (const text of ['12:30', ' a@bora']) {
		await field.pressSequentially(text);
		await page.waitForTimeout(500);
		assert(await d.getByRole('option').count() === 0, `something is proposed for ${text}`);
	}
	await field.pressSequentially(' :fresh');
	await d.getByRole('option').first().waitFor();
	await page.keyboard.press('Escape');
	await d.getByRole('option').first().waitFor({ state: 'detached' });
	assert(await d.isVisible(), 'the escape closed the dialog, too');
	await page.keyboard.press('Escape');
});

await step('a syllable under way is proposed for, and not broken', async () => {
	await page.keyboard.press('KeyN');
	const d = page.getByRole('dialog');
	const field = d.getByRole('textbox', { name: '내용' });
	await field.fill('');
	await field.pressSequentially(':');
	const cdp = await page.context().newCDPSession(page);
	for (const text of ['ㅅ', '시', '식', '식ㅃ', '식빠', '식빵']) await cdp.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
	await d.getByRole('option', { name: ':fresh_bread:' }).waitFor();
	// The Enter that ends a syllable is the input method's.
	await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Process', code: 'Enter', windowsVirtualKeyCode: 229 });
	assert(await field.inputValue() === ':식빵', `while composing: ${await field.inputValue()}`);
	await cdp.send('Input.insertText', { text: '식빵' });
	await d.getByRole('option', { name: ':fresh_bread:' }).waitFor();
	await page.keyboard.press('Enter');
	assert(await field.inputValue() === ':fresh_bread:', await field.inputValue());
	await field.fill('');
	await page.keyboard.press('Escape');
});

await step('everybody may look at all of them', async () => {
	await page.goto('/about');
	await page.getByRole('link', { name: '이모지', exact: true }).click();
	await page.getByText('이모지 5001개').waitFor();
	await page.getByRole('searchbox').fill('식빵');
	await button(page, ':fresh_bread:').click();
	const d = page.getByRole('dialog');
	await d.getByText('CC0').waitFor();
	await d.getByText('식빵, 갓구운빵').waitFor();
	await accessible(page, 'an emoji');
	await d.getByRole('button', { name: '닫기' }).click();
	await page.getByRole('searchbox').fill('');
	await button(page, ':many_0:').waitFor();
	await accessible(page, 'all emoji');
	await shot(page, 'emoji-all', 'ko', [[1280, 'light'], [390, 'dark']]);
	await page.goto('/about');
	await page.getByText('가입한 사람').waitFor();
	await accessible(page, 'about the server');
});

await step('many are changed at once', async () => {
	await root.goto('/admin/emojis');
	await root.getByRole('searchbox', { name: '이름' }).fill('many_499');
	await root.getByText('모두 11개').waitFor();
	await root.getByLabel('이 쪽의 모두 고르기').check();
	const bulk = root.getByRole('form', { name: '11개 고름' });
	await bulk.getByLabel('범주').fill('새 범주');
	await accessible(root, 'the table of emoji');
	await shot(root, 'emoji-admin', 'ko');
	await bulk.getByRole('button', { name: '하기' }).click();
	await root.getByText('이모지 11개를 바꿨어요.').waitFor();
	assert((await call(null, 'emoji', { name: 'many_4990' })).category === '새 범주', 'the category is not set');
	await root.getByLabel('many_499 고르기').check();
	await root.getByLabel('할 일').selectOption('별칭 더하기');
	await root.getByLabel('별칭').fill('하나 둘');
	await root.getByRole('button', { name: '하기' }).click();
	await root.getByText('이모지 1개를 바꿨어요.').waitFor();
	assert((await call(null, 'emoji', { name: 'many_499' })).aliases.join() === '수많은499,하나,둘', 'aliases are not added');
	await root.getByLabel('many_4999 고르기').check();
	await root.getByLabel('할 일').selectOption('삭제');
	await root.getByRole('button', { name: '하기' }).click();
	await root.getByRole('dialog').getByRole('button', { name: '삭제' }).click();
	await root.getByText('모두 10개').waitFor();
});

await step('pages are turned, and one is changed, for a role', async () => {
	await root.getByRole('searchbox', { name: '이름' }).fill('many_');
	await root.getByText('1 / 100').waitFor();
	await root.getByRole('button', { name: '다음' }).click();
	await root.getByText('2 / 100').waitFor();
	await root.getByRole('searchbox', { name: '이름' }).fill('fresh_bread');
	await root.getByRole('button', { name: 'fresh_bread 고치기' }).click();
	const d = root.getByRole('dialog');
	await d.getByLabel('제빵사').check();
	await d.getByLabel('열람 주의').check();
	await d.getByRole('button', { name: '저장' }).click();
	await d.waitFor({ state: 'detached' });
	await root.getByText('역할 제한').waitFor();
	const e = await call(null, 'emoji', { name: 'fresh_bread' });
	assert(e.isSensitive && e.roleIdsThatCanBeUsedThisEmojiAsReaction.length === 1, JSON.stringify(e));
	await speak(root, 'ja');
	await root.getByText('全5,000個').waitFor();
	await shot(root, 'emoji-admin', 'ja', [[390, 'light']], false);
	await speak(root, 'en');
	await root.getByText('5,000 in all').waitFor();
	await shot(root, 'emoji-admin', 'en', [[1280, 'light']], false);
	await speak(root, 'ko');
});

await step('taken over from another server, and from an archive; and packed into one', async () => {
	await root.getByRole('tab', { name: '다른 서버' }).click();
	await root.getByRole('searchbox', { name: '서버' }).fill(host.split(':')[0]);
	await root.getByText(host).waitFor();
	await root.getByRole('button', { name: 'far_bread 가져오기' }).click();
	await root.getByText('far_bread을(를) 가져왔어요.').waitFor();
	assert((await call(null, 'emoji', { name: 'far_bread' })).host === null, 'it is not of this server');
	await root.getByRole('tab', { name: '이 서버' }).click();
	await root.getByLabel('ZIP 가져오기').and(root.locator('input')).setInputFiles(`${files}/모음.zip`);
	await root.getByRole('dialog').getByRole('button', { name: 'ZIP 가져오기' }).click();
	await root.getByText('가져오기를 시작했어요.').waitFor();
	let there = false;
	for (let i = 0; i < 100 && !there; i++) {
		await new Promise((r) => { setTimeout(r, 200); });
		there = (await call(null, 'emojis')).emojis.some((e) => e.name === 'zipped' && e.category === '꾸러미');
	}
	assert(there, 'what is in the archive is not there');
	await root.getByRole('button', { name: '내보내기' }).click();
	await root.getByText('내보내기를 시작했어요.').waitFor();
});

await step('is not for everybody', async () => {
	await page.goto('/custom-emojis-manager');
	await page.getByText('이모지를 관리하는 사람만 볼 수 있어요.').waitFor();
});

await browser.close();
