package catalogue

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the name of a content, as everywhere in the drive
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
)

var errImportNoFile = api.Err("NO_SUCH_FILE", "b1c2a5de-6f83-4c8e-9d0b-2e6a51f0c7d3", "There is no such file.")

type importReq struct {
	FileID string `json:"fileId" api:"required,id"`
}

func (s *Service) apiImport(ctx context.Context, c *api.Call, req importReq) (api.None, error) {
	f, err := s.own(ctx, c, req.FileID)
	if errors.Is(err, drive.ErrNotFound) {
		return api.None{}, errImportNoFile
	}
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayIn, c.UserID, &f.ID) })
}

// takeIn takes emoji over one by one, each once: what has been taken over already
// is as moderators have left it since.
func (s *Service) takeIn(ctx context.Context, c *carry) error {
	in, err := s.fetch(ctx, *c.FileID)
	if errors.Is(err, drive.ErrNotFound) {
		return errand.Refuse(archiveGone)
	}
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	o, err := open(in, info.Size())
	if errors.Is(err, errArchive) {
		return errand.Refuse(badArchive.With(err.Error()))
	}
	if err != nil {
		return err
	}
	for i := c.Position; i < len(o.meta.Emojis); i++ {
		if err := s.entry(ctx, c, i, o); err != nil {
			return fmt.Errorf("emoji %d of the archive: %w", i+1, err)
		}
		c.Tries = 1 // since it went on
	}
	return s.end(ctx, c, errand.Text{})
}

// fetch brings an archive to the disk, where no name is left of it: it is gone
// with the process.
func (s *Service) fetch(ctx context.Context, fileID string) (*os.File, error) {
	files, err := s.Drive.ByIDs(ctx, s.DB, []string{fileID})
	if err != nil {
		return nil, err
	}
	f := files[fileID]
	if f == nil {
		return nil, drive.ErrNotFound
	}
	at, err := s.Drive.Temp(ctx, f)
	if err != nil {
		return nil, err
	}
	in, err := os.Open(at)
	if gone := os.Remove(at); err == nil && gone != nil {
		_ = in.Close()
		err = gone
	}
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	return in, nil
}

// Results of an entry, as they are counted.
const (
	added    = "added"
	replaced = "replaced"
	same     = "same"
	passed   = "passed"
)

const (
	sqlTurn = `SELECT FROM emoji_carry WHERE id = $1 AND position = $2 AND finished_at IS NULL FOR UPDATE`
	sqlStep = `
UPDATE emoji_carry SET position = position + 1, tries = 0, added = added + ($2 = 'added')::int, replaced = replaced + ($2 = 'replaced')::int,
	same = same + ($2 = 'same')::int, passed = passed + ($2 = 'passed')::int,
	remarks = CASE WHEN $3 <> '' AND jsonb_array_length(remarks) < $4 THEN remarks || to_jsonb($3::text) ELSE remarks END
WHERE id = $1`
)

// turn makes sure, in tx, that the entry is the next one, which nobody else is at;
// errand.ErrElsewhere.
func turn(ctx context.Context, tx *pg.Tx, c *carry, i int) error {
	tag, err := tx.Exec(ctx, sqlTurn, c.ID, i)
	if err != nil {
		return fmt.Errorf("turn: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errand.ErrElsewhere
	}
	return nil
}

// step is done with an entry, in the transaction that applies it.
func step(ctx context.Context, tx *pg.Tx, c *carry, result, remark string) error {
	if _, err := tx.Exec(ctx, sqlStep, c.ID, result, remark, errand.MaxRemarks); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	return nil
}

// pass leaves an entry out, for a reason.
func (s *Service) pass(ctx context.Context, c *carry, i int, name string, why errand.Text) error {
	remark := errand.Remark(name, why.In(c.Lang))
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := turn(ctx, tx, c, i); err != nil {
			return err
		}
		return step(ctx, tx, c, passed, remark)
	})
}

// errAgain says that somebody has changed the emoji meanwhile.
var errAgain = errors.New("the emoji was changed meanwhile")

