// Package relation is in charge of the ties between accounts: follows and
// requests to follow, blocks, mutes, and the activities that carry them. It
// also keeps, for viewers who are listening, their ties in memory (Graph).
package relation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Errors that callers decide on.
var (
	ErrAlready     = errors.New("the tie exists already")
	ErrNone        = errors.New("there is no such tie")
	ErrBlocking    = errors.New("you block the account")
	ErrBlocked     = errors.New("the account blocks you")
	ErrUnreachable = errors.New("the account's server cannot be told")
)

// Followed is emitted when a follow has become real.
type Followed struct{ Follower, Followee *user.User }

// Requested is emitted when a follow waits for a local account's consent.
type Requested struct{ Follower, Followee *user.User }

// Accepted is emitted when a request was accepted.
type Accepted struct{ Follower, Followee *user.User }

// Service ties accounts.
type Service struct {
	db       *pg.DB
	meta     *meta.Service
	users    *user.Service
	delivery *delivery.Service
	ids      *id.Maker
	bus      *event.Bus
	log      *log.Log
	hub      *stream.Hub
	slog     *slog.Logger
	now      func() time.Time
	graphs   graphs
}

// New makes the service.
func New(db *pg.DB, m *meta.Service, us *user.Service, d *delivery.Service, ids *id.Maker, bus *event.Bus, lg *log.Log, hub *stream.Hub, l *slog.Logger, now func() time.Time) *Service {
	return &Service{db: db, meta: m, users: us, delivery: d, ids: ids, bus: bus, log: lg, hub: hub, slog: l, now: now,
		graphs: newGraphs()}
}

// changed goes with every change of a tie: which way and between whom.
type changed struct {
	From       string  `json:"from"`
	To         string  `json:"to"`
	FromServer *string `json:"fromServer,omitempty"` // of a follow: authorities of the accounts' servers
	ToServer   *string `json:"toServer,omitempty"`
}

// Changed is emitted with every change of a tie between two accounts.
type Changed struct{ From, To string }

func (s *Service) note(ctx context.Context, tx *pg.Tx, kind, from, to string) error {
	return s.noteAll(ctx, tx, kind, changed{From: from, To: to})
}

func (s *Service) noteAll(ctx context.Context, tx *pg.Tx, kind string, d changed) error {
	if err := s.bus.Emit(ctx, tx, Changed{From: d.From, To: d.To}); err != nil {
		return err
	}
	return s.log.Append(ctx, tx, "relation."+kind, d.To, d.From, d)
}

// Consumers keep the graphs in memory fresh and tell the people concerned.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name:   "relation.graph",
		Kinds:  []string{"relation.followed", "relation.unfollowed", "relation.requested", "relation.blocked", "relation.unblocked", "relation.muted", "relation.unmuted", "relation.updated", "user.updated", "user.suspended", "user.deleted"},
		Handle: s.onChanges,
		Lost:   s.graphs.reloadAll(s.load),
	}, {
		Name: "relation.servers", Durable: true, Kinds: []string{"user.rehomed"}, Handle: s.onRehomed,
	}}
}

const sqlRehomed = `
UPDATE following SET follower_host = CASE WHEN follower_id = $1 THEN $2 ELSE follower_host END,
	followee_host = CASE WHEN followee_id = $1 THEN $2 ELSE followee_host END
WHERE follower_id = $1 OR followee_id = $1`

// onRehomed keeps the servers by which follows are found, when an account's id is
// on another one now.
func (s *Service) onRehomed(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		var d struct {
			ToServer string `json:"toServer"`
		}
		if err := c.Into(&d); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlRehomed, c.ObjectID, d.ToServer); err != nil {
			return fmt.Errorf("servers of follows: %w", err)
		}
	}
	return nil
}

func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	var errs []error
	for _, c := range batch {
		d := changed{From: c.ActorID, To: c.ObjectID}
		s.graphs.reload(ctx, s.load, d.From, d.To)
		switch c.Kind {
		case "relation.followed":
			errs = append(errs, s.tell(ctx, d.From, "follow", d.To), s.tell(ctx, d.To, "followed", d.From))
		case "relation.unfollowed":
			s.hub.Recheck(d.From)
			errs = append(errs, s.tell(ctx, d.From, "unfollow", d.To))
		case "relation.requested":
			errs = append(errs, s.tell(ctx, d.To, "receiveFollowRequest", d.From))
		}
	}
	return errors.Join(errs...)
}

// tell publishes an account, as the listener sees it, to the listener's main
// channel.
func (s *Service) tell(ctx context.Context, listener, typ, about string) error {
	topic := stream.MainTopic(listener)
	if !s.hub.Heard(topic) {
		return nil
	}
	packed, err := s.users.DetailedByIDs(ctx, listener, []string{about})
	if err != nil || len(packed) == 0 {
		return err
	}
	s.hub.Publish(topic, stream.Event{Type: typ, Body: packed[0]})
	return nil
}

const sqlBlocks = `SELECT
	EXISTS (SELECT FROM blocking WHERE blocker_id = $1 AND blockee_id = $2),
	EXISTS (SELECT FROM blocking WHERE blocker_id = $2 AND blockee_id = $1)`

