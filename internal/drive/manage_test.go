package drive_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/testsrv"
)

func names(list []m) string {
	var out []string
	for _, f := range list {
		out = append(out, f["name"].(string))
	}
	return strings.Join(out, " ")
}

// Files are found in every order, page by page.
func TestLists(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	for i, name := range []string{"c.txt", "a.txt", "b.txt"} {
		a.File(t, name, strings.NewReader(strings.Repeat("x", i+1)), nil)
	}
	a.File(t, "d.png", testsrv.Picture(t, "d"), nil)
	for sort, want := range map[string]string{"+createdAt": "d.png b.txt a.txt c.txt", "-createdAt": "c.txt a.txt b.txt d.png", "+name": "d.png c.txt b.txt a.txt",
		"-name": "a.txt b.txt c.txt d.png", "+size": "d.png b.txt a.txt c.txt", "-size": "c.txt a.txt b.txt d.png"} {
		if got := names(a.List(t, "drive/files", m{"sort": sort})); got != want {
			t.Errorf("%s: %s, not %s", sort, got, want)
		}
		var paged []m
		last := m{"sort": sort, "limit": 1}
		for range 10 {
			page := a.List(t, "drive/files", last)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			last = m{"sort": sort, "limit": 1, "untilId": page[0]["id"]}
		}
		if got := names(paged); got != want {
			t.Errorf("%s page by page: %s, not %s", sort, got, want)
		}
	}
	if got := names(a.List(t, "drive/files", m{"type": "image/*"})); got != "d.png" {
		t.Errorf("pictures: %s", got)
	}
	if got := names(a.List(t, "drive/stream", m{"type": "text/plain", "limit": 2})); got != "b.txt a.txt" {
		t.Errorf("texts: %s", got)
	}
	if got := names(a.List(t, "drive/files/find", m{"name": "a.txt"})); got != "a.txt" {
		t.Errorf("found: %s", got)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bora")
	sock := a.Stream(t, "drive")
	folder := func(name string, parent any) string {
		t.Helper()
		return testsrv.Dig(a.Post(t, "drive/folders/create", m{"name": name, "parentId": parent}), "id").(string)
	}
	top := folder("빵", nil)
	sock.Next("folderCreated", func(e m) bool { return testsrv.Dig(e, "body", "type") == "folderCreated" })
	mid := folder("식빵", top)
	low := folder("토스트", mid)
	f := a.File(t, "x.png", testsrv.Picture(t, "x"), m{"folderId": low})
	testsrv.Is(t, f, "토스트", "folder", "name")
	testsrv.Is(t, f, "빵", "folder", "parent", "parent", "name")
	shown := a.Post(t, "drive/folders/show", m{"folderId": mid})
	testsrv.Is(t, shown, 1.0, "foldersCount")
	testsrv.Is(t, shown, 0.0, "filesCount")
	testsrv.Is(t, shown, top, "parent", "id")
	if l := a.List(t, "drive/folders", m{}); len(l) != 1 || l[0]["id"] != top {
		t.Errorf("at the top: %v", l)
	}
	if l := a.List(t, "drive/folders", m{"folderId": top}); len(l) != 1 || l[0]["id"] != mid {
		t.Errorf("below: %v", l)
	}
	if l := a.List(t, "drive/folders/find", m{"name": "식빵", "parentId": top}); len(l) != 1 {
		t.Errorf("found: %v", l)
	}
	a.Fails(t, "drive/folders/update", m{"folderId": top, "parentId": low}, 400, "RECURSIVE_NESTING")
	a.Fails(t, "drive/folders/update", m{"folderId": top, "parentId": top}, 400, "RECURSIVE_NESTING")
	a.Fails(t, "drive/folders/update", m{"folderId": top, "parentId": "none"}, 400, "NO_SUCH_PARENT_FOLDER")
	b.Fails(t, "drive/folders/update", m{"folderId": top, "name": "mine"}, 400, "NO_SUCH_FOLDER")
	b.Fails(t, "drive/folders/create", m{"name": "x", "parentId": top}, 400, "NO_SUCH_FOLDER")
	b.Fails(t, "drive/folders/show", m{"folderId": top}, 400, "NO_SUCH_FOLDER")
	b.Fails(t, "drive/folders/delete", m{"folderId": low}, 400, "NO_SUCH_FOLDER")
	a.Fails(t, "drive/folders/delete", m{"folderId": low}, 400, "HAS_CHILD_FILES_OR_FOLDERS")
	testsrv.Is(t, a.Post(t, "drive/folders/update", m{"folderId": low, "name": "위", "parentId": nil}), nil, "parentId")
	other := a.File(t, "y.png", testsrv.Picture(t, "y"), nil)
	a.Post(t, "drive/files/move-bulk", m{"fileIds": []any{f["id"], other["id"]}, "folderId": top})
	if got := names(a.List(t, "drive/files", m{"folderId": top, "sort": "-name"})); got != "x.png y.png" {
		t.Errorf("moved: %s", got)
	}
	b.Fails(t, "drive/files/move-bulk", m{"fileIds": []any{f["id"]}, "folderId": top}, 400, "NO_SUCH_FOLDER")
	b.Post(t, "drive/files/move-bulk", m{"fileIds": []any{f["id"]}, "folderId": nil}) // another's stays
	testsrv.Is(t, a.Post(t, "drive/files/show", m{"fileId": f["id"]}), top, "folderId")
	a.Post(t, "drive/folders/delete", m{"folderId": low})
	sock.Next("folderDeleted", func(e m) bool {
		return testsrv.Dig(e, "body", "type") == "folderDeleted" && testsrv.Dig(e, "body", "body") == low
	})
}

// A file can be called and described otherwise, and taken away; what showed it lets
// go of it.
func TestChange(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a, b := s.User(t, "root"), s.User(t, "alice"), s.User(t, "bora")
	f := a.File(t, "x.png", testsrv.Picture(t, "x"), nil)
	id := f["id"]
	up := a.Post(t, "drive/files/update", m{"fileId": id, "name": "빵.png", "comment": "맛있다", "isSensitive": true})
	for key, want := range map[string]any{"name": "빵.png", "comment": "맛있다", "isSensitive": true} {
		testsrv.Is(t, up, want, key)
	}
	testsrv.Is(t, a.Post(t, "drive/files/update", m{"fileId": id, "comment": nil}), nil, "comment")
	a.Fails(t, "drive/files/update", m{"fileId": id, "name": "a/b"}, 400, "INVALID_FILE_NAME")
	a.Fails(t, "drive/files/update", m{"fileId": id, "folderId": "none"}, 400, "NO_SUCH_FOLDER")
	b.Fails(t, "drive/files/update", m{"fileId": id, "name": "mine.png"}, 400, "ACCESS_DENIED")
	b.Fails(t, "drive/files/delete", m{"fileId": id}, 400, "ACCESS_DENIED")
	a.Fails(t, "drive/files/delete", m{"fileId": "none"}, 400, "NO_SUCH_FILE")
	// A moderator's doing is written down.
	root.Post(t, "drive/files/update", m{"fileId": id, "isSensitive": false})
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "unmarkSensitiveDriveFile"}); len(l) != 1 {
		t.Errorf("the log: %v", l)
	}
	a.Post(t, "i/update", m{"avatarId": id, "bannerId": id})
	note := a.Note(t, m{"fileIds": []any{id}})
	if l := a.List(t, "drive/files/attached-notes", m{"fileId": id}); len(l) != 1 || l[0]["id"] != note {
		t.Errorf("notes with it: %v", l)
	}
	b.Fails(t, "drive/files/attached-notes", m{"fileId": id}, 400, "NO_SUCH_FILE")
	root.Post(t, "drive/files/delete", m{"fileId": id})
	if l := root.List(t, "admin/show-moderation-logs", m{"type": "deleteDriveFile"}); len(l) != 1 {
		t.Errorf("the log: %v", l)
	}
	me := a.Post(t, "i", nil)
	testsrv.Is(t, me, nil, "avatarId")
	testsrv.Is(t, me, nil, "bannerUrl")
	testsrv.Is(t, a.Post(t, "notes/show", m{"noteId": note}), []any{}, "files")
	if res, _ := get(t, f["url"].(string)); res.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted file: %s", res.Status)
	}
	if err := s.App.Drive.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob"); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

