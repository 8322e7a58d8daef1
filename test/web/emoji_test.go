package web_test

import (
	"archive/zip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"buttersc.one/oven/internal/testsrv"
	"buttersc.one/oven/test/npm"
)

// Many: 5,000 emoji in 25 categories, with one for a role and one that is sensitive.
const sqlManyEmoji = `
INSERT INTO emoji (id, name, host, category, original_url, public_url, aliases, license, local_only, is_sensitive, role_ids, updated_at)
SELECT 'many' || lpad(n::text, 6, '0'), 'many_' || n, NULL, '묶음 ' || lpad((n / 200)::text, 2, '0'), $1, $1, ARRAY['수많은' || n], NULL, false, n = 7,
	CASE WHEN n = 8 THEN ARRAY[$2::text] ELSE '{}'::text[] END, now() FROM generate_series(0, 4999) n`

// Custom emoji are read, picked, proposed and looked after.
func TestEmoji(t *testing.T) {
	build(t)
	npm.Install(t)
	far := testsrv.NewRemote(t)
	srv := testsrv.New(t)
	alice, bora := srv.User(t, "alice"), srv.User(t, "bora")
	srv.Set(t, testsrv.M{"name": "갓 구운 서버", "langs": []string{"ko"}})
	role := testsrv.Dig(alice.Post(t, "admin/roles/create", testsrv.M{"name": "제빵사", "description": "", "color": nil, "iconUrl": nil, "target": "manual", "condFormula": testsrv.M{}, "isPublic": true,
		"isModerator": false, "isAdministrator": false, "asBadge": false, "canEditMembersByModerator": false, "displayOrder": 0, "policies": testsrv.M{}}), "id").(string)
	if _, err := srv.DB.Exec(t.Context(), sqlManyEmoji, srv.Origin+"/icons/192.png", role); err != nil {
		t.Fatal(err)
	}
	// One of another server's, as it comes with a reaction.
	note := alice.Note(t, testsrv.M{"text": "먼 곳에서도 읽는 글"})
	png, err := os.ReadFile("../../internal/site/assets/icons/192.png")
	if err != nil {
		t.Fatal(err)
	}
	pictures := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(png)
	}))
	t.Cleanup(pictures.Close)
	far.Actor("noel").Tell(t, srv, testsrv.M{"type": "Like", "object": srv.Origin + "/notes/" + note, "content": ":far_bread:",
		"tag": []testsrv.M{{"type": "Emoji", "name": ":far_bread:", "updated": "2026-01-01T00:00:00Z", "icon": testsrv.M{"type": "Image", "url": pictures.URL + "/far_bread.png"}}}})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Fresh Bread.png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "모음.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, b := range map[string][]byte{"zipped.png": png, "meta.json": []byte(`{"metaVersion":2,"host":"b.example","exportedAt":"2026-01-01T00:00:00Z","emojis":[
		{"fileName":"zipped.png","downloaded":true,"emoji":{"name":"zipped","category":"꾸러미","aliases":["꾸러미"],"license":null,"isSensitive":false,"localOnly":false}}]}`)} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	npm.Run(t, "node", "emoji.mjs", srv.Origin, alice.Token, bora.Token, dir, note, far.Host)
}
