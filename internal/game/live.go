package game

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// The changes of this slice. The object of happened and matched is a game; matched is
// for the actor. Of invited the object is who is invited, the actor who invites.
const (
	happened = "game.happened"
	matched  = "game.matched"
	invited  = "game.invited"
)

// event is what happened in a game.
type event struct {
	Type   string       `json:"type"`
	UserID string       `json:"userId,omitempty"`
	Key    string       `json:"key,omitempty"` // of updateSettings
	Log    *logged      `json:"log,omitempty"`
	Ready  *readyStates `json:"ready,omitempty"`
}

// logged is a move, as it is told.
type logged struct {
	Time      int64   `json:"time"`
	Player    bool    `json:"player"` // black
	Operation string  `json:"operation"`
	Pos       int     `json:"pos"`
	ID        *string `json:"id"` // the client's own name for it
}

type readyStates struct {
	User1 bool `json:"user1"`
	User2 bool `json:"user2"`
}

// tell has who watches a game told, once tx has committed, in every process.
func (s *Service) tell(ctx context.Context, tx *pg.Tx, g *Game, e event) error {
	return s.Log.Append(ctx, tx, happened, g.ID, "", e)
}

func gameTopic(gameID string) string   { return "game:" + gameID }
func playerTopic(userID string) string { return "game.player:" + userID }

// onChanges hands on what happened. What cannot be told of one does not keep what
// happened to others.
func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	var errs []error
	for _, c := range batch {
		topic := playerTopic(c.ActorID)
		switch c.Kind {
		case happened:
			topic = gameTopic(c.ObjectID)
		case invited:
			topic = playerTopic(c.ObjectID)
		}
		if !s.Hub.Heard(topic) {
			continue
		}
		e, err := s.message(ctx, &c)
		if errors.Is(err, ErrNotFound) {
			continue // cancelled, and they hear that next
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.Hub.Publish(topic, *e)
	}
	return errors.Join(errs...)
}

// message is a change as clients are told it; ErrNotFound when what it is about is gone.
func (s *Service) message(ctx context.Context, c *log.Change) (*stream.Event, error) {
	switch c.Kind {
	case matched:
		g, err := s.detailed(ctx, c.ObjectID)
		return &stream.Event{Type: "matched", Body: map[string]any{"game": g}}, err
	case invited:
		users, err := s.Users.LiteByIDs(ctx, []string{c.ActorID})
		if err == nil && users[c.ActorID] == nil {
			err = ErrNotFound
		}
		return &stream.Event{Type: "invited", Body: map[string]*user.Lite{"user": users[c.ActorID]}}, err
	}
	var e event
	if err := c.Into(&e); err != nil {
		return nil, err
	}
	m := &stream.Event{Type: e.Type}
	switch e.Type {
	case "log":
		m.Body = e.Log
	case "changeReadyStates":
		m.Body = e.Ready
	case "canceled":
		m.Body = map[string]string{"userId": e.UserID}
	case "updateSettings":
		g, err := s.one(ctx, s.DB, sqlGame, c.ObjectID)
		if err != nil {
			return nil, err
		}
		m.Body = map[string]any{"userId": e.UserID, "key": e.Key, "value": g.setting(e.Key)}
	case "started":
		g, err := s.one(ctx, s.DB, sqlGame, c.ObjectID)
		if err != nil {
			return nil, err
		}
		// As it was then: the moves since are told next.
		g.EndedAt, g.Winner, g.Surrendered, g.TooLate, g.moves = nil, nil, nil, nil, nil
		packed, err := s.packRead(ctx, g)
		if err != nil {
			return nil, err
		}
		m.Body = map[string]any{"game": packed}
	case "ended":
		packed, err := s.detailed(ctx, c.ObjectID)
		if err != nil {
			return nil, err
		}
		m.Body = map[string]any{"winnerId": packed.WinnerID, "game": packed}
	}
	return m, nil
}

func (s *Service) detailed(ctx context.Context, gameID string) (*Detailed, error) {
	g, err := s.one(ctx, s.DB, sqlGame, gameID)
	if err != nil {
		return nil, err
	}
	return s.packOne(ctx, g)
}

// Channels of this slice: what concerns an account, and what happens in a game, which
// anybody may watch and its players play over.
func (s *Service) Channels() []stream.Channel {
	pass := func(msg any) (string, any, bool) {
		e, ok := msg.(stream.Event)
		return e.Type, e.Body, ok
	}
	return []stream.Channel{{
		Name: "reversi", Login: true, Scope: "read:account", Shared: true,
		Open: func(_ context.Context, sub *stream.Sub, _ json.RawMessage) error {
			sub.On(playerTopic(sub.UserID()), pass)
			return nil
		},
	}, {
		Name: "reversiGame",
		Open: func(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
			var p struct {
				GameID string `json:"gameId"`
			}
			if !reads(raw, &p) || !s.IDs.Method().Valid(p.GameID) {
				return stream.ErrRefused
			}
			sub.On(gameTopic(p.GameID), pass) // before looking: what happens meanwhile is not missed
			if _, err := s.one(ctx, s.DB, sqlGame, p.GameID); errors.Is(err, ErrNotFound) {
				return stream.ErrRefused
			} else if err != nil {
				return err
			}
			who := sub.Identity()
			sub.OnMessage(func(typ string, body json.RawMessage) { s.onMessage(who, p.GameID, typ, body) })
			return nil
		},
	}}
}

// hearWithin is how long what a player says may take.
const hearWithin = 20 * time.Second

func (s *Service) onMessage(who *api.Identity, gameID, typ string, body json.RawMessage) {
	if who == nil || !who.Native() && !slices.Contains(who.Scopes, "write:account") {
		return // who only watches
	}
	ctx, cancel := context.WithTimeout(context.Background(), hearWithin)
	defer cancel()
	if err := s.hear(ctx, who.UserID, gameID, typ, body); err != nil && !errors.Is(err, ErrNotFound) {
		s.Slog.Warn("reversi", "game", gameID, "message", typ, "err", err)
	}
}

// hear does what a player says; as in Misskey, what cannot be read, or is not his to
// say, is passed over.
func (s *Service) hear(ctx context.Context, userID, gameID, typ string, body json.RawMessage) error {
	switch typ {
	case "ready":
		var yes *bool
		if !reads(body, &yes) || yes == nil {
			return nil
		}
		return s.ready(ctx, gameID, userID, *yes)
	case "updateSettings":
		var m struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
		}
		if !reads(body, &m) {
			return nil
		}
		return s.set(ctx, gameID, userID, m.Key, m.Value)
	case "cancel":
		return s.cancel(ctx, gameID, userID)
	case "putStone":
		var m struct {
			Pos *int    `json:"pos"`
			ID  *string `json:"id"`
		}
		if !reads(body, &m) || m.Pos == nil || !named(m.ID) {
			return nil
		}
		return s.put(ctx, gameID, userID, *m.Pos, m.ID)
	case "claimTimeIsUp":
		return s.timeUp(ctx, gameID, userID)
	}
	return nil
}

// reads tells whether a client's JSON is what is looked for.
func reads(b json.RawMessage, into any) bool { return json.Unmarshal(b, into) == nil }

// named tells whether a client's name for a move is one that is handed on: short, and
// no text.
func named(id *string) bool {
	if id == nil {
		return true
	}
	for _, c := range []byte(*id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(*id) <= 64
}
