package textindex

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sys/unix"
)

const (
	format         = 1
	manifestName   = "manifest"
	lockName       = "lock"
	quarantineName = "quarantine"
	keptQuarantine = 4 // files that were put aside
)

// manifest is what belongs to the index. It is replaced as a whole, so that there is the one before or the new one.
type manifest struct {
	Format   int            `json:"format"`
	Next     uint64         `json:"next"` // number of the next file
	State    []byte         `json:"state"`
	Segments []manifestPart `json:"segments"`
	Lost     []Range        `json:"lost"`
}

type manifestPart struct {
	Name string `json:"name"`
	Range
	Dead    string `json:"dead,omitempty"` // file that says which documents are dead
	DeadSum uint32 `json:"deadSum,omitempty"`
}

// readManifest gives nil when there is none, and errDamage when it is torn.
func readManifest(dir string) (*manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("textindex: %w", err)
	}
	sum, body, ok := strings.Cut(string(b), "\n")
	if !ok || sum != checksum(body) {
		return nil, fmt.Errorf("%w: manifest", errDamage)
	}
	m := &manifest{}
	if err := json.Unmarshal([]byte(body), m); err != nil {
		return nil, fmt.Errorf("%w: manifest", errDamage)
	}
	if m.Format > format {
		return nil, fmt.Errorf("%w (%d)", ErrFormat, m.Format)
	}
	return m, nil
}

func checksum(s string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(s), castagnoli()))
}

// writeManifest puts a manifest in the place of the one before, for good.
func (x *Index) writeManifest(m *manifest) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("textindex: %w", err)
	}
	return x.replace(manifestName, []byte(checksum(string(body))+"\n"+string(body)))
}

// replace writes a file whole or not at all.
func (x *Index) replace(name string, content []byte) error {
	path := filepath.Join(x.dir, name)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("textindex: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(x.dir)
	}
	if err != nil {
		return fmt.Errorf("textindex: %w", err)
	}
	x.written.Add(int64(len(content)))
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockWait is how long a lock is waited for.
const lockWait = time.Second

// lockDir keeps others out until the file is closed.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as the directory above; files are 0600
		return nil, fmt.Errorf("textindex: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("textindex: %w", err)
	}
	// A child that was forked and has not yet become another program holds the lock a moment longer than its closer did.
	for till := time.Now().Add(lockWait); ; time.Sleep(lockWait / 100) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(till) {
			_ = f.Close()
			return nil, ErrLocked
		}
	}
}

// readDead reads which documents of a segment are dead.
func (x *Index) readDead(p manifestPart, docs uint32) (*roaring.Bitmap, error) {
	if p.Dead == "" {
		return nil, nil
	}
	b, err := os.ReadFile(filepath.Join(x.dir, p.Dead))
	if err != nil || crc32.Checksum(b, castagnoli()) != p.DeadSum {
		return nil, fmt.Errorf("%w: %s", errDamage, p.Dead)
	}
	bm := roaring.New()
	if _, err := bm.ReadFrom(strings.NewReader(string(b))); err != nil || !bm.IsEmpty() && bm.Maximum() >= docs {
		return nil, fmt.Errorf("%w: %s", errDamage, p.Dead)
	}
	return bm, nil
}

// aside moves files to the quarantine, of which the oldest go.
func (x *Index) aside(names ...string) {
	dir := filepath.Join(x.dir, quarantineName)
	_ = os.MkdirAll(dir, 0o700)
	for _, n := range names {
		_ = os.Rename(filepath.Join(x.dir, n), filepath.Join(dir, n))
	}
	entries, err := os.ReadDir(dir)
	for i := 0; err == nil && i < len(entries)-keptQuarantine; i++ {
		_ = os.Remove(filepath.Join(dir, entries[i].Name()))
	}
}

// sweep removes files that nothing names: what a crash has left.
func (x *Index) sweep(m *manifest) error {
	named := map[string]bool{manifestName: true, lockName: true, quarantineName: true}
	for _, p := range m.Segments {
		named[p.Name], named[p.Dead] = true, true
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return fmt.Errorf("textindex: %w", err)
	}
	for _, e := range entries {
		if !named[e.Name()] && !e.IsDir() {
			_ = os.Remove(filepath.Join(x.dir, e.Name()))
		}
	}
	return nil
}
