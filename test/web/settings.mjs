// The settings, in a real browser against the server itself. One line a step;
// the first failure ends it with 1. Screenshots go to build/shots.
//
// node settings.mjs ORIGIN LETTERS BRAKE ROOT CAROL
// LETTERS answers ?to=address with the newest link written to it; BRAKE stops a
// clearing (/hold) and lets it go on (/release); ROOT and CAROL are the tokens of
// the administrator alice and of carol.
import { createServer } from 'node:http';
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, letters, brake, root, carol] = process.argv.slice(2);
const { browser, person, step, call, code } = await open(origin);

const bora = await person();
const token = () => bora.evaluate(() => JSON.parse(localStorage.getItem('account')).token);
const me = async () => call(await token(), 'i');
const section = (name) => bora.locator('section.set').filter({ has: bora.getByRole('heading', { name, exact: true }) });
const dialog = bora.getByRole('dialog');
const timelines = bora.getByRole('navigation', { name: '타임라인 고르기' });
const card = (text) => bora.locator('article[data-note]', { hasText: text }).first();

async function visit(area, title) {
	await bora.goto(`/settings/${area}`);
	await bora.getByRole('heading', { name: title, exact: true }).waitFor();
}

async function save(where = bora.getByRole('main')) {
	await where.getByRole('button', { name: '저장', exact: true }).first().click();
	await where.getByText('저장했어요.').waitFor();
}

/** Pictures in all languages and looks, and axe. */
async function look(area) {
	await shot(bora, `settings-${area}`);
	await accessible(bora, area);
	await bora.setViewportSize({ width: 390, height: 844 });
	await accessible(bora, `${area} on a phone`, ['light']);
	await bora.setViewportSize({ width: 1280, height: 900 });
	for (const lang of ['ja', 'en']) {
		await bora.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
		await bora.reload();
		await bora.locator('.area-page .set, .set-form').first().waitFor();
		await shot(bora, `settings-${area}`, lang, [[1280, 'light'], [390, 'dark']]);
	}
	await bora.context().addCookies([{ name: 'lang', value: 'ko', url: origin }]);
	await bora.reload();
	await bora.locator('.area-page .set').first().waitFor();
}

let password = 'password of bora';
async function prove(button, given = {}) {
	await dialog.getByLabel('비밀번호', { exact: true }).fill(given.password ?? password);
	if (given.code) await dialog.getByLabel('인증 앱의 6자리 숫자').fill(given.code);
	await dialog.getByRole('button', { name: button, exact: true }).click();
}

async function out() {
	await bora.evaluate(() => { localStorage.clear(); document.cookie = 'client=0; max-age=0; path=/'; });
}

async function signIn(secret) {
	await bora.goto('/signin');
	await bora.getByLabel('사용자 이름').fill('bora');
	await bora.getByRole('button', { name: '다음' }).click();
	await bora.getByLabel('비밀번호').fill(password);
	await bora.getByRole('button', { name: '로그인', exact: true }).click();
	if (secret) {
		await bora.getByLabel('인증 앱의 6자리 숫자').fill(await code(secret));
		await bora.getByRole('button', { name: '로그인', exact: true }).click();
	}
	await timelines.waitFor();
}

await step('visitors have what is of the browser', async () => {
	await bora.goto('/settings');
	const list = bora.getByRole('navigation', { name: '설정 항목' });
	await list.getByRole('link', { name: '화면' }).click();
	await bora.getByText('아주 크게').click();
	assert(await list.locator('a[href^="/settings/"]').count() === 2, 'visitors see more than two areas');
	await bora.reload();
	assert(await bora.evaluate(() => document.documentElement.dataset.size) === 'larger', 'the size of text is forgotten');
	await bora.getByText('보통', { exact: true }).click();
});

await step('sign up', async () => {
	await bora.goto('/signup');
	await bora.getByLabel('사용자 이름').fill('bora');
	await bora.getByText('쓸 수 있는 이름이에요.').waitFor();
	await bora.getByLabel('비밀번호').fill(password);
	await bora.getByRole('button', { name: '계정 만들기' }).click();
	await timelines.waitFor();
});

