// Ways into an account, in a real browser against the server itself: an
// authenticator, backup codes, passkeys, links of letters, invitations and
// approval. One line a step; the first failure ends it with 1.
//
// node account.mjs ORIGIN LETTERS TOKEN
// LETTERS answers ?to=address with the newest link written to it; TOKEN is the
// administrator's.
import { assert, open } from './browser.mjs';

const [origin, letters, root] = process.argv.slice(2);
const { browser, person, step, call, code } = await open(origin);
const page = await person();
const context = page.context();

async function linkTo(address) {
	for (let i = 0; i < 50; i++) {
		const link = await (await fetch(`${letters}?to=${encodeURIComponent(address)}`)).text();
		if (link) return link;
		await new Promise((r) => setTimeout(r, 200));
	}
	throw new Error(`no letter to ${address}`);
}

const home = () => page.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
const token = () => page.evaluate(() => JSON.parse(localStorage.getItem('account')).token);
async function out() {
	await page.evaluate(() => { localStorage.clear(); document.cookie = 'client=0; max-age=0; path=/'; });
}
async function begin(password) {
	await page.goto('/signin');
	await page.getByLabel('사용자 이름').fill('bora');
	await page.getByRole('button', { name: '다음' }).click();
	await page.getByLabel('비밀번호').fill(password);
	await page.getByRole('button', { name: '로그인', exact: true }).click();
}

await step('sign up with an invitation, an address and a moderator', async () => {
	const [{ code: invitation }] = await call(root, 'admin/invite/create', {});
	await page.goto('/signup');
	await page.getByLabel('초대 코드').fill('WRONG');
	await page.getByLabel('사용자 이름').fill('bora');
	await page.getByLabel('비밀번호').fill('first');
	await page.getByLabel('메일 주소').fill('bora@example.com');
	await page.getByLabel('가입하려는 이유').fill('빵을 좋아해요');
	await page.getByRole('button', { name: '계정 만들기' }).click();
	await page.getByText('초대 코드가 틀렸거나').waitFor();
	await page.getByLabel('초대 코드').fill(invitation);
	await page.getByRole('button', { name: '계정 만들기' }).click();
	await page.getByText('bora@example.com(으)로 메일을 보냈어요').waitFor();
	await page.goto(await linkTo('bora@example.com'));
	await page.getByRole('button', { name: '가입 마치기' }).click();
	await page.getByText('관리자가 승인하면').waitFor();
	await begin('first');
	await page.getByText('아직 관리자가 가입을 승인하지 않았어요').waitFor();
	const [{ id }] = await call(root, 'oven/admin/signups/list', {});
	await call(root, 'oven/admin/signups/approve', { id });
	await begin('first');
	await home();
});

await step('another password, by a link', async () => {
	await out();
	await page.goto('/signin');
	await page.getByRole('link', { name: '비밀번호를 잊었어요' }).click();
	await page.getByLabel('사용자 이름').fill('bora');
	await page.getByLabel('메일 주소').fill('bora@example.com');
	await page.getByRole('button', { name: '링크 보내기' }).click();
	await page.getByText('메일이 갈 거예요').waitFor();
	await call(null, 'oven/settle', { timeout: 20 });
	const link = await linkTo('bora@example.com');
	await page.goto(link);
	await page.getByLabel('새 비밀번호').fill('second');
	await page.getByRole('button', { name: '비밀번호 정하기' }).click();
	await page.getByText('비밀번호를 바꿨어요').waitFor();
	assert(!page.url().includes('reset-password'), 'the link is still in the address bar');
	await page.goto(link);
	await page.getByLabel('새 비밀번호').fill('third');
	await page.getByRole('button', { name: '비밀번호 정하기' }).click();
	await page.getByText('링크가 틀렸거나').waitFor();
	await begin('second');
	await home();
});

let secret;
let backup;
await step('a code, and a backup code', async () => {
	const t = await token();
	({ secret } = await call(t, 'i/2fa/register', { password: 'second' }));
	({ backupCodes: backup } = await call(t, 'i/2fa/done', { token: await code(secret) }));
	await out();
	await begin('second');
	await page.getByLabel('인증 앱의 6자리 숫자').fill('000000');
	await page.getByRole('button', { name: '로그인', exact: true }).click();
	await page.getByText('숫자가 맞지 않아요').waitFor();
	await page.getByLabel('인증 앱의 6자리 숫자').fill(await code(secret));
	await page.getByRole('button', { name: '로그인', exact: true }).click();
	await home();
	await out();
	await begin('second');
	await page.getByRole('button', { name: '백업 코드로 로그인' }).click();
	await page.getByLabel('백업 코드').fill(backup[0]);
	await page.getByRole('button', { name: '로그인', exact: true }).click();
	await home();
});

await step('a passkey, as the second factor and alone', async () => {
	const t = await token();
	const cdp = await context.newCDPSession(page);
	await cdp.send('WebAuthn.enable');
	await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
	// As a settings page would: the browser's own JSON forms.
	const once = await code(secret);
	const options = await call(t, 'i/2fa/register-key', { password: 'second', token: once });
	const credential = await page.evaluate(async (o) => (await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(o) })).toJSON(), options);
	await call(t, 'i/2fa/key-done', { password: 'second', token: once, name: 'phone', credential });
	await out();
	await begin('second');
	await page.getByRole('button', { name: '패스키로 확인' }).click();
	await home();
	// It is no must: whoever has lost it has the authenticator.
	await out();
	await begin('second');
	await page.getByRole('button', { name: '인증 앱으로 로그인' }).click();
	await page.getByLabel('인증 앱의 6자리 숫자').fill(await code(secret));
	await page.getByRole('button', { name: '로그인', exact: true }).click();
	await home();
	await out();
	await page.goto('/signin');
	await page.getByRole('button', { name: '패스키로 로그인' }).click();
	await page.getByText('이 계정은 비밀번호도 필요해요').waitFor();
	await call(t, 'i/2fa/password-less', { value: true });
	await page.getByRole('button', { name: '패스키로 로그인' }).click();
	await home();
	assert(await token() === t, 'signed in as somebody else');
});

await step('an address that is confirmed by a link', async () => {
	const t = await token();
	await call(t, 'i/update-email', { password: 'second', email: 'new@example.com', token: await code(secret) });
	await page.goto(await linkTo('new@example.com'));
	await page.getByRole('button', { name: '확인하기' }).click();
	await page.getByText('메일 주소를 확인했어요').waitFor();
	assert((await call(t, 'i', {})).emailVerified === true, 'the address is not confirmed');
});

await browser.close();
