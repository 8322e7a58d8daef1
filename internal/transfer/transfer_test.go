package transfer_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

func exec(t *testing.T, s *testsrv.Server, sql string, args ...any) {
	t.Helper()
	if _, err := s.DB.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// download gives the bytes of a file in the drive.
func download(t *testing.T, u *testsrv.User, fileID any) string {
	t.Helper()
	res, err := http.Get(testsrv.Dig(u.Post(t, "drive/files/show", m{"fileId": fileID}), "url").(string))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// told are notifications of a type, the newest first.
func told(t *testing.T, u *testsrv.User, typ string) []m {
	t.Helper()
	return u.List(t, "i/notifications", m{"includeTypes": []string{typ}, "limit": 100})
}

// export has something exported, and gives what the file has.
func export(t *testing.T, u *testsrv.User, endpoint, entity, name string, params m) string {
	t.Helper()
	u.S.App.API.Limits().Reset()
	before := len(told(t, u, "exportCompleted"))
	if status, v := u.Call(t, endpoint, params); status != http.StatusNoContent {
		t.Fatalf("%s: %d %v", endpoint, status, v)
	}
	u.S.Settle(t)
	l := told(t, u, "exportCompleted")
	if len(l) != before+1 {
		t.Fatalf("%s: told of %d, %v", endpoint, len(l)-before, told(t, u, "app"))
	}
	testsrv.Is(t, l[0], entity, "exportedEntity")
	f := u.Post(t, "drive/files/show", m{"fileId": l[0]["fileId"]})
	if got := testsrv.Dig(f, "name").(string); !regexp.MustCompile(`^` + name + `$`).MatchString(got) {
		t.Errorf("%s: the file is called %q", endpoint, got)
	}
	return download(t, u, l[0]["fileId"])
}

const (
	stamp = `-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d`
	csv   = stamp + `\.csv`
	js    = stamp + `\.json`
)

func parsed(t *testing.T, text string) []m {
	t.Helper()
	var out []m
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return out
}

// take has a file imported, and gives what its owner is told.
func take(t *testing.T, u *testsrv.User, endpoint, content string, params m) m {
	t.Helper()
	u.S.App.API.Limits().Reset()
	before := len(told(t, u, "app"))
	f := u.File(t, "file", strings.NewReader(content), m{"force": true})
	with := m{"fileId": f["id"]}
	for k, v := range params {
		with[k] = v
	}
	if status, v := u.Call(t, endpoint, with); status != http.StatusNoContent {
		t.Fatalf("%s: %d %v", endpoint, status, v)
	}
	u.S.Settle(t)
	l := told(t, u, "app")
	if len(l) != before+1 {
		t.Fatalf("%s: told of %d", endpoint, len(l)-before)
	}
	return l[0]
}

func says(t *testing.T, report m, header, body string) {
	t.Helper()
	if report["header"] != header || report["body"] != body {
		t.Errorf("told %q\n%v\nnot %q\n%v", report["header"], report["body"], header, body)
	}
}

func sorted(text string) string {
	l := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(l)
	return strings.Join(l, "\n")
}

// What one account has, another has after it is carried out and in; and the same a
// second time changes nothing.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	s.User(t, "root")
	alice, bob, eve, dave := s.User(t, "alice"), s.User(t, "bob"), s.User(t, "eve"), s.User(t, "dave")
	carol := far.Actor("carol")
	for name, params := range map[string]m{"following/create": {"withReplies": true}, "mute/create": {}, "blocking/create": {}} {
		params["userId"] = map[string]string{"following/create": bob.ID, "mute/create": eve.ID, "blocking/create": eve.ID}[name]
		alice.Post(t, name, params)
	}
	alice.Post(t, "following/create", m{"userId": carol.On(t, alice).ID})
	s.Settle(t)
	follow := far.Got(t, "Follow")
	carol.Tell(t, s, m{"type": "Accept", "object": follow})
	list := alice.Post(t, "users/lists/create", m{"name": "빵, and cake"})
	for _, id := range []string{bob.ID, carol.On(t, alice).ID} {
		alice.Post(t, "users/lists/push", m{"listId": testsrv.Dig(list, "id"), "userId": id})
	}
	alice.Post(t, "users/lists/update-membership", m{"listId": testsrv.Dig(list, "id"), "userId": bob.ID, "withReplies": true})
	trap := m{"name": "bread", "src": "users", "keywords": [][]string{{"rye", "bread"}, {"빵"}}, "excludeKeywords": [][]string{{"cake"}}, "users": []string{"@bob"},
		"caseSensitive": true, "withReplies": true, "withFile": true, "localOnly": true, "excludeBots": true, "excludeNotesInSensitiveChannel": true}
	alice.Post(t, "antennas/create", trap)
	alice.Post(t, "antennas/create", m{"name": "list", "src": "list", "userListId": testsrv.Dig(list, "id"), "keywords": [][]string{{"x"}}, "excludeKeywords": [][]string{}, "users": []string{},
		"caseSensitive": false, "withReplies": false, "withFile": false})

	here, there := "@"+s.Host, "@"+far.Host
	kinds := []struct {
		out, entity, name, in, title, want string
		n                                  int
	}{
		{"i/export-following", "following", "following" + csv, "i/import-following", "Accounts to follow", "bob" + here + ",withReplies=true\ncarol" + there + ",withReplies=false\n", 2},
		{"i/export-mute", "muting", "mute" + csv, "i/import-muting", "Accounts to mute", "eve" + here + "\n", 1},
		{"i/export-user-lists", "userList", "user-lists" + csv, "i/import-user-lists", "Lists",
			"\"빵, and cake\",bob" + here + ",withReplies=true\n\"빵, and cake\",carol" + there + ",withReplies=false\n", 2},
		{"i/export-blocking", "blocking", "blocking" + csv, "i/import-blocking", "Accounts to block", "eve" + here + "\n", 1},
	}
	for _, k := range kinds {
		got := export(t, alice, k.out, k.entity, k.name, m{})
		if got != k.want {
			t.Errorf("%s: %q, not %q", k.out, got, k.want)
		}
		says(t, take(t, dave, k.in, got, m{}), k.title+": imported", fmt.Sprintf("%d added, 0 as they were, 0 left out.", k.n))
		if k.entity == "following" {
			follow := far.Got(t, "Follow")
			testsrv.Is(t, follow, dave.URI(), "actor")
			// While she has not answered, asking once more is no second request.
			says(t, take(t, dave, k.in, got, m{}), k.title+": imported", "0 added, 2 as they were, 0 left out.")
			carol.Tell(t, s, m{"type": "Accept", "object": follow})
		}
		says(t, take(t, dave, k.in, got, m{}), k.title+": imported", fmt.Sprintf("0 added, %d as they were, 0 left out.", k.n))
		if again := export(t, dave, k.out, k.entity, k.name, nil); sorted(again) != sorted(got) {
			t.Errorf("%s: %q became %q", k.out, got, again)
		}
	}
	if left := far.Left(); len(left) != 0 {
		t.Errorf("the other server was told %v besides", left)
	}

	got := export(t, alice, "i/export-antennas", "antenna", "antennas"+js, nil)
	l := parsed(t, got)
	if len(l) != 2 {
		t.Fatalf("%d antennas: %s", len(l), got)
	}
	for k, v := range trap {
		if k == "users" {
			v = []string{"bob"}
		}
		want, _ := json.Marshal(v)
		if have, _ := json.Marshal(l[0][k]); !bytes.Equal(want, have) {
			t.Errorf("antenna: %s is %s, not %s", k, have, want)
		}
	}
	testsrv.Is(t, l[1], []any{"bob" + here, "carol" + there}, "userListAccts")
	says(t, take(t, dave, "i/import-antennas", got, nil), "Antennas: imported", "2 added, 0 as they were, 0 left out.")
	says(t, take(t, dave, "i/import-antennas", got, nil), "Antennas: imported", "0 added, 2 as they were, 0 left out.")
	have := dave.List(t, "antennas/list", nil)
	if len(have) != 2 || have[0]["name"] != "bread" || have[1]["src"] != "users" {
		t.Errorf("antennas: %v", have)
	}
	testsrv.Is(t, have[1], []any{"bob" + here, "carol" + there}, "users")
	// One for accounts of a list catches what they write.
	bob.Note(t, m{"text": "x"})
	s.Settle(t)
	if caught := dave.List(t, "antennas/notes", m{"antennaId": have[1]["id"]}); len(caught) != 1 {
		t.Errorf("it caught %v", caught)
	}
	s.App.API.Limits().Reset()
	many := dave.File(t, "a.json", strings.NewReader("["+strings.Repeat(`{"name":"x"},`, 3)+`{"name":"x"}]`), nil)
	dave.Fails(t, "i/import-antennas", m{"fileId": many["id"]}, 400, "TOO_MANY_ANTENNAS")
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(s.SearchDir), "transfer-*")); err != nil || len(left) != 0 {
		t.Errorf("left on the disk: %q %v", left, err)
	}
}

