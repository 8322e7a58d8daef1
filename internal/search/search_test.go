package search_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func write(t *testing.T, u *testsrv.User, params m) string {
	t.Helper()
	return testsrv.Dig(u.Post(t, "notes/create", params), "createdNote", "id").(string)
}

func texts(list []m) []string {
	out := []string{}
	for _, n := range list {
		s, _ := n["text"].(string)
		out = append(out, s)
	}
	return out
}

func finds(t *testing.T, u *testsrv.User, params m, want ...string) {
	t.Helper()
	if got := texts(u.List(t, "notes/search", params)); !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("%v by %q: %q, not %q", params, u.Name, got, want)
	}
}

// What people write can be found at once, by words of every script and by filters,
// newest first, page by page.
func TestSearch(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob, guest := s.User(t, "alice"), s.User(t, "bob"), s.Guest()
	write(t, alice, m{"text": "버터롤을 구웠다 #빵 Hello"})
	write(t, alice, m{"text": "ふわふわの新しいパン"})
	poll := write(t, bob, m{"text": "@alice 버터 좋아?", "poll": m{"choices": []string{"응", "호밀"}}})
	write(t, bob, m{"text": "help yourself", "replyId": poll})
	write(t, bob, m{"text": "see https://bread.example/rolls/1 for butter", "visibility": "home"})
	write(t, alice, m{"cw": "먹는 이야기", "text": "숨긴 빵"})
	write(t, alice, m{"renoteId": poll})
	s.Settle(t)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"버터", []string{"@alice 버터 좋아?", "버터롤을 구웠다 #빵 Hello"}},
		{"버터롤", []string{"버터롤을 구웠다 #빵 Hello"}},
		{"터", []string{"@alice 버터 좋아?", "버터롤을 구웠다 #빵 Hello"}},
		{"hel", []string{"help yourself", "버터롤을 구웠다 #빵 Hello"}},
		{"HELLO", []string{"버터롤을 구웠다 #빵 Hello"}},
		{"ello", nil},
		{"新しい", []string{"ふわふわの新しいパン"}},
		{"パン OR 호밀", []string{"@alice 버터 좋아?", "ふわふわの新しいパン"}},
		{"버터 -롤", []string{"@alice 버터 좋아?"}},
		{"버터 -버터롤", []string{"@alice 버터 좋아?"}},
		{`"help your"`, nil},
		{`"help yourself"`, []string{"help yourself"}},
		{"이야기", []string{"숨긴 빵"}},
		{"#빵", []string{"버터롤을 구웠다 #빵 Hello"}},
		{"from:bob has:poll", []string{"@alice 버터 좋아?"}},
		{"to:alice", []string{"@alice 버터 좋아?"}},
		{"is:reply", []string{"help yourself"}},
		{"has:link", []string{"see https://bread.example/rolls/1 for butter"}},
		{"https://bread.example/rolls/1", []string{"see https://bread.example/rolls/1 for butter"}},
		{"https://bread.example/rolls/2", nil},
		{"bread.example", []string{"see https://bread.example/rolls/1 for butter"}},
		{"has:cw", []string{"숨긴 빵"}},
		{"lang:ja", []string{"ふわふわの新しいパン"}},
		{"from:alice -lang:ko", []string{"ふわふわの新しいパン"}},
		{"from:nobody", nil}, {"from:nobody OR パン", []string{"ふわふわの新しいパン"}},
		{"host:. 구웠다", []string{"버터롤을 구웠다 #빵 Hello"}}, {"host:far.example 구웠다", nil},
		{"버터 after:2020-01-01", []string{"@alice 버터 좋아?", "버터롤을 구웠다 #빵 Hello"}}, {"버터 before:2020-01-01", nil},
		{"before:2020 OR パン", []string{"ふわふわの新しいパン"}},
		{"   ", nil}, {"", nil}, {"!?", nil},
	} {
		finds(t, guest, m{"query": c.query}, c.want...)
		finds(t, alice, m{"query": c.query}, c.want...)
	}
	finds(t, bob, m{"query": "from:me", "limit": 2}, "see https://bread.example/rolls/1 for butter", "help yourself")
	finds(t, bob, m{"query": "is:mine 버터"}, "@alice 버터 좋아?")
	finds(t, guest, m{"query": "버터", "userId": alice.ID}, "버터롤을 구웠다 #빵 Hello")
	finds(t, guest, m{"query": "버터", "host": "."}, "@alice 버터 좋아?", "버터롤을 구웠다 #빵 Hello")
	finds(t, guest, m{"query": "버터", "host": "far.example"})
	finds(t, guest, m{"query": "버터", "channelId": poll})
	finds(t, guest, m{"query": "버터", "offset": 1}, "버터롤을 구웠다 #빵 Hello")
	first := guest.List(t, "notes/search", m{"query": "버터", "limit": 1})
	finds(t, guest, m{"query": "버터", "untilId": first[0]["id"]}, "버터롤을 구웠다 #빵 Hello")
	finds(t, guest, m{"query": "버터", "sinceId": "0000000000000000"}, "버터롤을 구웠다 #빵 Hello", "@alice 버터 좋아?")
	guest.Fails(t, "notes/search", m{}, 400, "INVALID_PARAM")
	guest.Fails(t, "notes/search", m{"query": "x", "limit": 101}, 400, "INVALID_PARAM")
	guest.Fails(t, "notes/search", m{"query": 7}, 400, "INVALID_PARAM")
	guest.Fails(t, "oven/notes/search", m{}, 400, "INVALID_PARAM")
}

