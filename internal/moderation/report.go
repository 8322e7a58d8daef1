package moderation

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

const (
	// reported is the kind of change that a new report is.
	reported = "report.created"
	// resolved is the kind of change that a report is when it is closed.
	resolved = "report.resolved"
	// maxComment of a report, in code points.
	maxComment = 2048
	// maxReported notes may one report be about.
	maxReported = 50
)

// reportEndpoints are those of reports.
func (s *Service) reportEndpoints() []api.Endpoint {
	write := api.Moderator("write:admin:resolve-abuse-user-report")
	return []api.Endpoint{
		api.Post("users/report-abuse", s.apiReport, api.Scope("write:report-abuse"), api.Errors(errReportNoUser, errReportYourself, errReportAdmin, errReportNoNote)),
		api.Post("admin/abuse-user-reports", s.apiReports, api.Moderator("read:admin:abuse-user-reports")),
		api.Post("admin/resolve-abuse-user-report", s.apiResolve, write, api.Errors(errResolveNone)),
		api.Post("admin/update-abuse-user-report", s.apiUpdateReport, write, api.Errors(errUpdateNone)),
		api.Post("admin/forward-abuse-user-report", s.apiForward, write, api.Errors(errForwardNone, errForwardHere, errForwarded, errForwardNowhere)),
	}
}

type reportReq struct {
	UserID  string   `json:"userId" api:"required,id"`
	Comment string   `json:"comment" api:"required,min=1,max=2048"`
	NoteIDs []string `json:"noteIds" api:"unique,max=50,items-id"` // ours: which of the account's notes it is about
}

var (
	errReportNoUser   = api.Err("NO_SUCH_USER", "1acefcb5-0959-43fd-9685-b48305736cb5", "There is no such account.")
	errReportYourself = api.Err("CANNOT_REPORT_YOURSELF", "1e13149e-b1e8-43cf-902e-c01dbfcb202f", "You cannot report yourself.")
	errReportAdmin    = api.Err("CANNOT_REPORT_THE_ADMIN", "35e166f5-05fb-4f87-a2d5-adb42676d48f", "Those who run the server cannot be reported to themselves.")
	errReportNoNote   = api.Err("NO_SUCH_NOTE", "0f6a1d0e-53b1-4a1c-8a36-6d0c6a1f5e01", "One of the notes does not exist, or is not the account's.")
)

// apiReport tells the moderators of an account. Clients put the address of a note
// into the comment; those of the account's that are meant are kept with it.
func (s *Service) apiReport(ctx context.Context, c *api.Call, req reportReq) (api.None, error) {
	users, err := s.Users.ByIDs(ctx, s.DB, []string{req.UserID, c.UserID})
	if err != nil {
		return api.None{}, err
	}
	target := users[req.UserID]
	switch {
	case target == nil || target.IsDeleted:
		return api.None{}, errReportNoUser
	case c.Is(target.ID):
		return api.None{}, errReportYourself
	case target.IsSystem:
		return api.None{}, errReportAdmin
	}
	if _, admin, err := s.Roles.Ranks(ctx, target.ID); err != nil {
		return api.None{}, err
	} else if admin {
		return api.None{}, errReportAdmin
	}
	named, err := s.notesOf(ctx, c.UserID, target.ID, req.NoteIDs)
	if err != nil {
		return api.None{}, err
	}
	if len(named) < len(req.NoteIDs) {
		return api.None{}, errReportNoNote
	}
	meant, err := s.notesOf(ctx, c.UserID, target.ID, s.addressed(req.Comment))
	if err != nil {
		return api.None{}, err
	}
	for _, id := range meant {
		if !slices.Contains(named, id) && len(named) < maxReported {
			named = append(named, id)
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		return s.report(ctx, tx, users[c.UserID], target, req.Comment, named)
	})
}

