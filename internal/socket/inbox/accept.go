package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// accepted is an activity on its way into the database.
type accepted struct {
	host, actor, actorID string
	hash                 []byte
	object               int64
	lane                 int16
	body                 []byte
	done                 chan error
}

// Lanes: what concerns people here comes first.
const (
	laneAddressed int16 = iota // names an account or a note of this server
	laneOther
	laneActors // profiles and farewells
)

func (s *Service) lane(a *Activity, body []byte) int16 {
	switch {
	case a.Object.Is("Update", "Delete") && a.Object.Ref("object") == a.Actor:
		return laneActors
	case strings.Contains(string(body), s.cfg.Origin+"/"):
		return laneAddressed
	}
	return laneOther
}

// orderKey is the object an activity is about: activities about one object are
// handled in the order in which they came.
func orderKey(a *Activity) string {
	o := a.Object
	for o.Is("Undo", "Accept", "Reject") && o.Object("object") != nil {
		o = o.Object("object")
	}
	if o.Is("Follow", "Block") {
		return "tie " + a.Actor + " " + o.Ref("object")
	}
	if o.Is("Like", "EmojiReact", "EmojiReaction") {
		return "react " + a.Actor + " " + o.Ref("object")
	}
	if o.Is("Announce") {
		return o.ID()
	}
	if object := o.Ref("object"); object != "" {
		return object
	}
	return a.ID
}

// store brings an activity into the database together with whatever else comes
// in the same moment, and returns when it is there.
func (s *Service) store(ctx context.Context, a *Activity, body []byte) error {
	in := &accepted{host: a.Host, actor: a.Actor, actorID: a.ActorID, hash: hashOf(a.ID), object: keyOf(orderKey(a)),
		lane: s.lane(a, body), body: body, done: make(chan error, 1)}
	select {
	case s.accepts <- in:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-in.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	groupWait = 3 * time.Millisecond
	groupSize = 128
)

// errStopping answers those who come while the server ends.
var errStopping = errors.New("the server is stopping")

// commitGroups writes accepted activities in groups until ctx ends.
func (s *Service) commitGroups(ctx context.Context) {
	for {
		var group []*accepted
		select {
		case in := <-s.accepts:
			group = append(group, in)
		case <-ctx.Done():
			s.refuseWaiting()
			return
		}
		full := time.After(groupWait)
	fill:
		for len(group) < groupSize {
			select {
			case in := <-s.accepts:
				group = append(group, in)
			case <-full:
				break fill
			}
		}
		err := s.commit(context.WithoutCancel(ctx), group)
		for _, in := range group {
			in.done <- err
		}
		s.poke()
	}
}

func (s *Service) refuseWaiting() {
	for {
		select {
		case in := <-s.accepts:
			in.done <- errStopping
		default:
			return
		}
	}
}

// What was handled already, or waits already, is not stored again.
const sqlAccept = `
INSERT INTO fed_inbox (host, actor, actor_id, hash, object_key, lane, body)
SELECT x.host, x.actor, x.actor_id, x.hash, x.object_key, x.lane, x.body
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::smallint[], $7::bytea[]) WITH ORDINALITY
	AS x (host, actor, actor_id, hash, object_key, lane, body, n)
WHERE NOT EXISTS (SELECT FROM fed_seen f WHERE f.hash = x.hash)
ORDER BY x.n
ON CONFLICT (hash) DO NOTHING`

func (s *Service) commit(ctx context.Context, group []*accepted) error {
	n := len(group)
	hosts, actors, ids := make([]string, n), make([]string, n), make([]string, n)
	hashes, objects, lanes, bodies := make([][]byte, n), make([]int64, n), make([]int16, n), make([][]byte, n)
	for i, in := range group {
		hosts[i], actors[i], ids[i], hashes[i], objects[i], lanes[i], bodies[i] = in.host, in.actor, in.actorID, in.hash, in.object, in.lane, in.body
	}
	if _, err := s.db.Exec(ctx, sqlAccept, hosts, actors, ids, hashes, objects, lanes, bodies); err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	return nil
}

// poke wakes a worker. It never blocks.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
