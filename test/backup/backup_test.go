// Package backup backs up and restores whole servers, as operators do: with the
// program's commands, while the server works, and with processes that are killed.
package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	_ "buttersc.one/oven/internal/app" // what the program is made of: a cached result is of the same
	"buttersc.one/oven/test/proc"
)

type m = map[string]any

// program is the binary, built once.
var program string

func TestMain(t *testing.M) {
	dir, err := os.MkdirTemp("/tmp", "oven-backup-*")
	if err == nil {
		err = os.Chmod(dir, 0o755) //nolint:gosec // PostgreSQL runs as another user when this is root
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	program = filepath.Join(dir, "oven")
	// What is read here counts for the cache of results, too.
	sources, _ := filepath.Glob("../../cmd/oven/*.go")
	for _, name := range sources {
		_, _ = os.ReadFile(name)
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../../cmd/oven").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v: %s", err, out)
		os.Exit(2)
	}
	code := t.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func server(t *testing.T, name string) *proc.Oven {
	t.Helper()
	dir := filepath.Join(filepath.Dir(program), t.Name())
	must(t, os.MkdirAll(dir, 0o755)) //nolint:gosec // as above
	o, err := proc.New(program, filepath.Join(dir, name), "oven.example")
	must(t, err)
	t.Cleanup(o.Stop)
	return o
}

// emoji adds a picture of some kilobytes.
func emoji(t *testing.T, o *proc.Oven, name string) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range img.Pix {
		img.Pix[i] = uint8(rand.IntN(256))
	}
	img.Set(0, 0, color.Black)
	path := filepath.Join(t.TempDir(), name+".png")
	f, err := os.Create(path)
	must(t, err)
	must(t, png.Encode(f, img))
	must(t, f.Close())
	_, err = o.Run(t.Context(), "", "emoji", "add", name, path)
	must(t, err)
}

func call(t *testing.T, o *proc.Oven, name string, params m) (out m) {
	t.Helper()
	b, err := o.Call(t.Context(), name, params)
	must(t, err)
	if len(b) > 0 {
		must(t, json.Unmarshal(b, &out))
	}
	return out
}

// exit is the code with which a command ended, and what it said.
func exit(t *testing.T, o *proc.Oven, args ...string) (int, string) {
	t.Helper()
	out, err := o.Run(t.Context(), "", args...)
	var code *exec.ExitError
	if errors.As(err, &code) {
		return code.ExitCode(), err.Error()
	}
	must(t, err)
	return 0, out
}

// pictures are the emoji's files by name.
func pictures(t *testing.T, o *proc.Oven) map[string]string {
	t.Helper()
	var list struct {
		Emojis []struct{ Name, URL string }
	}
	b, err := o.Call(t.Context(), "emojis", m{})
	must(t, err)
	must(t, json.Unmarshal(b, &list))
	out := map[string]string{}
	for _, e := range list.Emojis {
		res, err := http.Get("http://" + o.Addr + "/files/" + e.URL[strings.LastIndex(e.URL, "/")+1:])
		must(t, err)
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		must(t, err)
		if res.StatusCode != http.StatusOK {
			t.Errorf("the file of :%s: answers %d", e.Name, res.StatusCode)
		}
		out[e.Name] = string(text)
	}
	return out
}

// What was written before the backup began is there after a restore elsewhere,
// with the same ids, and its writer can sign in; what was written meanwhile is there
// whole or not at all.
func TestServingWhileBackedUp(t *testing.T) {
	t.Parallel()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	identity := filepath.Join(t.TempDir(), "age.txt")
	must(t, os.WriteFile(identity, []byte(id.String()+"\n"), 0o600))
	a := server(t, "a")
	a.Env = []string{"OVEN_MODE=test"} // no limits for who writes all the time
	must(t, a.Start(t.Context()))
	alice, err := a.Account(t.Context(), "alice", "--admin")
	must(t, err)
	for i := range 5 {
		emoji(t, a, fmt.Sprint("cake", i))
	}
	before := map[string]string{}
	write := func(text string) (string, error) {
		b, err := a.Call(context.Background(), "notes/create", m{"i": alice.Token, "text": text})
		if err != nil {
			return "", err
		}
		var n struct{ CreatedNote struct{ ID string } }
		return n.CreatedNote.ID, json.Unmarshal(b, &n)
	}
	for i := range 30 {
		text := fmt.Sprint("before ", i)
		b := call(t, a, "notes/create", m{"i": alice.Token, "text": text})
		before[b["createdNote"].(m)["id"].(string)] = text
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				if _, err := write(fmt.Sprint("meanwhile ", i)); err != nil {
					t.Errorf("while it is backed up: %v", err)
					return
				}
			}
		}
	})
	place := filepath.Join(a.Dir, "..", "place")
	for range 2 {
		out, err := a.Run(t.Context(), "", "backup", "--to", place, "--age-recipient", id.Recipient().String())
		must(t, err)
		t.Log(out)
	}
	close(done)
	wg.Wait()
	out, err := a.Run(t.Context(), "", "backup", "verify", "--from", place, "--age-identity", identity)
	must(t, err)
	if !strings.Contains(out, "is good") {
		t.Error(out)
	}
	var st struct {
		LastProvenRestore struct{ BackupID string }
	}
	b, err := a.Call(t.Context(), "oven/admin/backup", m{"i": alice.Token})
	must(t, err)
	must(t, json.Unmarshal(b, &st))
	if st.LastProvenRestore.BackupID == "" {
		t.Errorf("the proof is not remembered: %s", b)
	}
	want := pictures(t, a)
	a.Stop()

	z := server(t, "z")
	if code, said := exit(t, z, "restore", "--from", place); code != 2 || !strings.Contains(said, "--age-identity") {
		t.Errorf("without the key: %d %s", code, said)
	}
	if code, said := exit(t, z, "restore", "--from", place, "--age-identity", identity); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	if code, said := exit(t, z, "restore", "--from", place, "--age-identity", identity); code != 2 || !strings.Contains(said, "empty place") {
		t.Errorf("over what is there: %d %s", code, said)
	}
	must(t, z.Start(t.Context()))
	in := call(t, z, "signin-flow", m{"username": "alice", "password": "password of alice"})
	if in["id"] != alice.ID {
		t.Errorf("signed in: %v", in)
	}
	for note, text := range before {
		if n := call(t, z, "notes/show", m{"i": alice.Token, "noteId": note}); n["text"] != text {
			t.Errorf("note %s says %v", note, n["text"])
		}
	}
	got := pictures(t, z)
	if len(got) != 5 || len(want) != 5 {
		t.Errorf("%d pictures, and there were %d", len(got), len(want))
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("the picture of :%s: is another", name)
		}
	}
	if b := call(t, z, "notes/create", m{"i": alice.Token, "text": "after"}); b["createdNote"] == nil {
		t.Errorf("%v", b)
	}
}

