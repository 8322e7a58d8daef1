package account_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// exists tells which notes are there.
func exists(t *testing.T, s *testsrv.Server, ids ...string) []bool {
	t.Helper()
	out := make([]bool, len(ids))
	for i, id := range ids {
		out[i] = s.Count(t, "SELECT count(*) FROM note WHERE id = $1", id) == 1
	}
	return out
}

// A clearing takes what it says it takes, and nothing that hangs together with
// what is pinned or direct; others' notes stay; each server is told of what it
// had, and of nothing else.
func TestClear(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	me, friend := s.User(t, "mia"), s.User(t, "friend")
	fan := far.Actor("fan")
	fan.Tell(t, s, m{"type": "Follow", "object": me.URI()})
	far.Got(t, "Accept")

	plain := me.Note(t, m{"text": "plain"})
	root := me.Note(t, m{"text": "root of a thread"})
	answer := friend.Note(t, m{"text": "answer", "replyId": root})
	pinned := me.Note(t, m{"text": "pinned", "replyId": answer})
	below := me.Note(t, m{"text": "below what is pinned", "replyId": friend.Note(t, m{"text": "between", "replyId": pinned})})
	me.Post(t, "i/pin", m{"noteId": pinned})
	direct := me.Note(t, m{"text": "direct", "visibility": "specified", "visibleUserIds": []string{friend.ID}})
	quoted := me.Note(t, m{"text": "quoted"})
	quote := me.Note(t, m{"text": "direct quote", "visibility": "specified", "visibleUserIds": []string{friend.ID}, "renoteId": quoted})
	favourite := me.Note(t, m{"text": "a favourite"})
	me.Post(t, "notes/favorites/create", m{"noteId": favourite})
	others := friend.Note(t, m{"text": "an answer to what goes", "replyId": plain})
	renote := friend.Note(t, m{"renoteId": plain})
	own := me.Note(t, m{"renoteId": others})
	local := me.Note(t, m{"text": "stays here", "localOnly": true})
	s.Settle(t)
	for _, typ := range far.Left() { // what was told of them
		far.Got(t, typ)
	}

	me.Fails(t, "i/truncate-account", m{"password": "wrong"}, 400, "INCORRECT_PASSWORD")
	me.Fails(t, "i/truncate-account", m{"password": "password", "notes": false, "files": false}, 400, "NOTHING_TO_CLEAR")
	me.Fails(t, "oven/account/cleanup/status", m{}, 400, "NO_SUCH_CLEANUP")
	for _, verb := range []string{"pause", "resume", "cancel"} {
		me.Fails(t, "oven/account/cleanup/"+verb, m{}, 400, "NO_SUCH_CLEANUP")
	}
	preview := me.Post(t, "oven/account/cleanup/preview", m{"keepFavorited": true})
	testsrv.Is(t, preview, 3.0, "notes")
	testsrv.Is(t, preview, 7.0, "notesKept")
	testsrv.Is(t, preview, 1.0, "servers")
	if got := me.Post(t, "oven/account/cleanup/preview", m{"olderThanDays": 1}); testsrv.Dig(got, "notes") != 0.0 {
		t.Errorf("older than a day: %v", got)
	}

	sock := me.Stream(t, "main")
	me.Post(t, "i/truncate-account", m{"password": "password", "keepFavorited": true})
	sock.Next("the end of the clearing", func(msg m) bool {
		return testsrv.Dig(msg, "body", "type") == "cleanupProgress" && testsrv.Dig(msg, "body", "body", "state") == "done"
	})
	s.Settle(t)
	if got := exists(t, s, plain, own, local, renote); slices.Contains(got, true) {
		t.Errorf("plain, own, local, renote are there: %v", got)
	}
	if got := exists(t, s, root, answer, pinned, below, direct, quoted, quote, favourite, others); slices.Contains(got, false) {
		t.Errorf("root, answer, pinned, below, direct, quoted, quote, favourite, others are there: %v", got)
	}
	st := me.Post(t, "oven/account/cleanup/status", m{})
	testsrv.Is(t, st, "done", "state")
	testsrv.Is(t, st, 3.0, "notesDone")
	testsrv.Is(t, me.Post(t, "users/show", m{"userId": me.ID}), 7.0, "notesCount")
	// The server of a follower is told of what it had: the renote and the note.
	testsrv.Is(t, far.Got(t, "Delete"), s.Origin+"/notes/"+plain, "object", "id")
	testsrv.Is(t, far.Got(t, "Undo"), "Announce", "object", "type")
	if left := far.Left(); len(left) > 0 {
		t.Errorf("it was also told %v", left)
	}
	// Again, and what stayed only as a favourite goes.
	me.Post(t, "i/truncate-account", m{"password": "password"})
	s.Settle(t)
	if got := exists(t, s, favourite, pinned); got[0] || !got[1] {
		t.Errorf("favourite, pinned are there: %v", got)
	}
}

