package catalogue_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// allowed gives a server whose root may do everything, with somebody who may not.
func allowed(t *testing.T) (s *testsrv.Server, root, plain *testsrv.User) {
	t.Helper()
	s = testsrv.New(t)
	return s, s.User(t, "root"), s.User(t, "plain")
}

func table(t *testing.T, u *testsrv.User, query m) []any {
	t.Helper()
	return testsrv.Dig(u.Post(t, "v2/admin/emoji/list", m{"query": query, "limit": 100}), "emojis").([]any)
}

func TestEditing(t *testing.T) {
	t.Parallel()
	s, root, plain := allowed(t)
	sock := plain.Stream(t, "main")
	f := root.File(t, "빵.png", testsrv.Picture(t, "bread"), nil)
	text := root.File(t, "x.txt", bytes.NewReader([]byte("text")), nil)
	add := m{"name": "bread", "fileId": f["id"], "category": "빵", "aliases": []string{"빵", "빵", " "}, "license": "CC0", "isSensitive": false}
	plain.Fails(t, "admin/emoji/add", add, 403, "ROLE_PERMISSION_DENIED")
	made := root.Post(t, "admin/emoji/add", add)
	id := testsrv.Dig(made, "id")
	testsrv.Is(t, made, []any{"빵"}, "aliases")
	event := func(typ string) m {
		t.Helper()
		return sock.Next(typ, func(e m) bool { return e["type"] == typ })
	}
	testsrv.Is(t, event("emojiAdded"), "bread", "body", "emoji", "name")
	root.Fails(t, "admin/emoji/add", add, 400, "DUPLICATE_NAME")
	root.Fails(t, "admin/emoji/add", m{"name": "other", "fileId": "none"}, 400, "NO_SUCH_FILE")
	root.Fails(t, "admin/emoji/add", m{"name": "other", "fileId": text["id"]}, 400, "UNSUPPORTED_FILE_TYPE")
	root.Fails(t, "admin/emoji/add", m{"name": "b-read", "fileId": f["id"]}, 400, "INVALID_PARAM")
	// The picture stays when the one in the drive goes.
	root.Post(t, "drive/files/delete", m{"fileId": f["id"]})
	if res, err := http.Get(testsrv.Dig(made, "url").(string)); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the picture: %v %v", res, err)
	}
	testsrv.Is(t, s.Guest().Post(t, "emojis", m{}), "bread", "emojis", 0, "name")
	root.Post(t, "admin/emoji/update", m{"id": id, "name": "toast", "category": nil, "localOnly": true})
	testsrv.Is(t, event("emojiDeleted"), "bread", "body", "emojis", 0, "name")
	testsrv.Is(t, event("emojiAdded"), "toast", "body", "emoji", "name")
	testsrv.Is(t, s.Guest().Post(t, "emojis", m{}), "toast", "emojis", 0, "name") // not what was encoded before
	root.Post(t, "admin/emoji/update", m{"name": "toast", "isSensitive": true})
	testsrv.Is(t, event("emojiUpdated"), true, "body", "emojis", 0, "isSensitive")
	g := root.File(t, "g.png", testsrv.Picture(t, "other"), nil)
	second := testsrv.Dig(root.Post(t, "admin/emoji/add", m{"name": "roll", "fileId": g["id"]}), "id")
	root.Fails(t, "admin/emoji/update", m{"id": second, "name": "toast"}, 400, "SAME_NAME_EMOJI_EXISTS")
	root.Fails(t, "admin/emoji/update", m{"id": "none", "name": "x"}, 400, "NO_SUCH_EMOJI")
	root.Fails(t, "admin/emoji/update", m{"name": "none"}, 400, "NO_SUCH_EMOJI")
	root.Fails(t, "admin/emoji/update", m{"id": id, "fileId": "none"}, 400, "NO_SUCH_FILE")
	root.Fails(t, "admin/emoji/update", m{}, 400, "INVALID_PARAM")
	ids := []any{id, second}
	root.Post(t, "admin/emoji/add-aliases-bulk", m{"ids": ids, "aliases": []string{"굽기", "아침"}})
	root.Post(t, "admin/emoji/remove-aliases-bulk", m{"ids": ids, "aliases": []string{"굽기"}})
	root.Post(t, "admin/emoji/set-category-bulk", m{"ids": ids, "category": "아침"})
	root.Post(t, "admin/emoji/set-license-bulk", m{"ids": ids, "license": "own"})
	for _, e := range root.List(t, "admin/emoji/list", m{"query": "아침"}) {
		want := []any{"아침"}
		if e["id"] == id {
			want = []any{"빵", "아침"}
		}
		testsrv.Is(t, e, want, "aliases")
		testsrv.Is(t, e, "own", "license")
	}
	root.Post(t, "admin/emoji/set-aliases-bulk", m{"ids": ids, "aliases": []string{}})
	if l := root.List(t, "admin/emoji/list", m{"query": ":toa"}); len(l) != 1 || len(l[0]["aliases"].([]any)) != 0 {
		t.Errorf("listed: %v", l)
	}
	root.Post(t, "admin/emoji/delete", m{"id": id})
	testsrv.Is(t, event("emojiDeleted"), "toast", "body", "emojis", 0, "name")
	root.Fails(t, "admin/emoji/delete", m{"id": id}, 400, "NO_SUCH_EMOJI")
	root.Post(t, "admin/emoji/delete-bulk", m{"ids": ids})
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != 0 {
		t.Errorf("%d are left", n)
	}
	for what, n := range map[string]int{"addCustomEmoji": 2, "deleteCustomEmoji": 2} {
		if l := root.List(t, "admin/show-moderation-logs", m{"type": what, "limit": 100}); len(l) != n {
			t.Errorf("%s: %d in the log", what, len(l))
		}
	}
}