// killed runs a command and kills it after a while; it tells whether it had ended
// by itself, and well.
func killed(t *testing.T, o *proc.Oven, after time.Duration, args ...string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after) // ends it with SIGKILL
	defer cancel()
	_, err := o.Run(ctx, "", args...)
	return err == nil
}

// A backup or a restore that is killed at any moment leaves nothing that passes for
// a whole one, and the next one works.
func TestBackupAndRestoreKilled(t *testing.T) {
	t.Parallel()
	a := server(t, "a")
	must(t, a.Start(t.Context()))
	alice, err := a.Account(t.Context(), "alice")
	must(t, err)
	note := call(t, a, "notes/create", m{"i": alice.Token, "text": "still here"})["createdNote"].(m)["id"].(string)
	for i := range 4 {
		emoji(t, a, fmt.Sprint("pie", i))
	}
	place := filepath.Join(a.Dir, "..", "place")
	began := time.Now()
	_, err = a.Run(t.Context(), "", "backup", "--to", place)
	must(t, err)
	takes := time.Since(began)
	whole := 1
	for range 12 {
		if killed(t, a, time.Duration(rand.Int64N(int64(takes))), "backup", "--to", place) {
			whole++
		}
		var list []struct{ Complete bool }
		out, err := a.Run(t.Context(), "", "backup", "list", "--from", place, "--json")
		must(t, err)
		must(t, json.Unmarshal([]byte(out), &list))
		complete := 0
		for _, b := range list {
			if b.Complete {
				complete++
			}
		}
		// One that was killed after its end counts.
		if complete < whole || complete > whole+1 {
			t.Fatalf("%d backups are whole, and %d ended well", complete, whole)
		}
		whole = complete
	}
	_, err = a.Run(t.Context(), "", "backup", "--to", place, "--keep-last", "1")
	must(t, err)
	out, err := a.Run(t.Context(), "", "backup", "verify", "--from", place)
	must(t, err)
	t.Log(out)
	left, err := filepath.Glob(filepath.Join(place, "backups", "*"))
	must(t, err)
	if len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	a.Stop()

	z := server(t, "z")
	key, err := os.ReadFile(filepath.Join(a.Dir, "secret.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(z.Dir, "secret.key"), key, 0o600))
	began = time.Now()
	probe := server(t, "probe")
	must(t, os.WriteFile(filepath.Join(probe.Dir, "secret.key"), key, 0o600))
	_, err = probe.Run(t.Context(), "", "restore", "--from", place)
	must(t, err)
	takes = time.Since(began)
	ended, refused := false, 0
	for i := 0; i < 8 && !ended; i++ {
		ended = killed(t, z, time.Duration(rand.Int64N(int64(takes))), "restore", "--from", place)
		takes = takes * 4 / 5 // the cluster is there now
		if _, err := os.Stat(filepath.Join(z.Dir, "restore-unfinished.json")); !ended && err == nil {
			if code, said := exit(t, z, "serve"); code != 2 || !strings.Contains(said, "has not finished") {
				t.Errorf("it serves on a half restore: %d %s", code, said)
			}
			if code, said := exit(t, z, "user", "list"); code != 2 || !strings.Contains(said, "has not finished") {
				t.Errorf("a command works on a half restore: %d %s", code, said)
			}
			refused++
		}
	}
	t.Logf("refused %d times", refused)
	if code, said := exit(t, z, "restore", "--from", place); code != 0 && !strings.Contains(said, "empty place") {
		t.Fatalf("%d %s", code, said)
	}
	must(t, z.Start(t.Context()))
	if n := call(t, z, "notes/show", m{"i": alice.Token, "noteId": note}); n["text"] != "still here" {
		t.Errorf("%v", n)
	}
	if n := len(pictures(t, z)); n != 4 {
		t.Errorf("%d pictures", n)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
