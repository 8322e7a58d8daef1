package channel_test

import (
	"fmt"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func make1(t *testing.T, u *testsrv.User, params m) string {
	t.Helper()
	return testsrv.Dig(u.Post(t, "channels/create", params), "id").(string)
}

func shown(t *testing.T, u *testsrv.User, id string) m {
	t.Helper()
	return u.Post(t, "channels/show", m{"channelId": id}).(map[string]any)
}

func TestKeeping(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bora")
	banner := a.File(t, "x.png", testsrv.Picture(t, "x"), nil)
	id := make1(t, a, m{"name": " 식빵 ", "description": "굽는 이야기", "bannerId": banner["id"], "color": "#aa0000", "isSensitive": true})
	c := shown(t, a, id)
	for key, want := range map[string]any{"name": "식빵", "description": "굽는 이야기", "bannerId": banner["id"], "bannerUrl": banner["url"], "color": "#aa0000", "isSensitive": true, "userId": a.ID,
		"allowRenoteToExternal": true, "isArchived": false, "notesCount": 0.0, "usersCount": 0.0, "isFollowing": false, "isFavorited": false, "isMuting": false, "lastNotedAt": nil} {
		testsrv.Is(t, c, want, key)
	}
	testsrv.Is(t, shown(t, s.Guest(), id), nil, "isFollowing")
	a.Fails(t, "channels/create", m{"name": "x", "bannerId": "none"}, 400, "NO_SUCH_FILE")
	a.Fails(t, "channels/create", m{"name": " "}, 400, "INVALID_PARAM")
	b.Fails(t, "channels/create", m{"name": "x", "bannerId": banner["id"]}, 400, "NO_SUCH_FILE")
	b.Fails(t, "channels/update", m{"channelId": id, "name": "mine"}, 400, "ACCESS_DENIED")
	a.Fails(t, "channels/update", m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	a.Fails(t, "channels/update", m{"channelId": id, "bannerId": "none"}, 400, "NO_SUCH_FILE")
	a.Fails(t, "channels/show", m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	a.Fails(t, "channels/timeline", m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	note, other := a.Note(t, m{"text": "고정", "channelId": id}), a.Note(t, m{"text": "밖"})
	a.Fails(t, "channels/update", m{"channelId": id, "pinnedNoteIds": []string{other}}, 400, "NO_SUCH_NOTE")
	a.Post(t, "channels/update", m{"channelId": id, "pinnedNoteIds": []string{note, note}, "description": nil, "bannerId": nil, "name": "호밀빵"})
	c = shown(t, b, id)
	testsrv.Is(t, c, note, "pinnedNotes", 0, "id")
	testsrv.Is(t, c, nil, "bannerUrl")
	testsrv.Is(t, c, nil, "description")
	testsrv.Is(t, root.Post(t, "channels/update", m{"channelId": id, "isArchived": true}), true, "isArchived") // a moderator may
	a.Fails(t, "notes/create", m{"text": "x", "channelId": id}, 400, "NO_SUCH_CHANNEL")
	if l := a.List(t, "channels/owned", m{}); len(l) != 0 {
		t.Errorf("archived: %v", l)
	}
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canCreateChannel": false}})
	b.Fails(t, "channels/create", m{"name": "x"}, 403, "ROLE_PERMISSION_DENIED")
}

// Whoever follows, keeps or mutes a channel finds it again.
func TestTies(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	bread, cake := make1(t, a, m{"name": "Bread", "description": "100% rye"}), make1(t, a, m{"name": "Cake", "description": "sweet bread"})
	is := func(name, key string, params m, want ...string) {
		t.Helper()
		l := b.List(t, name, params)
		ok := len(l) == len(want)
		for i := range want {
			ok = ok && l[i]["id"] == want[i] && (key == "" || l[i][key] == true)
		}
		if !ok {
			t.Errorf("%s %v: %v", name, params, l)
		}
	}
	is("channels/search", "", m{"query": "bread"}, cake, bread)
	is("channels/search", "", m{"query": "BREAD", "type": "nameOnly"}, bread)
	is("channels/search", "", m{"query": "0% r"}, bread)
	is("channels/search", "", m{"query": "", "limit": 1}, cake)
	is("channels/featured", "", m{})
	for _, x := range [][4]string{{"channels/follow", "channels/unfollow", "channels/followed", "isFollowing"}, {"channels/favorite", "channels/unfavorite", "channels/my-favorites", "isFavorited"}} {
		for range 2 { // twice is once
			b.Post(t, x[0], m{"channelId": bread})
		}
		b.Post(t, x[0], m{"channelId": cake})
		is(x[2], x[3], m{}, cake, bread)
		for range 2 {
			b.Post(t, x[1], m{"channelId": cake})
		}
		is(x[2], x[3], m{}, bread)
		b.Fails(t, x[0], m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
		b.Fails(t, x[1], m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	}
	b.Post(t, "channels/mute/create", m{"channelId": bread})
	b.Fails(t, "channels/mute/create", m{"channelId": bread}, 400, "ALREADY_MUTING")
	b.Fails(t, "channels/mute/create", m{"channelId": cake, "expiresAt": 1}, 400, "EXPIRES_AT_IS_PAST")
	b.Fails(t, "channels/mute/create", m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	b.Fails(t, "channels/mute/delete", m{"channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	b.Fails(t, "channels/mute/delete", m{"channelId": cake}, 400, "NOT_MUTING")
	b.Post(t, "channels/mute/create", m{"channelId": cake, "expiresAt": time.Now().Add(time.Hour).UnixMilli()})
	is("channels/mute/list", "isMuting", m{}, cake, bread)
	b.Post(t, "channels/mute/delete", m{"channelId": bread})
	is("channels/mute/list", "isMuting", m{}, cake)
	s.Guest().Post(t, "oven/clock", m{"offsetMs": (2 * time.Hour).Milliseconds()})
	is("channels/mute/list", "", m{})
	b.Post(t, "channels/mute/create", m{"channelId": cake}) // the old one is over
}

// Notes of a channel are public, stay on this server, and come to those who follow
// it: in pages, live, and in the channel.
func TestNotes(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	a, b, c := s.User(t, "alice"), s.User(t, "bora"), s.User(t, "chan")
	far.Actor("bob").Tell(t, s, m{"type": "Follow", "object": a.URI()})
	id, closed := make1(t, a, m{"name": "식빵"}), make1(t, a, m{"name": "닫힌", "allowRenoteToExternal": false})
	b.Post(t, "channels/follow", m{"channelId": id})
	c.Post(t, "following/create", m{"userId": a.ID})
	live, home, others := b.Stream(t, "homeTimeline"), c.Stream(t, "homeTimeline"), c.Stream(t)
	others.Send(m{"type": "connect", "body": m{"channel": "channel", "id": "ch", "pong": true, "params": m{"channelId": id}}})
	others.Next("connected", func(e m) bool { return e["type"] == "connected" })
	n := a.Note(t, m{"text": "채널", "channelId": id, "visibility": "followers", "localOnly": false})
	got := a.Post(t, "notes/show", m{"noteId": n})
	for key, want := range map[string]any{"visibility": "public", "localOnly": true, "channelId": id} {
		testsrv.Is(t, got, want, key)
	}
	testsrv.Is(t, got, "식빵", "channel", "name")
	reply := b.Note(t, m{"text": "답", "replyId": n})
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": reply}), id, "channelId")
	outside := a.Note(t, m{"text": "밖", "replyId": a.Note(t, m{"text": "밖에서"}), "channelId": id})
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": outside}), nil, "channelId")
	live.Next("home", func(e m) bool { return testsrv.Dig(e, "body", "body", "id") == n })
	others.Next("channel", func(e m) bool {
		return testsrv.Dig(e, "body", "id") == "ch" && testsrv.Dig(e, "body", "body", "id") == n
	})
	last := a.Note(t, m{"text": "끝"})
	if ids := home.Notes("homeTimeline", last); len(ids) == 0 || ids[0] == n {
		t.Errorf("a follower of the author alone is told of the channel: %v", ids)
	}
	s.Settle(t)
	for name, where := range map[string]struct {
		u    *testsrv.User
		p    m
		want bool
	}{"notes/timeline": {b, m{}, true}, "notes/hybrid-timeline": {b, m{}, true}, "notes/local-timeline": {b, m{}, false}, "notes/global-timeline": {b, m{}, false},
		"channels/timeline": {c, m{"channelId": id}, true}, "users/notes": {c, m{"userId": a.ID}, false}} {
		if has := testsrv.Has(where.u.List(t, name, where.p), n); has != where.want {
			t.Errorf("%s has it: %v", name, has)
		}
	}
	if testsrv.Has(c.List(t, "notes/timeline", m{}), n) {
		t.Error("who follows only the author has it at home")
	}
	if !testsrv.Has(c.List(t, "users/notes", m{"userId": a.ID, "withChannelNotes": true}), n) {
		t.Error("the author's notes in channels are not given when asked for")
	}
	// In pages, nothing is lost or doubled between the channel's and the others'.
	b.Post(t, "following/create", m{"userId": a.ID})
	var want []string
	for i := range 9 {
		p := m{"text": fmt.Sprint(i)}
		if i%2 == 0 {
			p["channelId"] = id
		}
		want = append([]string{a.Note(t, p)}, want...)
	}
	var ids []string
	until := ""
	for len(ids) < 9 {
		p := m{"limit": 2}
		if until != "" {
			p["untilId"] = until
		}
		page := b.List(t, "notes/timeline", p)
		if len(page) != 2 {
			t.Fatalf("a page of %d", len(page))
		}
		for _, x := range page {
			ids = append(ids, x["id"].(string))
		}
		until = ids[len(ids)-1]
	}
	if fmt.Sprint(ids[:9]) != fmt.Sprint(want) {
		t.Errorf("pages of home: %v, not %v", ids[:9], want)
	}
	up := b.List(t, "notes/timeline", m{"sinceId": want[8], "limit": 3})
	if len(up) != 3 || up[0]["id"] != want[7] || up[2]["id"] != want[5] {
		t.Errorf("upwards: %v", up)
	}
	// What a channel keeps to itself is not renoted outside; others may be, here.
	kept := a.Note(t, m{"text": "안", "channelId": closed})
	b.Fails(t, "notes/create", m{"renoteId": kept}, 400, "CANNOT_RENOTE_OUTSIDE_OF_CHANNEL")
	b.Fails(t, "notes/create", m{"renoteId": kept, "channelId": id}, 400, "CANNOT_RENOTE_OUTSIDE_OF_CHANNEL")
	b.Note(t, m{"renoteId": kept, "channelId": closed})
	renote := b.Note(t, m{"renoteId": n})
	testsrv.Is(t, b.Post(t, "notes/show", m{"noteId": renote}), true, "localOnly")
	a.Fails(t, "notes/create", m{"text": "x", "channelId": "none"}, 400, "NO_SUCH_CHANNEL")
	s.Settle(t)
	for _, sent := range far.Left() {
		if sent == s.Origin+"/notes/"+n || sent == s.Origin+"/notes/"+kept {
			t.Errorf("%s has left this server", sent)
		}
	}
	for _, path := range []string{"/notes/" + n, "/notes/" + n + "/activity"} {
		if status := testsrv.GetAP(t, s, path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// A muted channel is seen nowhere but in itself: neither its notes nor what
// renotes them.
func TestMutes(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	id := make1(t, a, m{"name": "식빵"})
	b.Post(t, "following/create", m{"userId": a.ID})
	b.Post(t, "channels/follow", m{"channelId": id})
	sock := b.Stream(t, "homeTimeline", "localTimeline")
	b.Post(t, "channels/mute/create", m{"channelId": id})
	s.Settle(t)
	n := a.Note(t, m{"text": "채널", "channelId": id})
	renote := a.Note(t, m{"renoteId": n})
	quote := a.Note(t, m{"renoteId": n, "text": "봐"})
	last := a.Note(t, m{"text": "끝"})
	for _, channel := range []string{"homeTimeline"} {
		if ids := sock.Notes(channel, last); len(ids) != 1 {
			t.Errorf("%s: %v", channel, ids)
		}
	}
	check := func(muted bool) {
		t.Helper()
		for _, name := range []string{"notes/timeline", "notes/hybrid-timeline", "notes/local-timeline", "notes/global-timeline"} {
			l := b.List(t, name, m{})
			for _, x := range []string{renote, quote} {
				if testsrv.Has(l, x) == muted {
					t.Errorf("%s, muted %v: %v", name, muted, l)
				}
			}
			if !testsrv.Has(l, last) {
				t.Errorf("%s lacks others", name)
			}
		}
		if testsrv.Has(b.List(t, "notes/timeline", m{}), n) == muted {
			t.Errorf("home, muted %v", muted)
		}
		if !testsrv.Has(b.List(t, "channels/timeline", m{"channelId": id}), n) {
			t.Error("the channel itself lacks it")
		}
	}
	check(true)
	b.Post(t, "channels/mute/delete", m{"channelId": id})
	check(false)
}

// Counts are those of the rows, whatever has been deleted, one by one or by the many.
func TestCounts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	id := make1(t, a, m{"name": "식빵"})
	var notes []string
	for i := range 4 {
		notes = append(notes, a.Note(t, m{"text": fmt.Sprint(i), "channelId": id}))
	}
	b.Note(t, m{"text": "b", "channelId": id})
	b.Note(t, m{"text": "elsewhere"})
	is := func(notes, users float64) {
		t.Helper()
		s.Settle(t)
		c := shown(t, a, id)
		testsrv.Is(t, c, notes, "notesCount")
		testsrv.Is(t, c, users, "usersCount")
	}
	is(5, 2)
	if shown(t, a, id)["lastNotedAt"] == nil {
		t.Error("when something was written last is not known")
	}
	if l := a.List(t, "channels/featured", m{}); len(l) != 1 {
		t.Errorf("featured: %v", l)
	}
	a.Post(t, "notes/delete", m{"noteId": notes[0]})
	is(4, 2)
	b.Post(t, "i/delete-account", m{"password": "password"})
	a.Note(t, m{"text": "one more", "channelId": id})
	for range 50 {
		s.Settle(t)
		if s.Count(t, "SELECT count(*) FROM note WHERE user_id = $1", b.ID) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	is(4, 1)
}

// What one process is told of an account's channels, the others know.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	other := testsrv.New(t, testsrv.On(s.DB), func(o *app.Options) {
		o.Origin, o.Host, o.Hostname, o.Box = s.Origin, s.App.Meta.Host, s.App.Meta.Hostname, s.Box()
	})
	a, b := s.User(t, "alice"), s.User(t, "bora")
	there := &testsrv.User{S: other, Name: b.Name, ID: b.ID, Token: b.Token}
	id := make1(t, a, m{"name": "식빵"})
	n := a.Note(t, m{"text": "채널", "channelId": id})
	for _, follows := range []bool{false, true, false} {
		for range 50 { // the other process reads the log by itself
			if testsrv.Has(there.List(t, "notes/timeline", m{}), n) == follows {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if testsrv.Has(there.List(t, "notes/timeline", m{}), n) != follows {
			t.Errorf("follows %v: not so at the other process", follows)
		}
		b.Post(t, map[bool]string{true: "channels/unfollow", false: "channels/follow"}[follows], m{"channelId": id})
	}
}
