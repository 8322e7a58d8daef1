package retention_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/retention"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// What is counted, against what is there: of notes, accounts and servers.
const sqlWrong = `
SELECT (SELECT count(*) FROM note_stat s WHERE s.replies_count <> (SELECT count(*) FROM note r WHERE r.reply_id = s.note_id))
	+ (SELECT count(*) FROM note_stat s JOIN note n ON n.id = s.note_id WHERE s.renote_count <> (SELECT count(*) FROM note r WHERE r.renote_id = n.id AND r.user_id <> n.user_id))
	+ (SELECT count(*) FROM user_stat s WHERE s.notes_count <> (SELECT count(*) FROM note n WHERE n.user_id = s.user_id))
	+ (SELECT count(*) FROM note r WHERE r.is_pure_renote AND NOT EXISTS (SELECT FROM note n WHERE n.id = r.renote_id))
	+ (SELECT count(*) FROM drive_file f WHERE f.is_link AND NOT EXISTS (SELECT FROM note n WHERE n.file_ids @> ARRAY[f.id]))
	+ (SELECT count(*) FROM instance_stat i WHERE i.notes_count <> (SELECT count(*) FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.actor_host = i.host))
	+ (SELECT count(*) FROM chart c WHERE c.name = 'notes' AND c.span = 'all' AND c.v[1] + coalesce(c.v[8], 0) <> (SELECT count(*) FROM note))`

const sqlLinksOld = `
SELECT count(*) FROM drive_file f WHERE is_link AND user_host IS NOT NULL AND (SELECT count(*) FROM note n WHERE f.id = ANY(n.file_ids))`

// A node of the test's own picture of the notes.
type node struct {
	id            string
	local, old    bool
	reply, renote int // index, -1: none
	touched       bool
}

// world is many notes of years, their threads and what people here did with them.
type world struct {
	t      *testing.T
	s      *testsrv.Server
	r      *rand.Rand
	locals []*testsrv.User
	notes  []node
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.s.DB.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatalf("%v\n%s", err, sql)
	}
}

