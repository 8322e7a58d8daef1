package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// Updated is emitted when a note has been edited.
type Updated struct {
	Note   *Note // as it is now
	Author *user.User
	Added  []*user.User // mentioned now and not before
}

// updatedData goes with "note.updated".
type updatedData struct {
	Visibility bool `json:"visibility,omitempty"` // it has changed
}

// edit is what becomes of a note.
type edit struct {
	text, cw   *string
	visibility string
	mentions   []*user.User
	tags       []string
	emojis     []string
	files      []string // nil: as they were
	at         time.Time
	editor     string
}

const (
	sqlEdited  = `SELECT ` + Columns + From + `WHERE n.id = $1 FOR NO KEY UPDATE OF n`
	sqlKeepOld = `INSERT INTO note_edit (note_id, text, cw, visibility, written_at, editor_id) VALUES ($1, $2, $3, $4, $5, $6)`
	sqlEdit    = `
UPDATE note SET text = $2, cw = $3, visibility = $4, mentions = $5, tags = $6, emojis = $7, file_ids = $8, audience_extra = $9, updated_at = $10 WHERE id = $1`
)

// update writes an edit in tx: the old version into the history, the new one
// over it, to those who have the note, and word of it to listeners and the
// change log. Nothing happens where nothing changes.
func (s *Service) update(ctx context.Context, tx *pg.Tx, author *user.User, noteID string, e *edit) error {
	rows, err := tx.Query(ctx, sqlEdited, noteID)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, Scan)
	if pg.NoRows(err) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if same(n.Text, e.text) && same(n.CW, e.cw) && n.Visibility == e.visibility && (e.files == nil || slices.Equal(n.FileIDs, e.files)) {
		return nil
	}
	written := s.CreatedAt(n)
	if n.UpdatedAt != nil {
		written = *n.UpdatedAt
	}
	if _, err := tx.Exec(ctx, sqlKeepOld, n.ID, n.Text, n.CW, n.Visibility, written, nilIfEmpty(e.editor)); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	had := n.Mentions
	moved := n.Visibility != e.visibility
	n.Text, n.CW, n.Visibility, n.Mentions, n.Tags, n.Emojis, n.UpdatedAt = e.text, e.cw, e.visibility, userIDs(e.mentions), orEmpty(e.tags), orEmpty(e.emojis), &e.at
	if e.files != nil {
		n.FileIDs = e.files
	}
	added := slices.DeleteFunc(slices.Clone(e.mentions), func(u *user.User) bool { return slices.Contains(had, u.ID) })
	extra := n.AudienceExtra
	if author.Local() && !n.LocalOnly {
		if extra, err = s.sendUpdate(ctx, tx, author, n, added); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, sqlEdit, n.ID, n.Text, n.CW, n.Visibility, n.Mentions, n.Tags, n.Emojis, n.FileIDs, extra, e.at); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if err := s.Log.Append(ctx, tx, "note.updated", n.ID, n.UserID, updatedData{Visibility: moved}); err != nil {
		return err
	}
	return s.Bus.Emit(ctx, tx, Updated{Note: n, Author: author, Added: added})
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sendUpdate tells those who have the note, and whom it mentions now; they
// have it from then on.
func (s *Service) sendUpdate(ctx context.Context, tx *pg.Tx, author *user.User, n *Note, added []*user.User) ([]int32, error) {
	doc, err := s.documentIn(ctx, tx, author, n)
	if err != nil {
		return nil, err
	}
	act := &ap.Activity{Context: ap.Context(), ID: s.URI(n) + "#updates/" + s.IDs.Now(), Type: "Update", Actor: s.Users.URI(author), To: doc.To, Cc: doc.Cc, Object: doc}
	body, err := json.Marshal(act)
	if err != nil {
		return nil, fmt.Errorf("render edit: %w", err)
	}
	to, err := s.whoHas(ctx, tx, n)
	if err != nil {
		return nil, err
	}
	var inboxes []delivery.Inbox
	for _, u := range added {
		if !u.Local() && u.Inbox != nil {
			inboxes = append(inboxes, u.Recipient())
		}
	}
	got, err := s.Delivery.Send(ctx, tx, delivery.Message{ActorID: author.ID, ActivityID: act.ID, Type: "Update", Object: s.URI(n), Body: body,
		Class: delivery.Fanout, To: to, Extra: inboxes})
	if err != nil || len(inboxes) == 0 {
		return n.AudienceExtra, err
	}
	extra := slices.Concat(n.AudienceExtra, got.Extra)
	slices.Sort(extra)
	return slices.Compact(extra), nil
}

