// Showing that one is a person, in a real browser. One line a step; the first failure
// ends it with 1.
//
// node captcha.mjs ORIGIN TOKEN ASKER
// TOKEN is the administrator's, ASKER the address of a server of mCaptcha.
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, root, asker] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const page = await person();
const create = page.getByRole('button', { name: '계정 만들기' });
const enter = page.getByRole('button', { name: '로그인', exact: true });
const outer = (name) => page.frameLocator(`iframe[src="/captcha?of=${name}"]`);

await step('the keys are tried before they are kept', async () => {
	await call(root, 'admin/captcha/save', { provider: 'mcaptcha', sitekey: 'the site', secret: 'hush', instanceUrl: asker, captchaResult: 'right' });
	await call(root, 'admin/update-meta', { enableTestcaptcha: true });
});

await step('sign up, asked twice', async () => {
	await page.goto('/signup');
	await page.getByLabel('사용자 이름').fill('bora');
	await page.getByLabel('비밀번호').fill('password');
	await page.getByText('쓸 수 있는 이름').waitFor();
	await shot(page, 'captcha');
	await accessible(page, 'signing up with captchas');
	assert(await create.isDisabled(), 'the button waits');
	await outer('testcaptcha').getByRole('button', { name: '사람인지 확인' }).click();
	assert(await create.isDisabled(), 'the button waits for the other');
	await outer('mcaptcha').frameLocator('iframe').getByRole('button', { name: 'the site' }).click();
	await create.click({ delay: 150 }); // as a finger does: nothing may move away from under it
	await page.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
});

await step('sign in, asked again after a wrong password', async () => {
	await page.evaluate(() => { localStorage.clear(); document.cookie = 'client=0; max-age=0; path=/'; });
	await page.goto('/signin');
	await page.getByLabel('사용자 이름').fill('bora');
	await page.getByRole('button', { name: '다음' }).click();
	for (const password of ['wrong', 'password']) {
		await page.getByLabel('비밀번호').fill(password);
		await outer('mcaptcha').frameLocator('iframe').getByRole('button').click();
		await outer('testcaptcha').getByRole('button').click();
		await enter.click({ delay: 150 });
		if (password === 'wrong') {
			await page.getByText('비밀번호가 맞지 않').waitFor();
			assert(await enter.isDisabled(), 'an answer is good for once');
		}
	}
	await page.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
});

await step('without JavaScript it says so', async () => {
	const html = await (await fetch(`${origin}/signup`, { headers: { 'accept-language': 'en' } })).text();
	assert(html.includes('which takes JavaScript') && !html.includes('<form'), html);
});

await browser.close();
