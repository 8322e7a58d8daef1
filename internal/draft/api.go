package draft

import (
	"context"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errNoDraft     = api.Err("NO_SUCH_NOTE_DRAFT", "49cd6b9d-848e-41ee-b0b9-adaca711a6b1", "There is no such draft.")
	errTooMany     = api.Err("TOO_MANY_DRAFTS", "9ee33bbe-fde3-4c71-9b51-e50492c6b9c8", "No more drafts can be kept.")
	errTooManySet  = api.Err("TOO_MANY_SCHEDULED_NOTES", "22ae69eb-09e3-4541-a850-773cfa45e693", "No more notes can be scheduled.")
	errWhenMissing = api.Err("SCHEDULED_AT_REQUIRED", "15e28a55-e74c-4d65-89b7-8880cdaaa87d", "It has to be said when the note is to be posted.")
	errWhenPast    = api.Err("SCHEDULED_AT_MUST_BE_IN_FUTURE", "e4bed6c9-017e-4934-aed0-01c22cc60ec1", "A note can be posted in the future only.")
)

// refusals are the errors of writing a draft.
func refusals() []*api.Error {
	return append(note.Refusals(), errTooMany, errTooManySet, errWhenMissing, errWhenPast)
}

type createReq struct {
	Visibility         string   `json:"visibility" api:"enum=public|home|followers|specified,default=public"`
	VisibleUserIDs     []string `json:"visibleUserIds" api:"unique,items-id"`
	CW                 *string  `json:"cw" api:"nullable,min=1,max=100"`
	Hashtag            *string  `json:"hashtag" api:"nullable,max=200"`
	LocalOnly          bool     `json:"localOnly" api:"default=false"`
	ReactionAcceptance *string  `json:"reactionAcceptance" api:"nullable,enum=likeOnly|likeOnlyForRemote|nonSensitiveOnly|nonSensitiveOnlyForLocalLikeOnlyForRemote"`
	ReplyID            *string  `json:"replyId" api:"nullable,id"`
	RenoteID           *string  `json:"renoteId" api:"nullable,id"`
	ChannelID          *string  `json:"channelId" api:"nullable,id"`
	Text               *string  `json:"text" api:"nullable,max=3000"`
	FileIDs            []string `json:"fileIds" api:"unique,max=16,items-id"`
	Poll               *poll    `json:"poll" api:"nullable"`
	ScheduledAt        *int64   `json:"scheduledAt" api:"nullable"` // ms since 1970
	Scheduled          bool     `json:"isActuallyScheduled" api:"default=false"`
}

type createRes struct {
	CreatedDraft *Packed `json:"createdDraft"`
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*createRes, error) {
	d := &Draft{ID: s.ids.Now(), UserID: c.UserID, Text: req.Text, CW: req.CW, Visibility: req.Visibility, VisibleUserIDs: req.VisibleUserIDs, LocalOnly: req.LocalOnly,
		ReactionAcceptance: req.ReactionAcceptance, Hashtag: req.Hashtag, ReplyID: req.ReplyID, RenoteID: req.RenoteID, ChannelID: req.ChannelID, FileIDs: req.FileIDs,
		Poll: req.Poll, ScheduledAt: moment(req.ScheduledAt), Scheduled: req.Scheduled}
	if err := s.check(ctx, d); err != nil {
		return nil, err
	}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.room(ctx, tx, d, true); err != nil {
			return err
		}
		args, err := d.args()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlInsert, args...); err != nil {
			return fmt.Errorf("create draft: %w", err)
		}
		return s.schedule(ctx, tx, d)
	})
	if err != nil {
		return nil, err
	}
	packed, err := s.Pack(ctx, c.UserID, []*Draft{d})
	if err != nil {
		return nil, err
	}
	return &createRes{packed[0]}, nil
}

func moment(ms *int64) *time.Time {
	if ms == nil {
		return nil
	}
	t := time.UnixMilli(*ms)
	return &t
}

// check looks at what a draft refers to. One that is to post itself has to be a note
// already; another only must not name what its author cannot have.
func (s *Service) check(ctx context.Context, d *Draft) error {
	author, err := s.users.ByID(ctx, d.UserID)
	if err != nil {
		return err
	}
	w := d.writing()
	if !d.Scheduled {
		w.Poll = nil
		if blank := w.Text == nil || *w.Text == ""; blank && w.RenoteID == nil && len(w.FileIDs) == 0 {
			text := "."
			w.Text = &text // it may be written later
		}
	}
	switch {
	case !d.Scheduled:
	case d.ScheduledAt == nil:
		return errWhenMissing
	case !d.ScheduledAt.After(s.now()):
		return errWhenPast
	case d.Poll != nil && len(d.Poll.Choices) < 2:
		return api.InvalidParam("#/properties/poll/properties/choices/minItems", "a poll has two choices at least")
	}
	return s.notes.Check(ctx, author, w)
}

