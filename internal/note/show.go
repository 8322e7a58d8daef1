package note

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

type noteReq struct {
	NoteID string `json:"noteId" api:"required,id"`
}

var (
	errShowNoNote         = api.Err("NO_SUCH_NOTE", "24fcbfc6-2e37-42b6-8388-c29b3861a08d", "There is no such note.")
	errConversationNoNote = api.Err("NO_SUCH_NOTE", "e1035875-9551-45ec-afa8-1ded1fcb53c8", "There is no such note.")
	errRenotesNoNote      = api.Err("NO_SUCH_NOTE", "12908022-2e21-46cd-ba6a-3edaf6093f46", "There is no such note.")
	errStateNoNote        = api.Err("NO_SUCH_NOTE", "24fcbfc6-2e37-42b6-8388-c29b3861a08d", "There is no such note.").WithStatus(http.StatusNotFound)
)

// apiShow gives a note that the caller may not see as a blank with isHidden, as
// clients expect of Misskey.
func (s *Service) apiShow(ctx context.Context, c *api.Call, req noteReq) (*Packed, error) {
	n, err := s.ByID(ctx, s.DB, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		n, err = s.successor(ctx, req.NoteID)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, errShowNoNote
	}
	if err != nil {
		return nil, err
	}
	list, err := s.Pack(ctx, c.ID(), []*Note{n})
	if err != nil {
		return nil, err
	}
	if c.ID() != "" && !list[0].IsHidden {
		if err := s.refreshPoll(ctx, n); err != nil && ctx.Err() == nil {
			s.Slog.Warn("refresh poll", "note", n.ID, "err", err) // the note is there all the same
		}
	}
	return list[0], nil
}

const sqlSuccessor = `SELECT new_id FROM redirect WHERE kind = 'note' AND old_id = $1`

// successor reads the note that another has become part of; ErrNotFound when there
// is none.
func (s *Service) successor(ctx context.Context, id string) (*Note, error) {
	var now string
	err := s.DB.QueryRow(ctx, sqlSuccessor, id).Scan(&now)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("successor of a note: %w", err)
	}
	return s.ByID(ctx, s.DB, now)
}

type stateRes struct {
	IsFavorited   bool `json:"isFavorited"`
	IsMutedThread bool `json:"isMutedThread"`
}

const sqlState = `SELECT EXISTS (SELECT FROM note_favorite WHERE user_id = $1 AND note_id = $2),
	EXISTS (SELECT FROM note_thread_muting WHERE user_id = $1 AND thread_id = $3)`

func (s *Service) apiState(ctx context.Context, c *api.Call, req noteReq) (*stateRes, error) {
	n, err := s.Seen(ctx, c.UserID, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		return nil, errStateNoNote
	}
	if err != nil {
		return nil, err
	}
	res := &stateRes{}
	if err := s.DB.QueryRow(ctx, sqlState, c.UserID, n.ID, n.Thread()).Scan(&res.IsFavorited, &res.IsMutedThread); err != nil {
		return nil, fmt.Errorf("state of note: %w", err)
	}
	return res, nil
}

