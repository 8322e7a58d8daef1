package transfer_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/internal/transfer"
)

// breaks makes changes of the table fail while a condition holds.
func breaks(t *testing.T, s *testsrv.Server, when string) {
	t.Helper()
	exec(t, s, `CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`)
	exec(t, s, `CREATE TRIGGER break BEFORE UPDATE ON transfer FOR EACH ROW WHEN (`+when+`) EXECUTE FUNCTION break()`)
}

func mended(t *testing.T, s *testsrv.Server) {
	t.Helper()
	exec(t, s, `DROP TRIGGER break ON transfer`)
	exec(t, s, `UPDATE transfer SET due_at = 'epoch' WHERE finished_at IS NULL`)
}

func TestLines(t *testing.T) {
	t.Parallel()
	const none, where = "that is no account", "it does not say on which server"
	for file, want := range map[string][]string{
		"":          nil,
		"\n \r\n\n": nil,
		"a@b.example\n@c@D.Example\nacct:e@빵.example,withReplies=true\nf@g.example,true,withReplies=false": {"a@b.example", "c@d.example", "e@xn--oy3b.example withReplies=true",
			"f@g.example withReplies=false"},
		"\xef\xbb\xbfAccount address,Show boosts,Notify on new posts,Languages\r\na@b.example,true,false,\r\n\"c@b.example\",false,true,\"en, fr\"\r\n": {"a@b.example", "c@b.example"},
		"Account address,Hide notifications\na@b.example,true\n":                                 {"a@b.example"},
		"a@b.example\nAccount address\n\"never ends,x\nc@b.example\n":                            {"a@b.example", none, none, "c@b.example"},
		"alice\n@\na@\na@b/c\nhttps://b.example/@a\na b@c.example\n" + strings.Repeat("x", 9000): {where, none, where, "that is no server", none, none, "the line is too long"},
		"a@b.example\x00\n": {"that is no server"},
		strings.Repeat("a@b.example\n", 3) + "a@b.example": {"a@b.example", "a@b.example", "a@b.example", "a@b.example"},
	} {
		if got := transfer.ReadLines(file, false); !reflect.DeepEqual(got, want) {
			t.Errorf("%.60q: %q, not %q", file, got, want)
		}
	}
	for file, want := range map[string][]string{
		"빵,a@b.example\n\"a, \"\"b\"\"\",c@d.example,withReplies=true\r\n": {"빵: a@b.example", "a, \"b\": c@d.example withReplies=true"},
		"List name,Account address\nx,a@b.example":                         {"x: a@b.example"},
		"x\n,a@b.example\nx,bob":                                           {"there is a list without an account, or an account without a list", "the list has no name", where},
	} {
		if got := transfer.ReadLines(file, true); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, not %q", file, got, want)
		}
	}
}

