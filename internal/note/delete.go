package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

const (
	sqlLockNote    = `SELECT FROM note WHERE id = $1 FOR UPDATE`
	sqlDelete      = `DELETE FROM note WHERE id = $1`
	sqlHolders     = `SELECT endpoint_id FROM note_holder WHERE note_id = $1`
	sqlPureRenotes = `SELECT ` + Columns + From + `WHERE n.renote_id = $1 AND n.is_pure_renote ORDER BY n.id LIMIT 1000`
)

// deletedData goes with "note.deleted".
type deletedData struct {
	Host    *string `json:"host,omitempty"`
	Server  *string `json:"server,omitempty"` // authority of the author's server
	Reply   string  `json:"reply,omitempty"`
	Renote  string  `json:"renote,omitempty"`
	Files   bool    `json:"files,omitempty"`
	Channel string  `json:"channelId,omitempty"`
}

func deletedOf(n *Note, author *user.User) deletedData {
	return deletedData{Host: n.UserHost, Server: author.ActorHost, Reply: deref(n.ReplyID), Renote: deref(n.RenoteID), Files: len(n.FileIDs) > 0,
		Channel: deref(n.ChannelID)}
}

// Delete removes a note in tx and tells those who hold it. Renotes of it that
// say nothing of their own go too; replies and quotes stay, and point to
// nothing.
func (s *Service) Delete(ctx context.Context, tx *pg.Tx, author *user.User, n *Note) error {
	if _, err := tx.Exec(ctx, sqlLockNote, n.ID); err != nil {
		return fmt.Errorf("lock note: %w", err)
	}
	for {
		renotes, err := s.pureRenotes(ctx, tx, n.ID)
		if err != nil {
			return err
		}
		if len(renotes) == 0 {
			break
		}
		for _, r := range renotes {
			by, err := s.Users.ByIDIn(ctx, tx, r.UserID)
			if err != nil {
				return err
			}
			if err := s.deleteOne(ctx, tx, by, r); err != nil {
				return err
			}
		}
	}
	return s.deleteOne(ctx, tx, author, n)
}

func (s *Service) pureRenotes(ctx context.Context, tx *pg.Tx, noteID string) ([]*Note, error) {
	rows, err := tx.Query(ctx, sqlPureRenotes, noteID)
	if err != nil {
		return nil, fmt.Errorf("renotes: %w", err)
	}
	list, err := pgx.CollectRows(rows, Scan)
	if err != nil {
		return nil, fmt.Errorf("renotes: %w", err)
	}
	return list, nil
}

func (s *Service) deleteOne(ctx context.Context, tx *pg.Tx, author *user.User, n *Note) error {
	if n.Local() && !n.LocalOnly {
		if err := s.sendDelete(ctx, tx, author, n); err != nil {
			return err
		}
	}
	if err := s.Bus.Emit(ctx, tx, Deleted{AuthorID: n.UserID, IDs: []string{n.ID}}); err != nil {
		return err
	}
	if err := s.countTargetsBy(ctx, tx, n, author.IsBot, -1); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, sqlDelete, n.ID)
	if err != nil {
		return fmt.Errorf("delete note: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	if err := s.Users.Count(ctx, tx, n.UserID, -1, 0, 0); err != nil {
		return err
	}
	return s.Log.Append(ctx, tx, "note.deleted", n.ID, n.UserID, deletedOf(n, author))
}

func (n *Note) recipients() *delivery.Recipients {
	return &delivery.Recipients{AudienceID: n.AudienceID, Extra: n.AudienceExtra}
}

// sendDelete tells exactly those who got the note, and for public and home
// notes those who are known to hold it besides. A followers-only or direct
// note's deletion goes to nobody who did not get it.
func (s *Service) sendDelete(ctx context.Context, tx *pg.Tx, author *user.User, n *Note) error {
	uri := s.URI(n)
	act, err := s.deletion(ctx, tx, author, n)
	if err != nil {
		return err
	}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render deletion: %w", err)
	}
	to, err := s.whoHas(ctx, tx, n)
	if err != nil {
		return err
	}
	if err := s.Delivery.BlankUnsent(ctx, tx, uri); err != nil {
		return err
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: author.ID, ActivityID: act.ID, Type: act.Type, Object: uri, Body: body,
		Class: delivery.Fanout, To: to})
	return err
}