// The table is filtered, sorted and paged; others' emoji are taken over with their
// picture.
func TestTable(t *testing.T) {
	t.Parallel()
	pic, err := io.ReadAll(testsrv.Picture(t, "far"))
	if err != nil {
		t.Fatal(err)
	}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cake.png" {
			_, _ = w.Write(pic)
			return
		}
		_, _ = w.Write([]byte("<html>"))
	}))
	defer far.Close()
	s, root, _ := allowed(t)
	for _, name := range []string{"bread", "b_un", "roll"} {
		if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: name, OriginalURL: s.Origin + "/files/" + name, Aliases: []string{"a" + name}, IsSensitive: name == "roll"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cake", "page", "bread"} {
		if _, err := s.DB.Exec(t.Context(), "INSERT INTO emoji (id, name, host, original_url, aliases) VALUES ($1, $1, 'far.example', $2, '{far}')", name, far.URL+"/"+name+".png"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		query m
		want  int
	}{{nil, 6}, {m{"hostType": "local"}, 3}, {m{"hostType": "remote"}, 3}, {m{"name": "bread"}, 2}, {m{"name": "ak roll"}, 2}, {m{"name": "b_"}, 1}, {m{"name": `"brea"`}, 0}, {m{"name": `"bread"`}, 2},
		{m{"aliases": "aroll"}, 1}, {m{"host": "far"}, 3}, {m{"isSensitive": true}, 1}, {m{"localOnly": true}, 0}, {m{"updatedAtFrom": time.Now().Add(-time.Hour).Format(time.RFC3339)}, 3},
		{m{"updatedAtTo": "2020-01-01"}, 0}, {m{"originalUrl": "cake"}, 1}, {m{"roleIds": []string{"x"}}, 0}, {m{"type": "png", "category": "x", "license": "y", "uri": "z", "publicUrl": "w"}, 0}} {
		if l := table(t, root, c.query); len(l) != c.want {
			t.Errorf("%v: %d, not %d", c.query, len(l), c.want)
		}
	}
	page := root.Post(t, "v2/admin/emoji/list", m{"sortKeys": []string{"+name", "-id"}, "limit": 2, "page": 2})
	testsrv.Is(t, page, "bread", "emojis", 0, "name")
	testsrv.Is(t, page, 6.0, "allCount")
	testsrv.Is(t, page, 3.0, "allPages")
	root.Fails(t, "v2/admin/emoji/list", m{"query": m{"updatedAtTo": "soon"}}, 400, "INVALID_PARAM")
	root.Fails(t, "v2/admin/emoji/list", m{"sortKeys": []string{"+id; DROP TABLE emoji"}}, 400, "INVALID_PARAM")
	if l := root.List(t, "admin/emoji/list-remote", m{"host": "FAR.example", "query": "ca"}); len(l) != 1 {
		t.Errorf("remote: %v", l)
	}
	id := testsrv.Dig(root.Post(t, "admin/emoji/copy", m{"emojiId": "cake"}), "id")
	for _, e := range root.List(t, "admin/emoji/list", m{"query": "cake"}) {
		testsrv.Is(t, e, id, "id")
		res, err := http.Get(e["url"].(string))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.Header.Get("Content-Type") != "image/png" {
			t.Errorf("the copy is %s", res.Header.Get("Content-Type"))
		}
	}
	root.Fails(t, "admin/emoji/copy", m{"emojiId": "cake"}, 400, "DUPLICATE_NAME")
	root.Fails(t, "admin/emoji/copy", m{"emojiId": "bread"}, 400, "DUPLICATE_NAME")
	root.Fails(t, "admin/emoji/copy", m{"emojiId": "page"}, 400, "UNSUPPORTED_FILE_TYPE")
	root.Fails(t, "admin/emoji/copy", m{"emojiId": "none"}, 400, "NO_SUCH_EMOJI")
	// What is another server's is that server's to change.
	root.Fails(t, "admin/emoji/update", m{"id": "page", "name": "mine"}, 400, "NO_SUCH_EMOJI")
	root.Post(t, "admin/emoji/set-category-bulk", m{"ids": []string{"page"}, "category": "mine"})
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE host IS NOT NULL AND (name = 'mine' OR category = 'mine')"); n != 0 {
		t.Error("another server's emoji was changed")
	}
}