// What Mastodon writes is read; what cannot be done is left out, and told.
func TestMastodonsFile(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, alice, bob, blocker, blocked := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bob"), s.User(t, "blocker"), s.User(t, "blocked")
	blocker.Post(t, "blocking/create", m{"userId": alice.ID})
	alice.Post(t, "blocking/create", m{"userId": blocked.ID})
	far.Actor("carol")
	far.Actor("banned")
	root.Post(t, "admin/update-meta", m{"blockedHosts": []string{"blocked.example"}})
	lines := []string{"\xef\xbb\xbfAccount address,Show boosts,Notify on new posts,Languages", "bob@" + s.Host + ",true,false,", "\"carol@" + far.Host + "\",true,true,\"en, ko\"",
		"nobody@" + far.Host + ",true,false,", "nobody@" + s.Host, "alice@" + s.Host, "blocker@" + s.Host, "blocked@" + s.Host, "x@blocked.example", "broken", ""}
	r := take(t, alice, "i/import-following", strings.Join(lines, "\r\n"), m{"withReplies": true})
	says(t, r, "Accounts to follow: imported", "2 added, 0 as they were, 7 left out.\nnobody@"+far.Host+": there is no such account\nnobody@"+s.Host+": there is no such account\n"+
		"alice@"+s.Host+": that is you\nblocker@"+s.Host+": the account blocks you\nblocked@"+s.Host+": you block the account\n"+
		"x@blocked.example: this server has nothing to do with its server\nbroken: it does not say on which server")
	if n := s.Count(t, "SELECT count(*) FROM following WHERE follower_id = $1 AND followee_id = $2 AND with_replies", alice.ID, bob.ID); n != 1 {
		t.Error("bob is not followed with his answers")
	}
	testsrv.Is(t, far.Got(t, "Follow"), far.Origin+"/users/carol", "object")
	// It went by the lower lane, in a stream that is over.
	if n := s.Count(t, "SELECT count(*) FROM fed_stream WHERE kind = 'import' AND owner_id = $1 AND class = 3 AND closed_at IS NOT NULL", alice.ID); n != 1 {
		t.Errorf("%d streams", n)
	}
	// Mastodon's mutes and blocks.
	says(t, take(t, alice, "i/import-muting", "Account address,Hide notifications\nbob@"+s.Host+",true\n", nil), "Accounts to mute: imported", "1 added, 0 as they were, 0 left out.")
	says(t, take(t, alice, "i/import-blocking", "carol@"+far.Host, nil), "Accounts to block: imported", "1 added, 0 as they were, 0 left out.")
	testsrv.Is(t, far.Got(t, "Block"), far.Origin+"/users/carol", "object")
	// Lists have their bounds.
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"userListLimit": 1, "userEachUserListsLimit": 2}})
	here := "@" + s.Host + "\n"
	says(t, take(t, alice, "i/import-user-lists", "x,bob"+here+"x,bob"+here+"y,bob"+here+"x,alice"+here+"x,root"+here+"x,blocker"+here, nil), "Lists: imported",
		"2 added, 1 as they were, 3 left out.\nbob@"+s.Host+": you have as many lists as you may\nroot@"+s.Host+": the list is full\nblocker@"+s.Host+": the account blocks you")
	if n := s.Count(t, "SELECT count(*) FROM user_list WHERE user_id = $1", alice.ID); n != 1 {
		t.Errorf("%d lists", n)
	}
	// Nothing but antennas.
	good := `{"name":"a","src":"all","keywords":[["x"]],"excludeKeywords":[],"users":[],"caseSensitive":false,"withReplies":false,"withFile":false}`
	says(t, take(t, alice, "i/import-antennas", "["+good+`,{"name":"b","src":"moon","keywords":[["x"]]},{"name":"c","src":"all","keywords":[[""]]},5]`, nil), "Antennas: imported",
		"1 added, 0 as they were, 3 left out.\nb: it is for something that this server does not know\nc: An antenna needs a keyword, or one to leave out.\n…: that is no antenna")
	old := `[{"name":"old","src":"list","keywords":[["x"]],"excludeKeywords":[],"users":[],"userListId":["bob@` + s.Host + `"],"caseSensitive":false,"withReplies":false,"withFile":false,"notify":true}]`
	says(t, take(t, alice, "i/import-antennas", old, nil), "Antennas: imported", "1 added, 0 as they were, 0 left out.")
	testsrv.Is(t, alice.List(t, "antennas/list", nil)[1], []any{"bob@" + s.Host}, "users")
	says(t, take(t, alice, "i/import-antennas", "{}", nil), "Antennas: not imported", "the file is no list of antennas\n0 added, 0 as they were, 0 left out.")
	// Each is told in the own language, or in the server's.
	root.Post(t, "admin/update-meta", m{"langs": []string{"ja"}})
	says(t, take(t, alice, "i/import-muting", "alice@"+s.Host, nil), "ミュートするアカウント: インポートしました", "追加0件、変更なし0件、除外1件。\nalice@"+s.Host+": 自分自身です")
	alice.Post(t, "i/update", m{"lang": "ko"})
	says(t, take(t, alice, "i/import-muting", "alice@"+s.Host, nil), "뮤트할 계정: 가져왔어요", "추가 0, 그대로 0, 제외 1.\nalice@"+s.Host+": 자기 자신이에요")
	// Who has lost the profile, in a damaged database, is in nobody's way.
	if lang, err := s.App.Auth.LanguageOf(t.Context(), s.DB, "nobody"); err != nil || lang != "ja" {
		t.Errorf("without a profile: %q, %v", lang, err)
	}
}