// whoHas is where a local note went and where else it is known to be.
func (s *Service) whoHas(ctx context.Context, tx *pg.Tx, n *Note) (*delivery.Recipients, error) {
	to := n.recipients()
	if n.Visibility != Public && n.Visibility != Home {
		return to, nil
	}
	rows, err := tx.Query(ctx, sqlHolders, n.ID)
	if err != nil {
		return nil, fmt.Errorf("note holders: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, fmt.Errorf("note holders: %w", err)
	}
	to.Extra = append(append([]int32{}, to.Extra...), held...)
	return to, nil
}

type deleteReq struct {
	NoteID string `json:"noteId" api:"required,id"`
}

var (
	errDeleteNoNote = api.Err("NO_SUCH_NOTE", "490be23f-8c1f-4796-819f-94cb4f9d1630", "There is no such note.")
	errDeleteAccess = api.Err("ACCESS_DENIED", "fe8d7103-0ea8-4ec3-814d-f8b401dc69e9", "The note is not yours.")
)

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	n, err := s.ByID(ctx, s.DB, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errDeleteNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	if n.UserID != c.UserID && !c.IsModerator() {
		if _, err := s.Seen(ctx, c.UserID, n.ID); errors.Is(err, ErrNotFound) {
			return api.None{}, errDeleteNoNote // says nothing about notes one cannot see
		}
		return api.None{}, errDeleteAccess
	}
	author, err := s.Users.ByID(ctx, n.UserID)
	if err != nil {
		return api.None{}, err
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Delete(ctx, tx, author, n) })
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errDeleteNoNote
	}
	return api.None{}, err
}

const sqlMyRenotes = `SELECT ` + Columns + From + `WHERE n.renote_id = $1 AND n.user_id = $2 AND n.is_pure_renote ORDER BY n.id LIMIT 100`

var errUnrenoteNoNote = api.Err("NO_SUCH_NOTE", "efd4a259-2442-496b-8dd7-b255aa1a160f", "There is no such note.")

// apiUnrenote takes back the caller's renotes of a note. Quotes stay: they say
// something.
func (s *Service) apiUnrenote(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	if _, err := s.Seen(ctx, c.UserID, req.NoteID); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = errUnrenoteNoNote
		}
		return api.None{}, err
	}
	me, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlMyRenotes, req.NoteID, c.UserID)
		if err != nil {
			return fmt.Errorf("renotes: %w", err)
		}
		list, err := pgx.CollectRows(rows, Scan)
		if err != nil {
			return fmt.Errorf("renotes: %w", err)
		}
		for _, n := range list {
			if err := s.Delete(ctx, tx, me, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// purgeArgs asks to remove the notes of an account that is gone.
type purgeArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (purgeArgs) Kind() string { return "note.purge" }

const sqlSomeOf = `SELECT n.id FROM note n WHERE n.user_id = $1 ORDER BY n.id LIMIT 100`

// workPurge removes notes in small transactions until none is left; run again
// it goes on where it was.
func (s *Service) workPurge(ctx context.Context, a purgeArgs) error {
	for {
		author, err := s.Users.ByID(ctx, a.UserID)
		if errors.Is(err, user.ErrNotFound) || err == nil && !author.IsDeleted {
			return nil // it has come back
		}
		if err != nil {
			return err
		}
		rows, err := s.DB.Query(ctx, sqlSomeOf, a.UserID)
		if err != nil {
			return fmt.Errorf("notes to purge: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(ids) == 0 {
			return err
		}
		err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
			_, err := s.DeleteBatch(ctx, tx, author, ids, 0)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// onChanges tells those who captured a note of votes and of its end; who
// captured one that its author has withdrawn hears no more.
func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		switch c.Kind {
		case "note.deleted":
			s.Hub.Publish(stream.NoteTopic(c.ObjectID), stream.Event{Type: "deleted", Body: map[string]any{"deletedAt": api.Time(c.At)}})
		case "user.guarded":
			s.Hub.RecheckAll()
		case "note.updated":
			if err := s.publishUpdate(ctx, c); err != nil {
				return err
			}
		case "note.voted":
			var d votedData
			if err := c.Into(&d); err != nil {
				return err
			}
			s.Hub.Publish(stream.NoteTopic(c.ObjectID), stream.Event{Type: "pollVoted", Body: voted{Choice: d.Choice}})
		}
	}
	return nil
}

// updatedEvent is the event of an edit, as the fork's clients know it.
type updatedEvent struct {
	Text       *string  `json:"text"`
	CW         *string  `json:"cw"`
	Visibility string   `json:"visibility"`
	UpdatedAt  api.Time `json:"updatedAt"`
}

// publishUpdate tells those who captured a note and may see it now.
func (s *Service) publishUpdate(ctx context.Context, c log.Change) error {
	topic := stream.NoteTopic(c.ObjectID)
	if !s.Hub.Heard(topic) {
		return nil
	}
	// Always: what its author withdraws with age is seen by fewer without anything
	// being said.
	s.Hub.Publish(topic, stream.RecheckNote{})
	n, err := s.ByID(ctx, s.DB, c.ObjectID)
	if errors.Is(err, ErrNotFound) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	at := c.At
	if n.UpdatedAt != nil {
		at = *n.UpdatedAt
	}
	s.Hub.Publish(topic, stream.Event{Type: "updated", Body: updatedEvent{Text: n.Text, CW: n.CW, Visibility: n.Visibility, UpdatedAt: api.Time(at)}})
	return nil
}

// voted is the event of a vote. Who voted is not told: everybody who captured
// the note hears it.
type voted struct {
	Choice int    `json:"choice"`
	UserID string `json:"userId"` // always empty
}
