package backup_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/lib/config"
)

// store is an object store, reached over HTTP.
func store(t *testing.T, watch func(*http.Request)) config.S3 {
	t.Helper()
	back := s3mem.New()
	must(t, back.CreateBucket("backups"))
	h := gofakes3.New(back).Server()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watch(r)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return config.S3{Endpoint: srv.URL, Region: "us-east-1", AccessKey: "key", SecretKey: "secret", PathStyle: true}
}

// An object store keeps what a folder does, in the same layout.
func TestObjectStore(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	for _, to := range []backup.Recipients{nil, {id.Recipient().String()}} {
		keys := []age.Identity{id}
		sent := make(chan string, 10_000)
		set := store(t, func(r *http.Request) {
			if r.Method == http.MethodPut || r.Method == http.MethodPost {
				sent <- r.Method + " " + r.URL.Path
			}
		})
		p, err := backup.OpenPlace("s3://backups/oven/one", set, true)
		must(t, err)
		w := newWorld(t)
		w.place = p
		big := w.file(9 << 20) // longer than what is sent in one piece when its length is not known
		small := w.file(1200)
		w.file(0)
		first := w.make(backup.Order{To: to})
		must(t, w.verify(keys...))
		for len(sent) > 0 {
			<-sent
		}
		gone := w.file(5000)
		second := w.make(backup.Order{To: to})
		files := 0
		for len(sent) > 0 {
			if s := <-sent; strings.Contains(s, "/objects/") {
				files++
			}
		}
		if files != 1 {
			t.Errorf("%d files were sent, one is new", files)
		}
		list, err := backup.List(t.Context(), p)
		must(t, err)
		if len(list) != 2 || list[0].ID != first.ID || list[1].ID != second.ID || list[1].Encrypted != (to != nil) {
			t.Errorf("%+v", list)
		}
		must(t, w.s.App.Files().Delete(t.Context(), gone))
		third := w.make(backup.Order{To: to, Keep: backup.Keep{Last: 1}})
		if fmt.Sprint(third.Removed) != fmt.Sprint([]string{first.ID, second.ID}) {
			t.Errorf("removed %v", third.Removed)
		}
		must(t, w.verify(keys...))
		into := newTarget(t)
		_, err = into.Restore(t.Context(), p, "", keys)
		must(t, err)
		for _, k := range []string{big, small} {
			if !bytes.Equal(read(t, into.files, k), read(t, w.s.App.Files(), k)) {
				t.Errorf("file %s is another", k)
			}
		}
	}
}

// What the store says comes through.
func TestObjectStoreRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := backup.OpenPlace("s3://nowhere", store(t, func(*http.Request) {}), true)
	must(t, err)
	if _, err := w.src.Make(t.Context(), backup.Order{Place: p}); err == nil || !strings.Contains(err.Error(), `no bucket "nowhere"`) {
		t.Errorf("got %v", err)
	}
	must(t, err)
	if n := w.s.Count(t, "SELECT count(*) FROM backup_run WHERE error <> ''"); n != 1 {
		t.Errorf("%d failures are told", n)
	}
}

// What is longer than one part comes out as it went in.
func TestObjectStoreParts(t *testing.T) {
	t.Parallel()
	p, err := backup.OpenPlace("s3://backups", store(t, func(*http.Request) {}), true)
	must(t, err)
	const size = 70 << 20
	in, out := sha256.New(), sha256.New()
	f, err := backup.Through(t.Context(), p, "backups/large", io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), in))
	must(t, err)
	defer func() { _ = f.Close() }()
	n, err := io.Copy(out, f)
	must(t, err)
	if n != size || !bytes.Equal(in.Sum(nil), out.Sum(nil)) {
		t.Errorf("%d bytes came out of %d, or others", n, size)
	}
}
