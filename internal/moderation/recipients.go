package moderation

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

type recipientsReq struct {
	Method []string `json:"method" api:"optional,items-enum=email|webhook"`
}

// apiRecipients gives those of the methods that are named, or all.
func (s *Service) apiRecipients(ctx context.Context, _ *api.Call, req recipientsReq) ([]*Recipient, error) {
	list, err := s.recipients(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.Method) > 0 {
		list = slices.DeleteFunc(list, func(r *recipient) bool { return !slices.Contains(req.Method, r.Method) })
	}
	return s.packRecipients(ctx, list)
}

type recipientReq struct {
	ID string `json:"id" api:"required,id"`
}

func (s *Service) apiRecipient(ctx context.Context, _ *api.Call, req recipientReq) (*Recipient, error) {
	list, err := s.recipients(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		if r.ID == req.ID {
			return s.packRecipient(ctx, r)
		}
	}
	return nil, errRecipientNone
}

type recipientFields struct {
	IsActive        bool    `json:"isActive" api:"required"`
	Name            string  `json:"name" api:"required,min=1,max=255"`
	Method          string  `json:"method" api:"required,enum=email|webhook"`
	UserID          *string `json:"userId" api:"optional,id"`
	SystemWebhookID *string `json:"systemWebhookId" api:"optional,id"`
}

const (
	sqlProven          = `SELECT email_verified AND email IS NOT NULL FROM account WHERE user_id = $1`
	sqlInsertRecipient = `INSERT INTO report_recipient (id, name, method, user_id, webhook_id, active, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	sqlUpdateRecipient = `UPDATE report_recipient SET name = $2, method = $3, user_id = $4, webhook_id = $5, active = $6, updated_at = $7 WHERE id = $1`
	sqlDeleteRecipient = `DELETE FROM report_recipient WHERE id = $1`
)

// put says of a recipient what was asked for, if it can be told in that way.
func (s *Service) put(ctx context.Context, tx *pg.Tx, r *recipient, f *recipientFields) error {
	r.Name, r.Method, r.Active, r.UpdatedAt, r.UserID, r.WebhookID = f.Name, f.Method, f.IsActive, s.Now().UTC(), nil, nil
	if f.Method == "webhook" {
		if f.SystemWebhookID == nil {
			return errRecipientWebhook
		}
		r.WebhookID = f.SystemWebhookID
		return nil
	}
	if f.UserID == nil {
		return errRecipientUser
	}
	if moderator, _, err := s.Roles.Ranks(ctx, *f.UserID); err != nil {
		return err
	} else if !moderator {
		return errRecipientUser
	}
	var proven bool
	if err := tx.QueryRow(ctx, sqlProven, *f.UserID).Scan(&proven); err != nil && !pg.NoRows(err) {
		return fmt.Errorf("address of a recipient: %w", err)
	}
	if !proven {
		return errRecipientAddress
	}
	r.UserID = f.UserID
	return nil
}

func (s *Service) saveRecipient(ctx context.Context, tx *pg.Tx, sql string, r *recipient) error {
	_, err := tx.Exec(ctx, sql, r.ID, r.Name, r.Method, r.UserID, r.WebhookID, r.Active, r.UpdatedAt)
	switch pg.Unreferenced(err) {
	case "report_recipient_webhook_id_fkey":
		return errRecipientWebhook
	case "report_recipient_user_id_fkey":
		return errRecipientUser
	}
	if err != nil {
		return fmt.Errorf("recipient of reports: %w", err)
	}
	return nil
}

// logged is what the moderation log keeps of a recipient.
func (r *recipient) logged() map[string]any {
	return map[string]any{"id": r.ID, "isActive": r.Active, "name": r.Name, "method": r.Method, "userId": r.UserID, "systemWebhookId": r.WebhookID}
}

type createRecipientReq struct{ recipientFields }

func (s *Service) apiCreateRecipient(ctx context.Context, c *api.Call, req createRecipientReq) (*Recipient, error) {
	r := &recipient{ID: s.IDs.Now()}
	err := s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.put(ctx, tx, r, &req.recipientFields); err != nil {
			return err
		}
		if err := s.saveRecipient(ctx, tx, sqlInsertRecipient, r); err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "createAbuseReportNotificationRecipient", map[string]any{"recipientId": r.ID, "recipient": r.logged()})
	})
	if err != nil {
		return nil, err
	}
	return s.packRecipient(ctx, r)
}

// lockedRecipient reads one that is about to be changed.
func (s *Service) lockedRecipient(ctx context.Context, tx *pg.Tx, recipientID string) (*recipient, error) {
	rows, err := tx.Query(ctx, sqlRecipientLocked, recipientID)
	if err != nil {
		return nil, fmt.Errorf("recipient of reports: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[recipient])
	if pg.NoRows(err) {
		return nil, errRecipientNone
	}
	if err != nil {
		return nil, fmt.Errorf("recipient of reports: %w", err)
	}
	return r, nil
}

type updateRecipientReq struct {
	ID string `json:"id" api:"required,id"`
	recipientFields
}

func (s *Service) apiUpdateRecipient(ctx context.Context, c *api.Call, req updateRecipientReq) (*Recipient, error) {
	var r *recipient
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if r, err = s.lockedRecipient(ctx, tx, req.ID); err != nil {
			return err
		}
		before := r.logged()
		if err := s.put(ctx, tx, r, &req.recipientFields); err != nil {
			return err
		}
		if err := s.saveRecipient(ctx, tx, sqlUpdateRecipient, r); err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "updateAbuseReportNotificationRecipient", map[string]any{"recipientId": r.ID, "before": before, "after": r.logged()})
	})
	if err != nil {
		return nil, err
	}
	return s.packRecipient(ctx, r)
}

// apiDeleteRecipient takes one away; one that is gone already is no error, as in Misskey.
func (s *Service) apiDeleteRecipient(ctx context.Context, c *api.Call, req recipientReq) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.lockedRecipient(ctx, tx, req.ID)
		if errRecipientNone.Is(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlDeleteRecipient, r.ID); err != nil {
			return fmt.Errorf("delete recipient of reports: %w", err)
		}
		return s.acted(ctx, tx, c, "deleteAbuseReportNotificationRecipient", map[string]any{"recipientId": r.ID, "recipient": r.logged()})
	})
}
