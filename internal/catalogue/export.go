package catalogue

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
)

func (s *Service) apiExport(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayOut, c.UserID, nil) })
}

const (
	sqlLocal = `SELECT ` + emoji.Columns + ` FROM emoji WHERE host IS NULL ORDER BY name, id`
	sqlDone  = `UPDATE emoji_carry SET finished_at = $2, file_id = $3 WHERE id = $1 AND finished_at IS NULL`
)

// writeOut writes the archive into the drive of whoever asked, and tells them: it
// is in the drive, told of and over in one transaction. Done again from the same
// emoji it would be the same bytes.
func (s *Service) writeOut(ctx context.Context, c *carry) error {
	prefix := "emoji-" + c.ID + "-"
	if err := s.Drive.Sweep(prefix+"*", 0); err != nil { // of a try that was cut off
		return err
	}
	list, err := emoji.Query(ctx, s.DB, sqlLocal)
	if err != nil {
		return err
	}
	out, err := os.CreateTemp(s.Dir, prefix+"*.zip")
	if err != nil {
		return fmt.Errorf("export emoji: %w", err)
	}
	defer func() { _ = os.Remove(out.Name()) }()
	without, err := s.write(ctx, zip.NewWriter(out), list, c.AskedAt.UTC())
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("export emoji: %w", err)
	}
	name := "custom-emojis-" + c.AskedAt.UTC().Format("2006-01-02-15-04-05") + ".zip"
	_, err = s.Drive.Add(ctx, drive.Upload{UserID: c.UserID, Path: out.Name(), Name: name, Force: true, Ours: true, With: func(ctx context.Context, tx *pg.Tx, f *drive.File) error {
		tag, err := tx.Exec(ctx, sqlDone, c.ID, s.Now(), f.ID)
		if err != nil {
			return fmt.Errorf("export emoji: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errand.ErrElsewhere
		}
		if len(without) > 0 {
			lines := []string{withoutPicture.With(len(without), len(list)).In(c.Lang)}
			if err := s.Bus.Emit(ctx, tx, errand.Reported{UserID: c.UserID, Header: exportedBare.In(c.Lang), Body: errand.Listing(c.Lang, lines, without, len(without))}); err != nil {
				return err
			}
		}
		return s.Bus.Emit(ctx, tx, drive.Exported{UserID: c.UserID, FileID: f.ID, What: "customEmoji"})
	}})
	var no *api.Error
	if errors.As(err, &no) {
		return errand.Refuse(errand.Refused(no.Code, no.Message))
	}
	return err
}

// write writes pictures first, and then what they are; a picture that is not to
// be had is told as not downloaded, and its emoji given back.
func (s *Service) write(ctx context.Context, z *zip.Writer, list []*emoji.Emoji, at time.Time) (without []string, err error) {
	m := archive{MetaVersion: metaVersion, Host: s.Meta.Host, ExportedAt: exported(at.Format(time.RFC3339Nano)), Emojis: emojiList{}}
	for _, e := range list {
		p := packed{Emoji: entry{Name: e.Name, Category: e.Category, Aliases: e.Aliases, License: e.License, IsSensitive: e.IsSensitive, LocalOnly: e.LocalOnly, RoleIDs: e.RoleIDs, Type: e.Type}}
		b, typ, err := s.Drive.Read(ctx, e.OriginalURL, drive.MaxStored)
		switch {
		case err == nil:
			_, sub, _ := strings.Cut(typ, "/")
			p.FileName, p.Downloaded = e.Name+"."+strings.Replace(sub, "jpeg", "jpg", 1), true
			if err := add(z, p.FileName, zip.Store, b); err != nil { // pictures are packed already
				return nil, err
			}
		case errors.Is(err, drive.ErrNotFound), errors.Is(err, drive.ErrPicture):
			without = append(without, e.Name)
		default:
			return nil, err
		}
		m.Emojis = append(m.Emojis, p)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := add(z, metaName, zip.Deflate, b); err != nil {
		return nil, err
	}
	return without, z.Close()
}

// add writes a file without a time.
func add(z *zip.Writer, name string, method uint16, b []byte) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}