// fill writes n notes, oldest first, and touches some.
func (w *world) fill(n int) {
	w.t.Helper()
	ids := id.NewMaker(id.AIDX, 7, time.Now)
	for _, host := range []string{"a.example", "b.example"} {
		for i := range 3 {
			id := fmt.Sprintf("far%d%c", i, host[0])
			w.exec(`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES ($1, $1, $1, $2, $2, 'https://' || $2 || '/' || $1)`, id, host)
			w.exec(`INSERT INTO user_stat (user_id) VALUES ($1)`, id)
			w.exec(`INSERT INTO user_profile (user_id) VALUES ($1)`, id)
		}
	}
	at := time.Now().AddDate(-2, 0, 0)
	step := time.Since(at) / time.Duration(n+1)
	cutoff := ids.Method().Before(time.Now().AddDate(0, 0, -30))
	for i := range n {
		at = at.Add(step)
		nd := node{id: ids.At(at), reply: -1, renote: -1, local: w.r.IntN(12) == 0}
		nd.old = nd.id < cutoff
		author, host := fmt.Sprintf("far%d%c", w.r.IntN(3), 'a'+w.r.IntN(2)), any(nil)
		if nd.local {
			author = w.locals[w.r.IntN(len(w.locals))].ID
		} else {
			host = string(author[4]) + ".example"
		}
		// Mostly to what was written not long before: threads.
		pick := func() int { return max(0, i-1-w.r.IntN(12)) }
		text, visibility := any("x"), "public"
		if i > 0 {
			switch w.r.IntN(6) {
			case 0, 1, 2:
				nd.reply = pick()
			case 3:
				nd.renote = pick()
			case 4:
				nd.renote, text = pick(), nil
			}
		}
		if text == nil && w.pure(nd.renote) {
			nd.renote, text = -1, "x" // a renote is not renoted
		}
		mentions, visible := []string{}, []string{}
		if !nd.local {
			switch w.r.IntN(40) {
			case 0:
				mentions, nd.touched = []string{"far0a", w.locals[0].ID}, true
			case 1:
				visibility, visible, nd.touched = "specified", []string{w.locals[1].ID}, true
			case 2:
				visibility, visible = "specified", []string{"far0a"}
			case 3:
				mentions = []string{"far1b"}
			}
		}
		files := []string{}
		if !nd.local && text != nil && w.r.IntN(3) == 0 {
			files = []string{"f" + nd.id}
			w.exec(`INSERT INTO drive_file (id, user_id, user_host, name, type, url, is_link) VALUES ($1, $2, $3, 'x', 'image/png', 'https://x.example/x', true)`, files[0], author, host)
		}
		ref := func(i int) (a, b, c any) {
			if i < 0 {
				return nil, nil, nil
			}
			var u string
			var h *string
			if err := w.s.DB.QueryRow(w.t.Context(), "SELECT user_id, user_host FROM note WHERE id = $1", w.notes[i].id).Scan(&u, &h); err != nil {
				w.t.Fatal(err)
			}
			return w.notes[i].id, u, h
		}
		r1, r2, r3 := ref(nd.reply)
		q1, q2, q3 := ref(nd.renote)
		var uri any
		if !nd.local {
			uri = "https://" + host.(string) + "/n/" + nd.id
		}
		w.exec(`INSERT INTO note (id, user_id, user_host, text, visibility, reply_id, reply_user_id, reply_user_host, renote_id, renote_user_id, renote_user_host, uri, mentions, visible_user_ids, file_ids)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`, nd.id, author, host, text, visibility, r1, r2, r3, q1, q2, q3, uri, mentions, visible, files)
		if !nd.local && w.r.IntN(15) == 0 {
			nd.touched = w.touch(nd.id) || nd.touched
		}
		w.notes = append(w.notes, nd)
	}
	w.exec(`INSERT INTO note_stat (note_id, replies_count, renote_count) SELECT n.id, (SELECT count(*) FROM note r WHERE r.reply_id = n.id),
		(SELECT count(*) FROM note r WHERE r.renote_id = n.id AND r.user_id <> n.user_id) FROM note n`)
	w.exec(`UPDATE user_stat s SET notes_count = (SELECT count(*) FROM note n WHERE n.user_id = s.user_id)`)
	w.exec(`INSERT INTO instance_stat (host, notes_count) SELECT u.actor_host, count(*) FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.host IS NOT NULL GROUP BY 1`)
	w.exec(`INSERT INTO chart (name, span, at, v) SELECT 'notes', 'all', 'epoch', ARRAY[count(*)] FROM note ON CONFLICT (name, grp, span, at) DO UPDATE SET v = excluded.v`)
}

func (w *world) pure(i int) (yes bool) {
	w.t.Helper()
	if err := w.s.DB.QueryRow(w.t.Context(), "SELECT is_pure_renote FROM note WHERE id = $1", w.notes[i].id).Scan(&yes); err != nil {
		w.t.Fatal(err)
	}
	return yes
}

// touch has somebody do something with a note, and tells whether that was somebody
// here.
func (w *world) touch(note string) bool {
	me := w.locals[w.r.IntN(len(w.locals))].ID
	switch w.r.IntN(11) {
	case 0:
		w.exec(`INSERT INTO note_reaction (id, note_id, user_id, reaction) VALUES ($1, $1, $2, '👍')`, note, me)
	case 1:
		w.exec(`INSERT INTO note_favorite (id, note_id, user_id) VALUES ($1, $1, $2)`, note, me)
	case 2:
		w.exec(`INSERT INTO clip (id, user_id, name) VALUES ('c', $1, 'c') ON CONFLICT (id) DO NOTHING`, me)
		w.exec(`INSERT INTO clip_note (id, clip_id, note_id) VALUES ($1, 'c', $1)`, note)
	case 3:
		w.exec(`INSERT INTO user_note_pining (id, user_id, note_id) VALUES ($1, $2, $1)`, note, me)
	case 4:
		w.exec(`INSERT INTO poll_vote (id, note_id, user_id, choice) VALUES ($1, $1, $2, 0)`, note, me)
	case 5:
		w.exec(`INSERT INTO abuse_report (id, target_user_id, reporter_id, comment, note_ids) VALUES ($1, 'far0a', $2, '', ARRAY['x', $1])`, note, me)
	case 6:
		w.exec(`INSERT INTO notification (id, notifiee_id, type, note_id) VALUES ($1, $2, 'note', $1)`, note, me)
	case 7: // somebody elsewhere
		w.exec(`INSERT INTO note_reaction (id, note_id, user_id, reaction) VALUES ($1, $1, 'far0a', '👍')`, note)
		return false
	case 8:
		w.exec(`INSERT INTO poll_vote (id, note_id, user_id, choice) VALUES ($1, $1, 'far0b', 0)`, note)
		return false
	default:
		return false
	}
	return true
}

