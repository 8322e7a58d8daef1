package relation

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/user"
)

type muteReq struct {
	UserID    string `json:"userId" api:"required,id"`
	ExpiresAt *int64 `json:"expiresAt" api:"nullable"` // ms since 1970; null: for ever
}

// A mute that has run out gives way to a new one.
const (
	sqlMute = `
INSERT INTO muting (id, muter_id, mutee_id, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (muter_id, mutee_id) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at WHERE muting.expires_at <= now()`
	sqlUnmute       = `DELETE FROM muting WHERE muter_id = $1 AND mutee_id = $2`
	sqlRenoteMute   = `INSERT INTO renote_muting (id, muter_id, mutee_id) VALUES ($1, $2, $3) ON CONFLICT (muter_id, mutee_id) DO NOTHING`
	sqlRenoteUnmute = `DELETE FROM renote_muting WHERE muter_id = $1 AND mutee_id = $2`
)

func (s *Service) apiMute(ctx context.Context, c *api.Call, req muteReq) (api.None, error) {
	var until *time.Time
	if req.ExpiresAt != nil {
		t := time.UnixMilli(*req.ExpiresAt)
		if !t.After(s.now()) {
			return api.None{}, nil // a mute that is over already changes nothing, as in Misskey
		}
		until = &t
	}
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "6fef56f3-e765-4957-88e5-c6f65329b8a5", "There is no such account."),
		yourself:   api.Err("MUTEE_IS_YOURSELF", "a4619cb2-5f23-484b-9301-94c903074e10", "You cannot mute yourself."),
		errs:       map[error]*api.Error{ErrAlready: api.Err("ALREADY_MUTING", "7e7359cb-160c-4956-b08f-4d1c653cd007", "You mute the account already.")},
		do:         s.insertTie(sqlMute, "muted", until),
	})
	return api.None{}, err
}

// Mute mutes an account for good; ErrAlready.
func (s *Service) Mute(ctx context.Context, tx *pg.Tx, muter, mutee *user.User) error {
	return s.insertTie(sqlMute, "muted", nil)(ctx, tx, muter, mutee)
}

func (s *Service) apiUnmute(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "b851d00b-8ab1-4a56-8b1b-e24187cb48ef", "There is no such account."),
		yourself:   api.Err("MUTEE_IS_YOURSELF", "f428b029-6b39-4d48-a1d2-cc1ae6dd5cf9", "You do not mute yourself."),
		errs:       map[error]*api.Error{ErrNone: api.Err("NOT_MUTING", "5467d020-daa9-4553-81e1-135c0c35a96d", "You do not mute the account.")},
		do:         s.deleteTie(sqlUnmute, "unmuted"),
	})
	return api.None{}, err
}

func (s *Service) apiRenoteMute(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "5e0a5dff-1e94-4202-87ae-4d9c89eb2271", "There is no such account."),
		yourself:   api.Err("MUTEE_IS_YOURSELF", "37285718-52f7-4aef-b7de-c38b8e8a8420", "You cannot mute yourself."),
		errs:       map[error]*api.Error{ErrAlready: api.Err("ALREADY_MUTING", "ccfecbe4-1f1c-4fc2-8a3d-c3ffee61cb7b", "You mute the account's renotes already.")},
		do:         s.insertTie(sqlRenoteMute, "muted"),
	})
	return api.None{}, err
}

func (s *Service) apiRenoteUnmute(ctx context.Context, c *api.Call, req userReq) (api.None, error) {
	_, err := s.run(ctx, c, req.UserID, verb{
		noSuchUser: api.Err("NO_SUCH_USER", "9b6728cf-638c-4aa1-bedb-e07d8101474d", "There is no such account."),
		yourself:   api.Err("MUTEE_IS_YOURSELF", "619b1314-0850-4597-a242-e245f3da42af", "You do not mute yourself."),
		errs:       map[error]*api.Error{ErrNone: api.Err("NOT_MUTING", "2e4ef874-8bf0-4b4b-b069-4598f6d05817", "You do not mute the account's renotes.")},
		do:         s.deleteTie(sqlRenoteUnmute, "unmuted"),
	})
	return api.None{}, err
}

func (s *Service) insertTie(sql, kind string, more ...any) func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
	return func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
		tag, err := tx.Exec(ctx, sql, append([]any{s.ids.Now(), me.ID, other.ID}, more...)...)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if tag.RowsAffected() == 0 {
			return ErrAlready
		}
		return s.note(ctx, tx, kind, me.ID, other.ID)
	}
}

func (s *Service) deleteTie(sql, kind string) func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
	return func(ctx context.Context, tx *pg.Tx, me, other *user.User) error {
		tag, err := tx.Exec(ctx, sql, me.ID, other.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNone
		}
		return s.note(ctx, tx, kind, me.ID, other.ID)
	}
}

// muteCheck is how often mutes that have run out are looked for.
const muteCheck = time.Minute

// mutesArgs asks to look for mutes that have run out.
type mutesArgs struct{}

// Kind implements job.Args.
func (mutesArgs) Kind() string { return "relation.mutes" }

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(muteCheck, mutesArgs{}, s.EndMutes)}
}

const sqlMutesOver = `DELETE FROM muting WHERE expires_at <= $1 RETURNING muter_id, mutee_id`

// EndMutes removes mutes that have run out: who is listening hears the account
// again.
func (s *Service) EndMutes(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlMutesOver, s.now())
		if err != nil {
			return fmt.Errorf("end mutes: %w", err)
		}
		over, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Changed])
		if err != nil {
			return fmt.Errorf("end mutes: %w", err)
		}
		for _, m := range over {
			if err := s.note(ctx, tx, "unmuted", m.From, m.To); err != nil {
				return err
			}
		}
		return nil
	})
}
