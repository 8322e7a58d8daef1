package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errCreateNoFile = api.Err("NO_SUCH_FILE", "cd1e9f3e-5a12-4ab4-96f6-5d0a2cc32050", "There is no such file.")
	errUpdateNone   = api.Err("NO_SUCH_CHANNEL", "f9c5467f-d492-4c3c-9a8d-a70dacc86512", "There is no such channel.")
	errUpdateDenied = api.Err("ACCESS_DENIED", "1fb7cb09-d46a-4fdf-b8df-057788cce513", "The channel is another's.")
	errUpdateNoFile = api.Err("NO_SUCH_FILE", "e86c14a4-0da2-4032-8df3-e737a04c7f3b", "There is no such file.")
	errUpdateNoNote = api.Err("NO_SUCH_NOTE", "6a0f1b6c-52a5-4d54-9e0d-3c6f7b5b9d11", "Only notes of the channel can be pinned to it.")
)

type createReq struct {
	Name                  string  `json:"name" api:"required,min=1,max=128"`
	Description           *string `json:"description" api:"nullable,max=2048"`
	BannerID              *string `json:"bannerId" api:"nullable,id"`
	Color                 *string `json:"color" api:"optional,min=1,max=16"`
	IsSensitive           *bool   `json:"isSensitive" api:"nullable"`
	AllowRenoteToExternal *bool   `json:"allowRenoteToExternal" api:"nullable"`
}

const sqlInsert = `
INSERT INTO channel (id, user_id, name, description, banner_id, color, is_sensitive, allow_renote_to_external)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*Packed, error) {
	ch := &Channel{ID: s.IDs.Now(), UserID: &c.UserID, Name: strings.TrimSpace(req.Name), Description: some(req.Description), BannerID: req.BannerID, Color: "#86b300", AllowRenoteToExternal: true}
	if ch.Name == "" {
		return nil, api.InvalidParam("#/properties/name/minLength", "must not be white space only")
	}
	if err := s.picture(ctx, c.UserID, ch.BannerID, errCreateNoFile); err != nil {
		return nil, err
	}
	set(&ch.Color, req.Color)
	set(&ch.Sensitive, req.IsSensitive)
	set(&ch.AllowRenoteToExternal, req.AllowRenoteToExternal)
	if _, err := s.DB.Exec(ctx, sqlInsert, ch.ID, ch.UserID, ch.Name, ch.Description, ch.BannerID, ch.Color, ch.Sensitive, ch.AllowRenoteToExternal); err != nil {
		return nil, fmt.Errorf("create channel: %w", err)
	}
	return s.Show(ctx, c.UserID, ch.ID)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// some is a text that says something.
func some(t *string) *string {
	if t == nil || strings.TrimSpace(*t) == "" {
		return nil
	}
	return t
}

// picture makes sure that a banner is one of the owner's pictures.
func (s *Service) picture(ctx context.Context, ownerID string, fileID *string, none *api.Error) error {
	if fileID == nil {
		return nil
	}
	files, err := s.Drive.Owned(ctx, s.DB, ownerID, []string{*fileID})
	if errors.Is(err, drive.ErrNotFound) || err == nil && !strings.HasPrefix(files[0].Type, "image/") {
		return none
	}
	return err
}

type updateReq struct {
	ChannelID             string          `json:"channelId" api:"required,id"`
	Name                  *string         `json:"name" api:"optional,min=1,max=128"`
	Description           api.Opt[string] `json:"description" api:"optional,max=2048"`
	BannerID              api.Opt[string] `json:"bannerId" api:"optional,id"`
	IsArchived            *bool           `json:"isArchived" api:"nullable"`
	PinnedNoteIDs         *[]string       `json:"pinnedNoteIds" api:"optional,max=16,items-id"`
	Color                 *string         `json:"color" api:"optional,min=1,max=16"`
	IsSensitive           *bool           `json:"isSensitive" api:"nullable"`
	AllowRenoteToExternal *bool           `json:"allowRenoteToExternal" api:"nullable"`
}

const (
	sqlUpdate = `
UPDATE channel SET name = $2, description = $3, banner_id = $4, pinned_note_ids = $5, color = $6, is_archived = $7, is_sensitive = $8, allow_renote_to_external = $9
WHERE id = $1`
	sqlLock  = `SELECT ` + cols + ` FROM channel t WHERE t.id = $1 FOR NO KEY UPDATE`
	sqlOfIts = `SELECT count(*) FROM note WHERE id = ANY($1) AND channel_id = $2`
)

// apiUpdate changes a channel, for its owner and moderators.
func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*Packed, error) {
	if req.BannerID.Set && !req.BannerID.Null {
		if err := s.picture(ctx, c.UserID, &req.BannerID.V, errUpdateNoFile); err != nil {
			return nil, err
		}
	}
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		ch := &Channel{}
		err := tx.QueryRow(ctx, sqlLock, req.ChannelID).Scan(ch.places()...)
		if errors.Is(err, pgx.ErrNoRows) {
			return errUpdateNone
		}
		if err != nil {
			return err
		}
		if !c.IsModerator() && (ch.UserID == nil || !c.Is(*ch.UserID)) {
			return errUpdateDenied
		}
		if err := s.changes(ctx, tx, ch, req); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlUpdate, ch.ID, ch.Name, ch.Description, ch.BannerID, ch.PinnedNoteIDs, ch.Color, ch.Archived, ch.Sensitive, ch.AllowRenoteToExternal)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("change channel: %w", err)
	}
	return s.Show(ctx, c.UserID, req.ChannelID)
}

func (s *Service) changes(ctx context.Context, tx *pg.Tx, ch *Channel, req updateReq) error {
	if req.Name != nil {
		if ch.Name = strings.TrimSpace(*req.Name); ch.Name == "" {
			return api.InvalidParam("#/properties/name/minLength", "must not be white space only")
		}
	}
	if req.Description.Set {
		ch.Description = some(&req.Description.V)
	}
	if req.BannerID.Set {
		ch.BannerID = nil
		if !req.BannerID.Null {
			ch.BannerID = &req.BannerID.V
		}
	}
	if req.PinnedNoteIDs != nil {
		var ids []string
		for _, id := range *req.PinnedNoteIDs {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		var n int
		if err := tx.QueryRow(ctx, sqlOfIts, ids, ch.ID).Scan(&n); err != nil {
			return err
		}
		if n != len(ids) {
			return errUpdateNoNote
		}
		ch.PinnedNoteIDs = append([]string{}, ids...)
	}
	set(&ch.Color, req.Color)
	set(&ch.Archived, req.IsArchived)
	set(&ch.Sensitive, req.IsSensitive)
	set(&ch.AllowRenoteToExternal, req.AllowRenoteToExternal)
	return nil
}