// stays says, by the rule as it is told to people, which notes must be left: what
// is of here, young or touched; what answers a note of here, directly or further
// up; and all that those answer, quote or renote.
func (w *world) stays() map[string]bool {
	keep := make([]bool, len(w.notes))
	under := make([]bool, len(w.notes)) // a note of here is above
	for i, n := range w.notes {
		under[i] = n.reply >= 0 && (w.notes[n.reply].local || under[n.reply])
		keep[i] = n.local || !n.old || n.touched || under[i] || n.renote >= 0 && w.notes[n.renote].local
	}
	for i := len(w.notes) - 1; i >= 0; i-- {
		for _, up := range []int{w.notes[i].reply, w.notes[i].renote} {
			if keep[i] && up >= 0 {
				keep[up] = true
			}
		}
	}
	out := map[string]bool{}
	for i, k := range keep {
		if k {
			out[w.notes[i].id] = true
		}
	}
	return out
}

func (w *world) left() map[string]bool {
	w.t.Helper()
	rows, err := w.s.DB.Query(w.t.Context(), "SELECT id FROM note")
	if err != nil {
		w.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, id := range ids {
		out[id] = true
	}
	return out
}

func sum(v any) (n float64) {
	for _, x := range v.(m) {
		n += x.(float64)
	}
	return n
}

// Nothing that somebody here touched goes, nor what it hangs together with, and
// all else that is old does: broken off at any moment, again and again, and as the
// preview said.
func TestForget(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { o.Workers = false })
	seed := rand.Uint64()
	t.Log("seed", seed)
	w := &world{t: t, s: s, r: rand.New(rand.NewPCG(seed, 1))}
	for _, name := range []string{"root", "alice", "bora"} {
		w.locals = append(w.locals, s.User(t, name))
	}
	root := w.locals[0]
	s.Settle(t)
	w.fill(1500)
	want := w.stays()
	root.Fails(t, "oven/admin/retention/preview", m{}, 400, "RETENTION_OFF")
	before := len(w.notes)
	preview := root.Post(t, "oven/admin/retention/preview", m{"notesDays": 30})
	testsrv.Is(t, preview, true, "complete")
	testsrv.Is(t, preview, float64(before-len(want)), "notes")
	old := 0
	for _, n := range w.notes {
		if n.old && !n.local {
			old++
		}
	}
	if kept := sum(testsrv.Dig(preview, "notesKept")); int(kept) != old-(before-len(want)) {
		t.Errorf("of %d old notes %v would go and %v would stay", old, testsrv.Dig(preview, "notes"), kept)
	}
	if len(w.left()) != before {
		t.Fatal("a preview took notes away")
	}
	if len(want) == before || before-len(want) < 200 {
		t.Fatalf("of %d notes %d stay: the test shows little", before, len(want))
	}

	root.Post(t, "oven/admin/retention/settings", m{"notesDays": 30})
	broken := 0
	for testsrv.Dig(root.Post(t, "oven/admin/retention/status", m{}), "finishedAt") == nil {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.App.Retention.Run(ctx) }()
		time.Sleep(time.Duration(5+w.r.IntN(60)) * time.Millisecond)
		cancel()
		<-done
		if broken++; broken > 2000 {
			t.Fatal("it comes to no end")
		}
		for id := range want {
			if w.r.IntN(20) == 0 && s.Count(t, "SELECT count(*) FROM note WHERE id = $1", id) == 0 {
				t.Fatalf("%s is gone", id)
			}
		}
	}
	if broken < 3 {
		t.Errorf("broken off %d times only", broken)
	}
	left := w.left()
	for id := range want {
		if !left[id] {
			t.Errorf("%s is gone", id)
		}
	}
	for id := range left {
		if !want[id] {
			t.Errorf("%s is left", id)
		}
	}
	st := root.Post(t, "oven/admin/retention/status", m{})
	testsrv.Is(t, st, float64(before-len(want)), "notesRemoved")
	if got, said := testsrv.Dig(st, "notesKept").(m), testsrv.Dig(preview, "notesKept").(m); !maps.Equal(got, said) {
		t.Errorf("kept %v, the preview said %v", got, said)
	}
	s.Settle(t)
	if n := s.Count(t, sqlWrong); n != 0 {
		t.Errorf("%d counts are wrong", n)
	}
}