// Who is muted, and who has been away, can be left out.
func TestExportFollowingLeavesOut(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "root")
	alice := s.User(t, "alice")
	for _, name := range []string{"muted", "away", "brief", "here"} {
		u := s.User(t, name)
		alice.Post(t, "following/create", m{"userId": u.ID})
		switch name {
		case "muted":
			alice.Post(t, "mute/create", m{"userId": u.ID})
		case "brief": // a mute that ends by itself is not carried elsewhere
			alice.Post(t, "mute/create", m{"userId": u.ID, "expiresAt": 4_000_000_000_000})
		case "away":
			exec(t, s, `UPDATE "user" SET updated_at = now() - interval '100 days' WHERE id = $1`, u.ID)
			exec(t, s, `UPDATE user_stat SET last_active_at = now() - interval '91 days' WHERE user_id = $1`, u.ID)
		}
	}
	names := func(params m) string {
		t.Helper()
		var out []string
		for _, l := range strings.Split(strings.TrimSpace(export(t, alice, "i/export-following", "following", "following"+csv, params)), "\n") {
			name, _, _ := strings.Cut(l, "@")
			out = append(out, name)
		}
		return strings.Join(out, " ")
	}
	for want, params := range map[string]m{
		"muted away brief here": {}, "away here": {"excludeMuting": true}, "muted brief here": {"excludeInactive": true}, "here": {"excludeMuting": true, "excludeInactive": true},
	} {
		if got := names(params); got != want {
			t.Errorf("%v: %q, not %q", params, got, want)
		}
	}
	if got := export(t, alice, "i/export-mute", "muting", "mute"+csv, nil); got != "muted@"+s.Host+"\n" {
		t.Errorf("mutes: %q", got)
	}
	// Nothing is a file, too.
	if got := export(t, alice, "i/export-blocking", "blocking", "blocking"+csv, nil); got != "" {
		t.Errorf("blocks: %q", got)
	}
}