// Moderators see files and take them away by the many; what the server itself
// shows stays.
func TestAdmin(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	root, a := s.User(t, "root"), s.User(t, "alice")
	f := a.File(t, "x.png", testsrv.Picture(t, "x"), nil)
	a.File(t, "y.txt", strings.NewReader("y"), nil)
	if l := root.List(t, "admin/drive/files", m{"userId": a.ID, "type": "image/*"}); len(l) != 1 || testsrv.Dig(l[0], "user", "username") != "alice" {
		t.Errorf("pictures: %v", l)
	}
	for origin, want := range map[string]int{"local": 2, "remote": 0, "combined": 2} {
		if l := root.List(t, "admin/drive/files", m{"origin": origin}); len(l) != want {
			t.Errorf("%s: %d", origin, len(l))
		}
	}
	shown := root.Post(t, "admin/drive/show-file", m{"url": f["url"]})
	testsrv.Is(t, shown, f["id"], "id")
	testsrv.Is(t, shown, nil, "requestIp")
	if key, _ := testsrv.Dig(shown, "accessKey").(string); !strings.HasSuffix(f["url"].(string), key) || key == "" {
		t.Errorf("its key: %q", key)
	}
	root.Fails(t, "admin/drive/show-file", m{"fileId": "none"}, 400, "NO_SUCH_FILE")
	for _, name := range []string{"admin/drive/files", "admin/drive/show-file", "admin/drive/cleanup", "admin/drive/clean-remote-files", "admin/delete-all-files-of-a-user"} {
		a.Fails(t, name, m{"userId": a.ID, "fileId": f["id"]}, 403, "ROLE_PERMISSION_DENIED")
	}
	own := map[string]string{}
	for _, name := range []string{"emoji", "icon", "nothing"} {
		f, err := s.App.Drive.Store(t.Context(), name, testsrv.Picture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		own[name] = f.URL
	}
	if _, err := s.DB.Exec(t.Context(), "INSERT INTO emoji (id, name, original_url) VALUES ('e', 'bread', $1)", own["emoji"]); err != nil {
		t.Fatal(err)
	}
	root.Post(t, "admin/update-meta", m{"iconUrl": own["icon"]})
	root.Post(t, "admin/drive/cleanup", nil)
	root.Post(t, "admin/delete-all-files-of-a-user", m{"userId": a.ID})
	root.Post(t, "admin/drive/clean-remote-files", nil)
	s.Settle(t)
	for name, want := range map[string]int{"emoji": 200, "icon": 200, "nothing": 404} {
		if res, _ := get(t, own[name]); res.StatusCode != want {
			t.Errorf("%s: %s", name, res.Status)
		}
	}
	if l := a.List(t, "drive/stream", m{}); len(l) != 0 {
		t.Errorf("files are left: %v", l)
	}
}

// A page of notes with sixteen files each takes as many statements as one without.
func TestNotesWithManyFiles(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	var ids []any
	for i := range 16 {
		ids = append(ids, a.File(t, fmt.Sprint(i), bytes.NewReader([]byte(fmt.Sprint("text ", i))), nil)["id"])
	}
	for i := range 10 {
		a.Note(t, m{"text": fmt.Sprint(i)})
	}
	count := func() int64 { // the least of some: others work on the database, too
		t.Helper()
		least := int64(1 << 30)
		for range 8 {
			before := s.DB.Statements()
			if l := a.List(t, "users/notes", m{"userId": a.ID, "limit": 10}); len(l) != 10 {
				t.Fatalf("%d notes", len(l))
			}
			least = min(least, s.DB.Statements()-before)
		}
		return least
	}
	without := count()
	for range 10 {
		a.Note(t, m{"fileIds": ids})
	}
	s.Settle(t)
	if with := count(); with > without+1 {
		t.Errorf("%d statements with files, %d without", with, without)
	}
}

// What is put here and taken away is in the charts.
func TestCharted(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a := s.User(t, "alice")
	f := a.File(t, "x.txt", strings.NewReader(strings.Repeat("x", 5000)), nil)
	a.File(t, "y.txt", strings.NewReader(strings.Repeat("y", 3000)), nil)
	a.Post(t, "drive/files/delete", m{"fileId": f["id"]})
	s.Settle(t)
	of := a.Post(t, "charts/user/drive", m{"userId": a.ID, "span": "day", "limit": 1})
	for col, want := range map[string]float64{"totalCount": 1, "incCount": 2, "decCount": 1, "totalSize": 3, "incSize": 8, "decSize": 5} {
		testsrv.Is(t, of, want, col, 0)
	}
	testsrv.Is(t, a.Post(t, "charts/drive", m{"span": "hour", "limit": 1}), 2.0, "local", "incCount", 0)
}

// Files of other servers that are known by their address only are not in the
// charts, neither when they come nor when they go.
func TestLinksAreNotCharted(t *testing.T) {
	t.Parallel()
	far := testsrv.NewRemote(t)
	s := testsrv.New(t)
	root, bob := s.User(t, "root"), far.Actor("bob")
	bob.Tell(t, s, m{"type": "Create", "object": bob.Note("/n1", m{"attachment": []m{{"type": "Document", "mediaType": "image/png", "url": far.Origin + "/x.png"}}})})
	id := bob.On(t, root).ID
	root.Post(t, "admin/delete-all-files-of-a-user", m{"userId": id})
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM drive_file"); n != 0 {
		t.Fatalf("%d files are left", n)
	}
	testsrv.Is(t, root.Post(t, "charts/user/drive", m{"userId": id, "span": "day", "limit": 1}), 0.0, "totalCount", 0)
	testsrv.Is(t, root.Post(t, "charts/drive", m{"span": "day", "limit": 1}), 0.0, "remote", "decCount", 0)
}

// Whenever a server starts with another place for files, they move there, however
// short ago the last move was.
func TestMovesAtTheStart(t *testing.T) {
	t.Parallel()
	place := func() *blob.Disk {
		d, err := blob.NewDisk(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	here, there := place(), place()
	s := testsrv.New(t, func(o *app.Options) { o.Files = here })
	a := s.User(t, "alice")
	url := a.File(t, "x.txt", strings.NewReader("hello"), nil)["url"].(string)
	key := url[strings.LastIndex(url, "/")+1:]
	for _, m := range []*blob.Moving{{To: there, From: here}, {To: here, From: there}} {
		s.Stop(t)
		s.Configure(func(o *app.Options) { o.Files = m })
		s.Start(t)
		for range 50 {
			if _, err := m.From.Stat(t.Context(), key); errors.Is(err, blob.ErrNotFound) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if _, err := m.From.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("the file has not moved (%v)", err)
		}
		if _, got := get(t, url); string(got) != "hello" {
			t.Errorf("the file is %q", got)
		}
	}
}