await step('a list on narrow screens, and back', async () => {
	await bora.setViewportSize({ width: 390, height: 844 });
	await bora.getByRole('link', { name: '설정' }).click();
	await bora.getByRole('navigation', { name: '설정 항목' }).getByText('누가 나를 팔로우하고').waitFor();
	await shot(bora, 'settings', 'ko', [[390, 'light'], [390, 'dark']]);
	await accessible(bora, 'the list');
	await bora.getByRole('link', { name: '프라이버시' }).click();
	await bora.getByRole('heading', { name: '보이는 범위' }).waitFor();
	assert(new URL(bora.url()).pathname === '/settings/privacy', bora.url());
	await bora.getByRole('link', { name: '뒤로' }).click();
	await bora.getByRole('link', { name: '프로필' }).last().waitFor();
	await bora.setViewportSize({ width: 1280, height: 900 });
	await bora.getByRole('heading', { name: '프로필', exact: true }).waitFor();
});

await step('the profile, kept when the server is away', async () => {
	const wardrobe = createServer((_, res) => {
		res.setHeader('content-type', 'image/svg+xml');
		res.end('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path d="M44 16c4-5 9-6 9-1s-4 7-9 5m0-4c-4-5-9-6-9-1s4 7 9 5" fill="#e0567a"/><circle cx="44" cy="18" r="2.5" fill="#b3354f"/></svg>');
	}).listen(0, '127.0.0.1');
	await new Promise((r) => { wardrobe.once('listening', r); });
	wardrobe.unref();
	const { id } = await call(root, 'admin/avatar-decorations/create', { name: '리본', description: '', url: `http://127.0.0.1:${wardrobe.address().port}/ribbon.svg` });
	await visit('profile', '프로필');
	await bora.getByLabel('이름', { exact: true }).fill('보라 🌷');
	await bora.getByLabel('소개').fill('빵 굽는 사람. **천천히** 답해요.');
	await bora.getByRole('button', { name: '항목 추가' }).click();
	await bora.getByLabel('1번째 항목 이름').fill('홈페이지');
	await bora.getByLabel('1번째 항목 내용').fill('https://bora.example');
	await bora.getByLabel('생일').fill('1995-05-12');
	await bora.getByLabel('사는 곳').fill('서울');
	await bora.getByLabel('주로 쓰는 언어').selectOption('ko');
	await bora.getByLabel('팔로우한 사람에게 보이는 말').fill('반가워요!');
	await bora.getByRole('switch', { name: '고양이예요' }).press('Space');
	await bora.context().setOffline(true);
	await bora.getByRole('button', { name: '저장' }).first().click();
	await bora.getByText('서버에 닿지 않아요').waitFor();
	assert(await bora.getByLabel('소개').inputValue() === '빵 굽는 사람. **천천히** 답해요.', 'what was typed is gone');
	await bora.context().setOffline(false);
	await save();
	const i = await me();
	assert(i.name === '보라 🌷' && i.description.includes('천천히') && i.birthday === '1995-05-12' && i.location === '서울' && i.lang === 'ko' && i.isCat
		&& i.followedMessage === '반가워요!' && i.fields[0].value === 'https://bora.example', JSON.stringify(i));
	const ribbon = section('아바타 장식');
	await ribbon.getByRole('button', { name: '리본' }).click();
	await ribbon.getByLabel('좌우 뒤집기').check();
	await ribbon.getByRole('button', { name: '저장' }).click();
	await ribbon.getByText('저장했어요.').waitFor();
	const [worn] = (await me()).avatarDecorations;
	assert(worn?.id === id && worn.flipH === true, JSON.stringify(worn));
	await look('profile');
	await call(await token(), 'i/update', { avatarDecorations: [] });
	wardrobe.close();
});