// A clearing can be put off, paused and cancelled; there is one at a time; what
// is written or pinned while it runs stays.
func TestRuleAClearing(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me := s.User(t, "mia")
	var ids []string
	for i := range 30 {
		ids = append(ids, me.Note(t, m{"text": fmt.Sprint(i)}))
	}
	me.Post(t, "i/truncate-account", m{"password": "password", "startsIn": 3600})
	me.Fails(t, "i/truncate-account", m{"password": "password"}, 400, "CLEANUP_RUNNING")
	testsrv.Is(t, me.Post(t, "oven/account/cleanup/status", m{}), "waiting", "state")
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM note"); n != 30 {
		t.Fatalf("%d notes before it starts", n)
	}
	me.Post(t, "oven/account/cleanup/pause", m{})
	testsrv.Is(t, me.Post(t, "oven/account/cleanup/status", m{}), "paused", "state")
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 2 * time.Hour.Milliseconds()})
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM note"); n != 30 {
		t.Fatalf("%d notes while it is paused", n)
	}
	late := me.Note(t, m{"text": "written meanwhile"})
	me.Post(t, "i/pin", m{"noteId": ids[3]})
	me.Post(t, "oven/account/cleanup/resume", m{})
	s.Settle(t)
	if got := exists(t, s, late, ids[3], ids[4]); !got[0] || !got[1] || got[2] {
		t.Errorf("late, pinned, other are there: %v", got)
	}
	testsrv.Is(t, me.Post(t, "oven/account/cleanup/status", m{}), "done", "state")
	// Cancelled, it takes nothing more, and the next can begin.
	kept := me.Note(t, m{"text": "kept by cancelling"})
	me.Post(t, "i/truncate-account", m{"password": "password", "startsIn": 10})
	me.Post(t, "oven/account/cleanup/cancel", m{})
	me.Fails(t, "oven/account/cleanup/resume", m{}, 400, "NO_SUCH_CLEANUP")
	s.Guest().Post(t, "oven/clock", m{"offsetMs": 3 * time.Hour.Milliseconds()})
	s.Settle(t)
	if !exists(t, s, kept)[0] {
		t.Error("a cancelled clearing went on")
	}
}

// manyNotes gives an account so many notes, as if it had written them.
func manyNotes(t *testing.T, s *testsrv.Server, me *testsrv.User, n int) {
	t.Helper()
	for _, q := range []string{
		`INSERT INTO note (id, user_id, text, visibility) SELECT '9' || lpad(i::text, 15, '0'), $1, 'note ' || i, 'public' FROM generate_series(1, $2) i`,
		`INSERT INTO note_stat (note_id) SELECT id FROM note WHERE user_id = $1 AND $2 > 0`,
		`UPDATE user_stat SET notes_count = $2 WHERE user_id = $1`,
	} {
		if _, err := s.DB.Exec(t.Context(), q, me.ID, n); err != nil {
			t.Fatal(err)
		}
	}
}