// addressed are the ids of this server's pages of notes in a text.
func (s *Service) addressed(text string) []string {
	var ids []string
	for _, m := range regexp.MustCompile(regexp.QuoteMeta(s.Meta.Origin)+`/notes/([0-9A-Za-z]+)`).FindAllStringSubmatch(text, maxReported) {
		if !slices.Contains(ids, m[1]) {
			ids = append(ids, m[1])
		}
	}
	return ids
}

const sqlTheirs = `SELECT id FROM note WHERE id = ANY($1) AND user_id = $2 ORDER BY id`

// notesOf are those of the notes that are the account's, and that the viewer may
// see.
func (s *Service) notesOf(ctx context.Context, viewerID, userID string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	seen, err := s.Notes.StillSeen(ctx, viewerID, ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.DB.Query(ctx, sqlTheirs, seen, userID)
	if err != nil {
		return nil, fmt.Errorf("reported notes: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reported notes: %w", err)
	}
	return out, nil
}

const sqlReport = `
INSERT INTO abuse_report (id, target_user_id, target_user_host, reporter_id, reporter_host, comment, note_ids) VALUES ($1, $2, $3, $4, $5, $6, $7)`

func (s *Service) report(ctx context.Context, tx *pg.Tx, by, target *user.User, comment string, noteIDs []string) error {
	if noteIDs == nil {
		noteIDs = []string{}
	}
	id := s.IDs.Now()
	if _, err := tx.Exec(ctx, sqlReport, id, target.ID, target.Host, by.ID, by.Host, comment, noteIDs); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if s.Mail.Ready() {
		if err := s.Queue.Insert(ctx, tx, reportArgs{ReportID: id}, time.Time{}); err != nil {
			return err
		}
	}
	return s.Log.Append(ctx, tx, reported, id, by.ID, nil)
}

// onFlag takes a report of another server's moderators: of accounts here, and
// notes of theirs, whose addresses are added to what the report says.
func (s *Service) onFlag(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	by, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	targets := map[string]*user.User{}
	notes := map[string][]string{}
	var order []string
	uris := a.Object.Refs("object")
	for _, uri := range uris[:min(len(uris), maxReported)] {
		u, noteID, err := s.flagged(ctx, tx, uri)
		if err != nil {
			return err
		}
		if u == nil {
			continue
		}
		if targets[u.ID] == nil {
			targets[u.ID] = u
			order = append(order, u.ID)
		}
		if noteID != "" && !slices.Contains(notes[u.ID], noteID) {
			notes[u.ID] = append(notes[u.ID], noteID)
		}
	}
	if len(targets) == 0 {
		return inbox.Drop("a report about nobody here")
	}
	for _, id := range order {
		if err := s.report(ctx, tx, by, targets[id], s.comment(a.Object.String("content"), notes[id]), notes[id]); err != nil {
			return err
		}
	}
	return nil
}

// flagged is the account here that an address names, or whose note it names; nil
// when it is nobody's here.
func (s *Service) flagged(ctx context.Context, tx *pg.Tx, uri string) (u *user.User, noteID string, err error) {
	u, err = s.Users.ByURI(ctx, tx, uri)
	if errors.Is(err, user.ErrNotFound) {
		n, err := s.Notes.ByURI(ctx, tx, uri)
		if err != nil || !n.Local() {
			return nil, "", nil //nolint:nilerr // what is not known is nobody's
		}
		noteID = n.ID
		u, err = s.Users.ByIDIn(ctx, tx, n.UserID)
		if err != nil {
			return nil, "", err
		}
	} else if err != nil {
		return nil, "", err
	}
	if !u.Local() || u.IsSystem || u.IsDeleted {
		return nil, "", nil
	}
	return u, noteID, nil
}

// comment is what a report says, with the pages of the notes it is about, as many
// as leave room for what it says.
func (s *Service) comment(text string, noteIDs []string) string {
	var tail strings.Builder
	for _, id := range noteIDs {
		if line := "\n" + s.Meta.Origin + "/notes/" + id; tail.Len()+len(line) <= maxComment/2 {
			tail.WriteString(line)
		}
	}
	r := []rune(text)
	return string(r[:min(len(r), maxComment-tail.Len())]) + tail.String()
}
