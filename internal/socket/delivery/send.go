package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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
	to, err := s.SendAll(ctx, tx, []Message{m})
	if err != nil {
		return Recipients{}, err
	}
	return to[0], nil
}

// SendAll is Send for several messages, which are staged in their order.
func (s *Service) SendAll(ctx context.Context, tx *pg.Tx, messages []Message) ([]Recipients, error) {
	out := make([]Recipients, len(messages))
	open := map[int64]bool{}
	b := &pgx.Batch{}
	for i, m := range messages {
		stream, err := s.streamOf(ctx, tx, m, open)
		if err == nil {
			out[i], err = s.recipients(ctx, tx, m)
		}
		if err != nil {
			return nil, fmt.Errorf("send %s: %w", m.ActivityID, err)
		}
		to := &out[i]
		if to.AudienceID == nil && len(to.Extra) == 0 {
			*to = Recipients{}
			continue
		}
		object, extra := m.Object, to.Extra
		if object == "" {
			object = m.ActivityID
		}
		if extra == nil {
			extra = []int32{}
		}
		b.Queue(sqlStage, stream, m.ActivityID, m.Type, m.ActorID, objectKey(object), object, to.AudienceID, extra, s.brief(m))
	}
	if b.Len() == 0 {
		return out, nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("send %s: %w", messages[0].ActivityID, err)
	}
	tx.AfterCommit(s.seq.Poke)
	return out, nil
}

// fromIDs is stored in the place of a body that can be made from the row's ids:
// most of what a clean-up would otherwise write.
var fromIDs = []byte{1}

// brief is the body as it is stored.
func (s *Service) brief(m Message) []byte {
	if m.Type == "Delete" && s.cfg.Tombstone != nil && bytes.Equal(m.Body, s.cfg.Tombstone(m.ActorID, m.ActivityID, m.Object)) {
		return fromIDs
	}
	return m.Body
}

// whole is the body as it is sent; empty when it was blanked.
func (s *Service) whole(r *row) []byte {
	if bytes.Equal(r.body, fromIDs) && s.cfg.Tombstone != nil {
		return s.cfg.Tombstone(r.actorID, r.activityID, r.object)
	}
	return r.body
}

// streamOf chooses a message's stream; open are those known to be open in tx.
func (s *Service) streamOf(ctx context.Context, tx *pg.Tx, m Message, open map[int64]bool) (int64, error) {
	switch {
	case m.Class < Direct || m.Class > Bulk:
		return 0, fmt.Errorf("no class %d", m.Class)
	case m.Stream != 0 && !open[m.Stream]:
		if err := s.takes(ctx, tx, m.Stream); err != nil {
			return 0, err
		}
		open[m.Stream] = true
	case m.Stream == 0 && m.Type == "Delete" && m.Class < Bulk && s.deletes.many(m.ActorID, s.now()):
		return int64(Bulk), nil
	}
	if m.Stream != 0 {
		return m.Stream, nil
	}
	return int64(m.Class), nil
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
