package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
)

const (
	// looks is how exactly it is known when a picture was last looked at: it is
	// written down once in so long, however often somebody looks.
	looks = time.Hour
	// looksTold is how long a process gathers looks until it writes them down.
	looksTold = 10 * time.Second
	maxLooks  = 10_000

	evictEvery = time.Minute
	evictBatch = 200
	evictRest  = 100 * time.Millisecond // between batches
	// evictTo is the part of the bound that is left when it was passed, so that not
	// every new picture has another make room.
	evictTo = 0.95
	// measured is how long a figure of what is kept is believed.
	measured = 30 * time.Second
)

const sqlKept = `SELECT key, type, used_at FROM drive_blob WHERE name = $1 AND until > $2`

// kept opens what is kept under a name.
func (p *proxy) kept(ctx context.Context, name string) (string, blob.File, error) {
	var key, typ string
	var used time.Time
	now := p.s.Now()
	if err := p.s.DB.QueryRow(ctx, sqlKept, name, now).Scan(&key, &typ, &used); err != nil {
		return "", nil, err
	}
	f, err := p.s.Files.Open(ctx, key)
	if err == nil && now.Sub(used) > looks {
		p.look(name)
	}
	return typ, f, err
}

const sqlLooked = `UPDATE drive_blob SET used_at = $2 WHERE name = ANY($1) AND used_at < $2`

// look remembers that a picture was looked at; it is written down beside requests.
func (p *proxy) look(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.looked) == 0 {
		time.AfterFunc(looksTold, func() {
			ctx, cancel := context.WithTimeout(context.Background(), looksTold)
			defer cancel()
			if err := p.tellLooks(ctx); err != nil {
				p.s.Slog.Debug("looks at kept pictures", "err", err) // the next look tells it again
			}
		})
	}
	if len(p.looked) < maxLooks {
		p.looked[name] = struct{}{}
	}
}

func (p *proxy) tellLooks(ctx context.Context) error {
	p.mu.Lock()
	names := slices.Sorted(maps.Keys(p.looked)) // in one order, that of any other process
	clear(p.looked)
	p.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	if _, err := p.s.DB.Exec(ctx, sqlLooked, names, p.s.Now()); err != nil {
		return fmt.Errorf("looks at kept pictures: %w", err)
	}
	return nil
}

const (
	sqlMaking = `INSERT INTO drive_blob (key, kind, type, until) VALUES ($1, 'cache', $2, $3)`
	sqlGiveUp = `UPDATE drive_blob SET name = NULL, until = NULL WHERE name = $1`
	sqlNamed  = `UPDATE drive_blob SET name = $2, size = $3, until = $4, used_at = $5 WHERE key = $1 AND kind = 'cache'`
)

// keep stores what was made, under a name, in the place of what is there. What is
// cut off, or comes too late, is erased like all that is of no file.
func (p *proxy) keep(ctx context.Context, name string, until time.Time, typ string, r io.Reader) error {
	key := "c" + id.Random(32)
	if _, err := p.s.DB.Exec(ctx, sqlMaking, key, typ, p.s.Now().Add(claimed)); err != nil {
		return fmt.Errorf("keep picture: %w", err)
	}
	info, err := p.s.Files.Put(ctx, key, r, blob.PutOptions{ContentType: typ})
	if err != nil {
		return fmt.Errorf("keep picture: %w", err)
	}
	err = p.s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlGiveUp, name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlNamed, key, name, info.Size, until, p.s.Now())
		return err
	})
	if pg.Violated(err) == "drive_blob_name_key" {
		return nil // another process has made it at the same time
	}
	if err != nil {
		return fmt.Errorf("keep picture: %w", err)
	}
	return nil
}

// Kept is what is kept of other servers' pictures.
type Kept struct{ Bytes, Files int64 }

const sqlKeptAll = `SELECT coalesce(sum(size), 0)::bigint, count(*) FROM drive_blob WHERE name IS NOT NULL`

// Kept measures it.
func (s *Service) Kept(ctx context.Context) (k Kept, err error) {
	if err := s.DB.QueryRow(ctx, sqlKeptAll).Scan(&k.Bytes, &k.Files); err != nil {
		return k, fmt.Errorf("kept pictures: %w", err)
	}
	return k, nil
}

// KeptLately is Kept, measured within half a minute.
func (s *Service) KeptLately(ctx context.Context) (Kept, error) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if !s.kept.at.IsZero() && time.Since(s.kept.at) < measured {
		return s.kept.Kept, nil
	}
	k, err := s.Kept(ctx)
	if err == nil {
		s.kept.Kept, s.kept.at = k, time.Now()
	}
	return k, err
}

// evictArgs asks to keep what is kept within its bound.
type evictArgs struct{}

// Kind implements job.Args.
func (evictArgs) Kind() string { return "drive.evict" }

// What has lost its name is not found any more, and is erased.
const sqlEvict = `
UPDATE drive_blob SET name = NULL, until = NULL WHERE key = ANY (ARRAY(
	SELECT key FROM (
		SELECT key, sum(size) OVER (ORDER BY used_at, key) - size AS before FROM (
			SELECT key, size, used_at FROM drive_blob WHERE name IS NOT NULL ORDER BY used_at, key LIMIT $2 FOR UPDATE SKIP LOCKED) oldest) sums
	WHERE before < $1))
RETURNING size`

// Evict gives up what was not looked at for longest, a few at a time, when more is
// kept of other servers' pictures than proxyCacheMb. One process does it at a time.
func (s *Service) Evict(ctx context.Context) error {
	bound := int64(s.Meta.Get().ProxyCacheMb) << 20
	k, err := s.Kept(ctx)
	if err != nil || k.Bytes <= bound {
		return err
	}
	lock, err := s.DB.TryLock(ctx, pg.LockEvict, 0)
	if errors.Is(err, pg.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("evict: %w", err)
	}
	defer lock.Release()
	if k, err = s.Kept(ctx); err != nil || k.Bytes <= bound { // the one before may just have ended
		return err
	}
	for excess := k.Bytes - int64(float64(bound)*evictTo); excess > 0; {
		rows, err := s.DB.Query(ctx, sqlEvict, excess, evictBatch)
		if err != nil {
			return fmt.Errorf("evict: %w", err)
		}
		gone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(gone) == 0 {
			return err
		}
		for _, n := range gone {
			excess -= n
		}
		if err := s.Erase(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(evictRest):
		}
	}
	return nil
}