// Channels are found by their names, all that are called so, and by their id.
func TestSearchInChannels(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	bob, guest := s.User(t, "bob"), s.Guest()
	post := func(channel, text string) any {
		t.Helper()
		id := testsrv.Dig(bob.Post(t, "channels/create", m{"name": channel}), "id")
		write(t, bob, m{"text": text, "channelId": id})
		return id
	}
	club := post("Bread Club", "버터 없이")
	post("bread club", "버터 조금")
	cake := post("케이크", "버터 케이크")
	write(t, bob, m{"text": "버터 좋아"})
	s.Settle(t)
	for query, want := range map[string][]string{
		"in:케이크":                             {"버터 케이크"},
		`in:"BREAD club"`:                    {"버터 조금", "버터 없이"},
		fmt.Sprint("in:", cake):              {"버터 케이크"},
		"in:nowhere":                         nil,
		`in:케이크 OR in:"bread club"`:          {"버터 케이크", "버터 조금", "버터 없이"},
		`버터 -in:케이크 -in:"bread club" -in:no`: {"버터 좋아"},
	} {
		finds(t, guest, m{"query": query}, want...)
	}
	finds(t, guest, m{"query": "버터", "channelId": club}, "버터 없이")
	for query, known := range map[string]bool{"in:케이크": true, "in:nowhere": false, "from:bob": true, "from:nobody": false, "#x": true} {
		if chip := testsrv.Dig(guest.Post(t, "oven/notes/search", m{"query": query}), "parts", 0); testsrv.Dig(chip, "known") != known {
			t.Errorf("%s is shown as %v", query, chip)
		}
	}
}

