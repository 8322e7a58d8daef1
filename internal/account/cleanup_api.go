package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

var (
	errTruncatePassword = api.Err("INCORRECT_PASSWORD", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f61", "The password is not right.")
	errRunning          = api.Err("CLEANUP_RUNNING", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f62", "The account is being cleared already.")
	errNoCleanup        = api.Err("NO_SUCH_CLEANUP", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f63", "The account is not being cleared.")
	errNothing          = api.Err("NOTHING_TO_CLEAR", "5d2a7c4e-8f0b-4c8e-9b8c-0d8a0c5d1f64", "Choose notes, files, or both.")
)

// planReq is what is to be cleared. What is not said is as the fork has it:
// notes and files, of every age.
type planReq struct {
	Notes         bool `json:"notes" api:"default=true"`
	Files         bool `json:"files" api:"default=true"`
	KeepFavorited bool `json:"keepFavorited" api:"default=false"`
	OlderThanDays *int `json:"olderThanDays" api:"min=0,max=36500"`
}

func (r planReq) plan(now time.Time) (Plan, error) {
	if !r.Notes && !r.Files {
		return Plan{}, errNothing
	}
	p := Plan{Notes: r.Notes, Files: r.Files, KeepFavorited: r.KeepFavorited}
	if r.OlderThanDays != nil {
		p.Before = now.AddDate(0, 0, -*r.OlderThanDays)
	}
	return p, nil
}

type truncateReq struct {
	Password string  `json:"password" api:"required,max=1024"`
	Token    *string `json:"token" api:"max=64"`
	StartsIn int     `json:"startsIn" api:"min=0,max=604800,default=0"` // seconds
	planReq
}

// apiTruncate begins to clear the caller's account. It goes on after the answer;
// pinned and direct notes stay, and what hangs together with them.
func (s *Service) apiTruncate(ctx context.Context, c *api.Call, req truncateReq) (api.None, error) {
	p, err := req.plan(s.Now())
	if err != nil {
		return api.None{}, err
	}
	if err := s.Auth.Prove(ctx, c, req.Password, req.Token, errTruncatePassword); err != nil {
		return api.None{}, err
	}
	p.In = time.Duration(req.StartsIn) * time.Second
	err = s.Clear(ctx, c.UserID, p)
	if errors.Is(err, ErrRunning) {
		err = errRunning
	}
	return api.None{}, err
}

func (s *Service) apiPreview(ctx context.Context, c *api.Call, req planReq) (*Preview, error) {
	p, err := req.plan(s.Now())
	if err != nil {
		return nil, err
	}
	return s.Preview(ctx, c.UserID, p)
}

// Cleanup is how far the last clearing of an account is.
type Cleanup struct {
	State       string    `json:"state"` // waiting, running, paused, done, cancelled
	Phase       string    `json:"phase"` // keep, notes, files
	StartsAt    api.Time  `json:"startsAt"`
	NotesTotal  int64     `json:"notesTotal"`
	NotesDone   int64     `json:"notesDone"`
	FilesTotal  int64     `json:"filesTotal"`
	FilesDone   int64     `json:"filesDone"`
	LastError   string    `json:"lastError"`
	RequestedAt api.Time  `json:"requestedAt"`
	FinishedAt  *api.Time `json:"finishedAt"`
	// Deliveries are servers × notes that are still to be told, at most.
	Deliveries int64 `json:"deliveries"`
}

const (
	sqlCleanup = `
SELECT state, phase, due_at, notes_total, notes_done, files_total, files_done, last_error, requested_at, finished_at, stream_id
FROM cleanup WHERE user_id = $1`
	sqlRule = `
UPDATE cleanup SET state = $2, due_at = CASE WHEN $2 = 'running' THEN least(due_at, $3) ELSE due_at END, updated_at = now()
WHERE user_id = $1 AND state IN ('running', 'paused')`
	sqlHoldAny = `
SELECT user_id, phase, notes, files, keep_favorited, before_id, after_id, stream_id
FROM cleanup WHERE user_id = $1 AND state IN ('running', 'paused') FOR UPDATE`
)

// Status is the last clearing of the account; errNoRun when there was none.
func (s *Service) Status(ctx context.Context, userID string) (*Cleanup, error) {
	out := &Cleanup{}
	var due, requested time.Time
	var finished *time.Time
	var stream *int64
	err := s.DB.QueryRow(ctx, sqlCleanup, userID).Scan(&out.State, &out.Phase, &due, &out.NotesTotal, &out.NotesDone, &out.FilesTotal,
		&out.FilesDone, &out.LastError, &requested, &finished, &stream)
	if pg.NoRows(err) {
		return nil, errNoRun
	}
	if err != nil {
		return nil, fmt.Errorf("clearing: %w", err)
	}
	out.StartsAt, out.RequestedAt = api.Time(due), api.Time(requested)
	if finished != nil {
		t := api.Time(*finished)
		out.FinishedAt = &t
	}
	if out.State == "running" && out.Phase == "keep" && due.After(s.Now()) {
		out.State = "waiting"
	}
	if stream != nil {
		ops, err := s.Delivery.Operations(ctx, stream)
		if err != nil {
			return nil, err
		}
		for _, op := range ops {
			out.Deliveries = op.Waiting
		}
	}
	return out, nil
}

func (s *Service) apiStatus(ctx context.Context, c *api.Call, _ struct{}) (*Cleanup, error) {
	out, err := s.Status(ctx, c.UserID)
	if errors.Is(err, errNoRun) {
		err = errNoCleanup
	}
	return out, err
}

func (s *Service) apiPause(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.rule(ctx, c.UserID, "paused")
}

func (s *Service) apiResume(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	err := s.rule(ctx, c.UserID, "running")
	s.poke()
	return api.None{}, err
}

// rule waits for the batch under way, so that after the answer nothing goes that
// was not to.
func (s *Service) rule(ctx context.Context, userID, state string) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlRule, userID, state, s.Now())
		if err != nil {
			return fmt.Errorf("clearing: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errNoCleanup
		}
		return s.tell(ctx, tx, userID)
	})
}

// apiCancel ends a clearing where it is. What is gone stays gone, and is told.
func (s *Service) apiCancel(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlHoldAny, c.UserID)
		if err != nil {
			return fmt.Errorf("clearing: %w", err)
		}
		r, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[run])
		if pg.NoRows(err) {
			return errNoCleanup
		}
		if err != nil {
			return fmt.Errorf("clearing: %w", err)
		}
		return s.end(ctx, tx, r, "cancelled")
	})
}

// onCleanup brings progress to the account's main channel.
func (s *Service) onCleanup(ctx context.Context, _ *pg.Tx, changes []log.Change) error {
	told := map[string]bool{}
	for _, ch := range changes {
		topic := stream.MainTopic(ch.ActorID)
		if told[ch.ActorID] || !s.Hub.Heard(topic) {
			continue
		}
		told[ch.ActorID] = true
		st, err := s.Status(ctx, ch.ActorID)
		if errors.Is(err, errNoRun) {
			continue
		}
		if err != nil {
			return err
		}
		s.Hub.Publish(topic, stream.Event{Type: "cleanupProgress", Body: st})
	}
	return nil
}

const sqlPendingRuns = `SELECT count(*) FROM cleanup WHERE state = 'running' AND due_at <= $1`

// Pending is how many clearings are being worked at.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	var n int64
	if err := s.DB.QueryRow(ctx, sqlPendingRuns, s.Now()).Scan(&n); err != nil {
		return 0, fmt.Errorf("clearings: %w", err)
	}
	return n, nil
}