// Whose file it is, what it is, and who asks is looked at first.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice, bob := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bob")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}}})
	text := alice.File(t, "a.csv", strings.NewReader("a@b.example\n"), nil)["id"]
	big := alice.File(t, "b.csv", strings.NewReader(strings.Repeat("account@server.example\n", 250_000)), nil)["id"]
	empty := alice.File(t, "c.csv", strings.NewReader(""), nil)["id"]
	picture := alice.File(t, "d.png", testsrv.Picture(t, "d"), nil)["id"]
	fails := func(u *testsrv.User, name string, params m, status int, code string) {
		t.Helper()
		s.App.API.Limits().Reset()
		u.Fails(t, name, params, status, code)
	}
	for _, name := range []string{"i/import-following", "i/import-muting", "i/import-blocking", "i/import-user-lists", "i/import-antennas"} {
		fails(bob, name, m{"fileId": text}, 400, "NO_SUCH_FILE")
		fails(alice, name, m{"fileId": "none"}, 400, "NO_SUCH_FILE")
		fails(alice, name, m{"fileId": empty}, 400, "EMPTY_FILE")
		if name == "i/import-antennas" {
			fails(alice, name, m{"fileId": big}, 400, "TOO_MANY_ANTENNAS")
		} else {
			fails(alice, name, m{"fileId": picture}, 400, "UNEXPECTED_FILE_TYPE")
			fails(alice, name, m{"fileId": big}, 400, "TOO_BIG_FILE")
		}
	}
	if n := s.Count(t, "SELECT count(*) FROM transfer"); n != 0 {
		t.Errorf("%d were begun", n)
	}
	// Apps may do none of it.
	app := alice.Post(t, "miauth/gen-token", m{"session": nil, "permission": []string{"read:account", "write:following", "write:account"}})
	other := &testsrv.User{S: s, ID: alice.ID, Token: testsrv.Dig(app, "token").(string)}
	fails(other, "i/export-notes", nil, 403, "ACCESS_DENIED")
	fails(other, "i/import-following", m{"fileId": text}, 403, "ACCESS_DENIED")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canImportFollowing": false, "canImportMuting": false, "canImportBlocking": false, "canImportUserLists": false, "canImportAntennas": false}})
	for _, name := range []string{"i/import-following", "i/import-muting", "i/import-blocking", "i/import-user-lists", "i/import-antennas"} {
		fails(alice, name, m{"fileId": text}, 403, "ROLE_PERMISSION_DENIED")
	}
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canImportMuting": true}})
	exec(t, s, `UPDATE "user" SET moved_to_uri = 'https://b.example/users/a', moved_at = now() WHERE id = $1`, alice.ID)
	s.App.Auth.Reset()
	fails(alice, "i/import-muting", m{"fileId": text}, 403, "YOUR_ACCOUNT_MOVED")
}

// A table can be uploaded by whoever may upload texts.
func TestTablesAreTexts(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "root")
	alice := s.User(t, "alice")
	alice.File(t, "following.csv", strings.NewReader("Account address,Show boosts,Notify on new posts,Languages\na@b.example,true,false,\nb@b.example,true,false,\n"), nil)
}