// Nobody finds what he may not see, whatever the index has of it: neither for a moment
// after it was deleted or narrowed, nor of those who block him, nor of those who do not
// want to be found.
func TestSearchShowsNothingHidden(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	alice, bob, eve, guest := s.User(t, "alice"), s.User(t, "bob"), s.User(t, "eve"), s.Guest()
	write(t, alice, m{"text": "rye for all"})
	write(t, alice, m{"text": "rye for followers", "visibility": "followers"})
	write(t, alice, m{"text": "rye for bob", "visibility": "specified", "visibleUserIds": []string{bob.ID}})
	write(t, alice, m{"text": "rye for me", "visibility": "specified"})
	s.Settle(t)
	everything := []string{"rye for me", "rye for bob", "rye for followers", "rye for all"}
	finds(t, alice, m{"query": "rye"}, everything...)
	finds(t, bob, m{"query": "rye"}, "rye for bob", "rye for all")
	finds(t, eve, m{"query": "rye"}, "rye for all")
	finds(t, guest, m{"query": "rye"}, "rye for all")
	finds(t, eve, m{"query": "rye OR from:alice"}, "rye for all")
	finds(t, eve, m{"query": "-rye -from:alice"})
	finds(t, eve, m{"query": "rye", "userId": alice.ID}, "rye for all")
	eve.Post(t, "following/create", m{"userId": alice.ID})
	finds(t, eve, m{"query": "rye"}, "rye for all") // followers-only notes are not for searching

	open := write(t, bob, m{"text": "oats for all"})
	edited := write(t, bob, m{"text": "wheat"})
	s.Settle(t)
	finds(t, guest, m{"query": "oats"}, "oats for all")
	// The index is behind from here on.
	s.App.Search.Hold(func() {
		bob.Post(t, "notes/delete", m{"noteId": open})
		finds(t, guest, m{"query": "oats"})
		bob.Post(t, "notes/update", m{"noteId": edited, "text": "spelt"})
		finds(t, guest, m{"query": "wheat"})
		alice.Post(t, "blocking/create", m{"userId": bob.ID})
		finds(t, bob, m{"query": "rye"})
		if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_indexable = false WHERE id = $1`, alice.ID); err != nil {
			t.Fatal(err)
		}
		finds(t, guest, m{"query": "rye"})
		finds(t, alice, m{"query": "rye"}, everything...)
		if _, err := s.DB.Exec(t.Context(), `UPDATE "user" SET is_indexable = true`); err != nil {
			t.Fatal(err)
		}
		finds(t, guest, m{"query": "rye"}, "rye for all")
		bob.Post(t, "i/update", m{"requireSigninToViewContents": true})
		finds(t, guest, m{"query": "spelt"})
	})
	s.Settle(t)
	finds(t, eve, m{"query": "spelt"}, "spelt")
	finds(t, eve, m{"query": "wheat"})

	carol, dora := far.Actor("carol"), far.Actor("dora", m{"indexable": false})
	carol.Tell(t, s, m{"type": "Create", "object": carol.Note("/notes/c", m{"content": "barley of carol"})})
	dora.Tell(t, s, m{"type": "Create", "object": dora.Note("/notes/d", m{"content": "barley of dora"})})
	dora.Tell(t, s, m{"type": "Create", "object": dora.Note("/notes/e", m{"content": "barley for eve", "to": []string{"https://www.w3.org/ns/activitystreams#Public", eve.URI()},
		"tag": []m{{"type": "Mention", "href": eve.URI(), "name": "@eve"}}})})
	s.Settle(t)
	finds(t, guest, m{"query": "barley"}, "barley of carol")
	finds(t, eve, m{"query": "barley"}, "barley for eve", "barley of carol")
	finds(t, bob, m{"query": "barley host:" + far.Host}, "barley of carol")

	// She changes her mind, and back.
	for _, may := range []bool{true, false} {
		far.Actor("dora", m{"indexable": may})
		dora.Tell(t, s, m{"type": "Update", "id": fmt.Sprintf("%s/updates/%v", far.Origin, may), "object": far.Doc("/users/dora")})
		s.Settle(t)
		if may {
			finds(t, guest, m{"query": "barley"}, "barley for eve", "barley of dora", "barley of carol")
		} else {
			finds(t, guest, m{"query": "barley"}, "barley of carol")
		}
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An account that is suspended is not found, and is again when it is free; one that is
// deleted leaves nothing in the index.
func TestSearchFollowsAuthors(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, bob := s.User(t, "root"), s.User(t, "bob")
	write(t, bob, m{"text": "crumbs"})
	s.Settle(t)
	finds(t, root, m{"query": "crumbs"}, "crumbs")
	docs := func() int64 {
		t.Helper()
		s.Settle(t)
		f, _, err := s.App.Search.Figures(t.Context())
		must(t, err)
		return f.Docs
	}
	if n := docs(); n != 1 {
		t.Errorf("%d documents", n)
	}
	more := write(t, bob, m{"text": "more crumbs"})
	if n := docs(); n != 2 {
		t.Errorf("%d documents of two notes", n)
	}
	bob.Post(t, "notes/delete", m{"noteId": more})
	if n := docs(); n != 1 {
		t.Errorf("%d documents after one was deleted", n)
	}
	root.Post(t, "admin/suspend-user", m{"userId": bob.ID})
	finds(t, root, m{"query": "crumbs"})
	if n := docs(); n != 0 {
		t.Errorf("%d documents of a suspended account", n)
	}
	root.Post(t, "admin/unsuspend-user", m{"userId": bob.ID})
	if n := docs(); n != 1 {
		t.Errorf("%d documents of an account that is free", n)
	}
	finds(t, root, m{"query": "crumbs"}, "crumbs")
	root.Post(t, "admin/delete-account", m{"userId": bob.ID})
	if n := docs(); n != 0 {
		t.Errorf("%d documents of an account that is gone", n)
	}
}

// A role may be without searching.
func TestSearchByRole(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, bob := s.User(t, "root"), s.User(t, "bob")
	write(t, bob, m{"text": "crumbs"})
	s.Settle(t)
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canSearchNotes": false}})
	for _, u := range []*testsrv.User{bob, s.Guest()} {
		u.Fails(t, "notes/search", m{"query": "crumbs"}, 400, "UNAVAILABLE")
		u.Fails(t, "oven/notes/search", m{"query": "crumbs"}, 400, "UNAVAILABLE")
	}
	meta := s.Guest().Post(t, "meta", m{"detail": true}).(m)
	if testsrv.Dig(meta, "policies", "canSearchNotes") != false || meta["noteSearchableScope"] != "global" {
		t.Errorf("meta says %v, %v", testsrv.Dig(meta, "policies", "canSearchNotes"), meta["noteSearchableScope"])
	}
}

// Who searches while others search all the time waits, and is told when it takes too long.
func TestSearchTakesTurns(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	bob := s.User(t, "bob")
	write(t, bob, m{"text": "crumbs"})
	s.Settle(t)
	free := s.App.Search.Occupy()
	bob.Fails(t, "notes/search", m{"query": "crumbs"}, 503, "TOO_MANY_SEARCHES")
	timer := time.AfterFunc(300*time.Millisecond, free)
	defer timer.Stop()
	finds(t, bob, m{"query": "crumbs"}, "crumbs")
}

// The own API tells how a query was read, goes on where a page ended early, and knows
// both directions.
func TestOvenSearch(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	bob := s.User(t, "bob")
	for i := range 5 {
		write(t, bob, m{"text": fmt.Sprintf("roll %d", i)})
	}
	s.Settle(t)
	var got []string
	for _, asc := range []bool{false, true} {
		got = nil
		cursor := ""
		for range 5 {
			res := bob.Post(t, "oven/notes/search", m{"query": "roll from:bob -toast OR from:nobody before:2999-01-01", "limit": 2, "cursor": cursor, "ascending": asc}).(m)
			for _, n := range res["notes"].([]any) {
				got = append(got, n.(m)["text"].(string))
			}
			if res["building"] != nil || res["capped"] != false {
				t.Errorf("%v", res)
			}
			next, _ := res["cursor"].(string)
			if next == "" {
				break
			}
			cursor = next
			parts := res["parts"].([]any)
			if len(parts) != 5 || testsrv.Dig(parts[2].(m), "not") != true || testsrv.Dig(parts[2].(m), "clause") != testsrv.Dig(parts[3].(m), "clause") ||
				testsrv.Dig(parts[3].(m), "known") != false || testsrv.Dig(parts[4].(m), "at") != "2999-01-01T00:00:00Z" {
				t.Errorf("parts: %v", parts)
			}
		}
		want := []string{"roll 4", "roll 3", "roll 2", "roll 1", "roll 0"}
		if asc {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("ascending %v: %q", asc, got)
		}
	}
	none := bob.Post(t, "oven/notes/search", m{"query": "roll", "untilDate": 1}).(m)
	if len(none["notes"].([]any)) != 0 || none["cursor"] != nil {
		t.Errorf("%v", none)
	}
}

// What the index takes for hits and are none does not make a search endless: it ends with
// a cursor.
func TestSearchEndsInTime(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	bob := s.User(t, "bob")
	hit := write(t, bob, m{"text": "니다니다"})
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO note (id, user_id, text, visibility) SELECT 'z' || lpad(g::text, 15, '0'), $1, '니다 다니', 'public' FROM generate_series(1, 4500) g`, bob.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO note_stat (note_id) SELECT id FROM note WHERE id LIKE 'z0%'`); err != nil {
		t.Fatal(err)
	}
	must(t, s.App.Search.Renew(t.Context()))
	s.Settle(t)
	res := bob.Post(t, "oven/notes/search", m{"query": "니다니다"}).(m)
	if len(res["notes"].([]any)) != 0 || res["capped"] != true || res["cursor"] == nil {
		t.Fatalf("%v", res)
	}
	pages := 1
	for ; res["capped"] == true && pages < 9; pages++ {
		res = bob.Post(t, "oven/notes/search", m{"query": "니다니다", "cursor": res["cursor"]}).(m)
	}
	if list := res["notes"].([]any); len(list) != 1 || list[0].(m)["id"] != hit {
		t.Errorf("after %d pages: %v", pages, res)
	}
	finds(t, bob, m{"query": "니다니다"}, "니다니다")
}

// An index that is lost, damaged, of another database or made otherwise is built anew;
// what changed while the server was down is in it.
func TestIndexesAreMadeWhole(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	bob := s.User(t, "bob")
	for i := range 30 {
		write(t, bob, m{"text": fmt.Sprintf("loaf %d", i)})
	}
	s.Settle(t)
	count := func(when string, want int) {
		t.Helper()
		s.Settle(t)
		if got := bob.List(t, "notes/search", m{"query": "loaf", "limit": 100}); len(got) != want {
			t.Errorf("%s: %d of %d", when, len(got), want)
		}
	}
	count("written", 30)
	dir := s.SearchDir
	s.Stop(t)
	if _, err := s.DB.Exec(t.Context(), `DELETE FROM note WHERE text = 'loaf 3'`); err != nil {
		t.Fatal(err)
	}
	s.Start(t)
	count("after a stop", 29) // the row is gone, whatever the index says
	s.Stop(t)
	parts, _ := filepath.Glob(filepath.Join(dir, "*", "*.seg"))
	if len(parts) == 0 {
		t.Fatal("nothing on disk after a stop")
	}
	for _, p := range parts {
		must(t, os.Truncate(p, 100))
	}
	s.Start(t)
	count("after damage", 29)
	s.Stop(t)
	manifests, _ := filepath.Glob(filepath.Join(dir, "*", "manifest"))
	for _, p := range manifests {
		b, err := os.ReadFile(p)
		must(t, err)
		must(t, os.WriteFile(p, b[:len(b)/2], 0o600))
	}
	s.Start(t)
	count("after a torn manifest", 29)
	s.Stop(t)
	must(t, os.RemoveAll(dir))
	s.Start(t)
	count("after all was removed", 29)
}

// An operator can have it verified and mended, made small, and built anew.
func TestSearchTasks(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, bob := s.User(t, "root"), s.User(t, "bob")
	var ids []string
	for i := range 20 {
		ids = append(ids, write(t, bob, m{"text": fmt.Sprintf("loaf %d", i)}))
	}
	s.Settle(t)
	// Behind its back.
	if _, err := s.DB.Exec(t.Context(), `DELETE FROM note WHERE id = ANY($1)`, ids[:4]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), `INSERT INTO note (id, user_id, text, visibility) SELECT 'a' || lpad(g::text, 15, '0'), $1, 'loaf x', 'public' FROM generate_series(1, 3) g`, bob.ID); err != nil {
		t.Fatal(err)
	}
	bob.Fails(t, "oven/admin/search/run", m{"task": "verify"}, 403, "ROLE_PERMISSION_DENIED")
	bob.Fails(t, "oven/admin/search/status", m{}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "oven/admin/search/run", m{"task": "bake"}, 400, "INVALID_PARAM")
	task := func(name string) m {
		t.Helper()
		var node m
		eventually(t, "an index that is there", func() bool {
			list := root.Post(t, "oven/admin/search/status", m{}).(m)["nodes"].([]any)
			return len(list) == 1
		})
		root.Post(t, "oven/admin/search/run", m{"task": name})
		eventually(t, name, func() bool {
			node = root.Post(t, "oven/admin/search/status", m{}).(m)["nodes"].([]any)[0].(m)
			return node["wanted"] == "" && node["state"] == "ready"
		})
		if node["error"] != "" || node["running"] != true || node["driver"] != "textindex" {
			t.Errorf("%s: %v", name, node)
		}
		return node
	}
	node := task("verify")
	if got := testsrv.Dig(node, "stats", "verified"); fmt.Sprint(got) != fmt.Sprint(m{"missing": 3.0, "extra": 4.0, "damaged": 0.0}) {
		t.Errorf("verified: %v", got)
	}
	if again := testsrv.Dig(task("verify"), "stats", "verified"); fmt.Sprint(again) != fmt.Sprint(m{"missing": 0.0, "extra": 0.0, "damaged": 0.0}) {
		t.Errorf("verified again: %v", again)
	}
	if node = task("optimize"); testsrv.Dig(node, "stats", "deleted") != 0.0 {
		t.Errorf("optimized: %v", node)
	}
	before, _ := filepath.Glob(filepath.Join(s.SearchDir, "*", "manifest"))
	task("reindex")
	after, _ := filepath.Glob(filepath.Join(s.SearchDir, "*", "manifest"))
	if len(after) != 1 || after[0] == before[0] {
		t.Errorf("before %v, after %v", before, after)
	}
	finds(t, bob, m{"query": "loaf", "limit": 2}, "loaf 19", "loaf 18")
	w := httptest.NewRecorder()
	s.App.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if body := w.Body.String(); !strings.Contains(body, "oven_search_documents 19\n") || !strings.Contains(body, "oven_search_queries_total ") {
		t.Errorf("metrics: %s", body)
	}
}
