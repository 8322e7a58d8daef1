// Two people use the client in a real browser. One line a step; the first
// failure ends it with 1, and so does anything against the content policy.
// Screenshots go to build/shots.
//
// node drive.mjs ORIGIN
import { accessible, assert, open, shot as picture } from './browser.mjs';

const origin = process.argv[2];
const { browser, person, step, call } = await open(origin);

const card = (page, text) => page.locator('article[data-note]', { hasText: text }).first();
const token = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('account')).token);

const shot = (page, name, lang = 'ko') => picture(page, name, lang, undefined, false);

const alice = await person();
const bora = await person();

async function signUp(page, name) {
	await page.goto('/');
	await page.getByRole('link', { name: '가입하기' }).first().click();
	await page.getByLabel('사용자 이름').fill(name);
	await page.getByText('쓸 수 있는 이름이에요.').waitFor();
	await page.getByLabel('비밀번호').fill(`password of ${name}`);
	if (name === 'alice') await shot(page, 'signup');
	await page.getByRole('button', { name: '계정 만들기' }).click();
	await page.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
}

await step('a page without scripts', async () => {
	const plain = await person('ko-KR', { javaScriptEnabled: false });
	await plain.goto('/');
	await plain.getByRole('link', { name: '가입하기' }).first().waitFor();
	await plain.close();
});

await step('sign up', async () => {
	await signUp(alice, 'alice');
	await signUp(bora, 'bora');
});

const ta = await token(alice);
const tb = await token(bora);
await call(ta, 'i/update', { name: '앨리스 🌷', description: '빵 굽는 사람. #요리 이야기를 해요. **천천히** 답해요.' });
await call(tb, 'i/update', { name: '하늘' });

await step('sign out in one tab, and the other follows', async () => {
	const second = await alice.context().newPage();
	await second.goto('/settings');
	await second.getByRole('button', { name: '로그아웃' }).click();
	await second.getByRole('dialog').getByRole('button', { name: '로그아웃' }).click();
	await second.getByRole('link', { name: '로그인' }).first().waitFor();
	await alice.getByRole('link', { name: '로그인' }).first().waitFor();
	await second.close();
	await shot(alice, 'welcome');
	await accessible(alice, 'welcome');
});

await step('sign in', async () => {
	await alice.getByRole('link', { name: '로그인' }).first().click();
	await alice.getByLabel('사용자 이름').fill('alice');
	await alice.getByRole('button', { name: '다음' }).click();
	await alice.getByLabel('비밀번호').fill('wrong');
	await alice.getByRole('button', { name: '로그인' }).click();
	await alice.getByText('비밀번호가 맞지 않아요.').waitFor();
	await accessible(alice, 'sign-in');
	await alice.getByLabel('비밀번호').fill('password of alice');
	await alice.getByRole('button', { name: '로그인' }).click();
	await alice.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
});