// entry puts an emoji in the place of this server's of that name.
func (s *Service) entry(ctx context.Context, c *carry, i int, o *opened) error {
	p := &o.meta.Emojis[i]
	name, b, why, err := o.picture(p)
	if err != nil {
		return err
	}
	if !why.None() {
		return s.pass(ctx, c, i, p.Emoji.Name, why)
	}
	p.Emoji.tidy()
	sum := md5.Sum(b) //nolint:gosec // see above
	want := &wanted{entry: &p.Emoji, md5: hex.EncodeToString(sum[:])}
	for try := range 5 {
		was, err := s.Emojis.Named(ctx, s.DB, p.Emoji.Name)
		if err != nil && !errors.Is(err, emoji.ErrNotFound) {
			return err
		}
		here, err := s.here(ctx, s.DB, want, was)
		if err != nil {
			return err
		}
		if want.staged == nil && (!here || try > 0) {
			want.staged, err = s.Drive.Stage(ctx, name, bytes.NewReader(b))
			if errors.Is(err, drive.ErrPicture) {
				return s.pass(ctx, c, i, p.Emoji.Name, badPicture.With(strings.TrimPrefix(err.Error(), drive.ErrPicture.Error()+": ")))
			}
			if err != nil {
				return err
			}
		}
		err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.apply(ctx, tx, c, i, want) })
		if !errors.Is(err, errAgain) && !errors.Is(err, emoji.ErrExists) {
			return err
		}
	}
	return errAgain
}

// wanted is an emoji as it is to be.
type wanted struct {
	*entry
	md5    string        // of the picture
	staged *drive.Staged // nil while it is thought to be here
}

const sqlSame = `SELECT EXISTS (SELECT FROM drive_blob b JOIN drive_file f ON f.id = b.file_id WHERE b.key = $1 AND f.md5 = $2)`

// here tells whether an emoji is what the archive has.
func (s *Service) here(ctx context.Context, q pg.Q, want *wanted, was *emoji.Emoji) (yes bool, err error) {
	if was == nil || !want.tells(was) {
		return false, nil
	}
	key, own := strings.CutPrefix(was.OriginalURL, s.Meta.Origin+"/files/")
	if !own {
		return false, nil
	}
	if err := q.QueryRow(ctx, sqlSame, key, want.md5).Scan(&yes); err != nil {
		return false, fmt.Errorf("import emoji: %w", err)
	}
	return yes, nil
}

// apply does what is to be done for an entry, in tx, together with the step; the
// emoji is looked at once more, where nobody can change it. errAgain, ErrExists.
func (s *Service) apply(ctx context.Context, tx *pg.Tx, c *carry, i int, want *wanted) error {
	if err := turn(ctx, tx, c, i); err != nil {
		return err
	}
	was, err := s.held(ctx, tx, want.Name)
	if err != nil {
		return err
	}
	here, err := s.here(ctx, tx, want, was)
	if err != nil {
		return err
	}
	if here {
		return step(ctx, tx, c, same, "")
	}
	if want.staged == nil {
		return errAgain
	}
	if err := want.staged.Keep(ctx, tx); err != nil {
		return err
	}
	f := want.staged.File
	e := &emoji.Emoji{Name: want.Name, Category: some(want.Category), OriginalURL: f.URL, PublicURL: f.URL, Type: &f.Type, Aliases: want.Aliases, License: some(want.License),
		IsSensitive: want.IsSensitive, LocalOnly: want.LocalOnly}
	call := &api.Call{Identity: &api.Identity{UserID: c.UserID}}
	if was == nil {
		if err := s.Emojis.Insert(ctx, tx, e); err != nil {
			return err
		}
		if err := s.acted(ctx, tx, call, "addCustomEmoji", e, map[string]any{"emoji": emoji.Pack(e)}); err != nil {
			return err
		}
		return step(ctx, tx, c, added, "")
	}
	// Who may react with it is this server's affair: roles have other ids there.
	e.ID, e.RoleIDs = was.ID, was.RoleIDs
	if err := s.Emojis.Change(ctx, tx, was, e); err != nil {
		return err
	}
	if err := s.acted(ctx, tx, call, "updateCustomEmoji", e, map[string]any{"before": emoji.Pack(was), "after": emoji.Pack(e)}); err != nil {
		return err
	}
	return step(ctx, tx, c, replaced, "")
}

// held gives the emoji of that name, which nobody changes until tx ends; nil when
// there is none.
func (s *Service) held(ctx context.Context, tx *pg.Tx, name string) (*emoji.Emoji, error) {
	was, err := s.Emojis.Named(ctx, tx, name)
	if errors.Is(err, emoji.ErrNotFound) {
		return nil, nil //nolint:nilnil // which is no error here
	}
	if err != nil {
		return nil, err
	}
	list, err := s.Emojis.Lock(ctx, tx, []string{was.ID})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].Name != name {
		return nil, errAgain
	}
	return list[0], nil
}

// tells tells whether an archive says of an emoji what is known of it.
func (x *entry) tells(e *emoji.Emoji) bool {
	alike := func(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
	return alike(some(x.Category), e.Category) && alike(some(x.License), e.License) && strings.Join(x.Aliases, "\n") == strings.Join(e.Aliases, "\n") &&
		x.IsSensitive == e.IsSensitive && x.LocalOnly == e.LocalOnly
}