// People go on while notes are forgotten: what somebody did something with stays,
// and whoever was too late is told so.
func TestForgetAmongTheLiving(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, func(o *app.Options) { o.Workers = false })
	seed := rand.Uint64()
	t.Log("seed", seed)
	w := &world{t: t, s: s, r: rand.New(rand.NewPCG(seed, 1))}
	for _, name := range []string{"root", "alice", "bora"} {
		w.locals = append(w.locals, s.User(t, name))
	}
	s.Settle(t)
	w.fill(1200)
	w.locals[0].Post(t, "oven/admin/retention/settings", m{"notesDays": 30})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 2 { // two processes
		running.Go(func() { _ = s.App.Retention.Run(ctx) })
	}
	defer running.Wait()
	defer cancel()
	var mu sync.Mutex
	must := map[string]string{} // note → what was done with it
	clip := testsrv.Dig(w.locals[1].Post(t, "clips/create", m{"name": "c"}), "id")
	var people sync.WaitGroup
	for i, p := range w.locals {
		people.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i+2)))
			for range 120 {
				id := w.notes[r.IntN(len(w.notes))].id
				c := []struct {
					name   string
					params m
				}{
					{"notes/create", m{"text": "r", "replyId": id}}, {"notes/create", m{"renoteId": id}}, {"notes/create", m{"text": "q", "renoteId": id}},
					{"notes/reactions/create", m{"noteId": id, "reaction": "👍"}}, {"notes/favorites/create", m{"noteId": id}}, {"clips/add-note", m{"clipId": clip, "noteId": id}},
				}[r.IntN(6)]
				status, out := p.Call(t, c.name, c.params)
				if status >= 500 {
					t.Errorf("%s: %d %v", c.name, status, out)
				}
				if status < 300 {
					mu.Lock()
					must[id] = c.name
					mu.Unlock()
				}
			}
		})
	}
	people.Wait()
	for testsrv.Dig(w.locals[0].Post(t, "oven/admin/retention/status", m{}), "finishedAt") == nil {
		time.Sleep(20 * time.Millisecond)
	}
	left := w.left()
	for id, what := range must {
		if !left[id] {
			t.Errorf("%s is gone in spite of %s", id, what)
		}
	}
	s.Settle(t)
	if n := s.Count(t, sqlWrong); n != 0 {
		t.Errorf("%d counts are wrong", n)
	}
}