await step('privacy', async () => {
	await visit('privacy', '프라이버시');
	await bora.getByRole('switch', { name: '팔로우를 내가 승인하기' }).check();
	await bora.getByRole('switch', { name: '검색 엔진에 나오지 않기' }).check();
	await bora.getByLabel('내 팔로워 목록을 볼 수 있는 사람').selectOption('private');
	await bora.getByLabel('지난 노트를 팔로워만 보게 하기').selectOption('year');
	await bora.getByLabel('지난 노트를 나만 보게 하기').selectOption('date');
	await bora.getByLabel('이 날보다 앞선 노트').fill('2024-01-31');
	await shot(bora, 'settings-dirty', 'ko', [[1280, 'light'], [390, 'dark']], false);
	await save();
	const i = await me();
	const day = await bora.evaluate(() => new Date('2024-01-31T00:00:00').getTime() / 1000);
	assert(i.isLocked && i.noCrawle && i.followersVisibility === 'private' && i.makeNotesFollowersOnlyBefore === -365 * 86_400 && i.makeNotesHiddenBefore === day, JSON.stringify(i));
	await look('privacy');
	await call(await token(), 'i/update', { isLocked: false, makeNotesFollowersOnlyBefore: null, makeNotesHiddenBefore: null });
});

await step('all of it by keyboard', async () => {
	/** Goes on by Tab until something that fits has the focus. */
	const reach = async (role, name) => {
		const to = await bora.getByRole(role, { name, exact: true }).first().elementHandle();
		for (let i = 0; i < 60 && !await to.evaluate((e) => e === document.activeElement); i++) await bora.keyboard.press('Tab');
		assert(await to.evaluate((e) => e === document.activeElement), `${name} cannot be reached`);
	};
	await bora.goto('/settings');
	await reach('link', '프라이버시');
	await bora.keyboard.press('Enter');
	await reach('switch', '접속 중인 것을 숨기기');
	await bora.keyboard.press('Space');
	await reach('button', '저장');
	await bora.keyboard.press('Enter');
	await bora.getByText('저장했어요.').waitFor();
	assert((await me()).hideOnlineStatus === true, 'it is not saved');
	// A dialog takes the focus and gives it back.
	await bora.goto('/settings/notifications');
	await reach('button', '알림 모두 지우기');
	await bora.keyboard.press('Enter');
	await dialog.waitFor();
	await bora.keyboard.press('Escape');
	await dialog.waitFor({ state: 'detached' });
	assert(await bora.getByRole('button', { name: '알림 모두 지우기' }).evaluate((e) => e === document.activeElement), 'the focus is lost');
});

await step('mail: an address, confirmed, and the letters that are wanted', async () => {
	await visit('email', '메일');
	await bora.getByLabel('메일 주소').fill('bora@example.com');
	await bora.getByRole('button', { name: '확인 메일 보내기' }).click();
	await prove('확인 메일 보내기', { password: 'wrong' });
	await dialog.getByText('비밀번호가 맞지 않아요.').waitFor();
	await prove('확인 메일 보내기');
	await bora.getByText('아직 확인하지 않음').waitFor();
	await call(null, 'oven/settle', { timeout: 20 });
	const link = await (await fetch(`${letters}?to=bora@example.com`)).text();
	await bora.goto(link);
	await bora.getByRole('button', { name: '확인하기' }).click();
	await bora.getByText('메일 주소를 확인했어요').waitFor();
	await visit('email', '메일');
	await bora.getByText('확인됨').waitFor();
	await bora.getByRole('switch', { name: '멘션' }).setChecked(!(await me()).emailNotificationTypes.includes('mention'));
	await bora.getByRole('switch', { name: '서버 공지' }).uncheck();
	await save(section('받을 메일'));
	assert((await me()).receiveAnnouncementEmail === false, 'letters of the server are still wanted');
	await look('email');
});

await step('notifications: rules, a test, none left', async () => {
	const list = await call(await token(), 'users/lists/create', { name: '빵집' });
	await visit('notifications', '알림');
	await bora.getByLabel('리액션').selectOption('following');
	await bora.getByLabel('멘션').selectOption({ label: '리스트: 빵집' });
	await bora.getByRole('switch', { name: '투표 마감' }).uncheck();
	await save();
	const c = (await me()).notificationRecieveConfig;
	assert(c.reaction.type === 'following' && c.mention.userListId === list.id && c.pollEnded.type === 'never', JSON.stringify(c));
	await look('notifications');
	await bora.getByRole('button', { name: '시험 알림 보내기' }).click();
	await bora.getByRole('link', { name: /^알림.*읽지 않은/ }).waitFor();
	await bora.getByRole('button', { name: '알림 모두 지우기' }).click();
	await dialog.getByRole('button', { name: '알림 모두 지우기' }).click();
	await bora.getByRole('status').getByText('알림을 모두 지웠어요.').waitFor();
	await bora.getByRole('link', { name: /^알림.*읽지 않은/ }).waitFor({ state: 'detached' });
	assert((await call(await token(), 'i/notifications')).length === 0, 'there are notifications left');
	await call(await token(), 'i/update', { notificationRecieveConfig: {} });
});

