package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"buttersc.one/oven/internal/lib/secret"
)

func newBox(t *testing.T) (*secret.Box, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret.key")
	box, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	return box, path
}

func TestSealAndOpen(t *testing.T) {
	box, path := newBox(t)
	again, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1000)} {
		sealed := box.Seal([]byte(plain), "a:1")
		if len(sealed) != len(plain)+secret.Overhead || sealed[0] != 1 {
			t.Errorf("%d bytes sealed into %d, version %d", len(plain), len(sealed), sealed[0])
		}
		if bytes.Equal(sealed, box.Seal([]byte(plain), "a:1")) {
			t.Error("the same text is sealed the same")
		}
		got, err := again.Open(sealed, "a:1")
		if err != nil || string(got) != plain {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := box.Open(sealed, "a:2"); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("opened for another context: %v", err)
		}
	}
}

func TestEveryByteIsAuthenticated(t *testing.T) {
	box, _ := newBox(t)
	sealed := box.Seal([]byte("text"), "a")
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := box.Open(bad, "a"); err == nil {
			t.Errorf("byte %d does not matter", i)
		}
	}
	for n := range sealed {
		if _, err := box.Open(sealed[:n], "a"); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := box.Open(append(bytes.Clone(sealed), 0), "a"); !errors.Is(err, secret.ErrOpen) {
		t.Errorf("with a byte more: %v", err)
	}
}

// What is stored today must open tomorrow: a value made by the first release's format.
func TestFormatIsConstant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	write(t, path, "oven-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
	box, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	const fingerprint = "d66721a0538f4e29995683a3cb3d2c55"
	if box.Fingerprint() != fingerprint {
		t.Errorf("fingerprint %s", box.Fingerprint())
	}
	var sealed []byte
	if _, err := fmt.Sscanf("015df4df565a91796bf0cc13360eeb9165ecd4a6320c5322ac6f5a1b16197ed53deb3720f7957be9d0f5302181a88a3c7edf46", "%x", &sealed); err != nil {
		t.Fatal(err)
	}
	got, err := box.Open(sealed, "user_key.private:9abc")
	if err != nil || string(got) != "golden" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRotation(t *testing.T) {
	old, path := newBox(t)
	sealed := old.Seal([]byte("text"), "a")
	oldFile, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, otherPath := newBox(t)
	if _, err := other.Open(sealed, "a"); !errors.Is(err, secret.ErrKey) {
		t.Errorf("opened with another key: %v", err)
	}
	if other.Knows(old.Fingerprint()) || !other.Knows(other.Fingerprint()) || other.Knows("") {
		t.Error("Knows is wrong")
	}
	newFile, err := os.ReadFile(otherPath)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(newFile)+"\n"+string(oldFile))
	both, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open(sealed, "a"); err != nil || string(got) != "text" {
		t.Errorf("the old key does not open: %v", err)
	}
	if both.Fingerprint() != other.Fingerprint() || !both.Knows(old.Fingerprint()) {
		t.Error("the first key is not the one that seals")
	}
	if !both.Stale(sealed) || both.Stale(both.Seal(nil, "a")) || !both.Stale(nil) {
		t.Error("Stale is wrong")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsPrivate(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	_, path := newBox(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBadFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if _, err := secret.Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	good := "oven-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
	for text, want := range map[string]string{
		"":                         "has no key",
		"# only this\n":            "has no key",
		"s3cr3t\n":                 ":1: not a key",
		"\n\noven-key-1:AAEC\n":    ":3: not a key",
		"oven-key-2" + good[10:]:   ":1: not a key",
		good + good:                ":2: the same key",
		strings.Repeat("#", 1<<17): "too large",
	} {
		write(t, path, text)
		_, err := secret.LoadOrCreate(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error tells the file's text: %v", err)
		}
	}
}

func TestOneKeyForAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	prints := make([]string, 8)
	var wg sync.WaitGroup
	for i := range prints {
		wg.Go(func() {
			box, err := secret.LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = box.Fingerprint()
		})
	}
	wg.Wait()
	for _, p := range prints {
		if p != prints[0] {
			t.Fatalf("different keys: %v", prints)
		}
	}
}

func TestBoxDoesNotPrintKeys(t *testing.T) {
	box, path := newBox(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(text[bytes.LastIndexByte(text, ':')+1:]))
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, box); got != "secret.Box("+box.Fingerprint()+")" || strings.Contains(got, key) {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestName(t *testing.T) {
	box, path := newBox(t)
	again, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newBox(t)
	name := box.Name("a", []byte("data"))
	if !bytes.Equal(name, again.Name("a", []byte("data"))) {
		t.Error("the same key gives another name")
	}
	for what, n := range map[string][]byte{
		"another key": other.Name("a", []byte("data")), "another context": box.Name("b", []byte("data")), "other data": box.Name("a", []byte("datum")),
		"shifted": box.Name("ad", []byte("ata")),
	} {
		if bytes.Equal(n, name) {
			t.Errorf("%s gives the same name", what)
		}
	}
}
