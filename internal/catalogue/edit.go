package catalogue

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errAddNoFile    = api.Err("NO_SUCH_FILE", "fc46b5a4-6b92-4c33-ac66-b806659bb5cf", "There is no such file.")
	errAddExists    = api.Err("DUPLICATE_NAME", "f7a3462c-4e6e-4069-8421-b9bd4f4c3975", "There is an emoji of that name.")
	errUpdateNone   = api.Err("NO_SUCH_EMOJI", "684dec9d-a8c2-4364-9aa8-456c49cb1dc8", "There is no such emoji.")
	errUpdateNoFile = api.Err("NO_SUCH_FILE", "14fb9fd9-0731-4e2f-aeb9-f09e4740333d", "There is no such file.")
	errUpdateExists = api.Err("SAME_NAME_EMOJI_EXISTS", "7180fe9d-1ee3-bff9-647d-fe9896d2ffb8", "There is an emoji of that name.")
	errCopyNone     = api.Err("NO_SUCH_EMOJI", "e2785b66-dca3-4087-9cac-b93c541cc425", "There is no such emoji.")
	errCopyExists   = api.Err("DUPLICATE_NAME", "f7a3462c-4e6e-4069-8421-b9bd4f4c3975", "There is an emoji of that name.")
	errDeleteNone   = api.Err("NO_SUCH_EMOJI", "be83669b-773a-44b7-b1f8-e5e5170ac3c2", "There is no such emoji.")
)

// own gives one's file; moderators may use anybody's.
func (s *Service) own(ctx context.Context, c *api.Call, fileID string) (*drive.File, error) {
	found, err := s.Drive.ByIDs(ctx, s.DB, []string{fileID})
	if err != nil {
		return nil, err
	}
	f := found[fileID]
	if f == nil || !c.IsModerator() && (f.UserID == nil || !c.Is(*f.UserID)) {
		return nil, drive.ErrNotFound
	}
	return f, nil
}

// ownCopy is own, as a picture of the server's.
func (s *Service) ownCopy(ctx context.Context, c *api.Call, fileID string, none *api.Error) (*drive.File, error) {
	f, err := s.own(ctx, c, fileID)
	if err == nil {
		f, err = s.Drive.OwnCopy(ctx, f)
	}
	return picture(f, err, none)
}

type addReq struct {
	Name        string   `json:"name" api:"required,max=128,pattern=^[a-zA-Z0-9_]+$"`
	FileID      string   `json:"fileId" api:"required,id"`
	Category    *string  `json:"category" api:"nullable,max=128"`
	Aliases     []string `json:"aliases" api:"optional,max=256,items-max=128"`
	License     *string  `json:"license" api:"nullable,max=1024"`
	IsSensitive bool     `json:"isSensitive" api:"optional"`
	LocalOnly   bool     `json:"localOnly" api:"optional"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisEmojiAsReaction" api:"optional,max=128"`
}

func (s *Service) apiAdd(ctx context.Context, c *api.Call, req addReq) (*emoji.Detailed, error) {
	if _, err := s.Emojis.Named(ctx, s.DB, req.Name); err == nil {
		return nil, errAddExists
	} else if !errors.Is(err, emoji.ErrNotFound) {
		return nil, err
	}
	f, err := s.ownCopy(ctx, c, req.FileID, errAddNoFile)
	if err != nil {
		return nil, err
	}
	e := &emoji.Emoji{Name: req.Name, Category: some(req.Category), OriginalURL: f.URL, Type: &f.Type, Aliases: tidy(req.Aliases), License: some(req.License),
		IsSensitive: req.IsSensitive, LocalOnly: req.LocalOnly, RoleIDs: req.RoleIDs}
	return s.insert(ctx, c, e, errAddExists)
}

func (s *Service) insert(ctx context.Context, c *api.Call, e *emoji.Emoji, exists *api.Error) (*emoji.Detailed, error) {
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.Emojis.Insert(ctx, tx, e); errors.Is(err, emoji.ErrExists) {
			return exists
		} else if err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "addCustomEmoji", e, map[string]any{"emoji": emoji.Pack(e)})
	})
	if err != nil {
		return nil, err
	}
	return emoji.Pack(e), nil
}

type updateReq struct {
	ID          *string         `json:"id" api:"optional,id"`
	Name        *string         `json:"name" api:"optional,max=128,pattern=^[a-zA-Z0-9_]+$"`
	FileID      *string         `json:"fileId" api:"optional,id"`
	Category    api.Opt[string] `json:"category" api:"optional,max=128"`
	Aliases     *[]string       `json:"aliases" api:"optional,max=256,items-max=128"`
	License     api.Opt[string] `json:"license" api:"optional,max=1024"`
	IsSensitive *bool           `json:"isSensitive" api:"optional"`
	LocalOnly   *bool           `json:"localOnly" api:"optional"`
	RoleIDs     *[]string       `json:"roleIdsThatCanBeUsedThisEmojiAsReaction" api:"optional,max=128"`
}

