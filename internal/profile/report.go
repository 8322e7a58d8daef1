package profile

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/user"
)

type reportReq struct {
	UserID  string `json:"userId" api:"required,id"`
	Comment string `json:"comment" api:"required,min=1,max=2048"`
}

var (
	errReportNoUser   = api.Err("NO_SUCH_USER", "1acefcb5-0959-43fd-9685-b48305736cb5", "There is no such account.")
	errReportYourself = api.Err("CANNOT_REPORT_YOURSELF", "1e13149e-b1e8-43cf-902e-c01dbfcb202f", "You cannot report yourself.")
	errReportAdmin    = api.Err("CANNOT_REPORT_THE_ADMIN", "35e166f5-05fb-4f87-a2d5-adb42676d48f", "Those who run the server cannot be reported to themselves.")
)

const sqlReport = `
INSERT INTO abuse_report (id, target_user_id, target_user_host, reporter_id, reporter_host, comment, note_ids) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// apiReport tells the moderators of an account.
func (s *Service) apiReport(ctx context.Context, c *api.Call, req reportReq) (api.None, error) {
	target, err := s.users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) {
		return api.None{}, errReportNoUser
	}
	if err != nil {
		return api.None{}, err
	}
	if c.Is(target.ID) {
		return api.None{}, errReportYourself
	}
	if target.IsRoot || target.IsSystem {
		return api.None{}, errReportAdmin
	}
	me, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.report(ctx, tx, me, target, req.Comment, nil) })
}

func (s *Service) report(ctx context.Context, tx *pg.Tx, by, target *user.User, comment string, noteIDs []string) error {
	if noteIDs == nil {
		noteIDs = []string{}
	}
	id := s.ids.Now()
	if _, err := tx.Exec(ctx, sqlReport, id, target.ID, target.Host, by.ID, by.Host, comment, noteIDs); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return s.log.Append(ctx, tx, "report.created", id, by.ID, nil)
}

// maxFlagged is how many things one Flag may be about.
const maxFlagged = 50

// onFlag takes a report of another server's moderators: of accounts here, and
// notes of theirs.
func (s *Service) onFlag(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	by, err := s.users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	targets := map[string]*user.User{}
	notes := map[string][]string{}
	uris := a.Object.Refs("object")
	for _, uri := range uris[:min(len(uris), maxFlagged)] {
		u, err := s.users.ByURI(ctx, tx, uri)
		if err != nil && !errors.Is(err, user.ErrNotFound) {
			return err
		}
		if err != nil {
			n, err := s.notes.ByURI(ctx, tx, uri)
			if err != nil || !n.Local() {
				continue
			}
			if u, err = s.users.ByIDIn(ctx, tx, n.UserID); err != nil {
				return err
			}
			notes[u.ID] = append(notes[u.ID], n.ID)
		}
		if u.Local() && !u.IsSystem {
			targets[u.ID] = u
		}
	}
	if len(targets) == 0 {
		return inbox.Drop("a report about nobody here")
	}
	comment := a.Object.String("content")
	if r := []rune(comment); len(r) > 2048 {
		comment = string(r[:2048])
	}
	for id, u := range targets {
		if err := s.report(ctx, tx, by, u, comment, notes[id]); err != nil {
			return err
		}
	}
	return nil
}
