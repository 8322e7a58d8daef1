package timeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

var channels = []string{"homeTimeline", "localTimeline", "hybridTimeline", "globalTimeline"}

var pages = map[string]string{"homeTimeline": "notes/timeline", "localTimeline": "notes/local-timeline", "hybridTimeline": "notes/hybrid-timeline", "globalTimeline": "notes/global-timeline"}

// collect gives what each open channel heard until all open ones heard the
// last note.
func collect(sock *testsrv.Socket, open int, last string) map[string][]string {
	heard := map[string][]string{}
	for open > 0 {
		e := sock.Next("note "+last, func(e m) bool { return e["type"] == "channel" && testsrv.Dig(e, "body", "type") == "note" })
		c, id := testsrv.Dig(e, "body", "id").(string), testsrv.Dig(e, "body", "body", "id").(string)
		heard[c] = append(heard[c], id)
		if id == last {
			open--
		}
	}
	return heard
}

// Who hears what, in each channel: nobody hears what he may not see, and
// whoever listens hears what the pages show.
func TestVisibilityLive(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	author, follower, mentioned, addressee, stranger := s.User(t, "author"), s.User(t, "follower"), s.User(t, "mentioned"), s.User(t, "addressee"), s.User(t, "stranger")
	guest := s.Guest()
	guest.Name = "guest"
	follower.Post(t, "following/create", m{"userId": author.ID})
	addressee.Post(t, "following/create", m{"userId": author.ID})
	readers := []*testsrv.User{guest, stranger, follower, mentioned, addressee, author}
	socks, mains := map[string]*testsrv.Socket{}, map[string]*testsrv.Socket{}
	for _, r := range readers {
		open := channels
		if r == guest {
			open = []string{"localTimeline", "globalTimeline"}
		} else {
			mains[r.Name] = r.Stream(t, "main")
		}
		socks[r.Name] = r.Stream(t, open...)
	}
	sees := map[string]string{
		"public": "guest stranger follower mentioned addressee author", "home": "guest stranger follower mentioned addressee author",
		"followers": "follower mentioned addressee author", "specified": "mentioned addressee author",
	}
	may := func(visibility, name string) bool { return slices.Contains(strings.Fields(sees[visibility]), name) }
	ids := map[string]string{}
	for visibility := range sees {
		p := m{"text": "@mentioned 비밀", "visibility": visibility}
		if visibility == "specified" {
			p["visibleUserIds"] = []string{addressee.ID}
		}
		ids[visibility] = author.Note(t, p)
	}
	last := author.Note(t, m{"text": "last"})
	for _, r := range readers {
		open := []string{"localTimeline", "globalTimeline"}
		if r != guest {
			open = append(open, "hybridTimeline")
		}
		if r == follower || r == addressee || r == author {
			open = append(open, "homeTimeline")
		}
		heard := collect(socks[r.Name], len(open), last)
		for _, c := range open {
			page := r.List(t, pages[c], m{"limit": 100})
			for visibility, id := range ids {
				in := slices.Contains(heard[c], id)
				if in && !may(visibility, r.Name) {
					t.Errorf("%s: %s hears it in %s", visibility, r.Name, c)
				}
				if in != testsrv.Has(page, id) {
					t.Errorf("%s: %s hears it in %s: %v, on the page it is: %v", visibility, r.Name, c, in, !in)
				}
			}
		}
	}
	// main tells those who are mentioned or addressed, once a note.
	for name, want := range map[string]int{"mentioned": 4, "addressee": 1} {
		got := map[any]bool{}
		for range want {
			e := mains[name].Next("mention", func(e m) bool { return testsrv.Dig(e, "body", "type") == "mention" })
			got[testsrv.Dig(e, "body", "body", "id")] = true
		}
		if len(got) != want {
			t.Errorf("main of %s told of %d notes, want %d", name, len(got), want)
		}
	}
	// Capture: whoever may not see the note hears nothing of it.
	for visibility, id := range ids {
		for _, r := range readers {
			sock := socks[r.Name]
			for _, n := range []string{id, last} {
				sock.Capture(n)
			}
			sock.Send(m{"type": "connect", "body": m{"channel": "globalTimeline", "id": "sync " + visibility, "pong": true}})
			sock.Next("connected", func(e m) bool { return e["type"] == "connected" })
		}
		author.Post(t, "notes/reactions/create", m{"noteId": id, "reaction": "🍞"})
		author.Call(t, "notes/reactions/delete", m{"noteId": last})
		author.Post(t, "notes/reactions/create", m{"noteId": last, "reaction": "🍞"})
		for _, r := range readers {
			heard := false
			socks[r.Name].Next("the reaction to the last", func(e m) bool {
				if e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "id") == id {
					heard = true
				}
				return e["type"] == "noteUpdated" && testsrv.Dig(e, "body", "id") == last && testsrv.Dig(e, "body", "type") == "reacted"
			})
			if heard != may(visibility, r.Name) {
				t.Errorf("%s: %s captures it: %v", visibility, r.Name, heard)
			}
		}
	}
}