// Broken off at any moment, again and again, a clearing goes on where it was:
// nothing is counted twice, and nothing is passed by.
func TestClearGoesOn(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { o.Workers = false })
	me := s.User(t, "mia")
	manyNotes(t, s, me, 2000)
	me.Post(t, "i/truncate-account", m{"password": "password", "files": false})
	broken := 0
	for s.Count(t, "SELECT count(*) FROM cleanup WHERE state = 'running'") > 0 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.App.Accounts.Run(ctx) }()
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		cancel() // in the middle of a statement as likely as not
		<-done
		if broken++; broken > 500 {
			t.Fatal("it comes to no end")
		}
		st := me.Post(t, "oven/account/cleanup/status", m{})
		if done, left := testsrv.Dig(st, "notesDone"), s.Count(t, "SELECT count(*) FROM note"); done != float64(2000-left) {
			t.Fatalf("says %v done, %d are left", done, left)
		}
	}
	if broken < 3 {
		t.Errorf("broken off %d times only", broken)
	}
	testsrv.Is(t, me.Post(t, "oven/account/cleanup/status", m{}), 2000.0, "notesDone")
	testsrv.Is(t, me.Post(t, "users/show", m{"userId": me.ID}), 0.0, "notesCount")
}

// More notes than a batch, worked at by two at once: each is counted once.
func TestClearByTwo(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me := s.User(t, "mia")
	manyNotes(t, s, me, 950)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = s.App.Accounts.Run(ctx) }()
	me.Post(t, "i/truncate-account", m{"password": "password", "files": false})
	s.Settle(t)
	st := me.Post(t, "oven/account/cleanup/status", m{})
	testsrv.Is(t, st, 950.0, "notesDone")
	testsrv.Is(t, st, 950.0, "notesTotal")
	testsrv.Is(t, me.Post(t, "users/show", m{"userId": me.ID}), 0.0, "notesCount")
}

// Files: those of notes that stay, the picture of the account and of an emoji
// stay; the others' bytes go.
func TestClearFiles(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	me := s.User(t, "mia")
	file := func(name string) string {
		f, err := s.App.Drive.Store(t.Context(), name, testsrv.Picture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DB.Exec(t.Context(), "UPDATE drive_file SET user_id = $2 WHERE id = $1", f.ID, me.ID); err != nil {
			t.Fatal(err)
		}
		return f.ID
	}
	kept, gone, loose, avatar, emoji := file("kept"), file("gone"), file("loose"), file("avatar"), file("emoji")
	pinned := me.Note(t, m{"text": "pinned", "fileIds": []string{kept}})
	me.Post(t, "i/pin", m{"noteId": pinned})
	me.Note(t, m{"text": "goes", "fileIds": []string{gone}})
	for _, sql := range []string{
		`UPDATE "user" SET avatar_id = '` + avatar + `' WHERE id = '` + me.ID + `'`,
		`INSERT INTO emoji (id, name, original_url) SELECT 'emoji1', 'bread', url FROM drive_file WHERE id = '` + emoji + `'`,
	} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	preview := me.Post(t, "oven/account/cleanup/preview", m{})
	testsrv.Is(t, preview, 2.0, "files")
	testsrv.Is(t, preview, 3.0, "filesKept")
	if got := me.Post(t, "oven/account/cleanup/preview", m{"notes": false}); testsrv.Dig(got, "files") != 1.0 {
		t.Errorf("files alone: %v", got)
	}
	me.Post(t, "i/truncate-account", m{"password": "password"})
	s.Settle(t)
	for id, want := range map[string]int{kept: 1, gone: 0, loose: 0, avatar: 1, emoji: 1} {
		if n := s.Count(t, "SELECT count(*) FROM drive_file WHERE id = $1", id); n != want {
			t.Errorf("file %s: %d", id, n)
		}
	}
	if err := s.App.Drive.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, err := range s.App.Files().All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id IS NULL"); stored != 3 || n != 0 {
		t.Errorf("%d files' bytes are left, %d wait to be erased", stored, n)
	}
}
