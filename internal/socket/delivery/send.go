package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

const sqlStage = `
INSERT INTO fed_stage (stream_id, activity_id, type, actor_id, object_key, object, audience_id, extra, body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// Send stages m in tx: it is delivered, at least once to each recipient, if and
// only if tx commits. The recipients are returned for keeping: a later message
// about the same object goes to them through Message.To. Nothing is staged, and
// the recipients are zero, when nobody or only this server is to get it.
func (s *Service) Send(ctx context.Context, tx *pg.Tx, m Message) (Recipients, error) {
	if m.Class < Direct || m.Class > Bulk {
		return Recipients{}, fmt.Errorf("send %s: no class %d", m.ActivityID, m.Class)
	}
	if m.Stream == 0 && m.Type == "Delete" && m.Class < Bulk && s.deletes.many(m.ActorID, s.now()) {
		m.Class = Bulk
	}
	stream := m.Stream
	if stream == 0 {
		stream = int64(m.Class)
	} else if err := s.takes(ctx, tx, stream); err != nil {
		return Recipients{}, fmt.Errorf("send %s: %w", m.ActivityID, err)
	}
	to, err := s.recipients(ctx, tx, m)
	if err != nil {
		return Recipients{}, fmt.Errorf("send %s: %w", m.ActivityID, err)
	}
	if to.AudienceID == nil && len(to.Extra) == 0 {
		return Recipients{}, nil
	}
	object := m.Object
	if object == "" {
		object = m.ActivityID
	}
	extra := to.Extra
	if extra == nil {
		extra = []int32{}
	}
	if _, err := tx.Exec(ctx, sqlStage, stream, m.ActivityID, m.Type, m.ActorID, objectKey(object), object, to.AudienceID, extra, m.Body); err != nil {
		return Recipients{}, fmt.Errorf("send %s: %w", m.ActivityID, err)
	}
	tx.AfterCommit(s.seq.Poke)
	return to, nil
}

// objectKey is what order is kept by. Two objects that share one only wait for
// each other.
func objectKey(object string) int64 {
	sum := sha256.Sum256([]byte(object))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// recipients turns the inboxes of m into endpoints.
func (s *Service) recipients(ctx context.Context, tx *pg.Tx, m Message) (Recipients, error) {
	var to Recipients
	var set []int32
	var err error
	if m.To != nil {
		to.AudienceID = m.To.AudienceID
		to.Extra = slices.Clone(m.To.Extra)
		if to.AudienceID != nil && len(m.Extra) > 0 {
			if set, err = s.audience(ctx, tx, *to.AudienceID); err != nil {
				return Recipients{}, err
			}
		}
	} else {
		want := make([]wanted, 0, len(m.Audience))
		for _, in := range m.Audience {
			want = append(want, wanted{in.Best(), in.Shared != ""})
		}
		if set, err = s.intern(ctx, tx, want); err != nil {
			return Recipients{}, err
		}
		if len(set) > 0 {
			id, err := s.internAudience(ctx, tx, set)
			if err != nil {
				return Recipients{}, err
			}
			to.AudienceID = &id
		}
	}
	single := make([]wanted, 0, len(m.Extra))
	for _, in := range m.Extra {
		if in.Shared != "" {
			if id, ok := s.book.endpoint(in.Shared); ok && contains(set, id) {
				continue
			} else if !ok && len(set) > 0 {
				// Not remembered, which a bounded memory allows: ask.
				ids, err := s.intern(ctx, tx, []wanted{{in.Shared, true}})
				if err != nil {
					return Recipients{}, err
				}
				if len(ids) == 1 && contains(set, ids[0]) {
					continue
				}
			}
		}
		single = append(single, wanted{in.URL, false})
	}
	ids, err := s.intern(ctx, tx, single)
	if err != nil {
		return Recipients{}, err
	}
	for _, id := range ids {
		if !contains(set, id) && !slices.Contains(to.Extra, id) {
			to.Extra = append(to.Extra, id)
		}
	}
	return to, nil
}

// contains looks an endpoint up in a sorted set.
func contains(set []int32, id int32) bool {
	_, ok := slices.BinarySearch(set, id)
	return ok
}

// deletesPerMinute of one actor are live; those beyond are a clean-up, whatever
// makes them, and go by the bulk lane.
const deletesPerMinute = 30

// deletes counts each actor's Deletes of the running minute, in this process.
type deletes struct {
	mu     sync.Mutex
	minute int64
	n      map[string]int
}

func (d *deletes) many(actorID string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := now.Unix() / 60; m != d.minute || d.n == nil {
		d.minute, d.n = m, map[string]int{}
	}
	d.n[actorID]++
	return d.n[actorID] > deletesPerMinute
}