// Blocks tells whether a blocks b, and b blocks a.
func (s *Service) Blocks(ctx context.Context, q pg.Q, a, b string) (ab, ba bool, err error) {
	if err := q.QueryRow(ctx, sqlBlocks, a, b).Scan(&ab, &ba); err != nil {
		return false, false, fmt.Errorf("blocks: %w", err)
	}
	return ab, ba, nil
}

const sqlFollows = `SELECT EXISTS (SELECT FROM following WHERE follower_id = $1 AND followee_id = $2)`

// Follows tells whether a follows b.
func (s *Service) Follows(ctx context.Context, q pg.Q, a, b string) (bool, error) {
	var yes bool
	if err := q.QueryRow(ctx, sqlFollows, a, b).Scan(&yes); err != nil {
		return false, fmt.Errorf("follows: %w", err)
	}
	return yes, nil
}

const sqlFollowerInboxes = `
SELECT DISTINCT u.inbox, u.shared_inbox FROM following f JOIN "user" u ON u.id = f.follower_id
WHERE f.followee_id = $1 AND f.follower_host IS NOT NULL AND u.inbox IS NOT NULL AND NOT u.is_deleted`

// FollowerInboxes is where an account's remote followers are reached.
func (s *Service) FollowerInboxes(ctx context.Context, q pg.Q, userID string) ([]delivery.Inbox, error) {
	rows, err := q.Query(ctx, sqlFollowerInboxes, userID)
	if err != nil {
		return nil, fmt.Errorf("inboxes of followers: %w", err)
	}
	defer rows.Close()
	var out []delivery.Inbox
	seen := map[string]bool{}
	for rows.Next() {
		var inbox string
		var shared *string
		if err := rows.Scan(&inbox, &shared); err != nil {
			return nil, fmt.Errorf("inboxes of followers: %w", err)
		}
		in := delivery.Inbox{URL: inbox}
		if shared != nil {
			in.Shared = *shared
		}
		if key := in.Best(); !seen[key] {
			seen[key] = true
			out = append(out, in)
		}
	}
	return out, rows.Err()
}

// calm is where a context has what Calmly said.
type calm struct{}

// Calmly has what is sent with the context go by the lane of large operations:
// through an operation's stream (delivery.Open), or with 0 the lane's own. It is
// for what ties many accounts at once.
func Calmly(ctx context.Context, stream int64) context.Context {
	return context.WithValue(ctx, calm{}, stream)
}

// send delivers an activity of a local account to one remote account.
func (s *Service) send(ctx context.Context, tx *pg.Tx, from, to *user.User, a *ap.Activity, typ string) error {
	if to.Inbox == nil {
		return nil // imaginary, or an actor that never told where it listens
	}
	a.Context = ap.Context()
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("render %s: %w", typ, err)
	}
	m := delivery.Message{
		ActorID: from.ID, ActivityID: a.ID, Type: typ, Body: body, Class: delivery.Direct,
		// Follow, Undo and Block between the same two keep their order.
		Object: "tie:" + from.ID + ":" + to.ID, Extra: []delivery.Inbox{to.Recipient()},
	}
	if stream, ok := ctx.Value(calm{}).(int64); ok {
		m.Class, m.Stream = delivery.Bulk, stream
	}
	_, err = s.delivery.Send(ctx, tx, m)
	return err
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	follow := api.Scope("write:following")
	return []api.Endpoint{
		api.Post("following/create", s.apiFollow, follow, api.NotMoved, api.Limit(100, time.Hour)),
		api.Post("following/delete", s.apiUnfollow, follow, api.Limit(100, time.Hour)),
		api.Post("following/invalidate", s.apiInvalidate, follow, api.Limit(100, time.Hour)),
		api.Post("following/update", s.apiUpdate, follow, api.Limit(100, time.Hour)),
		api.Post("following/update-all", s.apiUpdateAll, follow, api.Limit(10, time.Hour)),
		api.Post("following/requests/accept", s.apiAccept, follow),
		api.Post("following/requests/reject", s.apiReject, follow),
		api.Post("following/requests/cancel", s.apiCancel, follow),
		api.Post("following/requests/list", s.apiRequests, api.Scope("read:following")),
		api.Post("following/requests/sent", s.apiSent, api.Scope("read:following")),
		api.Post("blocking/create", s.apiBlock, api.Scope("write:blocks"), api.Limit(20, time.Hour)),
		api.Post("blocking/delete", s.apiUnblock, api.Scope("write:blocks"), api.Limit(100, time.Hour)),
		api.Post("blocking/list", s.apiBlocks, api.Scope("read:blocks")),
		api.Post("mute/create", s.apiMute, api.Scope("write:mutes"), api.NotMoved, api.Limit(20, time.Hour)),
		api.Post("mute/delete", s.apiUnmute, api.Scope("write:mutes")),
		api.Post("mute/list", s.apiMutes, api.Scope("read:mutes")),
		api.Post("renote-mute/create", s.apiRenoteMute, api.Scope("write:mutes"), api.NotMoved, api.Limit(20, time.Hour)),
		api.Post("renote-mute/delete", s.apiRenoteUnmute, api.Scope("write:mutes")),
		api.Post("renote-mute/list", s.apiRenoteMutes, api.Scope("read:mutes")),
		api.Post("users/followers", s.apiFollowers, api.Visitors),
		api.Post("users/following", s.apiFollowing, api.Visitors),
		api.Post("users/relation", s.apiRelation, api.Scope("read:account")),
	}
}
