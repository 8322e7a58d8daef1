package webhook

import (
	"context"
	"fmt"
	"net/url"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

type systemFields struct {
	IsActive bool     `json:"isActive" api:"required"`
	Name     string   `json:"name" api:"required,min=1,max=255"`
	On       []string `json:"on" api:"required,items-enum=abuseReport|abuseReportResolved|userCreated|inactiveModeratorsWarning|inactiveModeratorsInvitationOnlyChanged"`
	URL      string   `json:"url" api:"required,min=1,max=1024"`
	Secret   string   `json:"secret" api:"max=1024,default="`
}

func (f *systemFields) put(h *System) {
	h.Name, h.On, h.URL, h.Secret, h.Active = f.Name, f.On, f.URL, f.Secret, f.IsActive
}

type systemCreateReq struct{ systemFields }

const (
	sqlSystemInsert = `INSERT INTO system_webhook (id, name, events, url, secret_enc, active, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	sqlSystemUpdate = `UPDATE system_webhook SET name = $2, events = $3, url = $4, secret_enc = $5, active = $6, updated_at = $7 WHERE id = $1`
	sqlSystemDelete = `DELETE FROM system_webhook WHERE id = $1`
)

func (s *Service) apiSystemCreate(ctx context.Context, c *api.Call, req systemCreateReq) (*PackedSystem, error) {
	if err := address(req.URL); err != nil {
		return nil, err
	}
	h := &System{ID: s.IDs.Now()}
	req.put(h)
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.saveSystem(ctx, tx, sqlSystemInsert, h); err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "createSystemWebhook", map[string]any{"systemWebhookId": h.ID, "webhook": h.logged()})
	})
	if err != nil {
		return nil, err
	}
	return h.pack(), nil
}

func (s *Service) saveSystem(ctx context.Context, tx *pg.Tx, sql string, h *System) error {
	h.UpdatedAt = s.Now().UTC()
	if _, err := tx.Exec(ctx, sql, h.ID, h.Name, h.On, h.URL, s.Box.Seal([]byte(h.Secret), systemBox+h.ID), h.Active, h.UpdatedAt); err != nil {
		return fmt.Errorf("webhook of the server: %w", err)
	}
	return nil
}

// logged is what the moderation log keeps: no secret, and of the address only where it
// is, for many carry their secret in it.
func (h *System) logged() map[string]any {
	host := ""
	if u, err := url.Parse(h.URL); err == nil {
		host = u.Scheme + "://" + u.Host
	}
	return map[string]any{"id": h.ID, "isActive": h.Active, "name": h.Name, "on": h.On, "url": host}
}

func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, what string, info map[string]any) error {
	return s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what, Info: info})
}

type systemListReq struct {
	IsActive *bool    `json:"isActive" api:"optional"`
	On       []string `json:"on" api:"optional,items-enum=abuseReport|abuseReportResolved|userCreated|inactiveModeratorsWarning|inactiveModeratorsInvitationOnlyChanged"`
}

// apiSystemList gives those that are told of all that is named.
func (s *Service) apiSystemList(ctx context.Context, _ *api.Call, req systemListReq) ([]*PackedSystem, error) {
	if req.On == nil {
		req.On = []string{}
	}
	list, err := s.systems(ctx, s.DB, sqlSystems, req.IsActive, req.On)
	out := make([]*PackedSystem, 0, len(list))
	for _, h := range list {
		out = append(out, h.pack())
	}
	return out, err
}

type systemReq struct {
	ID string `json:"id" api:"required,id"`
}

func (s *Service) apiSystemShow(ctx context.Context, _ *api.Call, req systemReq) (*PackedSystem, error) {
	found, err := s.SystemByIDs(ctx, s.DB, []string{req.ID})
	if err != nil {
		return nil, err
	}
	if found[req.ID] == nil {
		return nil, errSystemNone
	}
	return found[req.ID], nil
}

// system is a webhook that is about to be changed.
func (s *Service) system(ctx context.Context, tx *pg.Tx, hookID string) (*System, error) {
	list, err := s.systems(ctx, tx, sqlSystemLock, hookID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errSystemNone
	}
	return list[0], nil
}

type systemUpdateReq struct {
	ID string `json:"id" api:"required,id"`
	systemFields
}

// apiSystemUpdate says anew all that may be said of a webhook: a secret that is left
// out is none.
func (s *Service) apiSystemUpdate(ctx context.Context, c *api.Call, req systemUpdateReq) (*PackedSystem, error) {
	if err := address(req.URL); err != nil {
		return nil, err
	}
	var h *System
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if h, err = s.system(ctx, tx, req.ID); err != nil {
			return err
		}
		before := h.logged()
		req.put(h)
		if err := s.saveSystem(ctx, tx, sqlSystemUpdate, h); err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "updateSystemWebhook", map[string]any{"systemWebhookId": h.ID, "before": before, "after": h.logged()})
	})
	if err != nil {
		return nil, err
	}
	return h.pack(), nil
}

// apiSystemDelete takes a webhook away, and with it those who were told of reports by it.
func (s *Service) apiSystemDelete(ctx context.Context, c *api.Call, req systemReq) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		h, err := s.system(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlSystemDelete, h.ID); err != nil {
			return fmt.Errorf("delete webhook of the server: %w", err)
		}
		return s.acted(ctx, tx, c, "deleteSystemWebhook", map[string]any{"systemWebhookId": h.ID, "webhook": h.logged()})
	})
}

type systemTestReq struct {
	WebhookID string   `json:"webhookId" api:"required,id"`
	Type      string   `json:"type" api:"required,enum=abuseReport|abuseReportResolved|userCreated|inactiveModeratorsWarning|inactiveModeratorsInvitationOnlyChanged"`
	Override  override `json:"override" api:"optional"`
}

// apiSystemTest tells a webhook of something that did not happen: the account in it is
// the caller's.
func (s *Service) apiSystemTest(ctx context.Context, c *api.Call, req systemTestReq) (api.None, error) {
	list, err := s.systems(ctx, s.DB, sqlSystemByID, []string{req.WebhookID})
	if err != nil {
		return api.None{}, err
	}
	if len(list) == 0 {
		return api.None{}, errTestNone
	}
	h := list[0]
	to, err := s.seal(req.Override, h.URL, h.Secret, systemBox+h.ID)
	if err != nil {
		return api.None{}, err
	}
	a := systemArgs{HookID: h.ID, At: s.Now().UnixMilli(), Type: req.Type, ObjectID: c.UserID, LeftMs: testLeft.Milliseconds(), Instead: to}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.enqueueSystem(ctx, tx, a) })
}
