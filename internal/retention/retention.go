// Package retention is in charge of how long what other servers' accounts wrote is
// kept here: notes that nobody here has touched, and links to files that no note
// shows any more. It is off until an administrator says how many days. Clearing
// an account of this server is package account's.
package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
)

// Deps are what the service stands on.
type Deps struct {
	DB       *pg.DB
	Meta     *meta.Service
	Notes    *note.Service
	Drive    *drive.Service
	Delivery *delivery.Service
	Inbox    *inbox.Service
	IDs      *id.Maker
	Bus      *event.Bus
	Slog     *slog.Logger
	Now      func() time.Time
}

// Service forgets what is old.
type Service struct {
	Deps
	wake chan struct{} // a pass is due
}

// New makes the service; Run forgets.
func New(d Deps) *Service { return &Service{Deps: d, wake: make(chan struct{}, 1)} }

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	read, write := api.Admin("read:admin:meta"), api.Admin("write:admin:meta")
	return []api.Endpoint{
		api.Post("oven/admin/retention/status", s.apiStatus, read, api.Hidden),
		api.Post("oven/admin/retention/settings", s.apiSettings, write, api.Hidden),
		api.Post("oven/admin/retention/preview", s.apiPreview, read, api.Hidden, api.Limit(60, time.Hour), api.Errors(errPreviewOff)),
	}
}

// days are how old something must be to go; nil: never.
type days struct {
	Notes *int
	Files *int
}

func (d days) off() bool { return d.Notes == nil && d.Files == nil }

func (d days) equal(o days) bool { return same(d.Notes, o.Notes) && same(d.Files, o.Files) }

func same(a, b *int) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// before is the id that divides what is older from what stays.
func (s *Service) before(days int) string {
	return s.IDs.Method().Before(s.Now().AddDate(0, 0, -days))
}

// As the database has them: what another process has just said counts at once.
const sqlDays = `
SELECT (SELECT (settings ->> 'remoteNotesRetentionDays')::int FROM meta), (SELECT (settings ->> 'remoteFilesRetentionDays')::int FROM meta)`

func (s *Service) days(ctx context.Context, q pg.Q) (d days, err error) {
	if err := q.QueryRow(ctx, sqlDays).Scan(&d.Notes, &d.Files); err != nil {
		return days{}, fmt.Errorf("retention: %w", err)
	}
	return d, nil
}

// Status is what is kept how long, and how far the pass is that is under way, or
// what the last one did.
type Status struct {
	NotesDays    *int             `json:"notesDays"`
	FilesDays    *int             `json:"filesDays"`
	Phase        string           `json:"phase"` // idle, notes, files
	StartedAt    *api.Time        `json:"startedAt"`
	FinishedAt   *api.Time        `json:"finishedAt"`
	NextAt       *api.Time        `json:"nextAt"`    // nil while a pass is under way, and while all is kept
	ReachedAt    *api.Time        `json:"reachedAt"` // how old the notes are that are looked at
	NotesRemoved int64            `json:"notesRemoved"`
	FilesRemoved int64            `json:"filesRemoved"`
	NotesKept    map[string]int64 `json:"notesKept"` // by why they stay
	LastError    string           `json:"lastError"`
}

const sqlStatus = `
SELECT phase, at_id, due_at, started_at, finished_at, notes_removed, files_removed, kept, last_error FROM retention`

// Status tells how far it is.
func (s *Service) Status(ctx context.Context) (*Status, error) {
	out := &Status{Phase: idle, NotesKept: map[string]int64{}}
	d, err := s.days(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	out.NotesDays, out.FilesDays = d.Notes, d.Files
	var at string
	var due time.Time
	var started, finished *time.Time
	err = s.DB.QueryRow(ctx, sqlStatus).Scan(&out.Phase, &at, &due, &started, &finished, &out.NotesRemoved, &out.FilesRemoved, &out.NotesKept, &out.LastError)
	if pg.NoRows(err) {
		return out, nil // it never ran
	}
	if err != nil {
		return nil, fmt.Errorf("retention: %w", err)
	}
	out.StartedAt, out.FinishedAt = api.TimePtr(started), api.TimePtr(finished)
	if out.Phase == idle && !d.off() {
		out.NextAt = api.TimePtr(&due)
	}
	if out.Phase == inNotes {
		if t, err := s.IDs.Method().Time(at); err == nil {
			out.ReachedAt = api.TimePtr(&t)
		}
	}
	return out, nil
}

func (s *Service) apiStatus(ctx context.Context, _ *api.Call, _ struct{}) (*Status, error) {
	return s.Status(ctx)
}

type settingsReq struct {
	NotesDays api.Opt[int] `json:"notesDays" api:"min=1,max=36500"`
	FilesDays api.Opt[int] `json:"filesDays" api:"min=1,max=36500"`
}

const (
	sqlWait    = `SELECT FROM retention FOR UPDATE`
	sqlRestart = `
INSERT INTO retention (one, due_at) VALUES (true, $1)
ON CONFLICT (one) DO UPDATE SET phase = 'idle', due_at = $1, last_error = ''`
)

// apiSettings says how long what is kept; null: for ever. What is left out stays
// as it was. It waits for the batch under way, so that after the answer nothing
// goes that was not to.
func (s *Service) apiSettings(ctx context.Context, c *api.Call, req settingsReq) (*Status, error) {
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlWait); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		before, err := s.days(ctx, tx)
		if err != nil {
			return err
		}
		changes := map[string]any{}
		old := map[string]any{}
		for key, c := range map[string]struct {
			said api.Opt[int]
			was  *int
		}{"remoteNotesRetentionDays": {req.NotesDays, before.Notes}, "remoteFilesRetentionDays": {req.FilesDays, before.Files}} {
			if !c.said.Set {
				continue
			}
			now := &c.said.V
			if c.said.Null {
				now = nil
			}
			if !same(now, c.was) {
				changes[key], old[key] = now, c.was
			}
		}
		if len(changes) == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, sqlRestart, s.Now()); err != nil {
			return fmt.Errorf("retention: %w", err)
		}
		if err := s.Meta.UpdateIn(ctx, tx, changes); err != nil {
			return err
		}
		return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: "updateServerSettings", Info: map[string]any{"before": old, "after": changes}})
	})
	if err != nil {
		return nil, err
	}
	s.poke()
	return s.Status(ctx)
}

