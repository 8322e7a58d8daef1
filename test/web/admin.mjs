// The page of those who look after the server, in a real browser. One line a
// step; the first failure ends it with 1. Screenshots go to build/shots.
//
// node admin.mjs ORIGIN BREAK ALICE BOB
// BREAK takes the key from the accounts' names (/break) and gives it back
// (/mend); ALICE is the administrator's token, BOB that of somebody else.
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, fault, root, bob] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const page = await person();

async function enter(token) {
	const { id } = await call(token, 'i');
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto('/admin');
}

await step('is not for everybody', async () => {
	await enter(bob);
	await page.getByText('서버를 관리하는 사람만 볼 수 있어요.').waitFor();
	await page.goto('/settings');
	await page.getByRole('navigation', { name: '설정 항목' }).getByRole('link', { name: '프로필' }).waitFor();
	assert(await page.getByRole('link', { name: '서버 관리' }).count() === 0, 'somebody else is shown the way');
});

await step('is found from the settings, and says that all is well', async () => {
	await enter(root);
	await page.goto('/settings');
	await page.getByRole('link', { name: '서버 관리' }).click();
	await page.getByText('문제없어요.').waitFor();
	await page.getByText('자동 백업이 꺼져 있어요.').waitFor();
	await page.getByText('0개 대기, 0개 나중에 다시').first().waitFor();
	await accessible(page, 'a server that is well');
});

await step('says what is wrong, and how to repair it', async () => {
	await fetch(`${fault}/break`, { method: 'POST' });
	await page.getByRole('button', { name: '지금 점검' }).click();
	await page.getByText('다른 서버에서 오는 것을 받지 않아요.').waitFor();
	await page.getByText('user.user_username_lower_host_key').waitFor();
	assert(/CREATE UNIQUE INDEX/.test(await page.locator('pre').first().innerText()), 'no statement repairs it');
	await shot(page, 'admin-stopped');
	await accessible(page, 'a server that takes nothing in');
	await fetch(`${fault}/mend`, { method: 'POST' });
	await page.getByRole('button', { name: '지금 점검' }).click();
	await page.getByText('문제없어요.').waitFor();
});

await step('tells of the search index, and has it compared', async () => {
	await page.getByText(/노트 \d+개를 찾을 수 있어요/).waitFor();
	await page.getByRole('button', { name: '확인하고 고치기' }).click();
	await page.getByText(/지난 확인: 빠진 노트 0개, 남은 노트 0개, 깨진 조각 0개/).waitFor({ timeout: 30_000 });
	await accessible(page, 'the search index');
});

await step('lets people in, and turns them down', async () => {
	await call(root, 'admin/update-meta', { approvalRequiredForSignup: true });
	for (const [username, reason] of [['noel', '빵을 좋아해요.'], ['spam1', 'buy']]) {
		const res = await fetch(`${origin}/api/signup`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password: `password of ${username}`, reason }) });
		assert(res.status === 204, `sign-up of ${username}: ${res.status}`);
	}
	await page.reload();
	const one = (name) => page.getByRole('listitem').filter({ hasText: `@${name}` });
	await one('noel').getByText('빵을 좋아해요.').waitFor();
	await shot(page, 'admin');
	for (const lang of ['ja', 'en']) {
		await page.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
		await page.reload();
		await one('noel').waitFor();
		await shot(page, 'admin', lang, [[1280, 'light'], [390, 'dark']]);
	}
	await page.context().addCookies([{ name: 'lang', value: 'ko', url: origin }]);
	await page.reload();
	await one('noel').getByRole('button', { name: '받아들이기' }).click();
	await page.getByText('@noel을(를) 받아들였어요.').waitFor();
	await one('spam1').getByRole('button', { name: '거절' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '거절' }).click();
	await page.getByText('@spam1의 신청을 거절했어요.').waitFor();
	assert(await page.getByRole('heading', { name: '기다리는 가입 신청' }).count() === 0, 'nobody waits, and the list is there');
	await call(null, 'users/show', { username: 'noel' });
});

await browser.close();
