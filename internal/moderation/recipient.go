package moderation

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
	"buttersc.one/oven/internal/webhook"
)

// recipient is who is told of reports: a moderator by mail, or an address of the server.
type recipient struct {
	ID        string
	Name      string
	Method    string // email or webhook
	UserID    *string
	WebhookID *string
	Active    bool
	UpdatedAt time.Time
}

// Recipient is one as moderators see it.
type Recipient struct {
	ID              string                `json:"id"`
	IsActive        bool                  `json:"isActive"`
	UpdatedAt       api.Time              `json:"updatedAt"`
	Name            string                `json:"name"`
	Method          string                `json:"method"`
	UserID          *string               `json:"userId,omitempty"`
	User            *user.Lite            `json:"user,omitempty"`
	SystemWebhookID *string               `json:"systemWebhookId,omitempty"`
	SystemWebhook   *webhook.PackedSystem `json:"systemWebhook,omitempty"`
}

var (
	errRecipientNone    = &api.Error{Code: "NO_SUCH_RECIPIENT", ID: "013de6a8-f757-04cb-4d73-cc2a7e3368e4", Kind: "server", Status: http.StatusNotFound, Message: "There is no such recipient."}
	errRecipientUser    = api.Err("CORRELATION_CHECK_EMAIL", "348bb8ae-575a-6fe9-4327-5811999def8f", "Mail goes to somebody who moderates: userId must name one.")
	errRecipientWebhook = api.Err("CORRELATION_CHECK_WEBHOOK", "b0c15051-de2d-29ef-260c-9585cddd701a", "systemWebhookId must name a webhook of the server.")
	errRecipientAddress = api.Err("EMAIL_ADDRESS_NOT_SET", "7cc1d85e-2f58-fc31-b644-3de8d0d3421f", "The account has no proven mail address.")
)

// recipientEndpoints are those of who is told of reports.
func (s *Service) recipientEndpoints() []api.Endpoint {
	read, write := api.Moderator("read:admin:abuse-report:notification-recipient"), api.Moderator("write:admin:abuse-report:notification-recipient")
	wrong := api.Errors(errRecipientUser, errRecipientWebhook, errRecipientAddress)
	return []api.Endpoint{
		api.Post("admin/abuse-report/notification-recipient/list", s.apiRecipients, read, api.Secure),
		api.Post("admin/abuse-report/notification-recipient/show", s.apiRecipient, read, api.Secure, api.Errors(errRecipientNone)),
		api.Post("admin/abuse-report/notification-recipient/create", s.apiCreateRecipient, write, api.Secure, wrong),
		api.Post("admin/abuse-report/notification-recipient/update", s.apiUpdateRecipient, write, api.Secure, wrong, api.Errors(errRecipientNone)),
		api.Post("admin/abuse-report/notification-recipient/delete", s.apiDeleteRecipient, write, api.Secure),
	}
}

const (
	recipientCols      = `id, name, method, user_id, webhook_id, active, updated_at`
	sqlRecipients      = `SELECT ` + recipientCols + ` FROM report_recipient ORDER BY id`
	sqlRecipientLocked = `SELECT ` + recipientCols + ` FROM report_recipient WHERE id = $1 FOR UPDATE`
)

// recipients are all that count: who moderates no more is none, whatever was said before.
func (s *Service) recipients(ctx context.Context) ([]*recipient, error) {
	rows, err := s.DB.Query(ctx, sqlRecipients)
	if err != nil {
		return nil, fmt.Errorf("recipients of reports: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[recipient])
	if err != nil {
		return nil, fmt.Errorf("recipients of reports: %w", err)
	}
	moderators, err := s.Roles.Moderators(ctx)
	if err != nil {
		return nil, err
	}
	var out []*recipient
	for _, r := range all {
		if r.UserID == nil {
			out = append(out, r)
		} else if _, still := moderators[*r.UserID]; still {
			out = append(out, r)
		}
	}
	return out, nil
}

const sqlForgetRecipients = `DELETE FROM report_recipient WHERE user_id IS NOT NULL AND NOT (user_id = ANY($1))`

// forgetRecipients removes those who moderate no more: made a moderator again, they are
// not told of reports without having been named again.
func (s *Service) forgetRecipients(ctx context.Context) error {
	moderators, err := s.Roles.Moderators(ctx)
	if err != nil {
		return err
	}
	ids := []string{}
	for userID := range moderators {
		ids = append(ids, userID)
	}
	if _, err := s.DB.Exec(ctx, sqlForgetRecipients, ids); err != nil {
		return fmt.Errorf("recipients of reports: %w", err)
	}
	return nil
}

func (s *Service) packRecipients(ctx context.Context, list []*recipient) ([]*Recipient, error) {
	var users, hooks []string
	for _, r := range list {
		if r.UserID != nil {
			users = append(users, *r.UserID)
		}
		if r.WebhookID != nil {
			hooks = append(hooks, *r.WebhookID)
		}
	}
	lites, err := s.Users.LiteByIDs(ctx, users)
	if err != nil {
		return nil, err
	}
	packed, err := s.Webhooks.SystemByIDs(ctx, s.DB, hooks)
	if err != nil {
		return nil, err
	}
	out := make([]*Recipient, 0, len(list))
	for _, r := range list {
		p := &Recipient{ID: r.ID, IsActive: r.Active, UpdatedAt: api.Time(r.UpdatedAt), Name: r.Name, Method: r.Method, UserID: r.UserID, SystemWebhookID: r.WebhookID}
		if r.UserID != nil {
			p.User = lites[*r.UserID]
		}
		if r.WebhookID != nil {
			p.SystemWebhook = packed[*r.WebhookID]
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) packRecipient(ctx context.Context, r *recipient) (*Recipient, error) {
	list, err := s.packRecipients(ctx, []*recipient{r})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}
