//go:build faults

package faults

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"buttersc.one/oven/test/proc"
)

// F72: processes with one store are killed while they take an archive of emoji in,
// and while they write one. Each emoji is taken over once, what a moderator changes
// meanwhile stays, and there is one file, of which its owner is told once.
func TestKillWhileCarrying(t *testing.T) {
	const emojis = 200
	w := newWorld(t, 1, 1, 1)
	for i := range 2 {
		o, err := proc.New(program, filepath.Join(w.dir, fmt.Sprint("beside", i)), host)
		must(t, err)
		must(t, os.Symlink(filepath.Join(w.nodes[0].Dir, "files"), filepath.Join(o.Dir, "files")))
		o.Env = w.nodes[0].Env
		must(t, o.Start(t.Context()))
		w.nodes = append(w.nodes, o)
		t.Cleanup(o.Stop)
	}
	chef, err := w.nodes[0].Account(t.Context(), "chef", "--admin")
	must(t, err)
	ask := func(name string, params m) []byte {
		params["i"] = chef.Token
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			b, err := w.node().Call(t.Context(), name, params)
			if err == nil {
				return b
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	ask("admin/roles/update-default-policies", m{"policies": m{"uploadableFileTypes": []string{"*/*"}}})
	ask("admin/emoji/import-zip", m{"fileId": upload(t, w.nodes[0], chef.Token, pictures(t, emojis))})
	kills := 0
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); !done(); {
			if time.Now().After(end) {
				t.Fatalf("%s: not within five minutes", what)
			}
			time.Sleep(time.Duration(300+w.intN(1200)) * time.Millisecond)
			if kills >= 60 {
				continue
			}
			o := w.node()
			o.Kill()
			must(t, o.Begin())
			kills++
		}
		t.Logf("%s: %d kills", what, kills)
	}
	until("begun", func() bool { return w.count("SELECT position FROM emoji_carry") >= 20 })
	ask("admin/emoji/update", m{"name": "e0", "category": "mine"})
	ask("admin/emoji/update", m{"name": "e19", "license": "mine"})
	until("taken in", func() bool { return w.count("SELECT count(*) FROM emoji_carry WHERE finished_at IS NOT NULL") == 1 })
	for sql, want := range map[string]int{
		"SELECT count(*) FROM emoji":                                                                                  emojis,
		"SELECT count(*) FROM moderation_log WHERE type = 'addCustomEmoji'":                                           emojis,
		"SELECT count(*) FROM moderation_log WHERE type = 'updateCustomEmoji'":                                        2,
		"SELECT count(*) FROM emoji WHERE name = 'e0' AND category = 'mine' OR name = 'e19' AND license = 'mine'":     2,
		"SELECT count(*) FROM notification WHERE type = 'app'":                                                        1,
		"SELECT count(*) FROM notification WHERE type = 'app' AND data -> 'app' ->> 'body' LIKE '200 added, 0 repl%'": 1,
		"SELECT count(*) FROM emoji e JOIN drive_blob b ON e.original_url LIKE '%/' || b.key WHERE b.file_id IS NULL": 0,
		"SELECT count(*) FROM drive_file WHERE user_id IS NULL":                                                       emojis,
		"SELECT count(*) FROM drive_blob WHERE file_id IS NULL AND until IS NULL":                                     0,
	} {
		if n := w.count(sql); n != want {
			t.Errorf("%d, not %d: %s", n, want, sql)
		}
	}
	ask("export-custom-emojis", m{})
	until("written", func() bool {
		return w.count("SELECT count(*) FROM emoji_carry WHERE kind = 'export' AND finished_at IS NULL") == 0 && kills > 0
	})
	if n := w.count("SELECT count(*) FROM notification WHERE type = 'exportCompleted'"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := w.count("SELECT count(*) FROM drive_file WHERE name LIKE 'custom-emojis-%'"); n != 1 {
		t.Errorf("%d files", n)
	}
}

// pictures is an archive of so many emoji.
func pictures(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, content []byte) {
		f, err := z.Create(name)
		must(t, err)
		_, err = f.Write(content)
		must(t, err)
	}
	list := []m{}
	for i := range n {
		p := image.NewGray(image.Rect(0, 0, 8, 8))
		p.SetGray(i%8, i/8%8, color.Gray{Y: uint8(1 + i%255)})
		p.SetGray(0, 0, color.Gray{Y: uint8(i / 255)})
		var content bytes.Buffer
		must(t, png.Encode(&content, p))
		name := fmt.Sprint("e", i)
		put(name+".png", content.Bytes())
		list = append(list, m{"fileName": name + ".png", "downloaded": true, "emoji": m{"name": name, "category": "x", "aliases": []string{}}})
	}
	meta, err := json.Marshal(m{"metaVersion": 2, "emojis": list})
	must(t, err)
	put("meta.json", meta)
	must(t, z.Close())
	return b.Bytes()
}

func upload(t *testing.T, o *proc.Oven, token string, content []byte) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	must(t, form.WriteField("i", token))
	f, err := form.CreateFormFile("file", "emoji.zip")
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, form.Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+o.Addr+"/api/drive/files/create", &body)
	must(t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	var made struct{ ID string }
	if json.Unmarshal(b, &made) != nil || made.ID == "" {
		t.Fatalf("upload: %d %.300s", res.StatusCode, b)
	}
	return made.ID
}
