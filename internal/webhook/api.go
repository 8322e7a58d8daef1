package webhook

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errTooMany    = api.Err("TOO_MANY_WEBHOOKS", "87a9bb19-111e-4e37-81d3-a3e7426453b0", "No more webhooks can be kept.")
	errShowNone   = api.Err("NO_SUCH_WEBHOOK", "50f614d9-3047-4f7e-90d8-ad6b2d5fb098", "There is no such webhook.")
	errUpdateNone = api.Err("NO_SUCH_WEBHOOK", "fb0fea69-da18-45b1-828d-bd4fd1612518", "There is no such webhook.")
	errDeleteNone = api.Err("NO_SUCH_WEBHOOK", "bae73e5a-5522-4965-ae19-3a8688e71d82", "There is no such webhook.")
	errTestNone   = api.Err("NO_SUCH_WEBHOOK", "0c52149c-e913-18f8-5dc7-74870bfe0cf9", "There is no such webhook.")
)

type createReq struct {
	Name   string   `json:"name" api:"required,min=1,max=100"`
	URL    string   `json:"url" api:"required,min=1,max=1024"`
	Secret string   `json:"secret" api:"max=1024,default="`
	On     []string `json:"on" api:"required,unique,items-enum=mention|unfollow|follow|followed|note|reply|renote|reaction"`
}

const (
	sqlOwner  = `SELECT 1 FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlCount  = `SELECT count(*) FROM webhook WHERE user_id = $1`
	sqlInsert = `INSERT INTO webhook (id, user_id, name, events, url, secret_enc) VALUES ($1, $2, $3, $4, $5, $6)`
	sqlUpdate = `UPDATE webhook SET name = $3, events = $4, url = $5, secret_enc = $6, active = $7 WHERE id = $1 AND user_id = $2`
	sqlDelete = `DELETE FROM webhook WHERE id = $1 AND user_id = $2`
)

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*Packed, error) {
	if err := address(req.URL); err != nil {
		return nil, err
	}
	policies, err := s.Roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	h := &Hook{ID: s.IDs.Now(), UserID: c.UserID, Name: req.Name, On: req.On, URL: req.URL, Secret: req.Secret, Active: true}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlOwner, c.UserID); err != nil { // one at a time
			return fmt.Errorf("webhook: %w", err)
		}
		var n int
		if err := tx.QueryRow(ctx, sqlCount, c.UserID).Scan(&n); err != nil {
			return fmt.Errorf("count webhooks: %w", err)
		}
		if n >= policies.WebhookLimit {
			return errTooMany
		}
		_, err := tx.Exec(ctx, sqlInsert, h.ID, h.UserID, h.Name, h.On, h.URL, s.Box.Seal([]byte(h.Secret), box+h.ID))
		return err
	})
	if err != nil {
		return nil, err
	}
	return h.pack(), nil
}

func (s *Service) apiList(ctx context.Context, c *api.Call, _ struct{}) ([]*Packed, error) {
	list, err := s.query(ctx, s.DB, sqlOfUser, c.UserID)
	out := make([]*Packed, 0, len(list))
	for _, h := range list {
		out = append(out, h.pack())
	}
	return out, err
}

// own is a caller's webhook.
func (s *Service) own(ctx context.Context, q pg.Q, c *api.Call, hookID string, none *api.Error) (*Hook, error) {
	list, err := s.query(ctx, q, sqlOwn, hookID, c.UserID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, none
	}
	return list[0], nil
}

type hookReq struct {
	WebhookID string `json:"webhookId" api:"required,id"`
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req hookReq) (*Packed, error) {
	h, err := s.own(ctx, s.DB, c, req.WebhookID, errShowNone)
	if err != nil {
		return nil, err
	}
	return h.pack(), nil
}

type updateReq struct {
	WebhookID string            `json:"webhookId" api:"required,id"`
	Name      api.Opt[string]   `json:"name" api:"min=1,max=100"`
	URL       api.Opt[string]   `json:"url" api:"min=1,max=1024"`
	Secret    api.Opt[string]   `json:"secret" api:"nullable,max=1024"`
	On        api.Opt[[]string] `json:"on" api:"unique,items-enum=mention|unfollow|follow|followed|note|reply|renote|reaction"`
	Active    api.Opt[bool]     `json:"active"`
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (api.None, error) {
	if req.URL.Set {
		if err := address(req.URL.V); err != nil {
			return api.None{}, err
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		h, err := s.own(ctx, tx, c, req.WebhookID, errUpdateNone)
		if err != nil {
			return err
		}
		if req.Name.Set {
			h.Name = req.Name.V
		}
		if req.URL.Set {
			h.URL = req.URL.V
		}
		if req.Secret.Set { // null empties it
			h.Secret = req.Secret.V
		}
		if req.On.Set {
			h.On = req.On.V
		}
		if req.Active.Set {
			h.Active = req.Active.V
		}
		if _, err := tx.Exec(ctx, sqlUpdate, h.ID, h.UserID, h.Name, h.On, h.URL, s.Box.Seal([]byte(h.Secret), box+h.ID), h.Active); err != nil {
			return fmt.Errorf("update webhook: %w", err)
		}
		return nil
	})
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req hookReq) (api.None, error) {
	tag, err := s.DB.Exec(ctx, sqlDelete, req.WebhookID, c.UserID)
	if err != nil {
		return api.None{}, fmt.Errorf("delete webhook: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errDeleteNone
	}
	return api.None{}, nil
}
