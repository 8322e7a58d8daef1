package relation

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// Graph is a viewer's ties, for deciding in memory who may see what. It never
// changes; a change of ties makes a new one.
type Graph struct {
	UserID         string
	Following      map[string]bool // followee → with replies
	Muting         map[string]bool
	Blocked        map[string]bool // either way
	RenoteMuting   map[string]bool
	MutedInstances map[string]bool
	// Unknown says that the ties could not be read: nothing of anybody else is
	// shown until they can.
	Unknown bool
}

// Watched is the newest Graph of a viewer who is listening.
type Watched struct {
	p    atomic.Pointer[Graph]
	refs int
}

// Graph is the viewer's ties of this moment.
func (w *Watched) Graph() *Graph { return w.p.Load() }

type graphs struct {
	mu        sync.RWMutex
	m         map[string]*Watched
	followers map[string]map[string]struct{} // followee → those of m who follow
}

func newGraphs() graphs {
	return graphs{m: map[string]*Watched{}, followers: map[string]map[string]struct{}{}}
}

// put makes n the ties of w. Whoever n says is followed is known to be before n says so.
func (g *graphs) put(userID string, w *Watched, n *Graph) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := w.p.Load()
	if g.m[userID] != w { // nobody listens any more
		w.p.Store(n)
		return
	}
	for followee := range n.Following {
		if g.followers[followee] == nil {
			g.followers[followee] = map[string]struct{}{}
		}
		g.followers[followee][userID] = struct{}{}
	}
	w.p.Store(n)
	if old != nil {
		g.forget(userID, old, n)
	}
}

// forget takes away those whom old follows and n, which may be nil, does not. g.mu is
// held.
func (g *graphs) forget(userID string, old, n *Graph) {
	for followee := range old.Following {
		if n != nil && n.Follows(followee) {
			continue
		}
		delete(g.followers[followee], userID)
		if len(g.followers[followee]) == 0 {
			delete(g.followers, followee)
		}
	}
}

// Listening gives those who are being watched and follow the account, as far as their
// Graph says. A note finds its readers by it, not by asking everybody.
func (s *Service) Listening(followee string) []string {
	g := &s.graphs
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]string, 0, len(g.followers[followee]))
	for id := range g.followers[followee] {
		out = append(out, id)
	}
	return out
}

// Watch keeps the viewer's ties in memory until release is called.
func (s *Service) Watch(ctx context.Context, userID string) (w *Watched, release func(), err error) {
	g := &s.graphs
	g.mu.Lock()
	w = g.m[userID]
	if w == nil {
		// Known before it is read: a change that comes meanwhile reads it again.
		w = &Watched{}
		g.m[userID] = w
	}
	w.refs++
	g.mu.Unlock()
	var once sync.Once
	release = func() {
		once.Do(func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if w.refs--; w.refs == 0 {
				delete(g.m, userID)
				if last := w.p.Load(); last != nil {
					g.forget(userID, last, nil)
				}
			}
		})
	}
	if w.p.Load() == nil {
		if err := s.refresh(ctx, w, userID); err != nil {
			release()
			return nil, nil, err
		}
	}
	return w, release, nil
}

func (s *Service) refresh(ctx context.Context, w *Watched, userID string) error {
	n, err := s.load(ctx, userID)
	if err != nil {
		return err
	}
	s.graphs.put(userID, w, n)
	return nil
}

type loader func(ctx context.Context, userID string) (*Graph, error)

// retryGraph is when ties that could not be read are read again.
const retryGraph = time.Second

// reload reads the graphs of those of the accounts that are listening. What
// cannot be read is not trusted any more, and is tried again.
func (g *graphs) reload(ctx context.Context, load loader, userIDs ...string) {
	for _, id := range userIDs {
		g.mu.Lock()
		w := g.m[id]
		g.mu.Unlock()
		if w == nil {
			continue
		}
		n, err := load(ctx, id)
		if err != nil {
			n = &Graph{UserID: id, Unknown: true}
			time.AfterFunc(retryGraph, func() { g.reload(context.WithoutCancel(ctx), load, id) })
		}
		g.put(id, w, n)
	}
}

func (g *graphs) reloadAll(load loader) func() {
	return func() {
		g.mu.Lock()
		ids := make([]string, 0, len(g.m))
		for id := range g.m {
			ids = append(ids, id)
		}
		g.mu.Unlock()
		g.reload(context.Background(), load, ids...)
	}
}

const sqlGraph = `
SELECT 'f', followee_id, with_replies FROM following WHERE follower_id = $1
UNION ALL SELECT 'm', mutee_id, false FROM muting WHERE muter_id = $1 AND (expires_at IS NULL OR expires_at > now())
UNION ALL SELECT 'b', blockee_id, false FROM blocking WHERE blocker_id = $1
UNION ALL SELECT 'b', blocker_id, false FROM blocking WHERE blockee_id = $1
UNION ALL SELECT 'r', mutee_id, false FROM renote_muting WHERE muter_id = $1
UNION ALL SELECT 'i', unnest(muted_instances), false FROM user_profile WHERE user_id = $1`

func (s *Service) load(ctx context.Context, userID string) (*Graph, error) {
	return LoadGraph(ctx, s.db, userID)
}

// LoadGraph reads a viewer's ties now.
func LoadGraph(ctx context.Context, q pg.Q, userID string) (*Graph, error) {
	g := &Graph{UserID: userID, Following: map[string]bool{}, Muting: map[string]bool{}, Blocked: map[string]bool{},
		RenoteMuting: map[string]bool{}, MutedInstances: map[string]bool{}}
	rows, err := q.Query(ctx, sqlGraph, userID)
	if err != nil {
		return nil, fmt.Errorf("ties of %s: %w", userID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind, id string
		var flag bool
		if err := rows.Scan(&kind, &id, &flag); err != nil {
			return nil, fmt.Errorf("ties of %s: %w", userID, err)
		}
		switch kind {
		case "f":
			g.Following[id] = flag
		case "m":
			g.Muting[id] = true
		case "b":
			g.Blocked[id] = true
		case "r":
			g.RenoteMuting[id] = true
		case "i":
			g.MutedInstances[id] = true
		}
	}
	return g, rows.Err()
}

// Hides tells whether the viewer wants to see nothing of the account: muted or
// blocked, either way.
func (g *Graph) Hides(userID string) bool { return g.Unknown || g.Muting[userID] || g.Blocked[userID] }

// Follows tells whether the viewer follows the account.
func (g *Graph) Follows(userID string) bool { _, ok := g.Following[userID]; return ok }