// threadReq asks for notes around one.
type threadReq struct {
	api.Page
	NoteID string `json:"noteId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

// sqlThread finds ids first: the conditions see only the note's own row.
const sqlThread = `SELECT n.id FROM note n`

// apiChildren gives replies and quotes of a note.
func (s *Service) apiChildren(ctx context.Context, c *api.Call, req threadReq) ([]*Packed, error) {
	var w pg.Where
	w.And("(n.reply_id = ? OR (n.renote_id = ? AND NOT n.is_pure_renote))", req.NoteID, req.NoteID)
	return s.list(ctx, c, &w, req.Page, req.Limit)
}

// apiReplies gives replies to a note.
func (s *Service) apiReplies(ctx context.Context, c *api.Call, req threadReq) ([]*Packed, error) {
	var w pg.Where
	w.And("n.reply_id = ?", req.NoteID)
	return s.list(ctx, c, &w, req.Page, req.Limit)
}

// apiRenotes gives renotes and quotes of a note.
func (s *Service) apiRenotes(ctx context.Context, c *api.Call, req threadReq) ([]*Packed, error) {
	if _, err := s.Seen(ctx, c.ID(), req.NoteID); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = errRenotesNoNote
		}
		return nil, err
	}
	var w pg.Where
	w.And("n.renote_id = ?", req.NoteID)
	return s.list(ctx, c, &w, req.Page, req.Limit)
}

// list gives a page of the notes under the conditions that the caller may and
// wants to see.
func (s *Service) list(ctx context.Context, c *api.Call, w *pg.Where, p api.Page, limit int) ([]*Packed, error) {
	See(w, c.ID())
	return s.Page(ctx, c.ID(), sqlThread, w, p, limit)
}

// Page runs a statement that gives ids of notes as n.id and packs one page of
// them.
func (s *Service) Page(ctx context.Context, viewerID, base string, w *pg.Where, p api.Page, limit int) ([]*Packed, error) {
	since, until, asc := p.Bounds(s.IDs.Method())
	if since != "" {
		w.And("n.id > ?", since)
	}
	if until != "" {
		w.And("n.id < ?", until)
	}
	order := " ORDER BY n.id DESC"
	if asc {
		order = " ORDER BY n.id ASC"
	}
	notes, err := s.RowsOf(ctx, base+w.SQL()+order+pg.Limit(limit), w.Args, asc)
	if err != nil {
		return nil, err
	}
	return s.Pack(ctx, viewerID, notes)
}

const sqlRowsOf = `SELECT ` + Columns + ` FROM (%s) page JOIN note n ON n.id = page.id JOIN note_stat ns ON ns.note_id = n.id ORDER BY n.id `

// RowsOf reads the notes whose ids a statement gives as id, in the order of
// ids.
func (s *Service) RowsOf(ctx context.Context, ids string, args []any, asc bool) ([]*Note, error) {
	order := "DESC"
	if asc {
		order = "ASC"
	}
	return s.Rows(ctx, fmt.Sprintf(sqlRowsOf, ids)+order, args...)
}

// Rows reads the notes that a statement gives with Columns.
func (s *Service) Rows(ctx context.Context, sql string, args ...any) ([]*Note, error) {
	rows, err := s.DB.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list of notes: %w", err)
	}
	notes, err := pgx.CollectRows(rows, Scan)
	if err != nil {
		return nil, fmt.Errorf("list of notes: %w", err)
	}
	return notes, nil
}

// PackIDs reads and packs notes in the order of their ids; missing ones are
// missing.
func (s *Service) PackIDs(ctx context.Context, viewerID string, ids []string) ([]*Packed, error) {
	found, err := s.ByIDs(ctx, s.DB, ids)
	if err != nil {
		return nil, err
	}
	notes := make([]*Note, 0, len(ids))
	for _, id := range ids {
		if n := found[id]; n != nil {
			notes = append(notes, n)
		}
	}
	return s.Pack(ctx, viewerID, notes)
}

type conversationReq struct {
	NoteID string `json:"noteId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
	Offset int    `json:"offset" api:"min=0,default=0"`
}

// The walk up a thread ends after a thousand steps, or where a note is gone.
const sqlAncestors = `
WITH RECURSIVE up AS (
	SELECT reply_id AS id, 1 AS step FROM note WHERE id = $1
	UNION ALL
	SELECT n.reply_id, up.step + 1 FROM up JOIN note n ON n.id = up.id WHERE up.step < 1000
)
SELECT up.id FROM up JOIN note n ON n.id = up.id ORDER BY step LIMIT $2 OFFSET $3`

// apiConversation gives what a note replies to, nearest first.
func (s *Service) apiConversation(ctx context.Context, c *api.Call, req conversationReq) ([]*Packed, error) {
	if _, err := s.Seen(ctx, c.ID(), req.NoteID); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = errConversationNoNote
		}
		return nil, err
	}
	rows, err := s.DB.Query(ctx, sqlAncestors, req.NoteID, req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("conversation: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("conversation: %w", err)
	}
	return s.PackIDs(ctx, c.ID(), ids)
}

// RepliesForGuests are replies to a note, for its page.
func (s *Service) RepliesForGuests(ctx context.Context, noteID string, limit int) ([]*Packed, error) {
	return s.apiReplies(ctx, &api.Call{}, threadReq{NoteID: noteID, Limit: limit})
}
