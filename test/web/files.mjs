// The drive in a real browser. One line a step; the first failure ends it with 1.
//
// node files.mjs ORIGIN ALICE FILES
import { readFileSync } from 'node:fs';
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, token, files] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const page = await person();
const tile = (name) => page.getByRole('button', { name: `${name} 보기` });
const asked = (name) => page.getByRole('dialog', { name });

await step('files are uploaded, and how much room they take is said', async () => {
	const { id } = await call(token, 'i');
	await page.goto('/signin');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto('/');
	await page.getByRole('navigation', { name: '주 메뉴' }).getByRole('link', { name: '드라이브' }).click();
	await page.getByText('파일이 없어요.').waitFor();
	await accessible(page, 'an empty drive');
	await page.getByLabel('올리기', { exact: true }).and(page.locator('input')).setInputFiles([`${files}/식빵.png`, `${files}/오븐.png`]);
	await tile('식빵.png').waitFor();
	await tile('오븐.png').waitFor();
	await page.getByRole('list', { name: '올리는 파일' }).waitFor({ state: 'detached' });
	await page.getByText(/가운데 .* 사용/).waitFor();
	await page.waitForFunction(() => document.querySelector('meter').value > 10_000);
});

await step('a folder is made and opened, and a file dropped into it', async () => {
	await page.getByRole('button', { name: '폴더나 주소로 추가' }).click();
	await page.getByRole('menuitem', { name: '새 폴더' }).click();
	await asked('새 폴더').getByLabel('이름').fill('여름 빵');
	await page.keyboard.press('Enter');
	await page.getByRole('link', { name: '여름 빵' }).click();
	await page.getByRole('navigation', { name: '폴더 경로' }).getByText('여름 빵').waitFor();
	const data = readFileSync(`${files}/반죽 사진.png`).toString('base64');
	const transfer = await page.evaluateHandle((b) => {
		const t = new DataTransfer();
		t.items.add(new File([Uint8Array.from(atob(b), (c) => c.charCodeAt(0))], '반죽 사진.png', { type: 'image/png' }));
		return t;
	}, data);
	await page.getByRole('region', { name: '여름 빵' }).dispatchEvent('drop', { dataTransfer: transfer });
	await tile('반죽 사진.png').waitFor();
	const [f] = await call(token, 'drive/files/find', { name: '반죽 사진.png', folderId: new URL(page.url()).pathname.split('/').at(-1) });
	assert(f, 'it is not in the folder');
	await page.getByRole('navigation', { name: '폴더 경로' }).getByRole('link', { name: '드라이브' }).click();
	await tile('식빵.png').waitFor();
	assert(await tile('반죽 사진.png').count() === 0, 'a file of another folder is here');
});

await step('a file is named, described and marked, and its notes are shown', async () => {
	const [f] = await call(token, 'drive/files/find', { name: '식빵.png' });
	await call(token, 'notes/create', { text: '식빵을 보세요', fileIds: [f.id] });
	await tile('식빵.png').click();
	const d = asked('식빵.png');
	await d.getByRole('link', { name: '식빵을 보세요' }).waitFor();
	await d.getByLabel('이름').fill('하얀 식빵.png');
	await d.getByLabel('설명').fill('하얀 식빵 한 덩이');
	await d.getByRole('switch', { name: '열람 주의' }).check();
	await accessible(page, 'a file');
	await page.getByRole('dialog').getByRole('button', { name: '저장' }).click();
	await page.getByText('저장했어요.').waitFor();
	await shot(page, 'drive-file', 'ko', [[1280, 'light'], [390, 'dark']], false);
	const now = await call(token, 'drive/files/show', { fileId: f.id });
	assert(now.name === '하얀 식빵.png' && now.comment === '하얀 식빵 한 덩이' && now.isSensitive, JSON.stringify(now));
	await page.keyboard.press('Escape');
	await tile('하얀 식빵.png').waitFor();
});

await step('files are put in order and found in all folders', async () => {
	const names = () => page.getByRole('list', { name: '파일', exact: true }).locator('p').evaluateAll((l) => l.map((p) => p.title));
	await page.getByLabel('순서').selectOption('큰 것부터');
	await page.waitForFunction(() => document.querySelector('.files p')?.title === '오븐.png');
	await page.getByLabel('순서').selectOption('이름 역순');
	await page.waitForFunction(() => document.querySelector('.files p')?.title === '하얀 식빵.png');
	await page.getByLabel('파일 이름 검색').fill('반죽');
	await page.getByText('파일 3개를 살펴보고 1개를 찾았어요.').waitFor();
	assert((await names()).join() === '반죽 사진.png', await names());
	await page.getByLabel('파일 이름 검색').fill('');
	await tile('오븐.png').waitFor();
});

