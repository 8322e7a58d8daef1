// Channels in a real browser: two people make, find, follow and write in one.
// One line a step; the first failure ends it with 1.
//
// node channels.mjs ORIGIN ALICE BORA
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, ta, tb] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const card = (page, text) => page.locator('article[data-note]', { hasText: text }).first();

async function enter(page, token, path) {
	const { id } = await call(token, 'i');
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto(path);
}
const choose = async (page, menu, item) => {
	await menu.click();
	await page.getByRole('menuitem', { name: item }).click();
};

const alice = await person();
const bora = await person('ko-KR', { viewport: { width: 390, height: 844 } });
let id = '';

await step('a channel is made', async () => {
	await enter(alice, ta, '/');
	await alice.getByRole('navigation', { name: '주 메뉴' }).getByRole('link', { name: '채널' }).click();
	await alice.getByText('아직 채널이 없어요.').waitFor();
	await alice.getByRole('link', { name: '새 채널' }).click();
	await alice.getByLabel('이름').fill('빵 굽는 사람들');
	await alice.getByLabel('소개').fill('**반죽**부터 오븐까지. #빵');
	await alice.getByLabel('색', { exact: true }).fill('#c98f4a');
	await accessible(alice, 'a new channel');
	await shot(alice, 'channel-new', 'ko', [[1280, 'light'], [390, 'dark']]);
	await alice.getByRole('button', { name: '만들기' }).click();
	await alice.getByRole('heading', { name: '빵 굽는 사람들', level: 2 }).waitFor();
	id = new URL(alice.url()).pathname.split('/')[2];
	const c = await call(null, 'channels/show', { channelId: id });
	assert(c.color === '#c98f4a' && c.description.startsWith('**반죽**'), JSON.stringify(c));
});

await step('it is found on a phone, followed and kept', async () => {
	await enter(bora, tb, '/settings');
	await bora.getByRole('link', { name: /채널/ }).click();
	await bora.getByLabel('채널 검색').fill('굽는');
	await bora.getByRole('link', { name: /빵 굽는 사람들/ }).click();
	await bora.getByRole('button', { name: '팔로우', exact: true }).click();
	await bora.getByRole('button', { name: '팔로잉' }).waitFor();
	await bora.getByRole('button', { name: '즐겨찾기' }).click();
	await bora.locator('button[aria-pressed="true"][aria-label="즐겨찾기"]').waitFor();
	await bora.goto('/channels');
	for (const tab of ['팔로우', '즐겨찾기']) {
		await bora.getByRole('tab', { name: tab }).click();
		await bora.getByRole('link', { name: /빵 굽는 사람들/ }).waitFor();
	}
	await accessible(bora, 'channels');
	await shot(bora, 'channels', 'ko', [[1280, 'light'], [390, 'dark']]);
	await bora.getByRole('tab', { name: '내 채널' }).click();
	await bora.getByText('내가 만든 채널이 없어요.').waitFor();
});

await step('what is written in it comes live, and stays in it', async () => {
	await bora.goto(`/channels/${id}`);
	await bora.getByRole('heading', { name: '빵 굽는 사람들', level: 2 }).waitFor();
	const main = alice.getByRole('main');
	await main.getByRole('textbox', { name: '내용' }).fill('오늘 식빵 잘 나왔어요');
	await main.getByText('빵 굽는 사람들 채널에 올려요.').waitFor();
	assert(await main.getByRole('button', { name: /공개 범위/ }).count() === 0, 'a channel asks how far a note goes');
	await main.getByRole('button', { name: '노트', exact: true }).click();
	await card(bora, '식빵').waitFor();
	await card(bora, '식빵').getByRole('button', { name: '답글' }).click();
	await bora.getByRole('dialog').getByRole('textbox', { name: '내용' }).fill('저도 굽고 싶어요');
	await bora.keyboard.press('Control+Enter');
	await card(alice, '저도 굽고').waitFor();
	for (const n of await call(ta, 'channels/timeline', { channelId: id, limit: 10 })) assert(n.channelId === id && n.localOnly && n.visibility === 'public', JSON.stringify(n));
	assert((await call(ta, 'notes/local-timeline', { limit: 10 })).length === 0, 'notes of the channel are in the local timeline');
	await accessible(alice, 'a channel');
	await shot(alice, 'channel');
});

