package moderation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// report is a row.
type report struct {
	ID           string
	TargetID     string
	TargetHost   *string
	ReporterID   string
	ReporterHost *string
	AssigneeID   *string
	Comment      string
	NoteIDs      []string
	Resolved     bool
	ResolvedAs   *string
	Forwarded    bool
	Note         string // of the moderators
}

const sqlReports = `SELECT t.id, t.target_user_id, t.target_user_host, t.reporter_id, t.reporter_host, t.assignee_id, t.comment, t.note_ids, t.resolved,
	t.resolved_as, t.forwarded, t.moderation_note FROM abuse_report t`

const sqlReportLocked = sqlReports + ` WHERE t.id = $1 FOR UPDATE OF t`

type reportsReq struct {
	api.Page
	Limit          int     `json:"limit" api:"min=1,max=100,default=10"`
	State          *string `json:"state" api:"nullable,max=32"` // resolved, unresolved; all others mean all
	ReporterOrigin string  `json:"reporterOrigin" api:"enum=combined|local|remote,default=combined"`
	TargetOrigin   string  `json:"targetUserOrigin" api:"enum=combined|local|remote,default=combined"`
}

// Report is a report as moderators see it.
type Report struct {
	ID           string         `json:"id"`
	CreatedAt    api.Time       `json:"createdAt"`
	Comment      string         `json:"comment"`
	Resolved     bool           `json:"resolved"`
	ReporterID   string         `json:"reporterId"`
	TargetUserID string         `json:"targetUserId"`
	AssigneeID   *string        `json:"assigneeId"`
	Reporter     *user.Detailed `json:"reporter"`
	TargetUser   *user.Detailed `json:"targetUser"`
	Assignee     *user.Detailed `json:"assignee"`
	Forwarded    bool           `json:"forwarded"`
	ResolvedAs   *string        `json:"resolvedAs"`
	Note         string         `json:"moderationNote"`
	NoteIDs      []string       `json:"noteIds"` // ours
}

func (s *Service) apiReports(ctx context.Context, c *api.Call, req reportsReq) ([]*Report, error) {
	w := &pg.Where{}
	if req.State != nil && *req.State == "resolved" {
		w.And("t.resolved")
	}
	if req.State != nil && *req.State == "unresolved" {
		w.And("NOT t.resolved")
	}
	switch req.ReporterOrigin {
	case "local":
		w.And("t.reporter_host IS NULL")
	case "remote":
		w.And("t.reporter_host IS NOT NULL")
	}
	switch req.TargetOrigin {
	case "local":
		w.And("t.target_user_host IS NULL")
	case "remote":
		w.And("t.target_user_host IS NOT NULL")
	}
	tail := req.Apply(w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlReports+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[report])
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	return s.packReports(ctx, c.UserID, list)
}

func (s *Service) packReports(ctx context.Context, viewerID string, list []*report) ([]*Report, error) {
	out := make([]*Report, 0, len(list))
	if len(list) == 0 {
		return out, nil
	}
	var who []string
	for _, r := range list {
		who = append(who, r.TargetID, r.ReporterID)
		if r.AssigneeID != nil {
			who = append(who, *r.AssigneeID)
		}
	}
	users, err := s.Users.ByIDs(ctx, s.DB, who)
	if err != nil {
		return nil, err
	}
	packed, err := s.Users.PackDetailed(ctx, viewerID, users, false)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		at, err := s.IDs.Method().Time(r.ID)
		if err != nil {
			return nil, fmt.Errorf("report %s: %w", r.ID, err)
		}
		p := &Report{ID: r.ID, CreatedAt: api.Time(at), Comment: r.Comment, Resolved: r.Resolved, ReporterID: r.ReporterID, TargetUserID: r.TargetID,
			AssigneeID: r.AssigneeID, Reporter: packed[r.ReporterID], TargetUser: packed[r.TargetID], Forwarded: r.Forwarded, ResolvedAs: r.ResolvedAs,
			Note: r.Note, NoteIDs: r.NoteIDs}
		if r.AssigneeID != nil {
			p.Assignee = packed[*r.AssigneeID]
		}
		out = append(out, p)
	}
	return out, nil
}

var (
	errResolveNone = &api.Error{Code: "NO_SUCH_ABUSE_REPORT", ID: "ac3794dd-2ce4-d878-e546-73c60c06b398", Kind: "server", Status: http.StatusNotFound,
		Message: "There is no such report."}
	errForwardNone = &api.Error{Code: "NO_SUCH_ABUSE_REPORT", ID: "8763e21b-d9bc-40be-acf6-54c1a6986493", Kind: "server", Status: http.StatusNotFound,
		Message: "There is no such report."}
	errUpdateNone = &api.Error{Code: "NO_SUCH_ABUSE_REPORT", ID: "15f51cf5-46d1-4b1d-a618-b35bcbed0662", Kind: "server", Status: http.StatusNotFound,
		Message: "There is no such report."}
	errForwardHere    = api.Err("TARGET_IS_LOCAL", "0f6a1d0e-53b1-4a1c-8a36-6d0c6a1f5e02", "The account is of this server: there is nobody to forward the report to.")
	errForwarded      = api.Err("ALREADY_FORWARDED", "0f6a1d0e-53b1-4a1c-8a36-6d0c6a1f5e03", "The report has been forwarded.")
	errForwardNowhere = api.Err("TARGET_UNREACHABLE", "0f6a1d0e-53b1-4a1c-8a36-6d0c6a1f5e04", "The account's server cannot be told, or this server does not federate with it.")
)

