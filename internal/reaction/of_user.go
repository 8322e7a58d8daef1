package reaction

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

type ofUserReq struct {
	api.Page
	UserID string `json:"userId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

var (
	errNotPublic = api.Err("REACTIONS_NOT_PUBLIC", "673a7dd2-6924-1093-e0c0-e68456ceae5c", "The account does not show what it reacted to.")
	errElsewhere = api.Err("IS_REMOTE_USER", "6b95fa98-8cf9-2350-e284-f0ffdb54a805", "Reactions of accounts elsewhere are not known here in full.")
)

// withNote is NoteReactionWithNote.
type withNote struct {
	Packed
	Note *note.Packed `json:"note"`
}

const sqlOfUser = `SELECT t.id, t.note_id, t.reaction FROM note_reaction t JOIN note n ON n.id = t.note_id`

// apiOfUser gives what an account reacted to, of the notes that the caller may
// and wants to see.
func (s *Service) apiOfUser(ctx context.Context, c *api.Call, req ofUserReq) ([]withNote, error) {
	u, err := s.Users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, errNotPublic
	}
	if err != nil {
		return nil, err
	}
	if !u.Local() {
		return nil, errElsewhere
	}
	profiles, err := s.Users.Profiles(ctx, []string{u.ID})
	if err != nil {
		return nil, err
	}
	if p := profiles[u.ID]; (p == nil || !p.PublicReactions) && !c.Is(u.ID) {
		return nil, errNotPublic
	}
	var w pg.Where
	w.And("t.user_id = ?", u.ID)
	note.See(&w, c.ID())
	order := req.Apply(&w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlOfUser+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("reactions of an account: %w", err)
	}
	var noteIDs []string
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (withNote, error) {
		var x withNote
		var noteID string
		err := r.Scan(&x.ID, &noteID, &x.Type)
		noteIDs = append(noteIDs, noteID)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("reactions of an account: %w", err)
	}
	lites, err := s.Users.LiteByIDs(ctx, []string{u.ID})
	if err != nil {
		return nil, err
	}
	packed, err := s.Notes.PackIDs(ctx, c.ID(), noteIDs)
	if err != nil {
		return nil, err
	}
	notes := map[string]*note.Packed{}
	for _, p := range packed {
		notes[p.ID] = p
	}
	out := make([]withNote, 0, len(list))
	for i, x := range list {
		at, err := s.IDs.Method().Time(x.ID)
		if err != nil {
			return nil, err
		}
		x.CreatedAt, x.User, x.Type, x.Note = api.Time(at), lites[u.ID], note.ShownReaction(x.Type), notes[noteIDs[i]]
		if x.Note != nil {
			out = append(out, x)
		}
	}
	return out, nil
}