// Notes are written in Misskey's form, page by page, and of others' only what one
// may still see.
func TestExportNotes(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	s.User(t, "root")
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	f := alice.File(t, "a.png", testsrv.Picture(t, "a"), nil)
	first := alice.Note(t, m{"text": "빵 \"<&", "cw": "cw", "fileIds": []any{f["id"]}, "visibility": "followers", "localOnly": true, "reactionAcceptance": "likeOnly"})
	polled := alice.Note(t, m{"text": "poll", "poll": m{"choices": []string{"a", "b"}, "multiple": true}, "replyId": first, "visibility": "specified", "visibleUserIds": []string{bob.ID}})
	bob.Post(t, "notes/polls/vote", m{"noteId": polled, "choice": 1})
	for range 230 {
		exec(t, s, `WITH n AS (INSERT INTO note (id, user_id, visibility, text) VALUES ($1, $2, 'public', 'x') RETURNING id) INSERT INTO note_stat (note_id) SELECT id FROM n`,
			s.App.Notes.IDs.Now(), alice.ID)
	}
	last := alice.Note(t, m{"renoteId": alice.Note(t, m{"text": "to renote"})})
	l := parsed(t, export(t, alice, "i/export-notes", "note", "notes"+js, nil))
	if len(l) != 234 {
		t.Fatalf("%d notes", len(l))
	}
	want := m{"id": first, "text": "빵 \"<&", "cw": "cw", "fileIds": []any{f["id"]}, "visibility": "followers", "localOnly": true, "reactionAcceptance": "likeOnly",
		"poll": nil, "replyId": nil, "renoteId": nil, "visibleUserIds": []any{}}
	for k, v := range want {
		testsrv.Is(t, l[0], v, k)
	}
	if len(l[0]) != len(want)+2 || !regexp.MustCompile(`^\d{4}-.*\.\d{3}Z$`).MatchString(l[0]["createdAt"].(string)) {
		t.Errorf("the note is %v", l[0])
	}
	testsrv.Is(t, l[0], f["url"], "files", 0, "url")
	testsrv.Is(t, l[1], first, "replyId")
	testsrv.Is(t, l[1], []any{bob.ID}, "visibleUserIds")
	want = m{"choices": []any{"a", "b"}, "votes": []any{0.0, 1.0}, "multiple": true, "expiresAt": nil, "noteId": polled, "noteVisibility": "specified", "userId": alice.ID, "userHost": nil}
	for k, v := range want {
		testsrv.Is(t, l[1], v, "poll", k)
	}
	testsrv.Is(t, l[233], last, "id")
	testsrv.Is(t, l[233], l[232]["id"], "renoteId")

	// Of what others wrote.
	alice.Post(t, "following/create", m{"userId": bob.ID})
	shown, hidden := bob.Note(t, m{"text": "shown"}), bob.Note(t, m{"text": "hidden", "visibility": "followers"})
	gone := bob.Note(t, m{"text": "gone"})
	clip := alice.Post(t, "clips/create", m{"name": "c", "description": "d", "isPublic": false})
	empty := alice.Post(t, "clips/create", m{"name": "none", "isPublic": true})
	for _, id := range []string{shown, hidden, gone} {
		s.App.API.Limits().Reset()
		alice.Post(t, "notes/favorites/create", m{"noteId": id})
		alice.Post(t, "clips/add-note", m{"clipId": testsrv.Dig(clip, "id"), "noteId": id})
	}
	notesOf := func(list []m) string {
		var out []string
		for _, k := range list {
			out = append(out, testsrv.Dig(k, "note", "text").(string))
		}
		return strings.Join(out, " ")
	}
	both := func(want string) (favorites, clips []m) {
		t.Helper()
		favorites = parsed(t, export(t, alice, "i/export-favorites", "favorite", "favorites"+js, nil))
		clips = parsed(t, export(t, alice, "i/export-clips", "clip", "clips"+js, nil))
		var in []m
		for _, k := range clips[0]["clipNotes"].([]any) {
			in = append(in, k.(map[string]any))
		}
		if got := notesOf(favorites); got != want {
			t.Errorf("favourites: %q, not %q", got, want)
		}
		if got := notesOf(in); got != want {
			t.Errorf("clipped: %q, not %q", got, want)
		}
		return favorites, clips
	}
	both("shown hidden gone")
	alice.Post(t, "following/delete", m{"userId": bob.ID})
	bob.Post(t, "notes/delete", m{"noteId": gone})
	s.Settle(t)
	favorites, clips := both("shown")
	want = m{"id": shown, "visibility": "public", "fileIds": []any{}, "uri": nil, "url": nil, "poll": nil, "user": m{"id": bob.ID, "name": nil, "username": "bob", "host": nil, "uri": nil}}
	for _, k := range []any{favorites[0], clips[0]["clipNotes"].([]any)[0]} {
		for key, v := range want {
			testsrv.Is(t, k, v, "note", key)
		}
	}
	testsrv.Is(t, clips[0], "d", "description")
	testsrv.Is(t, clips[1], testsrv.Dig(empty, "id"), "id")
	testsrv.Is(t, clips[1], []any{}, "clipNotes")
	testsrv.Is(t, clips[1], nil, "lastClippedAt")
}

