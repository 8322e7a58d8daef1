package notification

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/draft"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Packed is a notification as clients see it.
type Packed struct {
	ID        string       `json:"id"`
	CreatedAt api.Time     `json:"createdAt"`
	Type      string       `json:"type"`
	IsRead    bool         `json:"isRead"`
	UserID    *string      `json:"userId,omitempty"`
	User      *user.Lite   `json:"user,omitempty"`
	Note      *note.Packed `json:"note,omitempty"`
	Reaction  *string      `json:"reaction,omitempty"`

	Achievement string        `json:"achievement,omitempty"`
	Exported    string        `json:"exportedEntity,omitempty"`
	FileID      string        `json:"fileId,omitempty"`
	NoteDraft   *draft.Packed `json:"noteDraft,omitempty"`
	Role        *role.Packed  `json:"role,omitempty"`
	*appData                  // of an app's own

	Reactions []reacted    `json:"reactions,omitempty"` // of a group
	Users     []*user.Lite `json:"users,omitempty"`     // of a group
	// Message is what an account says to those whose request it accepted; null
	// when it says nothing.
	Message json.RawMessage `json:"message,omitempty"`
}

type listReq struct {
	api.Page
	Limit        int      `json:"limit" api:"min=1,max=100,default=10"`
	MarkAsRead   bool     `json:"markAsRead" api:"default=true"`
	IncludeTypes []string `json:"includeTypes" api:"optional"`
	ExcludeTypes []string `json:"excludeTypes" api:"optional"`
}

// stored is a notification's row.
type stored struct {
	id, typ    string
	by, noteID *string
	data       data
	read       bool
}

const sqlList = `
SELECT t.id, t.type, t.notifier_id, t.note_id, t.data, t.id <= coalesce(r.last_id, '')
FROM notification t LEFT JOIN notification_read r ON r.user_id = t.notifiee_id`

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*Packed, error) {
	list, err := s.list(ctx, c, &req, req.Limit)
	if err != nil {
		return nil, err
	}
	if req.MarkAsRead {
		err = s.markRead(ctx, c.UserID)
	}
	return list, err
}

// list reads up to limit notifications, packed.
func (s *Service) list(ctx context.Context, c *api.Call, req *listReq, limit int) ([]*Packed, error) {
	if req.IncludeTypes != nil && len(req.IncludeTypes) == 0 {
		return []*Packed{}, nil
	}
	var w pg.Where
	w.And("t.notifiee_id = ?", c.UserID)
	if len(req.IncludeTypes) > 0 {
		w.And("t.type = ANY(?)", req.IncludeTypes)
	}
	if len(req.ExcludeTypes) > 0 {
		w.And("t.type <> ALL(?)", req.ExcludeTypes)
	}
	// Whom one muted, or who is gone, since.
	w.And(`NOT EXISTS (SELECT FROM "user" x WHERE x.id = t.notifier_id AND (x.is_suspended OR x.is_deleted))`)
	w.And("NOT EXISTS (SELECT FROM muting m WHERE m.muter_id = ? AND m.mutee_id = t.notifier_id AND (m.expires_at IS NULL OR m.expires_at > now()))", c.UserID)
	order := req.Apply(&w, s.ids.Method(), limit)
	list, err := s.read(ctx, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, c.UserID, list)
}

func (s *Service) read(ctx context.Context, sql string, args ...any) ([]stored, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (stored, error) {
		var t stored
		err := r.Scan(&t.id, &t.typ, &t.by, &t.noteID, &t.data, &t.read)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	return list, nil
}

const sqlByIDs = sqlList + ` WHERE t.notifiee_id = $1 AND t.id = ANY($2) ORDER BY t.id DESC`

func (s *Service) byIDs(ctx context.Context, userID string, ids []string) ([]*Packed, error) {
	list, err := s.read(ctx, sqlByIDs, userID, ids)
	if err != nil {
		return nil, err
	}
	return s.pack(ctx, userID, list)
}

func (s *Service) pack(ctx context.Context, userID string, list []stored) ([]*Packed, error) {
	var userIDs, noteIDs []string
	for _, t := range list {
		if t.by != nil {
			userIDs = append(userIDs, *t.by)
		}
		if t.noteID != nil {
			noteIDs = append(noteIDs, *t.noteID)
		}
	}
	lites, err := s.users.LiteByIDs(ctx, userIDs)
	if err != nil {
		return nil, err
	}
	packed, err := s.notes.PackIDs(ctx, userID, noteIDs)
	if err != nil {
		return nil, err
	}
	var draftIDs []string
	for _, t := range list {
		if t.data.DraftID != "" {
			draftIDs = append(draftIDs, t.data.DraftID)
		}
	}
	drafts, err := s.drafts.PackIDs(ctx, userID, draftIDs)
	if err != nil {
		return nil, err
	}
	notes := map[string]*note.Packed{}
	for _, n := range packed {
		notes[n.ID] = n
	}
	out := make([]*Packed, 0, len(list))
	for _, t := range list {
		at, err := s.ids.Method().Time(t.id)
		if err != nil {
			return nil, err
		}
		p := &Packed{ID: t.id, CreatedAt: api.Time(at), Type: t.typ, IsRead: t.read, UserID: t.by}
		if t.by != nil {
			if p.User = lites[*t.by]; p.User == nil {
				continue
			}
		}
		if t.noteID != nil {
			if p.Note = notes[*t.noteID]; p.Note == nil {
				continue
			}
		}
		switch t.typ {
		case "reaction":
			shown := note.ShownReaction(t.data.Reaction)
			p.Reaction = &shown
		case "scheduledNotePostFailed":
			if p.NoteDraft = drafts[t.data.DraftID]; p.NoteDraft == nil {
				continue // deleted since, or posted
			}
		case "exportCompleted":
			p.Exported, p.FileID = t.data.Exported, t.data.FileID
		case "achievementEarned":
			p.Achievement = t.data.Achievement
		case "roleAssigned":
			if p.Role, err = s.roles.Shown(ctx, t.data.RoleID); errors.Is(err, role.ErrNotFound) {
				continue // deleted, or nobody's business any more
			}
			if err != nil {
				return nil, err
			}
		case "app":
			p.appData = t.data.App
		case "followRequestAccepted":
			if p.Message, err = s.messageOf(ctx, *t.by); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) messageOf(ctx context.Context, userID string) (json.RawMessage, error) {
	profiles, err := s.users.Profiles(ctx, []string{userID})
	if err != nil {
		return nil, err
	}
	if p := profiles[userID]; p != nil && p.FollowedMessage != nil {
		return json.Marshal(p.FollowedMessage)
	}
	return json.RawMessage("null"), nil
}

const sqlMarkRead = `
INSERT INTO notification_read (user_id, last_id)
SELECT $1, max(id) FROM notification WHERE notifiee_id = $1 HAVING max(id) IS NOT NULL
ON CONFLICT (user_id) DO UPDATE SET last_id = excluded.last_id WHERE notification_read.last_id < excluded.last_id`

// markRead marks all as read, and tells the account's other sessions when that
// changed anything.
func (s *Service) markRead(ctx context.Context, userID string) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlMarkRead, userID)
		if err != nil {
			return fmt.Errorf("mark as read: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return s.log.Append(ctx, tx, "notification.read", userID, userID, nil)
	})
}

func (s *Service) apiMarkAll(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.markRead(ctx, c.UserID)
}
