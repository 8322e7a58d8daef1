import { describe, expect, it } from 'vitest';
import { base64url } from '../src/push/enroll.ts';
import { say, texts, type Told } from '../src/push/words.ts';

const n = (o: Partial<Told>): Told => ({ id: 'n1', type: 'test', createdAt: '2026-01-01T00:00:00.000Z', ...o });
const bora = { id: 'b', username: 'bora', host: null, name: '하늘', avatarUrl: '/a.webp' };

describe('what a notification says', () => {
	it('names who did it, and leads to what it is about', () => {
		expect(say(n({ type: 'mention', user: bora, note: { id: 'x', text: '안녕' } }), texts.ko)).toMatchObject({ title: '하늘 님이 멘션했어요', body: '안녕', to: '/notes/x', tag: 'n1', icon: '/a.webp', asks: false });
		expect(say(n({ type: 'follow', user: { ...bora, name: null, host: 'b.example' } }), texts.en)).toMatchObject({ title: 'bora followed you', to: '/@bora@b.example' });
		expect(say(n({ type: 'receiveFollowRequest', user: bora }), texts.ja)).toMatchObject({ asks: true, to: '/my/notifications' });
	});
	it('puts reactions to a note into one, and counts people once', () => {
		const one = say(n({ type: 'reaction', user: bora, reaction: ':bread@.:', note: { id: 'x', text: '' } }), texts.ko);
		expect(one).toMatchObject({ title: '하늘 님이 :bread: 리액션했어요', tag: 'reaction:x', who: ['b'] });
		expect(say(n({ type: 'reaction', user: bora, reaction: '🍞', note: { id: 'x' } }), texts.ko, one.who).title).toBe('하늘 님이 🍞 리액션했어요');
		expect(say(n({ type: 'reaction', user: { ...bora, id: 'c', name: 'noel' }, reaction: '🍞', note: { id: 'x' } }), texts.ko, one.who)).toMatchObject({ title: 'noel 님 외 1명이 리액션했어요', who: ['b', 'c'] });
	});
	it('leads from a renote to what was renoted', () => {
		expect(say(n({ type: 'renote', user: bora, note: { id: 'r', renoteId: 'x' } }), texts.ko)).toMatchObject({ to: '/notes/x', tag: 'renote:x' });
	});
	it('takes what it does not know, and $ for what it is', () => {
		expect(say(n({ type: 'of the future' }), texts.en)).toMatchObject({ title: 'There is something new', to: '/my/notifications' });
		expect(say(n({ type: 'quote', user: { ...bora, name: '$& {name}' } }), texts.en).title).toBe('$& {name} quoted you');
		expect(say(n({ type: 'app', header: null, body: 'b', icon: null }), texts.en)).toMatchObject({ title: 'There is something new', body: 'b' });
	});
});

it('writes bytes as servers take them', () => {
	expect(base64url(new Uint8Array([251, 255, 191, 1]).buffer)).toBe('-_-_AQ');
	expect(base64url(null)).toBe('');
});
