package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The key file is text. Empty lines and lines that begin with # are skipped; every other line is one key:
//
//	oven-key-1:BASE64
//
// BASE64 is 32 random bytes in standard base64 with padding. The first key seals; all of them open. To rotate, put a
// new line on top, let Oven seal everything anew, and remove the old line.
const linePrefix = "oven-key-1:"

const fileHead = `# Oven's secret key. Keep a copy apart from the database and its backups: without it, what is encrypted in the
# database is lost; with both, it can be read. The first key encrypts, all keys decrypt.
`

// maxFile is far more than any number of keys needs; it keeps a wrong path from being read whole.
const maxFile = 64 << 10

// Load reads a key file. It refuses one that others than its owner may read or write. The error is os.ErrNotExist
// when there is none.
func Load(path string) (*Box, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret key file: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("secret key file %s is not a file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("secret key file %s can be read by others (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("secret key file %s is too large to be one", path)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(f); err != nil {
		return nil, fmt.Errorf("secret key file %s: %w", path, err)
	}
	return parse(path, text.String())
}

// LoadOrCreate is Load, and makes a file with one new key, mode 0600, where there is none. Two processes that do so
// at once get the same key.
func LoadOrCreate(path string) (*Box, error) {
	box, err := Load(path)
	if !errors.Is(err, os.ErrNotExist) {
		return box, err
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("make the secret key file %s: %w", path, err)
	}
	return Load(path)
}

// parse must not put any text of the file into an error.
func parse(path, text string) (*Box, error) {
	box, number := &Box{}, 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		encoded, ok := strings.CutPrefix(line, linePrefix)
		master, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(master) != keySize {
			return nil, fmt.Errorf("secret key file %s:%d: not a key (%s and 32 bytes in base64)", path, number, linePrefix)
		}
		k, err := newKey(master)
		if err != nil {
			return nil, fmt.Errorf("secret key file %s:%d: %w", path, number, err)
		}
		for _, other := range box.keys {
			if other.id == k.id {
				return nil, fmt.Errorf("secret key file %s:%d: the same key (or its id) a second time", path, number)
			}
		}
		box.keys = append(box.keys, k)
	}
	if len(box.keys) == 0 {
		return nil, fmt.Errorf("secret key file %s has no key", path)
	}
	return box, nil
}

// create writes the file whole and flushed under another name, then links it: an existing file is never replaced.
func create(path string) error {
	master := make([]byte, keySize)
	rand.Read(master) // never fails
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".secret-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(fileHead + linePrefix + base64.StdEncoding.EncodeToString(master) + "\n")
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
