package webhook

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
)

// happened is something to be told to one account.
type happened struct {
	to   string // the account
	what what
}

// what is something that happened, by ids: the job keeps nothing that people wrote.
type what struct {
	Type     string `json:"type"`
	NoteID   string `json:"noteId,omitempty"`
	UserID   string `json:"userId,omitempty"` // who did it, or whom it was done to
	Reaction string `json:"reaction,omitempty"`
}

const (
	sqlAny   = `SELECT EXISTS (SELECT FROM webhook WHERE active)`
	sqlHooks = `SELECT id, user_id, events FROM webhook WHERE active AND user_id = ANY($1)`
	sqlNotes = `
SELECT n.id, n.user_id, n.is_pure_renote, n.reply_user_id, n.renote_user_id, n.mentions FROM note n WHERE n.id = ANY($1)`
)

// onChanges makes a job of everything that somebody wants to be told.
func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	var wanted bool
	if err := tx.QueryRow(ctx, sqlAny).Scan(&wanted); err != nil || !wanted {
		return err
	}
	list, err := s.events(ctx, tx, batch)
	if err != nil || len(list) == 0 {
		return err
	}
	var users []string
	for _, h := range list {
		users = append(users, h.to)
	}
	rows, err := tx.Query(ctx, sqlHooks, users)
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	hooks := map[string][]*Hook{}
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Hook, error) {
		h := &Hook{}
		err := r.Scan(&h.ID, &h.UserID, &h.On)
		hooks[h.UserID] = append(hooks[h.UserID], h)
		return h, err
	})
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	for _, e := range list {
		for _, h := range hooks[e.to] {
			if !slices.Contains(h.On, e.what.Type) {
				continue
			}
			if err := s.enqueue(ctx, tx, h.ID, e.what, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// events are what changes mean to whom.
func (s *Service) events(ctx context.Context, tx *pg.Tx, batch []log.Change) (out []happened, err error) {
	var ids []string
	for _, c := range batch {
		if c.Kind == "note.created" || c.Kind == "note.reacted" {
			ids = append(ids, c.ObjectID)
		}
	}
	notes, err := s.written(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	for _, c := range batch {
		n := notes[c.ObjectID]
		switch {
		case c.Kind == "note.created" && n != nil:
			out = append(out, n.events()...)
		case c.Kind == "note.reacted" && n != nil && n.author != c.ActorID:
			var d struct {
				Reaction string `json:"reaction"`
			}
			if err := c.Into(&d); err != nil {
				return nil, err
			}
			out = append(out, happened{n.author, what{Type: "reaction", NoteID: n.id, UserID: c.ActorID, Reaction: d.Reaction}})
		case c.Kind == "relation.followed":
			out = append(out, happened{c.ActorID, what{Type: "follow", UserID: c.ObjectID}}, happened{c.ObjectID, what{Type: "followed", UserID: c.ActorID}})
		case c.Kind == "relation.unfollowed":
			out = append(out, happened{c.ActorID, what{Type: "unfollow", UserID: c.ObjectID}})
		}
	}
	return out, nil
}

// noted is whom a note concerns.
type noted struct {
	id, author    string
	pure          bool
	reply, renote *string
	mentions      []string
}

func (s *Service) written(ctx context.Context, tx *pg.Tx, ids []string) (map[string]*noted, error) {
	out := map[string]*noted{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := tx.Query(ctx, sqlNotes, ids)
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*noted, error) {
		n := &noted{}
		return n, r.Scan(&n.id, &n.author, &n.pure, &n.reply, &n.renote, &n.mentions)
	})
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	for _, n := range list {
		out[n.id] = n
	}
	return out, nil
}

// events are what a note means: to who wrote it, whom it answers, renotes and mentions.
// One account is told in one way of one note, but for its own.
func (n *noted) events() []happened {
	out := []happened{{n.author, what{Type: "note", NoteID: n.id}}}
	told := map[string]bool{n.author: true}
	tell := func(user *string, typ string) {
		if user != nil && !told[*user] {
			told[*user] = true
			out = append(out, happened{*user, what{Type: typ, NoteID: n.id, UserID: n.author}})
		}
	}
	tell(n.renote, "renote")
	tell(n.reply, "reply")
	for i := range n.mentions {
		tell(&n.mentions[i], "mention")
	}
	return out
}