await step('several are moved at once', async () => {
	await page.getByLabel('하얀 식빵.png 고르기').check();
	await page.getByLabel('오븐.png 고르기').check();
	await accessible(page, 'the drive');
	await shot(page, 'drive', 'ko');
	await page.getByRole('group', { name: '2개 고름' }).getByRole('button', { name: '옮기기' }).click();
	await asked('어디로 옮길까요?').getByRole('button', { name: '여름 빵' }).click();
	await accessible(page, 'where to move');
	await page.getByRole('button', { name: '여기로 옮기기' }).click();
	await page.getByText('파일 2개를 옮겼어요.').waitFor();
	await tile('오븐.png').waitFor({ state: 'detached' });
	await page.getByRole('link', { name: '여름 빵' }).click();
	await tile('오븐.png').waitFor();
	await tile('하얀 식빵.png').waitFor();
});

await step('what another device does is seen at once', async () => {
	const folderId = new URL(page.url()).pathname.split('/').at(-1);
	const form = new FormData();
	for (const [k, v] of Object.entries({ i: token, name: '딴 곳에서.png', folderId, force: 'true' })) form.append(k, v);
	form.append('file', new Blob([readFileSync(`${files}/식빵.png`)]), 'x.png');
	const f = await (await fetch(`${origin}/api/drive/files/create`, { method: 'POST', body: form })).json();
	await tile('딴 곳에서.png').waitFor();
	await call(token, 'drive/files/update', { fileId: f.id, name: '여기로.png' });
	await tile('여기로.png').waitFor();
	await call(token, 'drive/files/delete', { fileId: f.id });
	await tile('여기로.png').waitFor({ state: 'detached' });
});

await step('a folder is renamed, and one that is not empty stays', async () => {
	await page.getByRole('button', { name: '여름 빵 폴더 메뉴' }).click();
	await page.getByRole('menuitem', { name: '이름 바꾸기' }).click();
	await asked('이름 바꾸기').getByLabel('이름').fill('가을 빵');
	await page.keyboard.press('Enter');
	await page.getByRole('button', { name: '가을 빵 폴더 메뉴' }).click();
	await page.getByRole('menuitem', { name: '삭제' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '삭제' }).click();
	await page.getByText('폴더가 비어 있지 않아요.').waitFor();
});

await step('files are deleted, and then the folder', async () => {
	for (const box of await page.getByRole('checkbox').all()) await box.check();
	await page.getByRole('group', { name: '3개 고름' }).getByRole('button', { name: '삭제' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '삭제' }).click();
	await page.getByText('파일이 없어요.').waitFor();
	assert((await call(token, 'drive/stream', { limit: 10 })).length === 0, 'there are files');
	await page.getByRole('button', { name: '가을 빵 폴더 메뉴' }).click();
	await page.getByRole('menuitem', { name: '삭제' }).click();
	await page.getByRole('dialog').getByRole('button', { name: '삭제' }).click();
	await page.waitForURL('**/my/drive');
	assert((await call(token, 'drive/folders', {})).length === 0, 'the folder is there');
});

await step('from an address: an address that cannot be one is refused', async () => {
	await page.getByRole('button', { name: '폴더나 주소로 추가' }).click();
	await page.getByRole('menuitem', { name: '주소에서 가져오기' }).click();
	const d = asked('주소에서 가져오기');
	await d.getByLabel('주소').fill('no address');
	await d.getByRole('button', { name: '확인' }).click();
	assert(await d.getByLabel('주소').evaluate((i) => !i.validity.valid), 'it is taken for an address');
	await d.getByLabel('주소').fill(`${origin}/icons/192.png`);
	await d.getByRole('button', { name: '확인' }).click();
	await page.getByText('가져오기를 시작했어요.').waitFor();
	for (const lang of ['ja', 'en']) {
		await page.context().addCookies([{ name: 'lang', value: lang, url: origin }]);
		await page.reload();
		await page.getByRole('meter').waitFor();
		await shot(page, 'drive', lang, [[390, 'light']]);
	}
});

await browser.close();
