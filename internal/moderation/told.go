package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/mailer"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// adminTopic carries to one moderator what moderators are told. It is one topic
// each, so that who is one is decided when it is told and not when he connected.
func adminTopic(userID string) string { return "admin:" + userID }

func (s *Service) openAdmin(ctx context.Context, sub *stream.Sub, _ json.RawMessage) error {
	moderator, _, err := s.Roles.Ranks(ctx, sub.UserID())
	if err != nil {
		return err
	}
	if !moderator {
		return stream.ErrRefused
	}
	sub.On(adminTopic(sub.UserID()), func(msg any) (string, any, bool) {
		e, ok := msg.(stream.Event)
		return e.Type, e.Body, ok
	})
	return nil
}

// newReport is the event of a report.
type newReport struct {
	ID           string `json:"id"`
	TargetUserID string `json:"targetUserId"`
	ReporterID   string `json:"reporterId"`
	Comment      string `json:"comment"`
}

const sqlNewReport = `SELECT id, target_user_id, reporter_id, comment FROM abuse_report WHERE id = $1`

// onReported tells moderators who are connected here.
func (s *Service) onReported(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	moderators, err := s.Roles.Moderators(ctx)
	if err != nil {
		return err
	}
	var topics []string
	for userID := range moderators {
		if t := adminTopic(userID); s.Hub.Heard(t) {
			topics = append(topics, t)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	for _, c := range batch {
		rows, err := s.DB.Query(ctx, sqlNewReport, c.ObjectID)
		if err != nil {
			return fmt.Errorf("new report: %w", err)
		}
		r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[newReport])
		if pg.NoRows(err) {
			continue // one of the two is gone
		}
		if err != nil {
			return fmt.Errorf("new report: %w", err)
		}
		for _, t := range topics {
			s.Hub.Publish(t, stream.Event{Type: "newAbuseUserReport", Body: r})
		}
	}
	return nil
}

// reportArgs of the job that writes to moderators.
type reportArgs struct {
	ReportID string `json:"reportId"`
}

// Kind implements job.Args.
func (reportArgs) Kind() string { return "moderation.report" }

// quietFor is how long nobody is written to again for reports of the same person,
// or of the same server: they are read together, and nobody can fill a mailbox.
const quietFor = 10 * time.Minute

const (
	// A report that is still to be looked at, unless one of the same origin was
	// made just before it.
	sqlToTell = `
SELECT t.target_user_id FROM abuse_report t
WHERE t.id = $1 AND NOT t.resolved AND NOT EXISTS (
	SELECT FROM abuse_report o WHERE o.id < t.id AND o.id > $2
		AND (o.reporter_id = t.reporter_id OR o.reporter_host = t.reporter_host))`
	sqlAddresses = `
SELECT a.email, coalesce(p.lang, '') FROM account a JOIN "user" u ON u.id = a.user_id JOIN user_profile p ON p.user_id = a.user_id
WHERE a.user_id = ANY($1) AND a.email_verified AND a.email IS NOT NULL AND NOT u.is_suspended AND NOT u.is_deleted ORDER BY a.user_id`
)

// workReport writes to the recipients who have a proven address, and to the
// maintainer. The letter says whom the report is about, and nothing of what it
// says or who made it: that is read here.
func (s *Service) workReport(ctx context.Context, a reportArgs) error {
	at, err := s.IDs.Method().Time(a.ReportID)
	if err != nil {
		return fmt.Errorf("report %s: %w", a.ReportID, err)
	}
	var targetID string
	err = s.DB.QueryRow(ctx, sqlToTell, a.ReportID, s.IDs.Method().Before(at.Add(-quietFor))).Scan(&targetID)
	if pg.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	target, err := s.Users.ByID(ctx, targetID)
	if errors.Is(err, user.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	to, err := s.addressees(ctx)
	if err != nil {
		return err
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		for _, x := range to {
			if err := s.Mail.Send(ctx, tx, s.reportLetter(x, target)); err != nil {
				return err
			}
		}
		return nil
	})
}

type addressee struct{ Email, Lang string }

// addressees are who is written to about reports, each address once: the recipients of
// mail who are switched on or, where none has been named, all moderators; and the
// maintainer.
func (s *Service) addressees(ctx context.Context) ([]addressee, error) {
	recipients, err := s.recipients(ctx)
	if err != nil {
		return nil, err
	}
	ids, named := []string{}, false
	for _, r := range recipients {
		named = named || r.UserID != nil
		if r.UserID != nil && r.Active {
			ids = append(ids, *r.UserID)
		}
	}
	if !named {
		moderators, err := s.Roles.Moderators(ctx)
		if err != nil {
			return nil, err
		}
		for userID := range moderators {
			ids = append(ids, userID)
		}
	}
	list, err := s.addresses(ctx, s.DB, ids)
	if err != nil {
		return nil, err
	}
	if m := s.Meta.Get().MaintainerEmail; m != nil && *m != "" {
		list = append(list, addressee{Email: *m})
	}
	seen := map[string]bool{}
	var out []addressee
	for _, x := range list {
		if key := strings.ToLower(x.Email); !seen[key] {
			seen[key] = true
			out = append(out, x)
		}
	}
	return out, nil
}

// addresses are the proven ones of accounts that may use the server.
func (s *Service) addresses(ctx context.Context, q pg.Q, userIDs []string) ([]addressee, error) {
	rows, err := q.Query(ctx, sqlAddresses, userIDs)
	if err != nil {
		return nil, fmt.Errorf("addresses of moderators: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[addressee])
	if err != nil {
		return nil, fmt.Errorf("addresses of moderators: %w", err)
	}
	return list, nil
}

// reportTexts by language: subject, what is said, what the button says.
var reportTexts = map[string][3]string{
	"ko": {"새 신고가 있어요", "{site}의 {target} 계정에 대한 신고가 들어왔어요. 내용은 관리 화면의 신고 목록에서 확인해 주세요.", "계정 보기"},
	"ja": {"新しい通報があります", "{site}で{target}についての通報がありました。内容は管理画面の通報一覧で確認してください。", "アカウントを見る"},
	"en": {"A new report", "Somebody reported {target} on {site}. What they said is in the moderators' list of reports.", "See the account"},
}

// site is what the server is called in letters.
func (s *Service) site() string {
	if n := s.Meta.Get().Name; n != nil && *n != "" {
		return *n
	}
	return s.Meta.Host
}

func (s *Service) reportLetter(to addressee, target *user.User) mailer.Letter {
	site := s.site()
	lang := s.Auth.Language(to.Lang)
	t := reportTexts[lang]
	fill := strings.NewReplacer("{site}", site, "{target}", "@"+target.Acct())
	return mailer.Letter{To: to.Email, Lang: lang, Subject: t[0] + " - " + site, Paragraphs: []string{fill.Replace(t[1])},
		Link: s.Meta.Origin + "/@" + target.Acct(), LinkText: t[2], Footer: site + " " + s.Meta.Origin}
}