// Mutes, blocks and muted instances hide an account wherever it is met, live
// as by page; what one wrote oneself stays.
func TestUnwanted(t *testing.T) {
	t.Parallel()
	for what, make := range map[string]func(me, bad *testsrv.User){
		"mute":       func(me, bad *testsrv.User) { me.Post(t, "mute/create", m{"userId": bad.ID}) },
		"block":      func(me, bad *testsrv.User) { me.Post(t, "blocking/create", m{"userId": bad.ID}) },
		"be blocked": func(me, bad *testsrv.User) { bad.Post(t, "blocking/create", m{"userId": me.ID}) },
		"mute the instance": func(me, _ *testsrv.User) {
			me.Post(t, "i/update", m{"mutedInstances": []string{"far.example"}})
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := testsrv.New(t)
			me, friend, bad := s.User(t, "me"), s.User(t, "friend"), s.User(t, "bad")
			if what == "mute the instance" {
				far := s.Guest().Post(t, "signup", m{"username": "far", "password": "x", "host": "far.example"})
				bad = &testsrv.User{S: s, Name: "far", ID: testsrv.Dig(far, "id").(string), Token: testsrv.Dig(far, "token").(string)}
			}
			me.Post(t, "following/create", m{"userId": friend.ID, "withReplies": true})
			me.Post(t, "following/create", m{"userId": bad.ID, "withReplies": true})
			theirs := bad.Note(t, m{"text": "before"})
			mine := me.Note(t, m{"text": "my answer, from before", "replyId": theirs})
			make(me, bad)
			s.Settle(t)
			live := me.Stream(t, channels...)
			gone := []string{
				bad.Note(t, m{"text": "1"}),
				friend.Note(t, m{"text": "2", "replyId": theirs}),
				friend.Note(t, m{"renoteId": theirs}),
				friend.Note(t, m{"text": "3", "renoteId": theirs}),
				bad.Note(t, m{"text": "@me 4"}),
			}
			last := friend.Note(t, m{"text": "last"})
			heard := collect(live, len(channels), last)
			for c, name := range pages {
				page := me.List(t, name, m{"limit": 100})
				for _, id := range gone {
					if slices.Contains(heard[c], id) {
						t.Errorf("%s is heard in %s", id, c)
					}
					if testsrv.Has(page, id) {
						t.Errorf("%s is in %s", id, name)
					}
				}
				if c != "localTimeline" && c != "globalTimeline" && !testsrv.Has(page, mine) {
					t.Errorf("one's own note is gone from %s", name)
				}
			}
			if l := me.List(t, "notes/replies", m{"noteId": mine}); len(l) != 0 {
				t.Errorf("replies %v", l)
			}
			if l := me.List(t, "i/notifications", m{"includeTypes": []string{"mention", "reply", "renote", "quote"}}); len(l) != 0 && what != "be blocked" {
				t.Errorf("told of %v", l)
			}
		})
	}
}

// Whoever stopped being a follower hears nothing that was written after that.
func TestUnfollowedAtOnce(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	live := b.Stream(t, "homeTimeline", "globalTimeline")
	for range 20 {
		b.Post(t, "following/create", m{"userId": a.ID})
		a.Post(t, "following/invalidate", m{"userId": b.ID})
		secret := a.Note(t, m{"text": "secret", "visibility": "followers"})
		last := a.Note(t, m{"text": "public"})
		heard := collect(live, 1, last)
		if slices.Contains(heard["homeTimeline"], secret) {
			t.Fatal("heard what was not for him any more")
		}
	}
}

