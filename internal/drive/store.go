package drive

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the API's name for a content, not a proof
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
)

// MaxStored of one file in bytes, when it is put here by the operator.
const MaxStored = 8 << 20

// ErrPicture says that the server cannot have a file as a picture of its own.
var ErrPicture = errors.New("not a picture for the server")

// pictures are the types of the server's own pictures.
var pictures = map[string]bool{"image/png": true, "image/gif": true, "image/jpeg": true, "image/webp": true, "image/avif": true, "image/apng": true}

const sqlStore = `
INSERT INTO drive_file (id, md5, name, type, size, url, properties) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// Store puts a picture of the server's own (an emoji) here. What it is is read
// from its bytes, never from its name.
func (s *Service) Store(ctx context.Context, name string, r io.Reader) (*File, error) {
	p, err := s.Stage(ctx, name, r)
	if err != nil {
		return nil, err
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return p.Keep(ctx, tx) })
	return p.File, err
}

// Staged is a picture whose bytes are stored, and are erased unless Keep makes it
// a file.
type Staged struct {
	File *File // as it will be
	part stored
}

// Stage is Store but for the file's row, which the caller's transaction writes.
// ErrPicture when it is none that the server can have.
func (s *Service) Stage(ctx context.Context, name string, r io.Reader) (*Staged, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxStored+1))
	if err != nil {
		return nil, fmt.Errorf("store file: %w", err)
	}
	if len(b) > MaxStored {
		return nil, fmt.Errorf("%w: larger than 8 MiB", ErrPicture)
	}
	info, err := media.Look(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if !pictures[info.Type] {
		return nil, fmt.Errorf("%w: it is %s, not a PNG, GIF, JPEG, WebP or AVIF picture", ErrPicture, info.Type)
	}
	part, err := s.put(ctx, original, info.Type, bytes.NewReader(b), MaxStored)
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(b) //nolint:gosec // see above
	return &Staged{part: part, File: &File{ID: s.IDs.Now(), MD5: hex.EncodeToString(sum[:]), Name: cut(name, 200), Type: info.Type, Size: part.Size,
		URL: s.urlOf(part), Properties: sizes(info)}}, nil
}

// Keep makes the picture a file, in tx.
func (p *Staged) Keep(ctx context.Context, tx *pg.Tx) error {
	f := p.File
	if _, err := tx.Exec(ctx, sqlStore, f.ID, f.MD5, f.Name, f.Type, f.Size, f.URL, []byte(f.Properties)); err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return adopt(ctx, tx, f.ID, []stored{p.part})
}

// sizes are the properties of a picture.
func sizes(info media.Info) json.RawMessage {
	p := shown{Width: info.Width, Height: info.Height}
	if info.Orientation > 1 {
		p.Orientation = info.Orientation
	}
	b, _ := json.Marshal(p) // numbers cannot fail
	return b
}