await step('people that are muted and blocked, and second thoughts', async () => {
	const t = await token();
	const { id } = await call(carol, 'i');
	await call(t, 'mute/create', { userId: id });
	await call(t, 'renote-mute/create', { userId: id });
	await call(t, 'blocking/create', { userId: id });
	await visit('mute-block', '뮤트와 차단');
	await look('mute-block');
	await bora.getByRole('button', { name: '뮤트 해제: @carol' }).click();
	await bora.getByRole('button', { name: '되돌리기: @carol' }).waitFor();
	assert((await call(t, 'mute/list')).length === 0, 'still muted');
	await bora.getByRole('button', { name: '되돌리기: @carol' }).click();
	await bora.getByRole('button', { name: '뮤트 해제: @carol' }).click();
	await bora.getByRole('tab', { name: '리노트 뮤트' }).click();
	await bora.getByRole('button', { name: '뮤트 해제: @carol' }).click();
	await bora.getByRole('button', { name: '되돌리기: @carol' }).waitFor();
	await bora.getByRole('tab', { name: '차단' }).click();
	await bora.getByRole('button', { name: '차단 해제: @carol' }).click();
	await bora.getByRole('button', { name: '되돌리기: @carol' }).waitFor();
	for (const kind of ['mute', 'renote-mute', 'blocking']) assert((await call(t, `${kind}/list`)).length === 0, `${kind} is left`);
	await bora.getByLabel('서버 이름').fill('https://Noisy.example/about\nquiet.example');
	await save(section('서버 뮤트'));
	assert((await me()).mutedInstances.join() === 'noisy.example,quiet.example', JSON.stringify((await me()).mutedInstances));
});

await step('muted words hide notes as they come, and nothing of one\'s own', async () => {
	const words = section('단어 뮤트');
	await words.getByLabel('접어 두기').fill('크림 빵\n/(/');
	await words.getByRole('button', { name: '저장' }).first().click();
	await words.getByText('정규 표현식을 읽을 수 없는 줄이 있어요.').waitFor();
	await words.getByLabel('접어 두기').fill('크림 빵\n/라[면멘]/');
	await words.getByRole('button', { name: '저장' }).first().click();
	await words.getByText('저장했어요.').waitFor();
	await words.getByLabel('아예 숨기기').fill('마라톤');
	await words.getByRole('button', { name: '저장' }).last().click();
	await words.getByText('저장했어요.').nth(1).waitFor();
	const i = await me();
	assert(JSON.stringify([i.mutedWords, i.hardMutedWords]) === '[[["크림","빵"],"/라[면멘]/"],[["마라톤"]]]', JSON.stringify([i.mutedWords, i.hardMutedWords]));
	await bora.goto('/timeline/local');
	await timelines.waitFor();
	// The last one is seen when all that came before it were looked at.
	for (const text of ['마라톤을 뛰었어요', '크림만 먹었어요', '크림이 든 빵을 샀어요']) await call(root, 'notes/create', { text });
	const own = await call(await token(), 'notes/create', { text: '나도 마라톤에 크림 빵을 가져갔어요' });
	await card('나도 마라톤에').waitFor();
	await card('크림만 먹었어요').waitFor();
	await bora.getByText('뮤트한 단어가 있는 노트').first().waitFor();
	await shot(bora, 'muted', 'ko', [[390, 'light'], [1280, 'dark']], false);
	assert(await bora.getByText('마라톤을 뛰었어요').count() === 0 && await bora.getByText('크림이 든 빵을').count() === 0, 'a muted note is shown');
	await bora.locator('article.hushed').getByRole('button', { name: '보기' }).click();
	await card('크림이 든 빵을').waitFor();
	// Answers in a thread, and in notifications.
	await call(root, 'notes/create', { text: '라면도 좋아요', replyId: own.createdNote.id });
	await call(root, 'notes/create', { text: '마라톤 답글', replyId: own.createdNote.id });
	await call(root, 'notes/create', { text: '잘했어요', replyId: own.createdNote.id });
	await bora.goto(`/notes/${own.createdNote.id}`);
	await card('잘했어요').waitFor();
	assert(await bora.getByText('라면도 좋아요').count() === 0 && await bora.getByRole('main').getByText('마라톤 답글').count() === 0, 'a muted answer is shown');
	await bora.getByRole('main').getByText('뮤트한 단어가 있는 노트').waitFor();
	await bora.goto('/my/notifications');
	const main = bora.getByRole('main');
	await main.getByText('잘했어요').waitFor();
	assert(await main.getByText('마라톤 답글').count() === 0 && await main.getByText('라면도 좋아요').count() === 0, 'a muted notification is shown');
	await shot(bora, 'muted-notifications', 'ko', [[390, 'light'], [1280, 'dark']], false);
	await main.getByRole('button', { name: /뮤트한 단어가 있는 노트/ }).click();
	await main.getByText('라면도 좋아요').waitFor();
	// Rules that go bring back what they hid.
	await call(await token(), 'i/update', { mutedWords: [], hardMutedWords: [] });
	await bora.goto('/timeline/local');
	await card('마라톤을 뛰었어요').waitFor();
});

