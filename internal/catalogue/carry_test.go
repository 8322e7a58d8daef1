package catalogue_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/testsrv"
)

// anything lets everybody upload what tests make.
func anything(t *testing.T, root *testsrv.User) {
	t.Helper()
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}, "driveCapacityMb": 1000, "maxFileSizeMb": 200}})
}

func pictureOf(t *testing.T, name string) []byte {
	t.Helper()
	b, err := io.ReadAll(testsrv.Picture(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask has an archive taken in, and gives the drive's id of it.
func ask(t *testing.T, u *testsrv.User, content io.Reader) any {
	t.Helper()
	f := u.File(t, "emoji.zip", content, m{"force": true})
	u.Post(t, "admin/emoji/import-zip", m{"fileId": f["id"]})
	u.S.Settle(t)
	return f["id"]
}

// reports are what somebody was told, the newest first.
func reports(t *testing.T, u *testsrv.User) []m {
	t.Helper()
	return u.List(t, "i/notifications", m{"includeTypes": []string{"app"}, "limit": 100})
}

func exec(t *testing.T, s *testsrv.Server, sql string, args ...any) {
	t.Helper()
	if _, err := s.DB.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// breaks makes changes of the table fail while a condition holds.
func breaks(t *testing.T, s *testsrv.Server, when string) {
	t.Helper()
	exec(t, s, `CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`)
	exec(t, s, `CREATE TRIGGER break BEFORE UPDATE ON emoji_carry FOR EACH ROW WHEN (`+when+`) EXECUTE FUNCTION break()`)
}

func mended(t *testing.T, s *testsrv.Server) {
	t.Helper()
	exec(t, s, `DROP TRIGGER break ON emoji_carry`)
	exec(t, s, `UPDATE emoji_carry SET due_at = 'epoch' WHERE finished_at IS NULL`)
}

// An archive that is gone on with is not begun anew: what moderators have made of
// it since stays.
func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	s, root, _ := allowed(t)
	anything(t, root)
	names := []string{"one", "two", "three", "four", "five"}
	files := map[string][]byte{}
	for _, n := range names {
		files[n+".png"] = pictureOf(t, n)
	}
	breaks(t, s, "NEW.position = 3")
	fileID := ask(t, root, packed(t, listed(names...), files)).(string)
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != 2 {
		t.Fatalf("%d were taken before it broke", n)
	}
	root.Post(t, "admin/emoji/update", m{"name": "one", "category": "mine"})
	for _, e := range root.List(t, "admin/emoji/list", m{"query": "two"}) {
		root.Post(t, "admin/emoji/delete", m{"id": e["id"]})
	}
	if len(reports(t, root)) != 0 {
		t.Error("it is said to be over")
	}
	// A process that was frozen before these changes does none of it again.
	var id string
	if err := s.DB.QueryRow(t.Context(), "SELECT id FROM emoji_carry").Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, position := range []int{0, 1} {
		if wrong, err := s.App.Catalogue.TakeInFrom(t.Context(), id, root.ID, fileID, position); err != nil || !wrong {
			t.Errorf("from %d on: %v", position, err)
		}
	}
	s.Stop(t)
	mended(t, s)
	s.Start(t)
	s.Settle(t)
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE name = 'one' AND category = 'mine'"); n != 1 {
		t.Error("what a moderator has changed meanwhile was overwritten")
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE name = 'two'"); n != 0 {
		t.Error("what a moderator has deleted meanwhile came back")
	}
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != 4 {
		t.Errorf("%d emoji", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM moderation_log WHERE type = 'addCustomEmoji'"); n != 5 {
		t.Errorf("%d were added", n)
	}
	if l := reports(t, root); len(l) != 1 || l[0]["header"] != "Custom emoji were imported" || l[0]["body"] != "5 added, 0 replaced, 0 as they were, 0 passed over." {
		t.Errorf("told: %v", l)
	}
	// Bytes whose file was not made in the end are nobody's, and are erased.
	if n := s.Count(t, "SELECT count(*) FROM drive_file WHERE user_id IS NULL"); n != 5 {
		t.Errorf("%d pictures", n)
	}
	if n := s.Count(t, "SELECT count(*) FROM drive_blob WHERE file_id IS NULL AND until IS NULL"); n != 0 {
		t.Errorf("%d would stay for ever", n)
	}
}

// What cannot be gone on with ends after some tries, and that is told once.
func TestImportGivesUp(t *testing.T) {
	t.Parallel()
	s, root, _ := allowed(t)
	anything(t, root)
	breaks(t, s, "NEW.position = 2")
	ask(t, root, packed(t, listed("one", "two"), map[string][]byte{"one.png": pictureOf(t, "one"), "two.png": pictureOf(t, "two")}))
	for range 13 {
		exec(t, s, `UPDATE emoji_carry SET due_at = 'epoch' WHERE finished_at IS NULL`)
		s.Settle(t)
	}
	if l := reports(t, root); len(l) != 1 || l[0]["header"] != "Only a part of the custom emoji was imported" || !strings.HasSuffix(l[0]["body"].(string), "1 added, 0 replaced, 0 as they were, 0 passed over.") {
		t.Errorf("told: %v", l)
	}
	// A process that is killed each time it is at one does not take it up for ever.
	exec(t, s, `DROP TRIGGER break ON emoji_carry`)
	exec(t, s, `UPDATE emoji_carry SET finished_at = NULL, due_at = 'epoch', tries = 12`)
	s.Settle(t)
	if l := reports(t, root); len(l) != 2 || s.Count(t, "SELECT count(*) FROM emoji") != 1 {
		t.Errorf("told: %v", l)
	}
	// What is over is forgotten in the end.
	exec(t, s, `UPDATE emoji_carry SET finished_at = now() - interval '31 days'`)
	ask(t, root, packed(t, listed(), nil))
	if n := s.Count(t, "SELECT count(*) FROM emoji_carry"); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}

// Whoever asks for an import is told what was left out, and why.
func TestReport(t *testing.T) {
	t.Parallel()
	s, root, _ := allowed(t)
	anything(t, root)
	meta := listed("bread", "cake", "broken", "missing", "bad-name", "bread", "gone")
	meta["emojis"].([]m)[6]["downloaded"] = false
	files := map[string][]byte{"bread.png": pictureOf(t, "bread"), "cake.png": pictureOf(t, "cake"), "broken.png": []byte("<html>"), "bad-name.png": pictureOf(t, "x")}
	ask(t, root, packed(t, listed("cake"), map[string][]byte{"cake.png": pictureOf(t, "other")}))
	ask(t, root, packed(t, meta, files))
	ask(t, root, packed(t, listed("bread", "cake"), files))
	l := reports(t, root)
	if len(l) != 3 {
		t.Fatalf("told: %v", l)
	}
	want := "1 added, 1 replaced, 0 as they were, 5 passed over.\nbroken: its picture cannot be used: it is text/html, not a PNG, GIF, JPEG, WebP or AVIF picture\nmissing: its picture cannot be used: there is no \"missing.png\"\n" +
		"bad-name: that is no name for an emoji\nbread: there is another of that name before it\ngone: the archive was made without its picture"
	testsrv.Is(t, l[1], want, "body")
	testsrv.Is(t, l[0], "0 added, 0 replaced, 2 as they were, 0 passed over.", "body")
	if n := s.Count(t, "SELECT count(*) FROM emoji"); n != 2 {
		t.Errorf("%d emoji", n)
	}
	// It is told in the language of whoever asked.
	root.Post(t, "i/update", m{"lang": "ko"})
	ask(t, root, packed(t, meta, files))
	body := reports(t, root)[0]["body"].(string)
	if !strings.HasPrefix(body, "추가 0, 교체 0, 그대로 2, 제외 5.\n") || !strings.Contains(body, "\nbad-name: 이모지 이름으로 쓸 수 없어요\n") {
		t.Errorf("told in Korean: %s", body)
	}
	root.Post(t, "i/update", m{"lang": "en"})
	// However much is left out, the text is short.
	many := []string{}
	for i := range 300 {
		many = append(many, fmt.Sprint(strings.Repeat("빵", 100), i))
	}
	ask(t, root, packed(t, listed(many...), nil))
	body = reports(t, root)[0]["body"].(string)
	if n := len([]rune(body)); n > 4096 || n < 3000 {
		t.Errorf("a report of %d characters", n)
	}
	var shown, more int
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "빵") {
			shown++
		}
	}
	if _, err := fmt.Sscanf(body[strings.LastIndex(body, "\n")+1:], "… and %d more.", &more); err != nil || shown+more != 300 {
		t.Errorf("%d shown, and %d more: %v", shown, more, err)
	}
	// What is no archive is told, too, and why.
	before := len(reports(t, root))
	for why, content := range map[string]io.Reader{
		"two entries are called \"a.png\"": twice(t), "has no end": bytes.NewReader([]byte("PK\x03\x04 nothing")), "made by a later version": packed(t, m{"metaVersion": 99, "emojis": []m{}}, nil),
		"there is no \"meta.json\"": bare(t), "meta.json": packed(t, m{"metaVersion": 2, "emojis": "all"}, nil), "more than 20000 emoji": packed(t, m{"emojis": make([]m, 20_001)}, nil),
	} {
		ask(t, root, content)
		l := reports(t, root)
		before++
		if len(l) != before || l[0]["header"] != "Custom emoji could not be imported" || !strings.Contains(l[0]["body"].(string), why) {
			t.Errorf("%s: told %v", why, l[0])
		}
	}
	// One that is deleted before it is opened.
	s.Stop(t)
	exec(t, s, `INSERT INTO emoji_carry (id, kind, user_id, file_id) VALUES ('x', 'import', $1, 'none')`, root.ID)
	s.Start(t)
	s.Settle(t)
	if l := reports(t, root); len(l) != before+1 || !strings.HasPrefix(l[0]["body"].(string), "the archive is not in the drive any more") {
		t.Errorf("told %v", l[0])
	}
}

// bare is an archive of nothing, twice one with two files of one name.
func bare(t *testing.T) io.Reader { return zipped(t) }

func twice(t *testing.T) io.Reader { return zipped(t, "a.png", "a.png") }

func zipped(t *testing.T, names ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		if _, err := z.Create(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// Archives are taken as Misskey writes them, and as its older versions did.
func TestMisskeysArchives(t *testing.T) {
	t.Parallel()
	s, root, _ := allowed(t)
	anything(t, root)
	row := func(name string) m {
		return m{"id": "9xyz", "updatedAt": "2024-01-01T00:00:00.000Z", "name": name, "host": nil, "category": "빵", "originalUrl": "https://old.example/files/x", "publicUrl": "https://old.example/files/x",
			"uri": nil, "type": "image/png", "aliases": []string{"ぱん", ""}, "license": "CC0", "localOnly": true, "isSensitive": true, "roleIdsThatCanBeUsedThisEmojiAsReaction": []string{"9role"}}
	}
	ask(t, root, packed(t, m{"metaVersion": 2, "host": "old.example", "exportedAt": "Mon Jan 01 2024 09:00:00 GMT+0900 (Korean Standard Time)",
		"emojis": []m{{"fileName": "bread.png", "downloaded": true, "emoji": row("bread")}}}, map[string][]byte{"bread.png": pictureOf(t, "bread")}))
	testsrv.Is(t, reports(t, root)[0], "1 added, 0 replaced, 0 as they were, 0 passed over.", "body")
	for _, e := range root.List(t, "admin/emoji/list", m{"query": "bread"}) {
		for key, want := range map[string]any{"category": "빵", "license": "CC0", "isSensitive": true, "localOnly": true, "aliases": []any{"ぱん"}, "roleIdsThatCanBeUsedThisEmojiAsReaction": []any{}} {
			testsrv.Is(t, e, want, key)
		}
	}
	// Where the file is found by the record's id, or by the name.
	old := m{"id": "8k2f", "downloaded": true, "emoji": m{"name": "cake", "category": nil, "aliases": []string{}}}
	ask(t, root, packed(t, m{"metaVersion": 1, "host": "old.example", "exportedAt": "x", "emojis": []m{old}}, map[string][]byte{"8k2f.png": pictureOf(t, "cake")}))
	ask(t, root, packed(t, m{"emojis": []m{{"downloaded": true, "emoji": m{"name": "roll"}}}}, map[string][]byte{"roll.gif": pictureOf(t, "roll")}))
	if n := s.Count(t, "SELECT count(*) FROM emoji WHERE name IN ('cake', 'roll')"); n != 2 {
		t.Errorf("%d of older versions' were taken: %v", n, reports(t, root))
	}
}

// download gives the bytes of a file in the drive.
func download(t *testing.T, u *testsrv.User, fileID any) []byte {
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
	return b
}

// An export that breaks off at its very end leaves no file and tells nobody; done
// again it is one file, which is told once, of the same bytes each time.
func TestExportOnce(t *testing.T) {
	t.Parallel()
	s, root, _ := allowed(t)
	anything(t, root)
	ask(t, root, packed(t, listed("b", "a", "c"), map[string][]byte{"a.png": pictureOf(t, "a"), "b.png": pictureOf(t, "b"), "c.png": pictureOf(t, "c")}))
	if _, err := s.App.Emojis.Add(t.Context(), emoji.Emoji{Name: "far", OriginalURL: "https://far.example/x.png"}); err != nil {
		t.Fatal(err)
	}
	told := func() []m { return root.List(t, "i/notifications", m{"includeTypes": []string{"exportCompleted"}}) }
	files := func() int { return s.Count(t, "SELECT count(*) FROM drive_file WHERE name LIKE 'custom-emojis-%'") }
	breaks(t, s, "NEW.finished_at IS NOT NULL")
	root.Post(t, "export-custom-emojis", nil)
	s.Settle(t)
	if n := files(); n != 0 || len(told()) != 0 {
		t.Fatalf("%d files of what was not finished, told %v", n, told())
	}
	// A process that was killed has left its file.
	dir := filepath.Dir(s.SearchDir)
	var id string
	if err := s.DB.QueryRow(t.Context(), "SELECT id FROM emoji_carry WHERE kind = 'export'").Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"emoji-" + id + "-1.zip", "emoji-other-1.zip"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mended(t, s)
	s.Settle(t)
	if n := files(); n != 1 || len(told()) != 1 {
		t.Fatalf("%d files, told %v", n, told())
	}
	if late, err := s.App.Catalogue.WriteOutLate(t.Context(), id, root.ID); err != nil || !late || files() != 1 || len(told()) != 1 {
		t.Errorf("a process that is late: %v, %d files, told %v", err, files(), told())
	}
	testsrv.Is(t, told()[0], "customEmoji", "exportedEntity")
	if l := reports(t, root); l[0]["header"] != "Custom emoji were exported, some without picture" || !strings.HasSuffix(l[0]["body"].(string), "from it:\nfar") {
		t.Errorf("told %v", l[0])
	}
	left, err := filepath.Glob(filepath.Join(dir, "emoji-*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "emoji-other-1.zip" {
		t.Errorf("left: %q %v", left, err)
	}
	first := download(t, root, told()[0]["fileId"])
	exec(t, s, `UPDATE emoji_carry SET finished_at = NULL, due_at = 'epoch' WHERE kind = 'export'`)
	s.Settle(t)
	if l := told(); len(l) != 2 || !bytes.Equal(first, download(t, root, l[0]["fileId"])) {
		t.Error("the same emoji make another archive")
	}
	z, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if strings.Join(names, " ") != "a.png b.png c.png meta.json" {
		t.Errorf("in it: %q", names)
	}
	// A drive that is full is told of.
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"driveCapacityMb": 0}})
	exec(t, s, `UPDATE emoji_carry SET finished_at = NULL, due_at = 'epoch' WHERE kind = 'export'`)
	s.Settle(t)
	if l := reports(t, root); l[0]["header"] != "Custom emoji could not be exported" || l[0]["body"] != "Your drive is full." || files() != 2 {
		t.Errorf("told %v", l[0])
	}
}

// What killed processes have left is removed at the next start, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	s, _, _ := allowed(t)
	dir := filepath.Dir(s.SearchDir)
	put := func(name string, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(t)
	gone := []string{"upload-1", "fetched-1", "temp-1", "stripped-1", "emoji-x-1.zip"}
	for _, name := range gone {
		put(name, 2*time.Hour)
	}
	stay := []string{"upload-2", "emoji-x-2.zip", "other"}
	for i, name := range stay {
		put(name, time.Duration(i)*20*time.Minute)
	}
	put("other", 100*time.Hour)
	s.Start(t)
	for _, name := range gone {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range stay {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