const (
	sqlOwner = `SELECT 1 FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlCount = `SELECT count(*), count(*) FILTER (WHERE is_scheduled AND id <> $2) FROM note_draft WHERE user_id = $1`
)

// room refuses more drafts than the author's role allows.
func (s *Service) room(ctx context.Context, tx *pg.Tx, d *Draft, more bool) error {
	policies, err := s.roles.Of(ctx, d.UserID)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlOwner, d.UserID); err != nil { // one at a time
		return fmt.Errorf("draft: %w", err)
	}
	var all, scheduled int
	if err := tx.QueryRow(ctx, sqlCount, d.UserID, d.ID).Scan(&all, &scheduled); err != nil {
		return fmt.Errorf("count drafts: %w", err)
	}
	switch {
	case more && all >= policies.NoteDraftLimit:
		return errTooMany
	case d.Scheduled && scheduled >= policies.ScheduledNoteLimit:
		return errTooManySet
	}
	return nil
}

type updateReq struct {
	DraftID            string            `json:"draftId" api:"required,id"`
	Visibility         api.Opt[string]   `json:"visibility" api:"enum=public|home|followers|specified"`
	VisibleUserIDs     api.Opt[[]string] `json:"visibleUserIds" api:"unique,items-id"`
	CW                 api.Opt[string]   `json:"cw" api:"nullable,min=1,max=100"`
	Hashtag            api.Opt[string]   `json:"hashtag" api:"nullable,max=200"`
	LocalOnly          api.Opt[bool]     `json:"localOnly"`
	ReactionAcceptance api.Opt[string]   `json:"reactionAcceptance" api:"nullable,enum=likeOnly|likeOnlyForRemote|nonSensitiveOnly|nonSensitiveOnlyForLocalLikeOnlyForRemote"`
	ReplyID            api.Opt[string]   `json:"replyId" api:"nullable,id"`
	RenoteID           api.Opt[string]   `json:"renoteId" api:"nullable,id"`
	ChannelID          api.Opt[string]   `json:"channelId" api:"nullable,id"`
	Text               api.Opt[string]   `json:"text" api:"nullable,max=3000"`
	FileIDs            api.Opt[[]string] `json:"fileIds" api:"unique,max=16,items-id"`
	Poll               api.Opt[poll]     `json:"poll" api:"nullable"`
	ScheduledAt        api.Opt[int64]    `json:"scheduledAt" api:"nullable"`
	Scheduled          api.Opt[bool]     `json:"isActuallyScheduled"`
}

// set changes what was given.
func set[T any](to *T, o api.Opt[T]) {
	if o.Set && !o.Null {
		*to = o.V
	}
}

// setOr changes what was given, also to nothing.
func setOr[T any](to **T, o api.Opt[T]) {
	if o.Set {
		if *to = nil; !o.Null {
			v := o.V
			*to = &v
		}
	}
}

func (r *updateReq) apply(d *Draft) {
	set(&d.Visibility, r.Visibility)
	set(&d.VisibleUserIDs, r.VisibleUserIDs)
	setOr(&d.CW, r.CW)
	setOr(&d.Hashtag, r.Hashtag)
	set(&d.LocalOnly, r.LocalOnly)
	setOr(&d.ReactionAcceptance, r.ReactionAcceptance)
	setOr(&d.ReplyID, r.ReplyID)
	setOr(&d.RenoteID, r.RenoteID)
	setOr(&d.ChannelID, r.ChannelID)
	setOr(&d.Text, r.Text)
	set(&d.FileIDs, r.FileIDs)
	setOr(&d.Poll, r.Poll)
	if r.ScheduledAt.Set {
		var ms *int64
		setOr(&ms, r.ScheduledAt)
		d.ScheduledAt = moment(ms)
	}
	set(&d.Scheduled, r.Scheduled)
}

type updateRes struct {
	UpdatedDraft *Packed `json:"updatedDraft"`
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*updateRes, error) {
	// What it refers to is looked at before the transaction, and again when it is posted.
	d, err := s.changed(ctx, s.db, sqlOwn, c.UserID, &req)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, d); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		if d, err = s.changed(ctx, tx, sqlLocked, c.UserID, &req); err != nil {
			return err
		}
		if err := s.room(ctx, tx, d, false); err != nil {
			return err
		}
		args, err := d.args()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlUpdate, args...); err != nil {
			return fmt.Errorf("update draft: %w", err)
		}
		return s.schedule(ctx, tx, d)
	})
	if err != nil {
		return nil, err
	}
	packed, err := s.Pack(ctx, c.UserID, []*Draft{d})
	if err != nil {
		return nil, err
	}
	return &updateRes{packed[0]}, nil
}

// changed is an account's draft as it would be after an update.
func (s *Service) changed(ctx context.Context, q pg.Q, sql, userID string, req *updateReq) (*Draft, error) {
	found, err := query(ctx, q, sql, req.DraftID, userID)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errNoDraft
	}
	req.apply(found[0])
	return found[0], nil
}

const sqlDelete = `DELETE FROM note_draft WHERE id = $1 AND user_id = $2`

type deleteReq struct {
	DraftID string `json:"draftId" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	tag, err := s.db.Exec(ctx, sqlDelete, req.DraftID, c.UserID)
	if err != nil {
		return api.None{}, fmt.Errorf("delete draft: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errNoDraft
	}
	return api.None{}, nil
}

type listReq struct {
	api.Page
	Limit     int   `json:"limit" api:"min=1,max=100,default=30"`
	Scheduled *bool `json:"scheduled" api:"optional,nullable"` // null: all
}

const sqlList = `SELECT ` + cols + ` FROM note_draft t`

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*Packed, error) {
	var w pg.Where
	w.And("t.user_id = ?", c.UserID)
	if req.Scheduled != nil {
		w.And("t.is_scheduled = ?", *req.Scheduled)
	}
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	drafts, err := query(ctx, s.db, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	return s.Pack(ctx, c.UserID, drafts)
}

const sqlHowMany = `SELECT count(*) FROM note_draft WHERE user_id = $1`

// apiCount tells how many drafts there are.
func (s *Service) apiCount(ctx context.Context, c *api.Call, _ struct{}) (n int, err error) {
	if err := s.db.QueryRow(ctx, sqlHowMany, c.UserID).Scan(&n); err != nil {
		return 0, fmt.Errorf("count drafts: %w", err)
	}
	return n, nil
}