let secret;
let backup;
await step('an authenticator, from the first page to the next sign-in', async () => {
	await visit('security', '보안');
	await bora.getByRole('button', { name: '인증 앱 설정하기' }).click();
	await prove('다음', { password: 'wrong' });
	await dialog.getByText('비밀번호가 맞지 않아요.').waitFor();
	await accessible(bora, 'the dialog that asks who it is');
	await shot(bora, 'settings-prove', 'ko', [[1280, 'light'], [390, 'dark']], false);
	await prove('다음');
	await bora.getByRole('img', { name: '인증 앱에 등록할 QR 코드' }).waitFor();
	await shot(bora, 'settings-totp');
	secret = (await section('인증 앱 (2단계 인증)').locator('.key code').innerText()).replaceAll(' ', '');
	await bora.getByLabel('인증 앱에 나온 6자리 숫자').fill('000000');
	await bora.getByRole('button', { name: '켜기', exact: true }).click();
	await bora.getByText('숫자나 백업 코드가 맞지 않거나').waitFor();
	await bora.getByLabel('인증 앱에 나온 6자리 숫자').fill(await code(secret));
	await bora.getByRole('button', { name: '켜기', exact: true }).click();
	backup = await bora.locator('.codes code').allInnerTexts();
	await bora.locator('.codes li').nth(4).waitFor();
	backup = await bora.locator('.codes code').allInnerTexts();
	assert(backup.length === 5, `backup codes: ${backup}`);
	await shot(bora, 'settings-codes', 'ko', [[1280, 'light'], [390, 'dark']], false);
	const [file] = await Promise.all([bora.waitForEvent('download'), bora.getByRole('link', { name: '파일로 저장' }).click()]);
	assert(file.suggestedFilename() === 'localhost-backup-codes.txt', file.suggestedFilename());
	await bora.getByRole('button', { name: '잘 적어 뒀어요' }).click();
	await bora.getByText('백업 코드가 모두 남아 있어요').waitFor();
	await out();
	await signIn(secret);
	assert((await me()).twoFactorEnabled, 'it is not on');
});

