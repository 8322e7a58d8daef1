package federation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
)

var (
	errUpdateNone  = api.Err("NO_SUCH_INSTANCE", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c11", "There is no such server.")
	errRefreshNone = api.Err("NO_SUCH_INSTANCE", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c12", "There is no such server.")
	errUntieNone   = api.Err("NO_SUCH_INSTANCE", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c13", "There is no such server.")
	errFilesNone   = api.Err("NO_SUCH_INSTANCE", "2b1c3f5e-6d0a-4c36-9b0d-7d5a4a1e9c14", "There is no such server.")
)

type updateInstanceReq struct {
	hostReq
	IsSilenced     *bool   `json:"isSilenced" api:"optional"`
	IsSuspended    *bool   `json:"isSuspended" api:"optional"`
	ModerationNote *string `json:"moderationNote" api:"optional,max=16384"`
}

// apiUpdateInstance rules a server. One that is suspended is not delivered to:
// what is for it waits, as long as activities are kept.
func (s *Service) apiUpdateInstance(ctx context.Context, c *api.Call, req updateInstanceReq) (api.None, error) {
	return api.None{}, s.onInstance(ctx, req.Host, errUpdateNone, func(tx *pg.Tx, i *instance.Row) error {
		acted := func(typ string, more map[string]any) error {
			info := map[string]any{"id": i.ID, "host": i.Host}
			for k, v := range more {
				info[k] = v
			}
			return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: typ, Info: info})
		}
		if req.IsSuspended != nil {
			changed, err := s.Delivery.SetPaused(ctx, tx, i.Host, *req.IsSuspended)
			if err != nil {
				return err
			}
			if changed {
				if err := acted(oneOf(*req.IsSuspended, "suspendRemoteInstance", "unsuspendRemoteInstance"), nil); err != nil {
					return err
				}
			}
		}
		if req.IsSilenced != nil && *req.IsSilenced != i.IsSilenced {
			if err := s.Instances.Silence(ctx, tx, i.Host, *req.IsSilenced); err != nil {
				return err
			}
			if err := acted(oneOf(*req.IsSilenced, "silenceRemoteInstance", "unsilenceRemoteInstance"), nil); err != nil {
				return err
			}
		}
		if req.ModerationNote != nil && *req.ModerationNote != i.ModerationNote {
			if err := s.Instances.Remark(ctx, tx, i.Host, *req.ModerationNote); err != nil {
				return err
			}
			return acted("updateRemoteInstanceNote", map[string]any{"before": i.ModerationNote, "after": *req.ModerationNote})
		}
		return nil
	})
}

func oneOf(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// onInstance does something to a server that is known, in a transaction that
// has its row locked.
func (s *Service) onInstance(ctx context.Context, host string, missing *api.Error, f func(tx *pg.Tx, i *instance.Row) error) error {
	host, err := ap.NormalizeHost(host)
	if err != nil {
		return missing
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		i, err := s.Instances.Hold(ctx, tx, host)
		if err != nil {
			return err
		}
		return f(tx, i)
	})
	if errors.Is(err, instance.ErrUnknown) {
		return missing
	}
	return err
}

// apiRefreshInstance has a server asked again what it is, soon.
func (s *Service) apiRefreshInstance(ctx context.Context, _ *api.Call, req hostReq) (api.None, error) {
	return api.None{}, s.onInstance(ctx, req.Host, errRefreshNone, func(tx *pg.Tx, i *instance.Row) error {
		return s.Instances.Ask(ctx, tx, i.Host)
	})
}

// apiUntie has all accounts of a server stop following ours.
func (s *Service) apiUntie(ctx context.Context, c *api.Call, req hostReq) (api.None, error) {
	return api.None{}, s.later(ctx, c, req.Host, errUntieNone, "removeAllFollowing", func(host string) job.Args { return untieArgs{Host: host} })
}

// apiRemoveFiles removes what is known here of a server's files.
func (s *Service) apiRemoveFiles(ctx context.Context, c *api.Call, req hostReq) (api.None, error) {
	return api.None{}, s.later(ctx, c, req.Host, errFilesNone, "deleteAllFilesOfRemoteInstance", func(host string) job.Args { return filesArgs{Host: host} })
}

func (s *Service) later(ctx context.Context, c *api.Call, host string, missing *api.Error, typ string, args func(host string) job.Args) error {
	return s.onInstance(ctx, host, missing, func(tx *pg.Tx, i *instance.Row) error {
		if err := s.Queue.Insert(ctx, tx, args(i.Host), time.Time{}); err != nil {
			return err
		}
		return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: typ, Info: map[string]any{"id": i.ID, "host": i.Host}})
	})
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workUntie), job.Work(s.workFiles)}
}

// untieArgs asks to end all follows by accounts of a server.
type untieArgs struct {
	Host string `json:"host"`
}

// Kind implements job.Args.
func (untieArgs) Kind() string { return "relation.untie" }

const sqlFollowsBy = `SELECT follower_id, followee_id FROM following WHERE follower_host = $1 ORDER BY id LIMIT 50`

// workUntie ends a follow a transaction: run again it goes on where it was. The
// server is told in the lane of large operations.
func (s *Service) workUntie(ctx context.Context, a untieArgs) error {
	for {
		rows, err := s.DB.Query(ctx, sqlFollowsBy, a.Host)
		if err != nil {
			return fmt.Errorf("follows by %s: %w", a.Host, err)
		}
		type pair struct{ Follower, Followee string }
		pairs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
		if err != nil || len(pairs) == 0 {
			return err
		}
		var ids []string
		for _, p := range pairs {
			ids = append(ids, p.Follower, p.Followee)
		}
		users, err := s.Users.ByIDs(ctx, s.DB, ids)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
				return s.Relations.Invalidate(relation.Calmly(ctx, 0), tx, users[p.Follower], users[p.Followee])
			})
			if err != nil && !errors.Is(err, relation.ErrNone) {
				return err
			}
		}
	}
}

// filesArgs asks to remove all files of a server's accounts.
type filesArgs struct {
	Host string `json:"host"`
}

// Kind implements job.Args.
func (filesArgs) Kind() string { return "drive.removeHost" }

// A page of a server's accounts, and a page of the files of one.
const (
	sqlAccountsOf = `SELECT id FROM "user" WHERE actor_host = $1 AND id > $2 ORDER BY id LIMIT 100`
	sqlFilesOf    = `SELECT id FROM drive_file WHERE user_id = ANY($1) ORDER BY user_id, id DESC LIMIT 200`
)

// workFiles removes some files a transaction: run again it goes on where it was.
func (s *Service) workFiles(ctx context.Context, a filesArgs) error {
	ids := func(q pg.Q, sql string, args ...any) ([]string, error) {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", a.Host, err)
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
	for after := ""; ; {
		owners, err := ids(s.DB, sqlAccountsOf, a.Host, after)
		if err != nil || len(owners) == 0 {
			return err
		}
		after = owners[len(owners)-1]
		for n := 1; n > 0; {
			err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
				files, err := ids(tx, sqlFilesOf, owners)
				if err == nil && len(files) > 0 {
					_, err = s.Drive.RemoveOf(ctx, tx, owners, files)
				}
				n = len(files)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
}