type updateReq struct {
	NoteID     string          `json:"noteId" api:"required,id"`
	Text       *string         `json:"text" api:"optional,min=1,max=3000"`
	CW         api.Opt[string] `json:"cw" api:"nullable,max=100"`
	Visibility *string         `json:"visibility" api:"optional,enum=public|home|followers|specified"`
}

var (
	errUpdateNoNote = api.Err("NO_SUCH_NOTE", "490be23f-8c1f-4796-819f-94cb4f9d1630", "There is no such note.").WithStatus(http.StatusBadRequest)
	errUpdateAccess = api.Err("ACCESS_DENIED", "fe8d7103-0ea8-4ec3-814d-f8b401dc69e9", "That is not yours to change.").WithStatus(http.StatusBadRequest)
)

// apiUpdate edits a note. Its author changes text and warning; who may see it
// only moderators change, of anybody's notes, and nothing else of those.
func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	n, err := s.ByID(ctx, s.DB, req.NoteID)
	if err == nil && n.UserID != c.UserID && !c.IsModerator() {
		_, err = s.Seen(ctx, c.UserID, n.ID) // says nothing about notes one cannot see
	}
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errUpdateNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	if req.Text == nil && req.Visibility == nil && !req.CW.Set {
		return api.None{}, api.InvalidParam("#/anyOf", "must have something to change")
	}
	words := req.Text != nil || req.CW.Set
	moves := req.Visibility != nil && *req.Visibility != n.Visibility
	mine := n.UserID == c.UserID
	if n.IsPureRenote || words && !mine || moves && !c.IsModerator() || !mine && !c.IsModerator() {
		return api.None{}, errUpdateAccess
	}
	author, err := s.Users.ByID(ctx, n.UserID)
	if err != nil {
		return api.None{}, err
	}
	e, err := s.edited(ctx, author, n, &req)
	switch {
	case errors.Is(err, ErrProhibited):
		return api.None{}, errContainsWords
	case errors.Is(err, ErrMentions):
		return api.None{}, errTooManyMentions
	case err != nil:
		return api.None{}, err
	}
	e.editor = c.UserID
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.update(ctx, tx, author, n.ID, e) })
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errUpdateNoNote
	}
	return api.None{}, err
}

// edited makes the edit that a request asks for, by the rules of writing: what
// the text says is read out of it again.
func (s *Service) edited(ctx context.Context, author *user.User, n *Note, req *updateReq) (*edit, error) {
	e := &edit{text: n.Text, cw: n.CW, visibility: n.Visibility, tags: n.Tags, emojis: n.Emojis, at: s.clock().UTC()}
	users, err := s.Users.ByIDs(ctx, s.DB, slices.Concat(n.Mentions, n.VisibleUserIDs))
	if err != nil {
		return nil, err
	}
	named := func(ids []string) (out []*user.User) {
		for _, id := range ids {
			if u := users[id]; u != nil {
				out = append(out, u)
			}
		}
		return out
	}
	if req.Visibility != nil {
		e.visibility = *req.Visibility
	}
	e.mentions = named(n.Mentions)
	if req.Text == nil && !req.CW.Set {
		return e, nil
	}
	d := &Draft{Text: n.Text, CW: n.CW, Visibility: e.visibility, VisibleUsers: named(n.VisibleUserIDs)}
	if req.Text != nil {
		d.Text = req.Text
	}
	if req.CW.Set {
		d.CW = nil
		if !req.CW.Null {
			d.CW = &req.CW.V
		}
	}
	if err := s.loadTargets(ctx, n, d); err != nil {
		return nil, err
	}
	if err := s.normalize(ctx, author, d); err != nil {
		return nil, err
	}
	// Sensitive words narrow who sees a note, an edit never widens it.
	e.text, e.cw, e.visibility, e.tags, e.emojis, e.mentions = d.Text, d.CW, narrower(e.visibility, d.Visibility), d.Tags, d.Emojis, d.Mentions
	return e, nil
}

// loadTargets fills in what an existing note hangs on, for the rules.
func (s *Service) loadTargets(ctx context.Context, n *Note, d *Draft) error {
	for id, into := range map[*string]**Note{n.ReplyID: &d.Reply, n.RenoteID: &d.Renote} {
		if id == nil {
			continue
		}
		t, err := s.ByID(ctx, s.DB, *id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		*into = t
	}
	if !n.HasPoll {
		return nil
	}
	polls, _, err := s.loadPolls(ctx, s.DB, "", []string{n.ID})
	d.Poll = polls[n.ID]
	return err
}