await step('a passkey: added, renamed, used without a password, removed', async () => {
	const cdp = await bora.context().newCDPSession(bora);
	await cdp.send('WebAuthn.enable');
	await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
	await visit('security', '보안');
	await bora.getByLabel('패스키 이름').fill('휴대전화');
	await bora.getByRole('button', { name: '패스키 등록' }).click();
	await prove('패스키 등록', { code: await code(secret) });
	await bora.getByRole('button', { name: '이름 바꾸기: 휴대전화' }).click();
	await bora.getByLabel('패스키 이름').first().fill('노트북');
	await bora.getByRole('button', { name: '저장' }).click();
	await bora.getByRole('button', { name: '이름 바꾸기: 노트북' }).waitFor();
	await bora.getByRole('switch', { name: '비밀번호 없이 패스키만으로 로그인' }).press('Space');
	await bora.waitForFunction(() => document.querySelector('[role="switch"]:checked'));
	await look('security');
	await out();
	await bora.goto('/signin');
	await bora.getByRole('button', { name: '패스키로 로그인' }).click();
	await timelines.waitFor();
	await visit('security', '보안');
	await bora.getByRole('button', { name: '패스키 등록' }).waitFor();
	// The device has one already.
	await bora.getByLabel('패스키 이름').fill('또 하나');
	await bora.getByRole('button', { name: '패스키 등록' }).click();
	await prove('패스키 등록', { code: await code(secret) });
	await dialog.getByText('이 기기의 패스키는 이미 등록돼 있어요.').waitFor();
	await dialog.getByRole('button', { name: '취소' }).click();
	await bora.getByRole('button', { name: '패스키 삭제: 노트북' }).click();
	await prove('패스키 삭제', { code: await code(secret) });
	await bora.getByRole('switch', { name: '비밀번호 없이' }).waitFor({ state: 'detached' });
	assert((await me()).securityKeys === false && (await me()).usePasswordLessLogin === false, 'the key is still there');
});

await step('apps lose their access', async () => {
	const { token: app } = await call(await token(), 'miauth/gen-token', { session: null, name: '빵집 봇', permission: ['read:account', 'write:notes', 'read:notifications'] });
	await visit('security', '보안');
	const apps = section('접근을 허용한 앱');
	await apps.getByText('권한 3개').click();
	await apps.getByText(/계정 정보, 알림/).waitFor();
	await shot(bora, 'settings-apps', 'ko', [[1280, 'light'], [390, 'dark']]);
	await apps.getByRole('button', { name: '끊기: 빵집 봇' }).click();
	await dialog.getByRole('button', { name: '끊기', exact: true }).click();
	await apps.getByText('접근을 허용한 앱이 없어요.').waitFor();
	const res = await fetch(`${origin}/api/i`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ i: app }) });
	assert(res.status === 401, `the app still gets ${res.status}`);
	await section('로그인 기록').getByText('성공').first().waitFor();
});

// A page that comes back in is another page.
const mark = () => bora.evaluate(() => { window.old = true; });
const back = (token) => bora.waitForFunction((t) => !window.old && location.pathname === '/settings/security' && ![undefined, t].includes(JSON.parse(localStorage.getItem('account') ?? '{}').token), token);

await step('the password, with a code and without', async () => {
	const change = async (to, given) => {
		const f = section('비밀번호');
		await f.getByLabel('지금 비밀번호', { exact: true }).fill(password);
		await f.getByLabel('새 비밀번호', { exact: true }).fill(to);
		if (given) await f.getByLabel('인증 앱의 6자리 숫자').fill(given);
		await f.getByRole('button', { name: '비밀번호 바꾸기' }).click();
	};
	await change('second password', 'AAAAAAAAAAAAAAAA');
	await bora.getByText('숫자나 백업 코드가 맞지 않거나').waitFor();
	assert(await section('비밀번호').getByLabel('새 비밀번호', { exact: true }).inputValue() === 'second password', 'what was typed is gone');
	await section('비밀번호').getByLabel('인증 앱의 6자리 숫자').fill(backup[0]);
	await section('비밀번호').getByRole('button', { name: '비밀번호 바꾸기' }).click();
	await bora.waitForURL('**/signin');
	password = 'second password';
	await signIn(secret);
	await visit('security', '보안');
	await bora.getByText('백업 코드를 일부 썼어요').waitFor();
	await section('인증 앱 (2단계 인증)').getByRole('button', { name: '끄기' }).click();
	await prove('끄기', { code: await code(secret) });
	await bora.getByText('꺼져 있어요.').waitFor();
	// With the password alone this browser comes back by itself, and another tab with it.
	const before = await token();
	const other = await bora.context().newPage();
	await other.goto('/');
	await other.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
	await mark();
	await change('third password');
	password = 'third password';
	await back(before);
	await bora.getByRole('button', { name: '인증 앱 설정하기' }).waitFor();
	await other.waitForFunction((t) => JSON.parse(localStorage.getItem('account') ?? '{}').token !== t, before);
	await other.getByRole('link', { name: '알림', exact: true }).first().waitFor();
	await other.close();
	const after = await token();
	await mark();
	await bora.getByRole('button', { name: '모두 로그아웃' }).click();
	await prove('모두 로그아웃');
	await back(after);
	await bora.getByRole('button', { name: '인증 앱 설정하기' }).waitFor();
	assert((await me()).username === 'bora', 'signed in as somebody else');
});

