package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
)

func (s *Service) apiExport(what string) func(context.Context, *api.Call, struct{}) (api.None, error) {
	return func(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
		return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayOut, what, c.UserID, nil, options{}) })
	}
}

type exportFollowingReq struct {
	ExcludeMuting   bool `json:"excludeMuting" api:"default=false"`
	ExcludeInactive bool `json:"excludeInactive" api:"default=false"`
}

func (s *Service) apiExportFollowing(ctx context.Context, c *api.Call, req exportFollowingReq) (api.None, error) {
	o := options{ExcludeMuting: req.ExcludeMuting, ExcludeInactive: req.ExcludeInactive}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayOut, following, c.UserID, nil, o) })
}

// kind is how something is written out.
type kind struct {
	name, ext string // of the file
	write     func(s *Service, ctx context.Context, w *bufio.Writer, c *carry) error
}

// kinds of what is written out.
func kinds() map[string]kind {
	return map[string]kind{
		notes:     {"notes", "json", (*Service).writeNotes},
		favorites: {"favorites", "json", (*Service).writeFavorites},
		clips:     {"clips", "json", (*Service).writeClips},
		antennas:  {"antennas", "json", (*Service).writeAntennas},
		following: {"following", "csv", (*Service).writeFollowing},
		muting:    {"mute", "csv", (*Service).writeMuting},
		blocking:  {"blocking", "csv", (*Service).writeBlocking},
		userLists: {"user-lists", "csv", (*Service).writeLists},
	}
}

const sqlDone = `UPDATE transfer SET finished_at = $2, file_id = $3 WHERE id = $1 AND finished_at IS NULL`

// writeOut writes a file into the drive of whoever asked, and tells them: it is in
// the drive, told of and over in one transaction.
func (s *Service) writeOut(ctx context.Context, c *carry) error {
	k, ok := kinds()[c.What]
	if !ok {
		return errand.Refuse(unknownOut)
	}
	prefix := "transfer-" + c.ID + "-"
	if err := s.Drive.Sweep(prefix+"*", 0); err != nil { // of a try that was cut off
		return err
	}
	out, err := os.CreateTemp(s.Dir, prefix+"*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { _ = os.Remove(out.Name()) }()
	w := bufio.NewWriterSize(out, 64<<10)
	err = k.write(s, ctx, w, c)
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	name := k.name + "-" + c.AskedAt.UTC().Format("2006-01-02-15-04-05") + "." + k.ext
	_, err = s.Drive.Add(ctx, drive.Upload{UserID: c.UserID, Path: out.Name(), Name: name, Force: true, Ours: true, With: func(ctx context.Context, tx *pg.Tx, f *drive.File) error {
		// The drive holds the owner's row: who is leaving gets no file any more.
		if owner, err := s.Users.ByIDIn(ctx, tx, c.UserID); err != nil || owner.IsDeleted {
			return errors.Join(err, errand.Refuse(accountUnused))
		}
		tag, err := tx.Exec(ctx, sqlDone, c.ID, s.Now(), f.ID)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errand.ErrElsewhere
		}
		return s.Bus.Emit(ctx, tx, drive.Exported{UserID: c.UserID, FileID: f.ID, What: c.What})
	}})
	var no *api.Error
	if errors.As(err, &no) {
		return errand.Refuse(errand.Refused(no.Code, no.Message))
	}
	return err
}

// array writes a JSON array an entry at a time, as Misskey lays it out.
type array struct {
	w    *bufio.Writer
	more bool
}

func openArray(w *bufio.Writer) *array {
	_, _ = w.WriteString("[") // an error stays with w, and is told by Flush
	return &array{w: w}
}

func (a *array) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	a.raw(b)
	return nil
}

func (a *array) raw(b []byte) {
	if a.more {
		_, _ = a.w.WriteString(",\n")
	}
	a.more = true
	_, _ = a.w.Write(b)
}

func (a *array) end() { _, _ = a.w.WriteString("]") }