// Settings are an administrator's, in the log, and count at once; each reason is
// said by its name.
func TestSettings(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, alice := s.User(t, "root"), s.User(t, "alice")
	bob := far.Actor("bob")
	bobID := bob.On(t, alice).ID
	for _, name := range []string{"status", "settings", "preview"} {
		alice.Fails(t, "oven/admin/retention/"+name, m{"notesDays": 30}, 403, "ROLE_PERMISSION_DENIED")
		s.Guest().Fails(t, "oven/admin/retention/"+name, m{}, 401, "CREDENTIAL_REQUIRED")
	}
	st := root.Post(t, "oven/admin/retention/status", m{})
	testsrv.Is(t, st, nil, "notesDays")
	testsrv.Is(t, st, "idle", "phase")
	testsrv.Is(t, st, nil, "nextAt")
	for _, bad := range []any{0, -1, 1.5, "30"} {
		root.Fails(t, "oven/admin/retention/settings", m{"notesDays": bad}, 400, "INVALID_PARAM")
	}

	old := func(days int) string { return time.Now().AddDate(0, 0, -days).UTC().Format(time.RFC3339) }
	picture := []m{{"type": "Document", "mediaType": "image/png", "url": far.Origin + "/a.png"}}
	notes := map[string]m{
		"goes": {"published": old(60), "attachment": picture}, "young": {"published": old(2), "attachment": picture},
		"reacted": {"published": old(60)}, "favorited": {"published": old(60)}, "replied": {"published": old(60)}, "renoted": {"published": old(60)},
		"quoted": {"published": old(60)}, "thread": {"published": old(60)},
		"answer": {"published": old(59), "inReplyTo": far.Origin + "/n/thread"}, "direct": {"published": old(60), "to": []string{alice.URI()}, "cc": []string{}},
	}
	ids := map[string]string{}
	for _, name := range []string{"goes", "young", "reacted", "favorited", "replied", "renoted", "quoted", "thread", "answer", "direct"} {
		bob.Tell(t, s, m{"type": "Create", "object": bob.Note("/n/"+name, notes[name])})
		var id string
		if err := s.DB.QueryRow(t.Context(), "SELECT id FROM note WHERE uri = $1", far.Origin+"/n/"+name).Scan(&id); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids[name] = id
	}
	alice.Post(t, "notes/reactions/create", m{"noteId": ids["reacted"], "reaction": "👍"})
	alice.Post(t, "notes/favorites/create", m{"noteId": ids["favorited"]})
	alice.Note(t, m{"text": "an answer", "replyId": ids["replied"]})
	alice.Note(t, m{"renoteId": ids["renoted"]})
	alice.Note(t, m{"text": "look", "renoteId": ids["quoted"]})
	alice.Note(t, m{"text": "an answer", "replyId": ids["answer"]})
	s.Settle(t)

	preview := root.Post(t, "oven/admin/retention/preview", m{"notesDays": 30, "filesDays": 1})
	testsrv.Is(t, preview, 1.0, "notes")
	testsrv.Is(t, preview, true, "complete")
	if unshown, shown := s.Count(t, sqlLinksOld+" = 0"), s.Count(t, sqlLinksOld+" > 0"); testsrv.Dig(preview, "files") != float64(unshown) ||
		testsrv.Dig(preview, "filesKept", "inNote") != float64(shown) && shown > 0 || unshown+shown == 0 {
		t.Errorf("%d links that no note has, %d that one has: %v", unshown, shown, preview)
	}
	preview = root.Post(t, "oven/admin/retention/preview", m{"notesDays": 30})
	if kept := testsrv.Dig(preview, "notesKept"); !maps.Equal(kept.(m), m{"reacted": 1.0, "favorited": 1.0, "replied": 2.0, "renoted": 1.0, "quoted": 1.0, "thread": 1.0, "direct": 1.0}) {
		t.Errorf("kept %v", kept)
	}
	// Old enough for longer: nothing goes. Then less is kept.
	root.Post(t, "oven/admin/retention/settings", m{"notesDays": 90, "filesDays": 90})
	s.Settle(t)
	testsrv.Is(t, root.Post(t, "oven/admin/retention/status", m{}), 0.0, "notesRemoved")
	root.Post(t, "oven/admin/retention/settings", m{"notesDays": 30})
	s.Settle(t)
	root.Post(t, "oven/admin/retention/settings", m{"notesDays": 30}) // the same again: no new pass, nothing in the log
	st = root.Post(t, "oven/admin/retention/status", m{})
	for key, want := range (m{"notesRemoved": 1.0, "filesRemoved": 1.0, "phase": "idle", "notesDays": 30.0, "filesDays": 90.0, "lastError": ""}) {
		testsrv.Is(t, st, want, key)
	}
	if testsrv.Dig(st, "nextAt") == nil || testsrv.Dig(st, "finishedAt") == nil {
		t.Errorf("status %v", st)
	}
	for name, id := range ids {
		if n := s.Count(t, "SELECT count(*) FROM note WHERE id = $1", id); (n == 1) == (name == "goes") {
			t.Errorf("%s: %d", name, n)
		}
	}
	if n := s.Count(t, sqlWrong); n != 0 {
		t.Errorf("%d counts are wrong", n)
	}
	// What is forgotten is not buried: it comes again when somebody asks.
	testsrv.Is(t, alice.Post(t, "ap/show", m{"uri": far.Origin + "/n/goes"}), "Note", "type")
	// Links that no note shows go by their age, those of nobody at once.
	ids2 := id.NewMaker(id.AIDX, 7, time.Now)
	for id, owner := range map[string]any{ids2.At(time.Now().AddDate(0, 0, -100)): bobID, ids2.At(time.Now()): nil, ids2.At(time.Now().Add(time.Second)): bobID} {
		if _, err := s.DB.Exec(t.Context(), `INSERT INTO drive_file (id, user_id, user_host, name, type, url, is_link) VALUES ($1, $2, $3, 'x', 'image/png', 'https://x.example/', true)`, id, owner, far.Host); err != nil {
			t.Fatal(err)
		}
	}
	root.Post(t, "oven/admin/retention/settings", m{"filesDays": 91})
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM drive_file WHERE url = 'https://x.example/'"); n != 1 {
		t.Errorf("%d links that nobody shows are left", n)
	}
	root.Post(t, "oven/admin/retention/settings", m{"notesDays": nil, "filesDays": nil})
	s.Settle(t)
	st = root.Post(t, "oven/admin/retention/status", m{})
	testsrv.Is(t, st, nil, "notesDays")
	testsrv.Is(t, st, nil, "nextAt")
	log := root.List(t, "admin/show-moderation-logs", m{"type": "updateServerSettings", "limit": 10})
	if len(log) != 4 {
		t.Fatalf("%d entries", len(log))
	}
	testsrv.Is(t, log[2], 90.0, "info", "before", "remoteNotesRetentionDays")
	testsrv.Is(t, log[2], 30.0, "info", "after", "remoteNotesRetentionDays")
}