await step('new notes begin as one wishes', async () => {
	await visit('general', '일반');
	await bora.getByLabel('공개 범위').selectOption('followers');
	await bora.getByRole('switch', { name: '연합' }).press('Space');
	await look('general');
	await visit('appearance', '화면');
	await look('appearance');
	await bora.goto('/');
	await timelines.waitFor();
	await bora.keyboard.press('KeyN');
	await dialog.getByRole('button', { name: '공개 범위: 팔로워만' }).waitFor();
	assert(await dialog.getByRole('button', { name: '연합' }).getAttribute('aria-pressed') === 'false', 'the note would federate');
	await dialog.getByRole('button', { name: '닫기' }).click();
});

await step('an account is cleared: looked at, begun later, stopped, then for good', async () => {
	const t = await token();
	for (let i = 0; i < 120; i++) await call(t, 'notes/create', { text: `지울 글 ${i}` });
	const pinned = (await call(t, 'notes/create', { text: '남길 글' })).createdNote.id;
	await call(t, 'i/pin', { noteId: pinned });
	await visit('account', '계정');
	await look('account');
	const clear = section('노트와 파일 비우기');
	await clear.getByRole('button', { name: '무엇이 지워지는지 보기' }).click();
	await clear.getByText('노트 121개와 파일 0개가 지워져요.').waitFor();
	await clear.getByText('노트 1개와 파일 0개는 남아요.').waitFor();
	await shot(bora, 'settings-clear', 'ko', [[1280, 'light'], [390, 'dark']]);
	await accessible(bora, 'what a clearing would do');
	await clear.getByLabel('언제 시작할까요?').selectOption('86400');
	await clear.getByRole('button', { name: '비우기 시작' }).click();
	await prove('비우기 시작', { password: 'wrong' });
	await dialog.getByText('비밀번호가 맞지 않아요.').waitFor();
	await prove('비우기 시작');
	await clear.getByText('곧 시작해요').waitFor();
	await clear.getByRole('button', { name: '그만두기' }).click();
	await dialog.getByRole('button', { name: '그만두기' }).click();
	await clear.getByText('그만뒀어요').waitFor();
	assert((await me()).notesCount >= 121, 'something is gone already');
	// Begun for later, then at once, paused half-way, and on to the end.
	await clear.getByRole('button', { name: '무엇이 지워지는지 보기' }).click();
	await clear.getByLabel('언제 시작할까요?').selectOption('3600');
	await clear.getByRole('button', { name: '비우기 시작' }).click();
	await prove('비우기 시작');
	await clear.getByText('곧 시작해요').waitFor();
	assert((await fetch(`${brake}/hold`)).ok, 'no brake');
	await clear.getByRole('button', { name: '지금 시작' }).click();
	await clear.getByText('노트를 지우고 있어요').waitFor();
	await clear.getByText('노트 121개 가운데 0개').waitFor();
	await shot(bora, 'settings-clearing', 'ko', [[1280, 'light'], [390, 'dark']]);
	await accessible(bora, 'a clearing under way');
	await clear.getByRole('button', { name: '잠시 멈추기' }).click();
	assert((await fetch(`${brake}/release`)).ok, 'the brake is stuck');
	await clear.getByText('잠시 멈춤').waitFor();
	await clear.getByText('노트 121개 가운데 100개').waitFor();
	await clear.getByRole('button', { name: '이어서 하기' }).click();
	await clear.getByText('다 비웠어요').waitFor({ timeout: 30_000 });
	await clear.getByText('노트 121개 가운데 121개').waitFor();
	await shot(bora, 'settings-cleared', 'ko', [[1280, 'light'], [390, 'dark']]);
	await accessible(bora, 'a clearing that is done');
	const left = await call(t, 'users/notes', { userId: (await me()).id, withReplies: true, limit: 10 });
	assert(left.length === 1 && left[0].id === pinned, `left: ${left.map((n) => n.text)}`);
});