// locked reads a report that is about to be changed.
func (s *Service) locked(ctx context.Context, tx *pg.Tx, reportID string, none *api.Error) (*report, error) {
	rows, err := tx.Query(ctx, sqlReportLocked, reportID)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[report])
	if pg.NoRows(err) {
		return nil, none
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

// info is what the log keeps of a report: never what it says.
func (r *report) info() map[string]any {
	return map[string]any{"reportId": r.ID, "report": map[string]any{"id": r.ID, "targetUserId": r.TargetID, "targetUserHost": r.TargetHost,
		"reporterId": r.ReporterID, "reporterHost": r.ReporterHost, "forwarded": r.Forwarded}, "forwarded": r.Forwarded}
}

type resolveReq struct {
	ReportID   string  `json:"reportId" api:"required,id"`
	ResolvedAs *string `json:"resolvedAs" api:"nullable,enum=accept|reject"`
}

const sqlResolve = `UPDATE abuse_report SET resolved = true, resolved_as = $2, assignee_id = $3 WHERE id = $1`

// apiResolve closes a report. Closed again in another way, that counts.
func (s *Service) apiResolve(ctx context.Context, c *api.Call, req resolveReq) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.ReportID, errResolveNone)
		if err != nil {
			return err
		}
		if r.Resolved && same(r.ResolvedAs, req.ResolvedAs) {
			return nil
		}
		if _, err := tx.Exec(ctx, sqlResolve, r.ID, req.ResolvedAs, c.UserID); err != nil {
			return fmt.Errorf("resolve report: %w", err)
		}
		if err := s.Log.Append(ctx, tx, resolved, r.ID, c.UserID, nil); err != nil {
			return err
		}
		info := r.info()
		info["resolvedAs"] = req.ResolvedAs
		return s.acted(ctx, tx, c, "resolveAbuseReport", info)
	})
}

func same(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

type updateReportReq struct {
	ReportID string  `json:"reportId" api:"required,id"`
	Note     *string `json:"moderationNote" api:"max=8192"`
}

const sqlReportNote = `UPDATE abuse_report SET moderation_note = $2 WHERE id = $1`

// apiUpdateReport writes down what moderators think of a report.
func (s *Service) apiUpdateReport(ctx context.Context, c *api.Call, req updateReportReq) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.ReportID, errUpdateNone)
		if err != nil || req.Note == nil || *req.Note == r.Note {
			return err
		}
		if _, err := tx.Exec(ctx, sqlReportNote, r.ID, *req.Note); err != nil {
			return fmt.Errorf("note on report: %w", err)
		}
		info := r.info()
		info["before"], info["after"] = r.Note, *req.Note
		return s.acted(ctx, tx, c, "updateAbuseReportNote", info)
	})
}

type forwardReq struct {
	ReportID string `json:"reportId" api:"required,id"`
}

const (
	sqlForwarded = `UPDATE abuse_report SET forwarded = true WHERE id = $1`
	sqlNoteURIs  = `SELECT uri FROM note WHERE id = ANY($1) AND user_id = $2 AND uri IS NOT NULL ORDER BY id`
)

// apiForward tells the moderators of the account's server, once. It is this
// server that tells them: of who reported it they hear nothing.
func (s *Service) apiForward(ctx context.Context, c *api.Call, req forwardReq) (api.None, error) {
	self, err := s.Users.EnsureInstanceActor(ctx)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		r, err := s.locked(ctx, tx, req.ReportID, errForwardNone)
		switch {
		case err != nil:
			return err
		case r.TargetHost == nil:
			return errForwardHere
		case r.Forwarded:
			return errForwarded
		}
		target, err := s.Users.ByIDIn(ctx, tx, r.TargetID)
		if err != nil {
			return err
		}
		if target.Inbox == nil || target.IsDeleted || s.Instances.Allowed(ctx, *target.ActorHost) != nil {
			return errForwardNowhere
		}
		if err := s.sendFlag(ctx, tx, self, target, r); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlForwarded, r.ID); err != nil {
			return fmt.Errorf("forward report: %w", err)
		}
		r.Forwarded = true
		return s.acted(ctx, tx, c, "forwardAbuseReport", r.info())
	})
}

// sendFlag stages the Flag. Its object is the account, and the notes that the
// report is about after it, as Mastodon does; alone, it is no list, as Misskey
// does.
func (s *Service) sendFlag(ctx context.Context, tx *pg.Tx, self, target *user.User, r *report) error {
	rows, err := tx.Query(ctx, sqlNoteURIs, r.NoteIDs, target.ID)
	if err != nil {
		return fmt.Errorf("reported notes: %w", err)
	}
	notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reported notes: %w", err)
	}
	act := &ap.Activity{Context: ap.Context(), ID: s.Meta.Origin + "/activities/" + s.IDs.Now(), Type: "Flag", Actor: s.Users.URI(self),
		Object: s.Users.URI(target), Content: r.Comment}
	if len(notes) > 0 {
		act.Object = append([]string{s.Users.URI(target)}, notes...)
	}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render Flag: %w", err)
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: self.ID, ActivityID: act.ID, Type: "Flag", Body: body, Class: delivery.Direct,
		Extra: []delivery.Inbox{target.Recipient()}})
	return err
}