// An export that breaks off at its very end leaves no file and tells nobody; done
// again it is one file, which is told once.
func TestExportOnce(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, alice := s.User(t, "root"), s.User(t, "alice")
	alice.Note(t, m{"text": "x"})
	files := func() int { return s.Count(t, "SELECT count(*) FROM drive_file WHERE name LIKE 'notes-%'") }
	breaks(t, s, "NEW.finished_at IS NOT NULL")
	alice.Post(t, "i/export-notes", nil)
	s.Settle(t)
	if n := files(); n != 0 || len(told(t, alice, "exportCompleted")) != 0 {
		t.Fatalf("%d files of what was not finished", n)
	}
	s.Stop(t)
	mended(t, s)
	s.Start(t)
	s.Settle(t)
	if n := files(); n != 1 || len(told(t, alice, "exportCompleted")) != 1 {
		t.Fatalf("%d files, told %v", n, told(t, alice, "exportCompleted"))
	}
	var id string
	if err := s.DB.QueryRow(t.Context(), "SELECT id FROM transfer").Scan(&id); err != nil {
		t.Fatal(err)
	}
	if late, err := s.App.Transfers.WriteOutLate(t.Context(), id, "note", alice.ID); err != nil || !late || files() != 1 {
		t.Errorf("a process that is late: %v, %d files", err, files())
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id IS NULL AND until IS NULL"); n != 0 {
		t.Errorf("the bytes of %d files would stay for ever", n)
	}
	// A drive that is full is told of; what may be uploaded does not matter.
	s.App.API.Limits().Reset()
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"driveCapacityMb": 0, "uploadableFileTypes": []string{}}})
	alice.Post(t, "i/export-notes", nil)
	s.Settle(t)
	says(t, told(t, alice, "app")[0], "Your notes: not exported", "Your drive is full.")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"driveCapacityMb": 1, "uploadableFileTypes": []string{}}})
	export(t, alice, "i/export-notes", "note", "notes"+js, nil)
	// Who has left gets no file any more.
	bob := s.User(t, "bob")
	exec(t, s, `UPDATE "user" SET is_deleted = true WHERE id = $1`, bob.ID)
	exec(t, s, `INSERT INTO transfer (id, way, what, user_id) VALUES ('x', 'export', 'note', $1)`, bob.ID)
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM transfer WHERE finished_at IS NULL") + s.Count(t, "SELECT count(*) FROM drive_file WHERE user_id = $1", bob.ID); n != 0 {
		t.Error("somebody who has left is given a file")
	}
}