await step('lists come from a file, and go into one', async () => {
	const here = new URL(origin).host;
	await visit('import-export', '내보내기와 가져오기');
	await look('import-export');
	const choose = bora.getByLabel('가져올 파일: 리스트').and(bora.locator('input'));
	await choose.setInputFiles([{ name: 'empty.csv', mimeType: 'text/csv', buffer: Buffer.from('') }]);
	await dialog.getByRole('button', { name: '가져오기', exact: true }).click();
	await bora.getByText('파일이 비어 있어요.').waitFor();
	await choose.setInputFiles([{ name: 'lists.csv', mimeType: 'text/csv', buffer: Buffer.from(`길동무,alice@${here}\n길동무,nobody@${here}\n`) }]);
	await dialog.getByRole('button', { name: '취소' }).click();
	const named = async () => (await call(await token(), 'users/lists/list')).find((l) => l.name === '길동무');
	assert(!await named(), 'it was imported unasked');
	await choose.setInputFiles([{ name: 'lists.csv', mimeType: 'text/csv', buffer: Buffer.from(`길동무,alice@${here}\n길동무,nobody@${here}\n`) }]);
	await dialog.getByRole('button', { name: '가져오기', exact: true }).click();
	await bora.getByText('가져오기를 시작했어요.').waitFor();
	await call(null, 'oven/settle', { timeout: 60 });
	const list = await named();
	assert(list?.userIds.length === 1, JSON.stringify(list));
	await bora.getByRole('button', { name: '리스트 내보내기' }).click();
	await bora.getByText('내보내기를 시작했어요.').waitFor();
	await call(null, 'oven/settle', { timeout: 60 });
	await bora.goto('/my/notifications');
	const main = bora.getByRole('main');
	await main.getByText(`nobody@${here}`).waitFor();
	await shot(bora, 'carried', 'ko', [[390, 'light'], [1280, 'dark']], false);
	await main.getByRole('link', { name: '내보내기가 끝났어요' }).click();
	await bora.getByText(/^user-lists-.*\.csv$/).first().waitFor();
	await call(await token(), 'users/lists/delete', { listId: list.id });
});

await step('moving: old accounts, a destination that does not know, one that does', async () => {
	await visit('account', '계정');
	const here = section('다른 계정에서 이사 오기');
	await here.getByLabel('예전 계정').fill('@nobody');
	await here.getByRole('button', { name: '저장' }).click();
	await here.getByText('그런 계정이 없어요.').waitFor();
	await here.getByLabel('예전 계정').fill('@alice');
	await save(here);
	assert(await here.getByLabel('예전 계정').inputValue() === `@alice@${new URL(origin).host}`, await here.getByLabel('예전 계정').inputValue());
	const away = section('다른 계정으로 이사 가기');
	const move = async () => {
		await away.getByLabel('옮길 계정').fill(`@carol@${new URL(origin).host}`);
		await away.getByRole('button', { name: '이사하기' }).click();
		await dialog.getByRole('button', { name: '이사하기' }).click();
	};
	await move();
	await away.getByText('옮길 계정에 이 계정이 예전 계정으로 적혀 있지 않아요.').waitFor();
	await call(carol, 'i/update', { alsoKnownAs: ['@bora'] });
	await move();
	await away.getByText(/@carol@.* 계정으로 이사했어요/).waitFor();
});

await step('an account is deleted, by whoever types its name', async () => {
	const t = await token();
	const end = section('계정 삭제');
	const button = end.getByRole('button', { name: '계정 삭제하기' });
	assert(await button.isDisabled(), 'it can be deleted by one press');
	await end.getByLabel(/사용자 이름\(bora\)/).fill('Bora');
	await button.click();
	await accessible(bora, 'the last question');
	await prove('계정 삭제하기');
	await bora.getByRole('link', { name: '로그인' }).first().waitFor();
	const res = await fetch(`${origin}/api/i`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ i: t }) });
	assert(res.status >= 400, 'the account is still there');
});

await browser.close();
