package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/pg"
)

// Original opens the bytes of a file that is stored here; ErrNotFound for links
// and for what is gone.
func (s *Service) Original(ctx context.Context, f *File) (blob.File, error) {
	var key string
	err := s.DB.QueryRow(ctx, sqlOriginal, f.ID).Scan(&key)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	b, err := s.Files.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		err = ErrNotFound
	}
	return b, err
}

const sqlOriginal = `SELECT key FROM drive_blob WHERE file_id = $1 AND kind = 'original' LIMIT 1`

// OwnCopy makes of a person's picture one of the server's own, which stays when
// the person's goes. The errors of Store.
func (s *Service) OwnCopy(ctx context.Context, f *File) (*File, error) {
	b, err := s.Original(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	return s.Store(ctx, f.Name, b)
}

// OwnFetch makes of a picture of another server, or of this one, one of the
// server's own. The errors of Store; ErrNotFound when there is none.
func (s *Service) OwnFetch(ctx context.Context, address string) (*File, error) {
	got, err := s.proxy.fetch(ctx, address)
	if errors.Is(err, errFetched) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	defer got.remove()
	f, err := os.Open(got.path)
	if err != nil {
		return nil, fmt.Errorf("fetched picture: %w", err)
	}
	defer func() { _ = f.Close() }()
	return s.Store(ctx, got.name, f)
}

// Temp brings a file's bytes to the disk, where they can be read at any place;
// the caller removes them.
func (s *Service) Temp(ctx context.Context, f *File) (string, error) {
	in, err := s.Original(ctx, f)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(s.Dir, "temp-*")
	if err != nil {
		return "", fmt.Errorf("file: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(out.Name())
		return "", fmt.Errorf("file: %w", err)
	}
	return out.Name(), nil
}

// Read gives the bytes that an address of this server's names, up to max of
// them; ErrNotFound for another's, ErrPicture for more.
func (s *Service) Read(ctx context.Context, address string, max int64) ([]byte, string, error) {
	key, own := strings.CutPrefix(address, s.Meta.Origin+"/files/")
	if !own {
		return nil, "", ErrNotFound
	}
	var typ, name string
	if err := s.DB.QueryRow(ctx, sqlServed, key).Scan(&typ, &name); err != nil {
		if pg.NoRows(err) {
			err = ErrNotFound
		}
		return nil, "", err
	}
	f, err := s.Files.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, "", ErrNotFound
	}
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = fmt.Errorf("%w: %s is larger than %d bytes", ErrPicture, path.Base(address), max)
	}
	return b, typ, err
}
