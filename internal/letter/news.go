package letter

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/mailer"
)

// newsArgs ask to write an announcement to those who want it.
type newsArgs struct {
	AnnouncementID string `json:"announcementId"`
}

// Kind implements job.Args.
func (newsArgs) Kind() string { return "letter.news" }

const (
	// Only what is to be confirmed is worth a letter to everybody.
	sqlWorth = `INSERT INTO letter_news (announcement_id)
SELECT id FROM announcement WHERE id = ANY($1) AND is_active AND need_confirmation AND NOT silence
ON CONFLICT (announcement_id) DO NOTHING RETURNING announcement_id`

	sqlNews = `SELECT a.title, a.text, a.user_id, l.after_id FROM letter_news l JOIN announcement a ON a.id = l.announcement_id
WHERE l.announcement_id = $1 FOR UPDATE OF l`

	sqlWilling = `
SELECT u.id, a.email, coalesce(p.lang, '') FROM account a JOIN "user" u ON u.id = a.user_id JOIN user_profile p ON p.user_id = a.user_id
WHERE a.user_id > $1 AND a.email_verified AND a.email IS NOT NULL AND p.receive_announcement_email AND NOT u.is_suspended AND NOT u.is_deleted
	AND ($2::text IS NULL OR a.user_id = $2) ORDER BY a.user_id LIMIT $3`

	sqlNewsAt   = `UPDATE letter_news SET after_id = $2 WHERE announcement_id = $1`
	sqlNewsDone = `DELETE FROM letter_news WHERE announcement_id = $1`
)

// announce has announcements written to those who want them.
func (s *Service) announce(ctx context.Context, tx *pg.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sqlWorth, ids)
	if err != nil {
		return fmt.Errorf("announcements: %w", err)
	}
	worth, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("announcements: %w", err)
	}
	for _, id := range worth {
		if err := s.Queue.Insert(ctx, tx, newsArgs{id}, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// workNews writes an announcement page after page. Letters leave together with the
// mark of how far it is: a job that is run again goes on from there.
func (s *Service) workNews(ctx context.Context, a newsArgs) error {
	for more := true; more; {
		err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
			more, err = s.newsPage(ctx, tx, a.AnnouncementID)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) newsPage(ctx context.Context, tx *pg.Tx, id string) (more bool, err error) {
	var title, body, after string
	var only *string
	if err := tx.QueryRow(ctx, sqlNews, id).Scan(&title, &body, &only, &after); pg.NoRows(err) {
		return false, nil // it is done, or has been withdrawn
	} else if err != nil {
		return false, fmt.Errorf("announcement: %w", err)
	}
	type reader struct{ ID, Email, Lang string }
	rows, err := tx.Query(ctx, sqlWilling, after, only, page)
	if err != nil {
		return false, fmt.Errorf("who wants announcements: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reader])
	if err != nil {
		return false, fmt.Errorf("who wants announcements: %w", err)
	}
	for _, r := range list {
		lang := s.Auth.Language(r.Lang)
		if err := s.Mail.Send(ctx, tx, mailer.Letter{To: r.Email, Lang: lang, Subject: title + " - " + s.site(), Paragraphs: []string{body},
			Link: s.Meta.Origin, LinkText: s.site(), Footer: texts[lang].news + " " + s.Meta.Origin + "/settings/email"}); err != nil {
			return false, err
		}
	}
	if len(list) < page {
		_, err = tx.Exec(ctx, sqlNewsDone, id)
	} else {
		_, err = tx.Exec(ctx, sqlNewsAt, id, list[len(list)-1].ID)
	}
	if err != nil {
		return false, fmt.Errorf("announcement: %w", err)
	}
	return len(list) == page, nil
}