// A mute of renotes leaves quotes alone.
func TestRenoteMuteLive(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me, friend := s.User(t, "me"), s.User(t, "friend")
	me.Post(t, "following/create", m{"userId": friend.ID})
	base := me.Note(t, m{"text": "base"})
	me.Post(t, "renote-mute/create", m{"userId": friend.ID})
	s.Settle(t)
	live := me.Stream(t, "homeTimeline")
	pure := friend.Note(t, m{"renoteId": base})
	quote := friend.Note(t, m{"text": "q", "renoteId": base})
	heard := collect(live, 1, quote)["homeTimeline"]
	page := me.List(t, "notes/timeline", m{})
	if slices.Contains(heard, pure) || testsrv.Has(page, pure) || !testsrv.Has(page, quote) {
		t.Errorf("heard %v, page %v", heard, page)
	}
}

// A mute that has run out hides nothing any more, live neither.
func TestMuteEnds(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me, friend := s.User(t, "me"), s.User(t, "friend")
	live := me.Stream(t, "localTimeline")
	me.Post(t, "mute/create", m{"userId": friend.ID, "expiresAt": time.Now().Add(time.Hour).UnixMilli()})
	s.Settle(t)
	hidden := friend.Note(t, m{"text": "hidden"})
	if l := me.List(t, "notes/local-timeline", m{}); len(l) != 0 {
		t.Errorf("muted: %v", l)
	}
	s.Settle(t)
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 2 * time.Hour.Milliseconds()})
	if err := s.App.Relations.EndMutes(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	if l := me.List(t, "mute/list", m{}); len(l) != 0 {
		t.Errorf("mutes %v", l)
	}
	shown := friend.Note(t, m{"text": "shown"})
	if heard := collect(live, 1, shown)["localTimeline"]; slices.Contains(heard, hidden) {
		t.Error("what was muted comes late")
	}
	if l := me.List(t, "notes/local-timeline", m{}); len(l) != 2 {
		t.Errorf("after the mute: %v", l)
	}
}

// Replies in the local timeline: one's own, to oneself, to their author
// himself; all of them only on demand.
func TestLocalReplies(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me, friend, other := s.User(t, "me"), s.User(t, "friend"), s.User(t, "other")
	live := me.Stream(t, "localTimeline")
	mine, theirs := me.Note(t, m{"text": "mine"}), other.Note(t, m{"text": "theirs"})
	self := other.Note(t, m{"text": "1", "replyId": theirs})
	toMe := friend.Note(t, m{"text": "2", "replyId": mine})
	byMe := me.Note(t, m{"text": "3", "replyId": theirs})
	elses := friend.Note(t, m{"text": "4", "replyId": theirs})
	last := other.Note(t, m{"text": "last"})
	want := []string{last, byMe, toMe, self, theirs, mine}
	heard := collect(live, 1, last)["localTimeline"]
	slices.Reverse(heard)
	if page := ids(me.List(t, "notes/local-timeline", m{})); !slices.Equal(page, want) || !slices.Equal(heard, want) {
		t.Errorf("page %v, heard %v, want %v", page, heard, want)
	}
	if page := ids(me.List(t, "notes/local-timeline", m{"withReplies": true})); !slices.Contains(page, elses) || len(page) != 7 {
		t.Errorf("with replies %v", page)
	}
	if page := ids(s.Guest().List(t, "notes/local-timeline", m{})); !slices.Equal(page, []string{last, self, theirs, mine}) {
		t.Errorf("for guests %v", page)
	}
}

// A note that is gone is still a place in a list.
func TestCursorOfADeletedNote(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	var all []string
	for _, text := range []string{"0", "1", "2", "3", "4"} {
		all = append(all, a.Note(t, m{"text": text}))
	}
	a.Post(t, "notes/delete", m{"noteId": all[2]})
	for _, name := range []string{"notes/timeline", "notes/local-timeline", "notes/hybrid-timeline", "notes/global-timeline", "users/notes"} {
		if l := ids(a.List(t, name, m{"userId": a.ID, "untilId": all[2]})); !slices.Equal(l, []string{all[1], all[0]}) {
			t.Errorf("%s below it: %v", name, l)
		}
		if l := ids(a.List(t, name, m{"userId": a.ID, "sinceId": all[2]})); !slices.Equal(l, []string{all[3], all[4]}) {
			t.Errorf("%s above it: %v", name, l)
		}
	}
}