// poke has Run look now.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

var errPreviewOff = api.Err("RETENTION_OFF", "6f0d4a52-3a1e-4f0f-8b1d-1d7b4f6c2e01", "Everything is kept. Say for how many days notes or files are to be kept.")

type previewReq struct {
	NotesDays *int `json:"notesDays" api:"nullable,min=1,max=36500"`
	FilesDays *int `json:"filesDays" api:"nullable,min=1,max=36500"`
}

// apiPreview tells what would go and what would stay, and changes nothing.
func (s *Service) apiPreview(ctx context.Context, _ *api.Call, req previewReq) (*Preview, error) {
	d := days{req.NotesDays, req.FilesDays}
	if d.off() {
		var err error
		if d, err = s.days(ctx, s.DB); err != nil {
			return nil, err
		}
		if d.off() {
			return nil, errPreviewOff
		}
	}
	out := &Preview{NotesDays: d.Notes, FilesDays: d.Files, NotesKept: map[string]int64{}, FilesKept: map[string]int64{}, Complete: true}
	end := time.Now().Add(previewFor)
	if d.Files != nil {
		if err := s.previewFiles(ctx, *d.Files, end, out); err != nil {
			return nil, err
		}
	}
	if d.Notes == nil {
		return out, nil
	}
	return out, s.previewNotes(ctx, *d.Notes, end, out)
}

// previewFor is how long a preview may look.
const previewFor = 20 * time.Second

// Preview is what a pass would do.
type Preview struct {
	NotesDays *int             `json:"notesDays"`
	Notes     int64            `json:"notes"`     // that would go
	NotesKept map[string]int64 `json:"notesKept"` // that are as old and would stay, by why
	FilesDays *int             `json:"filesDays"`
	Files     int64            `json:"files"`     // links that would go
	FilesKept map[string]int64 `json:"filesKept"` // that are as old and would stay, by why
	// Complete is false when there was not time enough to look at all: the counts are
	// of the newer ones, down to ReachedAt.
	Complete  bool      `json:"complete"`
	ReachedAt *api.Time `json:"reachedAt"`
}

const previewPage = 1000

// previewFiles goes over the links that are so old. Those of notes that would go
// go with them, and are counted as kept by these.
func (s *Service) previewFiles(ctx context.Context, days int, end time.Time, out *Preview) error {
	for at := ""; ; {
		ids, err := s.links(ctx, s.DB, at, &days, previewPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		n, err := s.Drive.Unshown(ctx, s.DB, ids)
		if err != nil {
			return err
		}
		out.Files += n
		if kept := int64(len(ids)) - n; kept > 0 {
			out.FilesKept[inNote] += kept
		}
		at = ids[len(ids)-1]
		if time.Now().After(end) {
			out.Complete = false
			return nil
		}
	}
}

// previewNotes goes over all old notes as a pass would, the newest first, a page at
// a time, and remembers of those that stay what they hang on.
func (s *Service) previewNotes(ctx context.Context, days int, end time.Time, out *Preview) error {
	cutoff := s.before(days)
	held := map[string]bool{}
	for at := cutoff; ; {
		ids, err := s.page(ctx, s.DB, at, previewPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		notes, err := s.judge(ctx, s.DB, ids, cutoff)
		if err != nil {
			return err
		}
		for _, n := range notes {
			why := n.why
			if why == "" && (n.held || held[n.id]) {
				why = inThread
			}
			delete(held, n.id)
			if why == "" {
				out.Notes++
				continue
			}
			out.NotesKept[why]++
			for _, target := range []*string{n.replyID, n.renoteID} {
				if target != nil {
					held[*target] = true
				}
			}
		}
		at = ids[len(ids)-1]
		if time.Now().After(end) {
			out.Complete = false
			if t, err := s.IDs.Method().Time(at); err == nil {
				out.ReachedAt = api.TimePtr(&t)
			}
			return nil
		}
	}
}

const sqlPending = `
SELECT (phase <> 'idle' OR due_at <= $1 OR (notes_days, files_days) IS DISTINCT FROM ($2::int, $3::int))::int FROM retention`

// Pending is 1 while a pass is under way or due.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	d, err := s.days(ctx, s.DB)
	if err != nil || d.off() {
		return 0, err
	}
	var n int64
	err = s.DB.QueryRow(ctx, sqlPending, s.Now(), d.Notes, d.Files).Scan(&n)
	if pg.NoRows(err) {
		return 1, nil // everything was emptied: the row is made with the first pass
	}
	if err != nil {
		return 0, fmt.Errorf("retention: %w", err)
	}
	return n, nil
}

// merge adds what stayed in a batch.
func merge(kept json.RawMessage, more map[string]int64) (json.RawMessage, error) {
	all := map[string]int64{}
	if err := json.Unmarshal(kept, &all); err != nil {
		return nil, fmt.Errorf("retention: %w", err)
	}
	for why, n := range maps.All(more) {
		all[why] += n
	}
	b, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("retention: %w", err)
	}
	return b, nil
}