/** Answers of the flow with a second factor, in Misskey's shapes. */
await step('sign in with a code, and with a passkey', async () => {
	const guest = await person();
	const asked = [];
	let wanted = 'totp';
	await guest.route('**/api/signin-flow', async (route) => {
		const p = route.request().postDataJSON();
		asked.push(p);
		const answer = !p.password ? { finished: false, next: 'password' }
			: wanted === 'totp' && !p.token ? { finished: false, next: 'totp' }
				: wanted === 'passkey' && !p.credential ? { finished: false, next: 'passkey', authRequest: { challenge: 'AAECAw', allowCredentials: [{ id: credentialId, type: 'public-key' }], rpId: 'localhost', userVerification: 'preferred' } }
					: { finished: true, id: 'someone', i: 'token' };
		await route.fulfill({ json: answer });
	});
	await guest.route('**/api/i', (route) => route.fulfill({ status: 500, json: {} }));
	const at = origin.replace('127.0.0.1', 'localhost');
	const cdp = await guest.context().newCDPSession(guest);
	await cdp.send('WebAuthn.enable');
	const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
	const { generateKeyPairSync } = await import('node:crypto');
	const credentialId = 'AQIDBA';
	await cdp.send('WebAuthn.addCredential', { authenticatorId, credential: { credentialId: Buffer.from([1, 2, 3, 4]).toString('base64'), isResidentCredential: false, rpId: 'localhost', signCount: 0,
		privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64') } });
	for (wanted of ['totp', 'passkey']) {
		await guest.goto(`${at}/signin`);
		await guest.getByLabel('사용자 이름').fill('someone');
		await guest.getByRole('button', { name: '다음' }).click();
		await guest.getByLabel('비밀번호').fill('secret');
		await guest.getByRole('button', { name: '로그인' }).click();
		if (wanted === 'totp') {
			await guest.getByLabel('인증 앱의 6자리 숫자').waitFor();
			await guest.getByRole('button', { name: '백업 코드로 로그인' }).click();
			await guest.getByLabel('백업 코드').fill('abcd-efgh');
			await guest.getByRole('button', { name: '로그인', exact: true }).click();
		} else {
			await guest.getByRole('button', { name: '패스키로 확인' }).click();
		}
		await guest.waitForFunction(() => JSON.parse(localStorage.getItem('account') ?? '{}').token === 'token' && location.pathname === '/' && document.readyState === 'complete');
		await guest.evaluate(() => { localStorage.clear(); document.cookie = 'client=0; max-age=0; path=/'; });
	}
	assert(asked.some((p) => p.token === 'abcd-efgh'), 'the backup code was not sent');
	const proof = asked.find((p) => p.credential)?.credential;
	assert(proof?.id === credentialId && proof.response.signature && proof.response.clientDataJSON && proof.response.authenticatorData, 'no proof was sent');
	await guest.context().close();
});

await step('write in Korean, through the input method', async () => {
	await bora.goto('/timeline/local');
	await bora.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
	await alice.keyboard.press('KeyN');
	const field = alice.getByRole('dialog').getByRole('textbox', { name: '내용' });
	await field.waitFor();
	const cdp = await alice.context().newCDPSession(alice);
	await cdp.send('Input.insertText', { text: '오늘 점심은 김치찌' });
	// A syllable under way: Enter belongs to the input method, and Ctrl+Enter sends it finished.
	for (const text of ['ㄱ', '개']) await cdp.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
	await field.dispatchEvent('keydown', { key: 'Enter', keyCode: 229, isComposing: true, bubbles: true });
	assert(await field.inputValue() === '오늘 점심은 김치찌개', `the field holds ${await field.inputValue()}`);
	await alice.keyboard.press('Control+Enter');
	await card(bora, '오늘 점심은 김치찌개').waitFor();
	const notes = await call(ta, 'notes/local-timeline', { limit: 5 });
	assert(notes.filter((n) => n.text === '오늘 점심은 김치찌개').length === 1, `written: ${notes.map((n) => n.text)}`);
});

await step('a draft is kept', async () => {
	await alice.locator('.nav').getByRole('button', { name: '노트 쓰기' }).click();
	const field = alice.getByRole('dialog').getByRole('textbox', { name: '내용' });
	await field.fill('쓰다 만 글');
	await alice.getByRole('dialog').getByRole('button', { name: '닫기' }).click();
	await alice.reload();
	await alice.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
	await alice.keyboard.press('KeyN');
	await field.waitFor();
	assert(await field.inputValue() === '쓰다 만 글', 'the draft is gone');
	await field.fill('');
	await alice.getByRole('dialog').getByRole('button', { name: '닫기' }).click();
});

await step('react, seen live by the author', async () => {
	await card(alice, '김치찌개').waitFor();
	await card(bora, '김치찌개').getByRole('button', { name: '리액션' }).click();
	await bora.getByRole('searchbox').fill('custard');
	await bora.getByRole('dialog').getByRole('button', { name: /custard|pudding/ }).first().waitFor();
	await shot(bora, 'picker');
	await accessible(bora, 'picker');
	await bora.getByRole('searchbox').press('Enter');
	await card(alice, '김치찌개').getByRole('button', { name: /🍮\s*1/ }).waitFor();
	await card(bora, '김치찌개').getByRole('button', { name: /🍮\s*1/ }).waitFor();
	assert(await card(bora, '김치찌개').getByRole('button', { name: /🍮\s*1/ }).getAttribute('aria-pressed') === 'true', 'the own reaction is not marked');
});

await step('a poll with live counts', async () => {
	await alice.keyboard.press('KeyN');
	const d = alice.getByRole('dialog');
	await d.getByRole('textbox', { name: '내용' }).fill('저녁은 뭘 먹을까요? :blobcat: $[tada 골라 주세요]');
	await d.getByRole('button', { name: '투표' }).click();
	await d.getByLabel('선택지 1').fill('비빔밥');
	await d.getByLabel('선택지 2').fill('라멘');
	await shot(alice, 'compose');
	await accessible(alice, 'composer');
	await d.getByRole('button', { name: '노트', exact: true }).click();
	await card(bora, '저녁은').getByRole('button', { name: /비빔밥/ }).click();
	await card(alice, '저녁은').getByText('모두 1표').waitFor();
	await card(bora, '저녁은').getByText('모두 1표').waitFor();
});

await step('content warning, visibility, local only', async () => {
	await alice.keyboard.press('KeyN');
	const d = alice.getByRole('dialog');
	await d.getByRole('textbox', { name: '내용' }).fill('범인은 집사였다');
	await d.getByRole('button', { name: '내용 가리기' }).click();
	await d.getByLabel('주의 문구').fill('영화 결말');
	await d.getByRole('button', { name: '연합' }).click();
	await d.getByRole('button', { name: /공개 범위/ }).click();
	await alice.getByRole('menuitemradio', { name: /팔로워만/ }).click();
	await d.getByRole('button', { name: '노트', exact: true }).click();
	const c = card(alice, '영화 결말');
	await c.getByRole('button', { name: /펼쳐 보기/ }).click();
	await c.getByText('범인은 집사였다').waitFor();
	const [n] = await call(ta, 'notes/timeline', { limit: 1 });
	assert(n.visibility === 'followers' && n.localOnly && n.cw === '영화 결말', JSON.stringify(n));
});

await step('reply, quote, renote', async () => {
	await card(bora, '김치찌개').getByRole('button', { name: '답글' }).click();
	await bora.getByRole('dialog').getByRole('textbox', { name: '내용' }).fill('맛있겠다!');
	await bora.getByRole('dialog').getByRole('button', { name: '노트', exact: true }).click();
	await card(bora, '김치찌개').getByRole('button', { name: '리노트' }).click();
	await bora.getByRole('menuitem', { name: '인용' }).click();
	await bora.getByRole('dialog').getByRole('textbox', { name: '내용' }).fill('오늘의 명언');
	await bora.getByRole('dialog').getByRole('button', { name: '노트', exact: true }).click();
	await card(bora, '오늘의 명언').waitFor();
	await card(bora, '김치찌개').getByRole('button', { name: '리노트' }).last().click();
	await bora.getByRole('menuitem', { name: '리노트', exact: true }).click();
	await bora.getByText('하늘 님이 리노트').waitFor();
});

await step('a thread, and after a reload', async () => {
	const id = (await call(ta, 'notes/local-timeline', { limit: 20 })).find((n) => n.text === '오늘 점심은 김치찌개').id;
	await alice.goto(`/notes/${id}`);
	await card(alice, '맛있겠다!').waitFor();
	await call(tb, 'notes/create', { text: '다음엔 같이 먹어요', replyId: id });
	await alice.reload();
	await card(alice, '다음엔 같이').waitFor();
	await shot(alice, 'thread');
	await accessible(alice, 'thread');
});

await step('follow with a request, and notifications', async () => {
	await call(ta, 'i/update', { isLocked: true });
	await bora.goto('/@alice');
	await bora.getByRole('button', { name: '팔로우 요청' }).click();
	await bora.getByRole('button', { name: '요청 취소' }).click();
	await bora.getByRole('button', { name: '팔로우 요청' }).click();
	await bora.getByRole('button', { name: '요청 취소' }).waitFor();
	await alice.goto('/');
	await alice.getByRole('link', { name: /^알림.*읽지 않은/ }).click();
	await alice.getByRole('main').getByText('님이 팔로우를 요청했어요').first().waitFor();
	await alice.getByRole('main').getByText('님이 리액션했어요').waitFor();
	await shot(alice, 'notifications');
	await accessible(alice, 'notifications');
	await alice.getByRole('main').getByRole('button', { name: '수락' }).first().click();
	await alice.getByText('수락했어요.').or(alice.getByText('수락했어요', { exact: true })).first().waitFor();
	await bora.reload();
	await bora.getByRole('button', { name: '팔로잉' }).waitFor();
	await shot(bora, 'profile');
	await accessible(bora, 'profile');
});

await step('home is live; unfollow, mute, block', async () => {
	await bora.goto('/');
	await bora.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
	await card(bora, '저녁은').waitFor();
	await call(ta, 'notes/create', { text: '홈에 바로 보여요' });
	await card(bora, '홈에 바로 보여요').waitFor();
	await card(bora, '홈에 바로 보여요').locator('.who').click();
	await bora.getByRole('button', { name: '팔로잉' }).click();
	await bora.getByRole('dialog').getByRole('button', { name: '언팔로우' }).click();
	await bora.getByRole('button', { name: '팔로우 요청' }).waitFor();
	await bora.getByRole('button', { name: '사람 메뉴' }).click();
	await bora.getByRole('menuitem', { name: '뮤트' }).click();
	await bora.getByText('뮤트한 사람').waitFor();
	await bora.getByRole('button', { name: '사람 메뉴' }).click();
	await bora.getByRole('menuitem', { name: '뮤트 해제' }).click();
	await bora.getByText('뮤트한 사람').waitFor({ state: 'detached' });
	await bora.getByRole('button', { name: '사람 메뉴' }).click();
	await bora.getByRole('menuitem', { name: '차단' }).click();
	await bora.getByRole('dialog').getByRole('button', { name: '차단' }).click();
	await bora.getByText('차단한 사람').waitFor();
	await bora.getByRole('button', { name: '사람 메뉴' }).click();
	await bora.getByRole('menuitem', { name: '차단 해제' }).click();
	await bora.getByText('차단한 사람').waitFor({ state: 'detached' });
});

await step('new notes wait while one reads, and the place is found again', async () => {
	for (let i = 0; i < 25; i++) await call(tb, 'notes/create', { text: `이야기 ${i}\n\n빵을 굽는 냄새가 골목까지 퍼졌다.` });
	await bora.goto('/timeline/local');
	await card(bora, '이야기 24').waitFor();
	await bora.evaluate(() => scrollTo(0, 1500));
	await bora.waitForFunction(() => scrollY >= 1400);
	const shown = await bora.evaluate(() => [...document.querySelectorAll('article[data-note]')].find((a) => a.getBoundingClientRect().top > 60).dataset.note);
	const top = () => bora.evaluate((id) => document.querySelector(`[data-note="${id}"]`)?.getBoundingClientRect().top, shown);
	const before = await top();
	await call(ta, 'notes/create', { text: '위에 생긴 노트' });
	await bora.getByRole('button', { name: '새 노트 1개' }).waitFor();
	assert(Math.abs(await top() - before) <= 2, `what is read moved from ${before} to ${await top()}`);
	// By hand: Playwright's click would scroll what is half under the bar into view first.
	await bora.evaluate((id) => document.querySelector(`[data-note="${id}"] time`).click(), shown);
	await bora.waitForURL('**/notes/*');
	await bora.goBack();
	await bora.waitForFunction(([id, y]) => Math.abs((document.querySelector(`[data-note="${id}"]`)?.getBoundingClientRect().top ?? 1e9) - y) <= 2, [shown, before]);
	await bora.getByRole('button', { name: '새 노트 1개' }).click();
	await card(bora, '위에 생긴 노트').waitFor();
});

await step('what was missed while the line was down is found, with a gap said', async () => {
	const cdp = await bora.context().newCDPSession(bora);
	await bora.reload();
	await card(bora, '위에 생긴 노트').waitFor();
	await bora.evaluate(() => scrollTo(0, 0));
	await bora.context().setOffline(true);
	await cdp.send('Network.enable');
	await bora.evaluate(() => { window.dispatchEvent(new Event('online')); });
	for (let i = 0; i < 35; i++) await call(ta, 'notes/create', { text: `놓친 글 ${i}` });
	await bora.locator('.off').waitFor({ timeout: 30_000 });
	await bora.context().setOffline(false);
	await card(bora, '놓친 글 34').waitFor({ timeout: 30_000 });
	await bora.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2));
	const gap = bora.getByRole('button', { name: /놓친 노트가 더/ });
	for (let y = 0; y < 12_000 && !await gap.isVisible(); y += 500) {
		await bora.evaluate((to) => scrollTo(0, to), y);
		await bora.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
	}
	await gap.click();
	await card(bora, /놓친 글 [0-4]\b/).waitFor();
});

await step('a page that cannot be fetched says so, and comes when the network is back', async () => {
	await bora.goto('/timeline/local');
	await bora.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
	await bora.context().setOffline(true);
	await bora.getByRole('link', { name: '드라이브' }).first().click();
	const alert = bora.getByRole('main').getByRole('alert');
	await alert.getByText('서버에 닿지 않아요').waitFor();
	await alert.getByRole('button', { name: '다시 시도' }).click();
	await bora.getByRole('status').getByText('서버에 닿지 않아요').waitFor();
	await alert.waitFor(); // nothing is lost of the page
	await bora.context().setOffline(false);
	await alert.getByRole('button', { name: '다시 시도' }).click();
	await bora.getByText('파일이 없어요. 여기로').waitFor();
});

await step('delete, seen live', async () => {
	await bora.goto('/timeline/local');
	await call(ta, 'notes/create', { text: '지울 글' });
	await card(bora, '지울 글').waitFor();
	await alice.goto('/timeline/local');
	await card(alice, '지울 글').getByRole('button', { name: '더 보기 메뉴' }).click();
	await alice.getByRole('menuitem', { name: '삭제' }).click();
	await alice.getByRole('dialog').getByRole('button', { name: '삭제' }).click();
	await card(alice, '지울 글').waitFor({ state: 'detached' });
	await card(bora, '지울 글').waitFor({ state: 'detached' });
});

await step('settings: language and theme stay', async () => {
	await alice.goto('/settings');
	await alice.getByRole('link', { name: '화면' }).click();
	await alice.getByText('어둡게').click();
	await alice.getByRole('link', { name: '일반' }).click();
	await alice.getByText('日本語').click();
	await alice.getByRole('heading', { name: '設定', exact: true }).waitFor();
	await alice.reload();
	await alice.getByRole('heading', { name: '設定', exact: true }).waitFor();
	assert(await alice.evaluate(() => document.documentElement.dataset.theme) === 'dark', 'not dark after a reload');
	await shot(alice, 'settings', 'ja');
	await accessible(alice, 'settings');
	await alice.goto('/timeline/social');
	await alice.getByRole('navigation', { name: /타임라인 고르기|タイムラインを選ぶ/ }).waitFor();
	await alice.goto('/timeline/global');
	await card(alice, '놓친 글').waitFor();
	await alice.context().addCookies([{ name: 'lang', value: 'en', url: origin }]);
	await alice.goto('/');
	await card(alice, '놓친 글').waitFor();
	await shot(alice, 'home', 'en');
});

await step('screenshots of a timeline with something of everything', async () => {
	await call(tb, 'notes/create', { text: '今日はいい天気です。$[ruby 天気 てんき]の話をしましょう。#散歩' });
	await call(ta, 'notes/create', { text: '> 빵은 기다림이다\n**굵게**, ~~취소~~, `코드`, https://example.com/어떤/길 @bora' });
	await call(tb, 'notes/create', { text: '🍮🎉' });
	const poll = (await call(ta, 'notes/local-timeline', { limit: 100 })).find((n) => n.poll);
	await call(tb, 'notes/create', { renoteId: poll.id });
	const q = (await call(ta, 'notes/local-timeline', { limit: 100 })).find((n) => n.text === '오늘의 명언');
	await call(ta, 'notes/create', { text: '다시 읽어도 좋네요', renoteId: q.id });
	await call(ta, 'notes/reactions/create', { noteId: q.id, reaction: '❤' });
	await bora.goto('/timeline/local');
	await card(bora, '다시 읽어도').waitFor();
	await bora.locator('aside').getByText('알림').first().waitFor();
	await shot(bora, 'timeline');
	await accessible(bora, 'timeline');
});

await browser.close();