// apiUpdate changes an emoji that is named by its id, and then can be called
// otherwise, or by its name.
func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	if req.ID == nil && req.Name == nil {
		return api.None{}, api.InvalidParam("#/required", "must have id or name")
	}
	id := ""
	if req.ID != nil {
		id = *req.ID
	} else if e, err := s.Emojis.Named(ctx, s.DB, *req.Name); err == nil {
		id = e.ID
	} else if !errors.Is(err, emoji.ErrNotFound) {
		return api.None{}, err
	}
	var f *drive.File
	if req.FileID != nil {
		var err error
		if f, err = s.ownCopy(ctx, c, *req.FileID, errUpdateNoFile); err != nil {
			return api.None{}, err
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		list, err := s.Emojis.Lock(ctx, tx, []string{id})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errUpdateNone
		}
		was, e := list[0], *list[0]
		req.onto(&e)
		if f != nil {
			e.OriginalURL, e.PublicURL, e.Type = f.URL, f.URL, &f.Type
		}
		if err := s.Emojis.Change(ctx, tx, was, &e); errors.Is(err, emoji.ErrExists) {
			return errUpdateExists
		} else if err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "updateCustomEmoji", &e, map[string]any{"before": emoji.Pack(was), "after": emoji.Pack(&e)})
	})
}

func (req *updateReq) onto(e *emoji.Emoji) {
	if req.Name != nil {
		e.Name = *req.Name
	}
	if req.Category.Set {
		e.Category = some(&req.Category.V)
	}
	if req.License.Set {
		e.License = some(&req.License.V)
	}
	if req.Aliases != nil {
		e.Aliases = tidy(*req.Aliases)
	}
	if req.IsSensitive != nil {
		e.IsSensitive = *req.IsSensitive
	}
	if req.LocalOnly != nil {
		e.LocalOnly = *req.LocalOnly
	}
	if req.RoleIDs != nil {
		e.RoleIDs = *req.RoleIDs
	}
}

type copyReq struct {
	EmojiID string `json:"emojiId" api:"required,id"`
}

type copyRes struct {
	ID string `json:"id"`
}

// apiCopy takes an emoji over from another server, with its picture.
func (s *Service) apiCopy(ctx context.Context, c *api.Call, req copyReq) (*copyRes, error) {
	list, err := s.Emojis.ByIDs(ctx, s.DB, []string{req.EmojiID})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errCopyNone
	}
	from := list[0]
	if err := emoji.CheckName(from.Name); err != nil {
		return nil, errCopyNone
	}
	if _, err := s.Emojis.Named(ctx, s.DB, from.Name); err == nil {
		return nil, errCopyExists
	} else if !errors.Is(err, emoji.ErrNotFound) {
		return nil, err
	}
	f, err := s.Drive.OwnFetch(ctx, from.URL())
	if f, err = picture(f, err, errCopyNone); err != nil {
		return nil, fmt.Errorf("copy emoji: %w", err)
	}
	e := &emoji.Emoji{Name: from.Name, OriginalURL: f.URL, Type: &f.Type, Aliases: from.Aliases, License: from.License, IsSensitive: from.IsSensitive}
	made, err := s.insert(ctx, c, e, errCopyExists)
	if err != nil {
		return nil, err
	}
	return &copyRes{ID: made.ID}, nil
}

type deleteReq struct {
	ID string `json:"id" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	n, err := s.remove(ctx, c, []string{req.ID})
	if err == nil && n == 0 {
		err = errDeleteNone
	}
	return api.None{}, err
}

type idsReq struct {
	IDs []string `json:"ids" api:"required,max=1000,items-id"`
}

func (s *Service) apiDeleteBulk(ctx context.Context, c *api.Call, req idsReq) (api.None, error) {
	_, err := s.remove(ctx, c, req.IDs)
	return api.None{}, err
}

func (s *Service) remove(ctx context.Context, c *api.Call, ids []string) (n int, err error) {
	return n, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		list, err := s.Emojis.Delete(ctx, tx, ids)
		if err != nil {
			return err
		}
		n = len(list)
		for _, e := range list {
			if err := s.acted(ctx, tx, c, "deleteCustomEmoji", e, map[string]any{"emoji": emoji.Pack(e)}); err != nil {
				return err
			}
		}
		return nil
	})
}