// A batch looks into indexes, however many notes there are.
func TestPlans(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	for _, sql := range []string{
		`INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) SELECT 'u' || i, 'u' || i, 'u' || i, 'a.example', 'a.example', 'u' || i FROM generate_series(1, 2000) i`,
		`INSERT INTO note (id, user_id, user_host, text, visibility, uri, reply_id, reply_user_host, file_ids)
			SELECT 'n' || lpad(i::text, 8, '0'), 'u' || (1 + i % 2000), 'a.example', 'x', 'public', 'n' || i, CASE WHEN i % 3 > 0 THEN 'n' || lpad((i - 1)::text, 8, '0') END, 'a.example', ARRAY['f' || i] FROM generate_series(1, 30000) i`,
		`INSERT INTO drive_file (id, user_id, user_host, name, type, url, is_link) SELECT 'f' || i, 'u' || (1 + i % 2000), 'a.example', 'x', 'x', 'x', true FROM generate_series(1, 30000) i`,
		`INSERT INTO abuse_report (id, target_user_id, reporter_id, comment, note_ids) SELECT 'r' || i, 'u1', 'u2', '', ARRAY['n' || lpad((i * 3)::text, 8, '0')] FROM generate_series(1, 5000) i`,
		`INSERT INTO note_reaction (id, note_id, user_id, reaction) SELECT 'x' || i, 'n' || lpad(i::text, 8, '0'), 'u1', 'x' FROM generate_series(1, 20000) i`,
		`ANALYZE`,
	} {
		if _, err := d.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("n%08d", 20000-i))
	}
	var walk func(p m, sql string)
	walk = func(p m, sql string) {
		num := func(key string) float64 { n, _ := p[key].(float64); return n }
		if n := num("Actual Loops") * (num("Actual Rows") + num("Rows Removed by Filter") + num("Rows Removed by Join Filter")); n > 5000 {
			t.Errorf("%v of %v touches %.0f rows:\n%s", p["Node Type"], p["Relation Name"], n, sql)
		}
		plans, _ := p["Plans"].([]any)
		for _, c := range plans {
			walk(c.(m), sql)
		}
	}
	for sql, args := range retention.Statements(ids, "n00025000") {
		var raw []byte
		if err := d.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&raw); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
		var out []struct{ Plan m }
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		walk(out[0].Plan, sql+"\n"+string(raw))
	}
}
