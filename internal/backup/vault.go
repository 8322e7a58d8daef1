package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"
)

// sealed ends the name of what is encrypted.
const sealed = ".age"

// Recipients are age public keys; with any of their private keys the backup can be read.
type Recipients []string

func (rs Recipients) parse() ([]age.Recipient, error) {
	var out []age.Recipient
	for _, text := range rs {
		r, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(r) != 1 {
			return nil, fmt.Errorf("backup: %q is no age public key (age1…)", text)
		}
		out = append(out, r...)
	}
	return out, nil
}

// Check tells whether they are age public keys.
func (rs Recipients) Check() error {
	_, err := rs.parse()
	return err
}

// ReadIdentities reads age's private keys from files as age-keygen writes them.
func ReadIdentities(files []string) ([]age.Identity, error) {
	var out []age.Identity
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("backup: age identity: %w", err)
		}
		ids, err := age.ParseIdentities(f)
		_ = f.Close()
		if err != nil {
			// The library's own text may quote the key.
			return nil, fmt.Errorf("backup: %s is no file of age identities (AGE-SECRET-KEY-…)", name)
		}
		out = append(out, ids...)
	}
	return out, nil
}

// vault is a place whose contents are encrypted, where there are recipients.
type vault struct {
	Place
	to   []age.Recipient
	keys []age.Identity
}

func newVault(p Place, to Recipients, keys []age.Identity) (*vault, error) {
	rs, err := to.parse()
	return &vault{p, rs, keys}, err
}

func (v *vault) encrypts() bool { return len(v.to) > 0 }

// name is what something is stored as.
func (v *vault) name(name string) string {
	if v.encrypts() {
		return name + sealed
	}
	return name
}

// Part is something that was stored: its length and hash before it was encrypted.
type Part struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// meter measures what is read through it.
type meter struct {
	r io.Reader
	h hash.Hash
	n int64
}

func newMeter(r io.Reader) *meter { return &meter{r: r, h: sha256.New()} }

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.h.Write(p[:n])
	m.n += int64(n)
	return n, err
}

func (m *meter) part() Part { return Part{m.n, hex.EncodeToString(m.h.Sum(nil))} }

// write stores r, encrypted where that is asked for. It says what was read, and how
// long it is as stored.
func (v *vault) write(ctx context.Context, name string, r io.Reader, size int64) (Part, int64, error) {
	in := newMeter(r)
	var out io.Reader = in
	if v.encrypts() {
		var err error
		if out, err = age.EncryptReader(in, v.to...); err != nil {
			return Part{}, 0, fmt.Errorf("backup: encrypt: %w", err)
		}
		size = -1
	}
	n, err := v.put(ctx, v.name(name), out, size)
	return in.part(), n, err
}

// errKey says that the identities are not the backup's.
var errKey = errors.New("none of the age identities can read this backup")

// ErrSealed says that an identity is needed.
var ErrSealed = errors.New("this backup is encrypted: give the file with the private key (--age-identity)")

// ErrDamaged says that a backup is not what it was written as.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

type readCloser struct {
	io.Reader
	io.Closer
}

// read opens what was stored under the name as it is, sealed or not.
func (v *vault) read(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := v.open(ctx, name)
	if err != nil || !strings.HasSuffix(name, sealed) {
		return f, err
	}
	if len(v.keys) == 0 {
		_ = f.Close()
		return nil, ErrSealed
	}
	r, err := age.Decrypt(f, v.keys...)
	if err != nil {
		_ = f.Close()
		var no *age.NoIdentityMatchError
		if errors.As(err, &no) {
			return nil, fmt.Errorf("%s: %w", name, errKey)
		}
		return nil, damaged("%s: %w", name, err)
	}
	return readCloser{r, f}, nil
}

// checked reads what was stored and fails at its end, in place of io.EOF, when it
// is not the part that was written.
type checked struct {
	m    *meter
	name string
	want Part
}

func (c checked) Read(p []byte) (int, error) {
	n, err := c.m.Read(p)
	switch {
	case err == nil && c.m.n > c.want.Size:
		return 0, damaged("%s is longer than it was", c.name)
	case errors.Is(err, io.EOF) && c.m.part() != c.want:
		return n, damaged("%s is not what was written", c.name)
	case err != nil && !errors.Is(err, io.EOF) && strings.HasSuffix(c.name, sealed):
		return n, damaged("%s: %w", c.name, err)
	}
	return n, err
}

// readPart opens a part and checks it while it is read.
func (v *vault) readPart(ctx context.Context, name string, want Part) (io.ReadCloser, error) {
	f, err := v.read(ctx, name)
	if errors.Is(err, errNone) {
		return nil, damaged("%w", err)
	}
	if err != nil {
		return nil, err
	}
	return readCloser{checked{newMeter(f), name, want}, f}, nil
}

// suffix is how the names of files end that these recipients can read: others
// must not take them for their own.
func (rs Recipients) context() string {
	list := slices.Clone(rs)
	slices.Sort(list)
	return "backup file for " + strings.Join(list, " ")
}