// Who has the role reacts with what is for it; for others it is a heart.
func TestRoles(t *testing.T) {
	t.Parallel()
	s, root, plain := allowed(t)
	role := testsrv.Dig(root.Post(t, "admin/roles/create", m{"name": "bakers", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": m{}, "isPublic": false,
		"isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": m{}}), "id")
	f := root.File(t, "x.png", testsrv.Picture(t, "x"), nil)
	root.Post(t, "admin/emoji/add", m{"name": "bread", "fileId": f["id"], "roleIdsThatCanBeUsedThisEmojiAsReaction": []any{role}})
	if l := table(t, root, m{"roleIds": []any{role}}); len(l) != 1 || testsrv.Dig(l[0], "roleIdsThatCanBeUsedThisEmojiAsReaction", 0, "name") != "bakers" {
		t.Errorf("for the role: %v", l)
	}
	react := func(want string) {
		t.Helper()
		n := root.Note(t, m{"text": "x"})
		plain.Post(t, "notes/reactions/create", m{"noteId": n, "reaction": ":bread:"})
		testsrv.Is(t, root.Post(t, "notes/show", m{"noteId": n}), 1.0, "reactions", want)
	}
	react("❤")
	root.Post(t, "admin/roles/assign", m{"roleId": role, "userId": plain.ID})
	s.Settle(t)
	react(":bread@.:")
}

// packed makes an archive of files, and of what meta.json says.
func packed(t *testing.T, meta any, files map[string][]byte) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, content []byte) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		put(name, content)
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		t.Fatal(err)
	}
	put("meta.json", raw)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// swollen is an archive that says it would be 3 GiB when unpacked.
