package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

// systemArgs ask to tell a webhook of the server.
type systemArgs struct {
	HookID   string  `json:"hookId"`
	EventID  string  `json:"eventId"`
	At       int64   `json:"at"` // ms since 1970: when it happened
	Type     string  `json:"type"`
	ObjectID string  `json:"objectId"` // the report or account; of a test, who tries it
	LeftMs   int64   `json:"leftMs"`   // until registration closes
	Instead  *target `json:"instead"`  // of the webhook's own, for a test; nil: none
}

// Kind implements job.Args.
func (systemArgs) Kind() string { return "webhook.system" }

func (s *Service) enqueueSystem(ctx context.Context, tx *pg.Tx, a systemArgs) error {
	a.EventID = rand.Text()
	return s.Queue.Insert(ctx, tx, a, time.Time{})
}

const sqlSystemRemember = `UPDATE system_webhook SET latest_sent_at = $2, latest_status = $3 WHERE id = $1`

// workSystem tells a webhook of the server.
func (s *Service) workSystem(ctx context.Context, a systemArgs) error {
	list, err := s.systems(ctx, s.DB, sqlSystemByID, []string{a.HookID})
	if err != nil {
		return err
	}
	if len(list) == 0 || !list[0].Active && a.Instead == nil {
		return nil
	}
	h := list[0]
	body, err := s.systemBody(ctx, a)
	if errors.Is(err, errHookGone) {
		return nil
	}
	if err != nil {
		return err
	}
	to, secret, err := s.where(a.Instead, h.URL, h.Secret, systemBox+h.ID)
	if err != nil {
		return err
	}
	return s.call(ctx, to, secret, sqlSystemRemember, message{HookID: h.ID, EventID: a.EventID, CreatedAt: a.At, Type: a.Type, Body: body})
}

// reportBody is a report as it is told.
type reportBody struct {
	ID             string     `json:"id"`
	TargetUserID   string     `json:"targetUserId"`
	TargetUser     *user.Lite `json:"targetUser"`
	TargetUserHost *string    `json:"targetUserHost"`
	ReporterID     string     `json:"reporterId"`
	Reporter       *user.Lite `json:"reporter"`
	ReporterHost   *string    `json:"reporterHost"`
	AssigneeID     *string    `json:"assigneeId"`
	Assignee       *user.Lite `json:"assignee"`
	Resolved       bool       `json:"resolved"`
	Forwarded      bool       `json:"forwarded"`
	Comment        string     `json:"comment"`
	ModerationNote string     `json:"moderationNote"`
	ResolvedAs     *string    `json:"resolvedAs"`
}

// leftBody is how long moderators have until registration closes.
type leftBody struct {
	Time    int64 `json:"time"` // ms
	AsHours int64 `json:"asHours"`
	AsDays  int64 `json:"asDays"`
}

// testLeft is what a test says is left.
const testLeft = 24 * time.Hour

// systemBody is what is told, as it is now.
func (s *Service) systemBody(ctx context.Context, a systemArgs) (any, error) {
	switch a.Type {
	case "abuseReport", "abuseReportResolved":
		if a.Instead != nil {
			return s.reported(ctx, pretended(a))
		}
		r, err := s.reportByID(ctx, a.ObjectID)
		if err != nil {
			return nil, err
		}
		return s.reported(ctx, r)
	case "userCreated":
		lites, err := s.Users.LiteByIDs(ctx, []string{a.ObjectID})
		if err != nil {
			return nil, err
		}
		if lites[a.ObjectID] == nil {
			return nil, errHookGone
		}
		return lites[a.ObjectID], nil
	case "inactiveModeratorsWarning":
		left := time.Duration(a.LeftMs) * time.Millisecond
		return map[string]leftBody{"remainingTime": {Time: a.LeftMs, AsHours: int64(left / time.Hour), AsDays: int64(left / (24 * time.Hour))}}, nil
	}
	return struct{}{}, nil
}

const sqlReportTold = `
SELECT id, target_user_id, target_user_host, reporter_id, reporter_host, assignee_id, resolved, forwarded, comment, moderation_note, resolved_as
FROM abuse_report WHERE id = $1`

// reportByID reads a report without its people.
func (s *Service) reportByID(ctx context.Context, reportID string) (*reportBody, error) {
	rows, err := s.DB.Query(ctx, sqlReportTold, reportID)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (*reportBody, error) {
		r := &reportBody{}
		return r, row.Scan(&r.ID, &r.TargetUserID, &r.TargetUserHost, &r.ReporterID, &r.ReporterHost, &r.AssigneeID, &r.Resolved, &r.Forwarded,
			&r.Comment, &r.ModerationNote, &r.ResolvedAs)
	})
	if pg.NoRows(err) {
		return nil, errHookGone
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// pretended is a report that nobody made, of who tries the webhook about himself.
func pretended(a systemArgs) *reportBody {
	r := &reportBody{ID: a.EventID, TargetUserID: a.ObjectID, ReporterID: a.ObjectID, Comment: "This is a test: nobody was reported."}
	if a.Type == "abuseReportResolved" {
		accept := "accept"
		r.Resolved, r.ResolvedAs, r.AssigneeID = true, &accept, &a.ObjectID
	}
	return r
}

// reported adds the people of a report.
func (s *Service) reported(ctx context.Context, r *reportBody) (*reportBody, error) {
	who := []string{r.TargetUserID, r.ReporterID}
	if r.AssigneeID != nil {
		who = append(who, *r.AssigneeID)
	}
	lites, err := s.Users.LiteByIDs(ctx, who)
	if err != nil {
		return nil, err
	}
	r.TargetUser, r.Reporter = lites[r.TargetUserID], lites[r.ReporterID]
	if r.AssigneeID != nil {
		r.Assignee = lites[*r.AssigneeID]
	}
	return r, nil
}
