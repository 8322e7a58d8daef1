package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

type pinReq struct {
	NoteID string `json:"noteId" api:"required,id"`
}

var (
	errPinNoNote   = api.Err("NO_SUCH_NOTE", "56734f8b-3928-431e-bf80-6ff87df40cb3", "You have no such note.")
	errPinLimit    = api.Err("PIN_LIMIT_EXCEEDED", "72dab508-c64d-498f-8740-a8eec1ba385a", "You have pinned as many notes as you may.")
	errPinAlready  = api.Err("ALREADY_PINNED", "8b18c2b7-68fe-4edb-9892-c0cbaeb6c913", "The note is pinned already.")
	errUnpinNoNote = api.Err("NO_SUCH_NOTE", "454170ce-9d63-4a43-9da1-ea10afe81e21", "You have no such note.")
)

const (
	sqlPinLock  = `SELECT FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlPinCount = `SELECT count(*), count(*) FILTER (WHERE note_id = $2) > 0 FROM user_note_pining WHERE user_id = $1`
	sqlPin      = `INSERT INTO user_note_pining (id, user_id, note_id) VALUES ($1, $2, $3) ON CONFLICT (user_id, note_id) DO NOTHING`
	sqlUnpin    = `DELETE FROM user_note_pining WHERE user_id = $1 AND note_id = $2`
)

// apiPin pins a note of the caller's own to the profile.
func (s *Service) apiPin(ctx context.Context, c *api.Call, req pinReq) (*user.Detailed, error) {
	n, err := s.ownNote(ctx, c, req.NoteID, errPinNoNote)
	if err != nil {
		return nil, err
	}
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	return s.pinning(ctx, c, func(tx *pg.Tx, me *user.User) error {
		if _, err := tx.Exec(ctx, sqlPinLock, me.ID); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
		if err := s.notes.Keep(ctx, tx, n.ID); errors.Is(err, note.ErrNotFound) {
			return errPinNoNote
		} else if err != nil {
			return err
		}
		var pinned int
		var already bool
		if err := tx.QueryRow(ctx, sqlPinCount, me.ID, n.ID).Scan(&pinned, &already); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
		switch {
		case already:
			return errPinAlready
		case pinned >= policies.PinLimit:
			return errPinLimit
		}
		if _, err := tx.Exec(ctx, sqlPin, s.ids.Now(), me.ID, n.ID); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
		return s.tellPin(ctx, tx, me, n, "Add")
	})
}

func (s *Service) apiUnpin(ctx context.Context, c *api.Call, req pinReq) (*user.Detailed, error) {
	n, err := s.ownNote(ctx, c, req.NoteID, errUnpinNoNote)
	if err != nil {
		return nil, err
	}
	return s.pinning(ctx, c, func(tx *pg.Tx, me *user.User) error {
		tag, err := tx.Exec(ctx, sqlUnpin, me.ID, n.ID)
		if err != nil {
			return fmt.Errorf("unpin: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return s.tellPin(ctx, tx, me, n, "Remove")
	})
}

func (s *Service) ownNote(ctx context.Context, c *api.Call, noteID string, missing *api.Error) (*note.Note, error) {
	n, err := s.notes.ByID(ctx, s.db, noteID)
	if errors.Is(err, note.ErrNotFound) || err == nil && n.UserID != c.UserID {
		return nil, missing
	}
	return n, err
}

func (s *Service) pinning(ctx context.Context, c *api.Call, do func(tx *pg.Tx, me *user.User) error) (*user.Detailed, error) {
	me, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if err := s.db.Tx(ctx, func(tx *pg.Tx) error { return do(tx, me) }); err != nil {
		return nil, err
	}
	return s.users.PackMe(ctx, me, c.Native())
}

// tellPin tells followers' servers of a pin: of notes only that they could
// fetch.
func (s *Service) tellPin(ctx context.Context, tx *pg.Tx, me *user.User, n *note.Note, typ string) error {
	if n.LocalOnly || n.Visibility != note.Public && n.Visibility != note.Home {
		return nil
	}
	followers, err := s.relations.FollowerInboxes(ctx, tx, me.ID)
	if err != nil || len(followers) == 0 {
		return err
	}
	uri := s.users.URI(me)
	act := &ap.Activity{Context: ap.Context(), ID: uri + "#pins/" + s.ids.Now(), Type: typ, Actor: uri, Object: s.notes.URI(n), Target: uri + "/collections/featured"}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render %s: %w", typ, err)
	}
	_, err = s.delivery.Send(ctx, tx, delivery.Message{ActorID: me.ID, ActivityID: act.ID, Type: typ, Object: "pin:" + s.notes.URI(n), Body: body,
		Class: delivery.Background, Audience: followers})
	return err
}

// maxRemotePins are kept of a remote account.
const maxRemotePins = 5

// pinOf reads an Add or Remove of the sender's own featured collection; nil
// for what else may be added to.
func (s *Service) pinOf(ctx context.Context, tx *pg.Tx, a *inbox.Activity) (*note.Note, error) {
	actor, err := s.users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return nil, err
	}
	if actor.Featured == nil || a.Object.Ref("target") != *actor.Featured {
		return nil, inbox.Drop("not the sender's pinned notes")
	}
	uri := a.Object.Ref("object")
	n, err := s.notes.ByURI(ctx, tx, uri)
	if errors.Is(err, note.ErrNotFound) {
		if a.Object.Is("Remove") || !ap.SameHost(uri, a.Actor) {
			return nil, inbox.Drop("no such note of the sender")
		}
		return nil, inbox.Needs{URI: uri}
	}
	if err == nil && n.UserID != a.ActorID {
		return nil, inbox.Drop("another's note")
	}
	return n, err
}

func (s *Service) onAdd(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	n, err := s.pinOf(ctx, tx, a)
	if err != nil {
		return err
	}
	if n.Visibility != note.Public && n.Visibility != note.Home {
		return inbox.Drop("not a public note")
	}
	if _, err := tx.Exec(ctx, sqlPinLock, n.UserID); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	var pinned int
	var already bool
	if err := tx.QueryRow(ctx, sqlPinCount, n.UserID, n.ID).Scan(&pinned, &already); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	if already || pinned >= maxRemotePins {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlPin, s.ids.Now(), n.UserID, n.ID); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

func (s *Service) onRemove(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	n, err := s.pinOf(ctx, tx, a)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlUnpin, n.UserID, n.ID); err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	return nil
}
