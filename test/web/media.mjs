// Pictures in a real browser: attached, described, marked, dropped, shown, and as
// one's own face. One line a step; the first failure ends it with 1. Screenshots
// go to build/shots.
//
// node media.mjs ORIGIN ALICE BORA FOLDER
import { readFileSync } from 'node:fs';
import { accessible, assert, open, shot } from './browser.mjs';

const [origin, ta, tb, folder] = process.argv.slice(2);
const { browser, person, step, call } = await open(origin);
const alice = await person();
const bora = await person();
for (const [page, token] of [[alice, ta], [bora, tb]]) {
	const { id } = await call(token, 'i');
	await page.goto('/');
	await page.evaluate((a) => { localStorage.setItem('account', JSON.stringify(a)); document.cookie = 'client=1; path=/'; }, { id, token });
	await page.goto('/timeline/local');
	await page.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
}
const dialog = alice.getByRole('dialog', { name: '노트 쓰기' });
const tiles = dialog.getByRole('list', { name: '첨부한 파일' }).getByRole('listitem');
const loaded = (img) => img.evaluate((i) => i.decode().then(() => i.naturalWidth > 0));

await step('attach two pictures, describe one, hide the other', async () => {
	await alice.keyboard.press('n');
	// The first one takes longer than the second, and stands first all the same.
	const second = alice.waitForResponse((r) => r.url().endsWith('/api/drive/files/create'));
	await alice.route('**/api/drive/files/create', async (route) => {
		await second;
		await route.continue();
	}, { times: 1 });
	await dialog.getByLabel('올릴 파일').setInputFiles([`${folder}/빵.jpg`, `${folder}/오븐.jpg`]);
	await dialog.getByRole('button', { name: '빵.jpg 설명 쓰기' }).click();
	await dialog.getByRole('button', { name: '오븐.jpg: 열람 주의' }).waitFor();
	assert(await tiles.first().getByRole('button', { name: '빵.jpg 빼기' }).count() === 1, 'the pictures are not in the order in which they were chosen');
	await dialog.getByLabel('설명', { exact: true }).fill('갓 구운 식빵');
	await dialog.getByRole('button', { name: '오븐.jpg: 열람 주의' }).click();
	await dialog.getByRole('button', { name: '오븐.jpg: 열람 주의', pressed: true }).waitFor();
	await dialog.getByRole('button', { name: '오븐.jpg 앞으로 옮기기' }).click();
	await shot(alice, 'attach', 'ko', undefined, false);
	await accessible(alice, 'attachments');
	await dialog.getByRole('textbox', { name: '내용' }).fill('사진 두 장');
	await dialog.getByRole('button', { name: '노트', exact: true }).click();
	await dialog.waitFor({ state: 'detached' });
	const card = bora.locator('article[data-note]', { hasText: '사진 두 장' }).first();
	await card.getByText('열람 주의').first().waitFor();
	const bread = card.getByRole('img', { name: '갓 구운 식빵' });
	assert(await loaded(bread), 'the picture is not shown');
	const src = await bread.getAttribute('src');
	const res = await fetch(src);
	assert(res.headers.get('content-type') === 'image/webp', `the preview is ${res.headers.get('content-type')}`);
	await shot(bora, 'pictures', 'ko', undefined, false);
});

await step('a picture alone is a note, dropped or pasted, and a draft keeps it', async () => {
	await alice.keyboard.press('n');
	const data = readFileSync(`${folder}/빵.jpg`).toString('base64');
	const give = (kind) => dialog.getByRole('textbox', { name: '내용' }).evaluate((at, { data, kind }) => {
		const t = new DataTransfer();
		const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
		t.items.add(new File([bytes, new Uint8Array([kind === 'drop' ? 1 : 2])], 'image.png', { type: 'image/jpeg' }));
		const e = kind === 'drop' ? new DragEvent('drop', { dataTransfer: t, bubbles: true, cancelable: true }) : new ClipboardEvent('paste', { clipboardData: t, bubbles: true, cancelable: true });
		at.dispatchEvent(e);
	}, { data, kind });
	await give('drop');
	await give('paste');
	await tiles.nth(0).getByRole('button', { name: 'ALT' }).or(tiles.nth(0).locator('.alt')).waitFor();
	await alice.waitForTimeout(800);
	await dialog.getByRole('button', { name: '닫기' }).click();
	await alice.reload();
	await alice.getByRole('navigation', { name: '타임라인 고르기' }).waitFor();
	await alice.keyboard.press('n');
	await tiles.first().waitFor(); // the draft has not forgotten its pictures
	await dialog.getByRole('button', { name: '노트', exact: true }).click();
	await dialog.waitFor({ state: 'detached' });
	const [note] = await call(ta, 'users/notes', { userId: (await call(ta, 'i')).id, withFiles: true, limit: 1 });
	assert(note.text === null && note.files.length >= 1, `the note is ${JSON.stringify(note.text)} with ${note.files.length}`);
});

await step('choose from the drive', async () => {
	await alice.keyboard.press('n');
	await dialog.getByRole('button', { name: '드라이브에서 고르기' }).click();
	const drive = alice.getByRole('dialog', { name: '드라이브' });
	await drive.getByRole('button', { name: '빵.jpg' }).click();
	await accessible(alice, 'the drive');
	await shot(alice, 'drive', 'ko', undefined, false);
	await drive.getByRole('button', { name: '1개 붙이기' }).click();
	await dialog.getByRole('button', { name: '빵.jpg 빼기' }).click();
	assert(await tiles.count() === 0, 'it cannot be taken out');
	await dialog.getByRole('button', { name: '닫기' }).click();
});

await step('what is refused is said', async () => {
	await alice.keyboard.press('n');
	await dialog.getByLabel('올릴 파일').setInputFiles([{ name: 'page.html', mimeType: 'text/html', buffer: Buffer.from('<!doctype html><p>x') }]);
	await alice.getByText('이런 종류의 파일은 올릴 수 없어요').waitFor();
	await dialog.getByRole('button', { name: '닫기' }).click();
});

await step('one\'s own picture and banner', async () => {
	await alice.goto('/settings/profile');
	await alice.getByRole('button', { name: '프로필 사진 바꾸기' }).click();
	await alice.getByLabel('프로필 사진', { exact: true }).first().setInputFiles(`${folder}/빵.jpg`);
	await alice.getByRole('button', { name: '프로필 사진 없애기' }).waitFor();
	await alice.getByRole('button', { name: '배너 바꾸기' }).click();
	await alice.locator('input[type=file]').setInputFiles(`${folder}/오븐.jpg`);
	await alice.getByRole('button', { name: '배너 없애기' }).waitFor();
	assert(await loaded(alice.locator('img.face')), 'the picture is not shown');
	await shot(alice, 'settings-pictures', 'ko', undefined, false);
	await accessible(alice, 'pictures of a profile');
	await bora.goto('/@alice');
	const face = bora.getByRole('img', { name: /alice/ }).first();
	await face.waitFor();
	assert(/\/proxy\/avatar\.webp/.test(await face.getAttribute('src')), 'the whole file is given for a face');
	assert(await loaded(face), 'another does not see the picture');
	await alice.getByRole('button', { name: '프로필 사진 없애기' }).click();
	await alice.getByRole('button', { name: '프로필 사진 없애기' }).waitFor({ state: 'detached' });
});

await browser.close();
