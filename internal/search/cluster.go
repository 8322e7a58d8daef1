package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/opensearch"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/textindex"
)

// Cluster keeps indexes in an OpenSearch cluster that all processes share: all of them
// search it, and the one that holds a lock of the database writes it.
type Cluster struct {
	c  *opensearch.Client
	db *pg.DB

	mu   sync.Mutex // held while the lock is looked at
	lock *pg.Lock
	term int64 // how often this process has come to lead
}

// leadEvery is how often a process that does not lead asks whether it may.
const leadEvery = time.Second

// NewCluster prepares a cluster; it is not asked yet.
func NewCluster(c opensearch.Config, db *pg.DB) (*Cluster, error) {
	client, err := opensearch.New(c)
	if err != nil {
		return nil, err
	}
	return &Cluster{c: client, db: db}, nil
}

// Name implements Place.
func (*Cluster) Name() string { return "cluster" }

// Driver implements Place.
func (*Cluster) Driver() string { return "opensearch" }

// Lead implements Place.
func (k *Cluster) Lead(ctx context.Context) (int64, error) {
	for {
		term, err := k.try(ctx)
		if !errors.Is(err, pg.ErrLocked) {
			return term, err
		}
		rest(ctx, leadEvery)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

func (k *Cluster) try(ctx context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lock != nil {
		if k.lock.Held(ctx) {
			return k.term, nil
		}
		k.lock.Release()
		k.lock = nil
	}
	lock, err := k.db.TryLock(ctx, pg.LockSearch, 0)
	if err != nil {
		return 0, err
	}
	k.lock = lock
	k.term++
	return k.term, nil
}

// Leads implements Place.
func (k *Cluster) Leads() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lock != nil
}

// Release implements Place.
func (k *Cluster) Release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lock != nil {
		k.lock.Release()
		k.lock = nil
	}
}

// Open implements Place.
func (k *Cluster) Open(ctx context.Context) ([]Driver, error) {
	if err := k.c.Ready(ctx); err != nil {
		return nil, err
	}
	numbers, err := k.c.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(numbers)
	var out []Driver
	for _, n := range numbers {
		state, err := k.c.State(ctx, n)
		if err != nil {
			return nil, err
		}
		out = append(out, &remote{c: k.c, n: n, state: state})
	}
	return out, nil
}

// Make implements Place.
func (k *Cluster) Make(ctx context.Context) (Driver, error) {
	numbers, err := k.c.Numbers(ctx)
	if err != nil {
		return nil, err
	}
	n := 1
	if len(numbers) > 0 {
		n = slices.Max(numbers) + 1
	}
	if err := k.c.Make(ctx, n); err != nil {
		return nil, err
	}
	return &remote{c: k.c, n: n}, nil
}

// remote is an index of the cluster as a Driver. What it was given is durable there.
type remote struct {
	c *opensearch.Client
	n int

	mu    sync.Mutex
	state []byte
}

// Apply implements Driver.
func (r *remote) Apply(ctx context.Context, b textindex.Batch) error {
	if err := r.c.Apply(ctx, r.n, b); err != nil {
		return err
	}
	if b.State != nil {
		r.mu.Lock()
		r.state = b.State
		r.mu.Unlock()
	}
	return nil
}

// State implements Driver.
func (r *remote) State() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Saved implements Driver.
func (r *remote) Saved() []byte { return r.State() }

// Search implements Driver.
func (r *remote) Search(ctx context.Context, q textindex.Query) Hits {
	return r.c.Search(ctx, r.n, q)
}

// Flush implements Driver.
func (r *remote) Flush(ctx context.Context) error { return r.c.Refresh(ctx, r.n) }

// Stats implements Driver.
func (r *remote) Stats(ctx context.Context) (Stats, error) {
	s, err := r.c.Stats(ctx, r.n)
	return Stats{Docs: s.Docs, Deleted: s.Deleted, Segments: s.Segments, Bytes: s.Bytes}, err
}

// Verify implements Driver: the cluster looks after its own disks.
func (r *remote) Verify(ctx context.Context, _ func(done, total int64)) error {
	return r.Flush(ctx)
}

// Optimize implements Driver.
func (r *remote) Optimize(ctx context.Context, _ func(done, total int64)) error {
	return r.c.Expunge(ctx, r.n)
}

// Lost implements Driver.
func (*remote) Lost() []textindex.Range { return nil }

// Healed implements Driver.
func (*remote) Healed(textindex.Range) error { return nil }

// Close implements Driver.
func (*remote) Close() error { return nil }

// Drop implements Driver.
func (r *remote) Drop(ctx context.Context) error {
	if err := r.c.Drop(ctx, r.n); err != nil {
		return fmt.Errorf("search index %d: %w", r.n, err)
	}
	return nil
}