func swollen(t *testing.T, pic []byte) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	meta, err := json.Marshal(listed("evil"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"evil.png": pic, "meta.json": meta} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.CreateRaw(&zip.FileHeader{Name: "zeros.png", Method: zip.Deflate, UncompressedSize64: 3 << 30}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func listed(names ...string) m {
	list := []m{}
	for _, n := range names {
		list = append(list, m{"fileName": n + ".png", "downloaded": true, "emoji": m{"name": n, "category": "들여온", "aliases": []string{"x"}, "license": nil, "isSensitive": false, "localOnly": false}})
	}
	return m{"metaVersion": 2, "host": "old.example", "exportedAt": "2024-01-01T00:00:00Z", "emojis": list}
}

func TestCarrying(t *testing.T) {
	t.Parallel()
	s, root, plain := allowed(t)
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}, "driveCapacityMb": 1000, "maxFileSizeMb": 200}})
	pic := func(name string) []byte {
		b, err := io.ReadAll(testsrv.Picture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "bread", OriginalURL: s.Origin + "/files/old", RoleIDs: []string{"role"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), "INSERT INTO emoji (id, name, host, original_url) VALUES ('far', 'bread', 'far.example', 'https://far.example/x')"); err != nil {
		t.Fatal(err)
	}
	take := func(name string, content io.Reader) {
		t.Helper()
		f := root.File(t, name, content, m{"force": true})
		root.Post(t, "admin/emoji/import-zip", m{"fileId": f["id"]})
		s.Settle(t)
	}
	plain.Fails(t, "admin/emoji/import-zip", m{"fileId": "x"}, 403, "ROLE_PERMISSION_DENIED")
	root.Fails(t, "admin/emoji/import-zip", m{"fileId": "none"}, 400, "NO_SUCH_FILE")
	good := func() *bytes.Reader {
		return packed(t, listed("bread", "cake", "broken", "missing", "bad-name"), map[string][]byte{"bread.png": pic("bread"), "cake.png": pic("cake"), "broken.png": []byte("<html>"), "bad-name.png": pic("x")})
	}
	take("emoji.zip", good())
	if l := table(t, root, m{"hostType": "local"}); len(l) != 2 {
		t.Errorf("imported: %v", l)
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE name = 'bread' AND host IS NULL AND role_ids = '{role}' AND category = '들여온'"); n != 1 {
		t.Error("this server's emoji was not changed, or lost who may use it")
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE host = 'far.example'"); n != 1 {
		t.Error("another server's emoji is gone")
	}
	// Once more it changes nothing.
	files := s.Count(t, "SELECT count(*) FROM drive_file WHERE user_id IS NULL")
	logs := s.Count(t, "SELECT count(*) FROM moderation_log")
	take("again.zip", good())
	if n := s.Count(t, "SELECT count(*) FROM drive_file WHERE user_id IS NULL"); n != files {
		t.Errorf("%d pictures became %d", files, n)
	}
	if n := s.Count(t, "SELECT count(*) FROM moderation_log"); n != logs {
		t.Errorf("%d entries of the log became %d", logs, n)
	}
	// Texts that cannot be kept, and folders that programs add, keep nothing out.
	odd := listed("odd")
	odd["emojis"].([]m)[0]["emoji"] = m{"name": "odd", "category": "a\x00b", "aliases": []string{"x\x00", strings.Repeat("긴", 300)}, "license": "\x00"}
	take("odd.zip", packed(t, odd, map[string][]byte{"odd.png": pic("odd"), "__MACOSX/": nil, "__MACOSX/._odd.png": []byte("x")}))
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE name = 'odd' AND category = 'ab' AND license IS NULL AND length(aliases[2]) = 128"); n != 1 {
		t.Error("an archive with odd texts was not taken")
	}
	// Archives that mean harm bring nothing.
	before := s.Count(t, "SELECT count(*) FROM emoji")
	for name, content := range map[string]io.Reader{
		"path.zip":  packed(t, listed("evil"), map[string][]byte{"evil.png": pic("x"), "../../../tmp/oven-evil": []byte("x")}),
		"bomb.zip":  packed(t, listed("evil"), map[string][]byte{"evil.png": append(pic("x"), make([]byte, 40<<20)...)}),
		"total.zip": swollen(t, pic("x")),
		"none.zip":  bytes.NewReader([]byte("PK\x03\x04 nothing")),
		"later.zip": packed(t, m{"metaVersion": 99, "emojis": []m{}}, nil),
		"large.zip": packed(t, listed("evil"), map[string][]byte{"evil.png": append(pic("x"), noise(9<<20)...)}),
	} {
		take(name, content)
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != before {
		t.Errorf("%d emoji became %d", before, n)
	}
	if _, err := os.Stat("/tmp/oven-evil"); err == nil {
		t.Error("an archive has written a file")
	}
	// What is written out can be taken in elsewhere.
	root.Post(t, "export-custom-emojis", nil)
	s.Settle(t)
	var told m
	for _, n := range root.List(t, "i/notifications", m{}) {
		if n["type"] == "exportCompleted" {
			told = n
		}
	}
	testsrv.Is(t, told, "customEmoji", "exportedEntity")
	file := root.Post(t, "drive/files/show", m{"fileId": told["fileId"]})
	res, err := http.Get(testsrv.Dig(file, "url").(string))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	other, otherRoot, _ := allowed(t)
	otherRoot.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}}})
	f := otherRoot.File(t, "x.zip", bytes.NewReader(archive), nil)
	otherRoot.Post(t, "admin/emoji/import-zip", m{"fileId": f["id"]})
	other.Settle(t)
	if l := table(t, otherRoot, nil); len(l) != 3 {
		t.Errorf("taken in elsewhere: %v", l)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// BenchmarkCatalogue asks for a catalogue of 5,000 emoji.
func BenchmarkCatalogue(b *testing.B) {
	s := testsrv.New(b)
	if _, err := s.DB.Exec(b.Context(), "INSERT INTO emoji (id, name, original_url, aliases, category) SELECT 'e' || i, 'emoji' || i, 'https://x.example/files/' || i, ARRAY['a', 'b'], 'c' || i % 50 FROM generate_series(1, 5000) i"); err != nil {
		b.Fatal(err)
	}
	s.App.Emojis.Forget()
	for b.Loop() {
		res, err := http.Get(s.Origin + "/api/emojis")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || n < 100_000 {
			b.Fatal(fmt.Errorf("%d bytes: %w", n, err))
		}
	}
}