// An import that is gone on with is not begun anew: what its owner has changed since
// stays, and nobody is told twice.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	s.User(t, "root")
	alice := s.User(t, "alice")
	var lines []string
	for i := range 30 {
		name := fmt.Sprint("u", i)
		if i%3 == 0 {
			far.Actor(name)
			lines = append(lines, name+"@"+far.Host)
			continue
		}
		s.User(t, name)
		lines = append(lines, name+"@"+s.Host)
	}
	content := strings.Join(lines, "\n")
	breaks(t, s, "NEW.added = 17")
	f := alice.File(t, "f.csv", strings.NewReader(content), nil)
	alice.Post(t, "i/import-following", m{"fileId": f["id"]})
	s.Settle(t)
	if n := s.Count(t, "SELECT added FROM transfer"); n != 16 {
		t.Fatalf("%d were taken before it broke", n)
	}
	if len(told(t, alice, "app")) != 0 {
		t.Error("it is said to be over")
	}
	// She has thought better of one meanwhile.
	alice.Post(t, "following/delete", m{"userId": idOf(t, s, "u1")})
	var id string
	if err := s.DB.QueryRow(t.Context(), "SELECT id FROM transfer").Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, position := range []int{0, len(lines[0]) + 1} {
		if wrong, err := s.App.Transfers.TakeInFrom(t.Context(), id, "following", alice.ID, f["id"].(string), int64(position)); err != nil || !wrong {
			t.Errorf("from %d on: %v", position, err)
		}
	}
	s.Stop(t)
	mended(t, s)
	s.Start(t)
	s.Settle(t)
	says(t, told(t, alice, "app")[0], "Accounts to follow: imported", "30 added, 0 as they were, 0 left out.")
	if n := len(told(t, alice, "app")); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM following WHERE follower_id = $1", alice.ID); n != 19 {
		t.Errorf("%d are followed here", n)
	}
	for range 10 {
		far.Got(t, "Follow")
	}
	if left := far.Left(); len(left) != 0 {
		t.Errorf("the other server was told %v besides", left)
	}
	// A line that the server fails at again and again is left out in the end.
	exec(t, s, `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`)
	exec(t, s, `CREATE TRIGGER no BEFORE INSERT ON muting FOR EACH ROW WHEN (NEW.mutee_id = '`+idOf(t, s, "u2")+`') EXECUTE FUNCTION no()`)
	s.App.API.Limits().Reset()
	alice.Post(t, "i/import-muting", m{"fileId": f["id"]})
	for range 3 {
		exec(t, s, `UPDATE transfer SET due_at = 'epoch' WHERE finished_at IS NULL`)
		s.Settle(t)
	}
	says(t, told(t, alice, "app")[0], "Accounts to mute: imported", "29 added, 0 as they were, 1 left out.\nu2@"+s.Host+": the server could not do it")
	// A file that is deleted before its turn.
	exec(t, s, `INSERT INTO transfer (id, way, what, user_id, file_id) VALUES ('x', 'import', 'muting', $1, 'none')`, alice.ID)
	s.Settle(t)
	says(t, told(t, alice, "app")[0], "Accounts to mute: not imported", "the file is not in the drive any more\n0 added, 0 as they were, 0 left out.")
}

// Whoever looks after the server can stop what an import sends, which ends it.
func TestImportStopped(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	s.User(t, "root")
	alice := s.User(t, "alice")
	var lines []string
	for i := range 4 {
		far.Actor(fmt.Sprint("u", i))
		lines = append(lines, fmt.Sprint("u", i, "@", far.Host))
	}
	breaks(t, s, "NEW.added = 3")
	f := alice.File(t, "f.csv", strings.NewReader(strings.Join(lines, "\n")), nil)
	alice.Post(t, "i/import-following", m{"fileId": f["id"]})
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM follow_request"); n != 2 {
		t.Fatalf("%d are asked", n)
	}
	var stream int64
	if err := s.DB.QueryRow(t.Context(), "SELECT stream_id FROM transfer").Scan(&stream); err != nil {
		t.Fatal(err)
	}
	if err := s.App.Delivery.CancelStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	mended(t, s)
	s.Settle(t)
	says(t, told(t, alice, "app")[0], "Accounts to follow: only a part was imported", "it was stopped by those who look after the server\n2 added, 0 as they were, 0 left out.")
	if n := s.Count(t, "SELECT count(*) FROM follow_request"); n != 2 {
		t.Errorf("%d are asked", n)
	}
}

// A server that hangs is asked for few of its accounts, and holds up nobody.
func TestHangingServer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	end := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-end
	}))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(end) })
	s := testsrv.New(t)
	s.User(t, "root")
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	s.App.Transfers.Patience(300 * time.Millisecond)
	var lines []string
	for i := range 40 {
		lines = append(lines, fmt.Sprint("u", i, "@", strings.TrimPrefix(hangs.URL, "http://")))
	}
	lines = append(lines, "bob@"+s.Host)
	r := take(t, alice, "i/import-following", strings.Join(lines, "\n"), nil)
	if body := r["body"].(string); !strings.HasPrefix(body, "1 added, 0 as they were, 40 left out.\nu0@") || strings.Count(body, "its server does not answer") != 40 {
		t.Errorf("told %v", body)
	}
	if n := asked.Load(); n == 0 || n > 10 {
		t.Errorf("it was asked %d times", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM following WHERE follower_id = $1 AND followee_id = $2", alice.ID, bob.ID); n != 1 {
		t.Error("bob is not followed")
	}
}

func idOf(t *testing.T, s *testsrv.Server, name string) (id string) {
	t.Helper()
	if err := s.DB.QueryRow(t.Context(), `SELECT id FROM "user" WHERE username = $1 AND host IS NULL`, name).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}
