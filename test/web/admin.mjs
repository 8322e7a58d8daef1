// The page of those who look after the server, in a real browser. One line a
// step; the first failure ends it with 1. Screenshots go to build/shots.
//
// node admin.mjs ORIGIN BREAK ALICE BOB
// BREAK takes the key from the accounts' names (/break) and gives it back
// (/mend), and is told by webhooks (/hook, /hooked); ALICE is the administrator's token, BOB that of somebody else.
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

await step('has addresses told of what happens, and tries them', async () => {
	await page.getByText('아직 웹훅이 없어요.').waitFor();
	await page.getByRole('button', { name: '웹훅 추가' }).click();
	const hooks = page.getByRole('region', { name: '웹훅', exact: true });
	await hooks.getByLabel('이름').fill('지킴이');
	await hooks.getByLabel('주소').fill(`${fault}/hook`);
	await hooks.getByLabel('비밀 값').fill('s3cret');
	await hooks.getByLabel('누가 가입했을 때').check();
	await accessible(page, 'a webhook that is written');
	await hooks.getByRole('button', { name: '저장' }).click();
	await hooks.getByText('아직 보낸 적이 없어요.').waitFor();
	await hooks.getByRole('button', { name: '지킴이 시험 보내기' }).click();
	await page.getByText('시험 메시지를 보냈어요.').waitFor();
	let heard = [];
	for (let end = Date.now() + 30_000, known = false; (heard.length < 2 || !known) && Date.now() < end;) {
		heard = await (await fetch(`${fault}/hooked`)).json();
		known = (await call(root, 'admin/system-webhook/list'))[0].latestStatus === 204;
		await page.waitForTimeout(100);
	}
	assert(heard.sort().join() === 'abuseReport s3cret,userCreated s3cret', `the address was told ${heard}`);
	await hooks.getByRole('button', { name: '지킴이 고치기' }).click();
	await hooks.getByRole('switch', { name: '켜기' }).uncheck();
	await hooks.getByRole('button', { name: '저장' }).click();
	await hooks.getByText('꺼짐').waitFor();
	await hooks.getByText('지난 응답 204').waitFor();
});

await step('says who is told of reports', async () => {
	const told = page.getByRole('region', { name: '신고를 누구에게 알릴지' });
	const add = async (name) => {
		await told.getByRole('button', { name: '받을 곳 추가' }).click();
		await told.getByLabel('이름').fill(name);
	};
	await add('대장');
	assert(await told.getByLabel('받을 사람').innerText() === '@alice', 'somebody else moderates');
	await told.getByRole('button', { name: '저장' }).click();
	await told.getByText('확인된 메일 주소가 없는 사람이에요.').waitFor();
	await told.getByText('웹훅', { exact: true }).click();
	await accessible(page, 'somebody who is to be told of reports');
	await told.getByRole('button', { name: '저장' }).click();
	await told.getByText('웹훅 · 지킴이').waitFor();
	await told.getByRole('switch', { name: '대장 켜기' }).uncheck();
	await page.waitForFunction(async () => {
		const { token } = JSON.parse(localStorage.getItem('account'));
		const res = await fetch('/api/admin/abuse-report/notification-recipient/list', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ i: token }) });
		return (await res.json())[0]?.isActive === false;
	});
	await shot(page, 'admin-hooks');
	await page.getByRole('button', { name: '지킴이 지우기' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '지우기' }).click();
	await page.getByText('아직 웹훅이 없어요.').waitFor();
	assert(await told.getByRole('switch').count() === 0, 'somebody is told by a webhook that is gone');
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