await step('a follower has it at home, with the way to the channel', async () => {
	await call(ta, 'notes/create', { text: '호밀빵도 있어요', channelId: id });
	await bora.goto('/');
	const c = card(bora, '호밀빵');
	await c.waitFor();
	const link = c.getByRole('link', { name: '빵 굽는 사람들' });
	assert(await link.evaluate((a) => getComputedStyle(a).borderLeftColor) === 'rgb(201, 143, 74)', 'the channel has another colour');
	await accessible(bora, 'a note of a channel');
	await choose(bora, c.getByRole('button', { name: '리노트' }), '빵 굽는 사람들 채널에 리노트');
	await alice.getByText('님이 리노트').first().waitFor();
	await link.click();
	await bora.waitForURL(`**/channels/${id}`);
});

await step('its owner pins a note, and changes it', async () => {
	await choose(alice, card(alice, '식빵').getByRole('button', { name: '더 보기 메뉴' }), '채널에 고정하거나 풀기');
	await alice.getByText('채널에 고정했어요.').waitFor();
	await choose(alice, alice.getByRole('button', { name: '채널 메뉴' }), '채널 고치기');
	await alice.getByLabel('이름').fill('빵 굽는 집');
	await alice.getByLabel('채널 밖으로 리노트 허용').uncheck();
	await alice.getByRole('button', { name: '저장' }).click();
	await alice.getByRole('heading', { name: '빵 굽는 집', level: 2 }).waitFor();
	await alice.getByRole('region', { name: '고정된 노트' }).getByText('오늘 식빵').waitFor();
	const c = await call(null, 'channels/show', { channelId: id });
	assert(!c.allowRenoteToExternal && c.description !== null, JSON.stringify(c));
	await bora.reload();
	await card(bora, '식빵').waitFor();
	await card(bora, '호밀빵').getByRole('button', { name: '리노트' }).last().click();
	await bora.getByRole('menuitem', { name: '빵 굽는 집 채널에 인용' }).waitFor();
	assert(await bora.getByRole('menuitem', { name: /밖으로/ }).count() === 0, 'renotes outside are offered');
	await bora.keyboard.press('Escape');
});

await step('muted, it is said; and it is not the visitor who changes it', async () => {
	await choose(bora, bora.getByRole('button', { name: '채널 메뉴' }), '뮤트');
	await bora.getByText('뮤트한 채널').waitFor();
	assert((await call(tb, 'channels/mute/list')).length === 1, 'it is not muted');
	await bora.getByRole('button', { name: '채널 메뉴' }).click();
	assert(await bora.getByRole('menuitem', { name: '채널 고치기' }).count() === 0, 'somebody else may change it');
	await bora.getByRole('menuitem', { name: '뮤트 해제' }).click();
});

await step('archived, nothing more is written in it', async () => {
	await choose(alice, alice.getByRole('button', { name: '채널 메뉴' }), '보관하기');
	await alice.getByRole('dialog').getByRole('button', { name: '보관하기' }).click();
	await alice.getByText('보관된 채널이에요.').waitFor();
	assert(await alice.getByRole('main').getByRole('textbox').count() === 0, 'one may still write');
	await bora.reload();
	await bora.getByText('보관된 채널이에요.').waitFor();
	for (const lang of ['ja', 'en']) {
		await alice.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
		await alice.reload();
		await card(alice, '식빵').waitFor();
		await shot(alice, 'channel', lang, [[390, 'light']]);
	}
	await accessible(alice, 'an archived channel');
});

await step('a visitor reads it, too; one that is not there is said', async () => {
	const guest = await person('en-US');
	await guest.goto(`/channels/${id}`);
	await card(guest, '식빵').waitFor();
	await guest.goto('/channels/nosuchchannel');
	await guest.getByText('There is no such channel.').waitFor();
});

await browser.close();
