package letter

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/mailer"
)

// dueArgs ask to write the letters that are due.
type dueArgs struct{}

// Kind implements job.Args.
func (dueArgs) Kind() string { return "letter.due" }

const (
	page     = 50  // letters of one transaction
	maxTold  = 500 // notifications that a letter counts
	maxNamed = 3   // accounts that it names, of each kind

	sqlTake    = `SELECT user_id, since FROM letter_due WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED`
	sqlWritten = `UPDATE letter_due SET due_at = NULL, sent_at = CASE WHEN $2 THEN $3 ELSE sent_at END WHERE user_id = $1`

	sqlTo = `
SELECT u.username, a.email, coalesce(p.lang, '') FROM account a JOIN "user" u ON u.id = a.user_id JOIN user_profile p ON p.user_id = a.user_id
WHERE a.user_id = $1 AND a.email_verified AND a.email IS NOT NULL AND NOT u.is_suspended AND NOT u.is_deleted`

	// What has been read, and what the account does not want any more, is left out.
	sqlUnread = `
SELECT n.type, '@' || by.username || coalesce('@' || by.host, '') FROM notification n
JOIN user_profile p ON p.user_id = n.notifiee_id AND n.type = ANY(p.email_notification_types)
JOIN "user" by ON by.id = n.notifier_id AND NOT by.is_suspended AND NOT by.is_deleted
LEFT JOIN notification_read r ON r.user_id = n.notifiee_id
WHERE n.notifiee_id = $1 AND n.id >= $2 AND n.id > coalesce(r.last_id, '') ORDER BY n.id DESC LIMIT $3`
)

// workDue writes the letters that are due, each once: it leaves in the transaction that
// notes that it was written.
func (s *Service) workDue(ctx context.Context) error {
	for n := page; n == page; {
		err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
			n, err = s.writeDue(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) writeDue(ctx context.Context, tx *pg.Tx) (int, error) {
	type due struct{ UserID, Since string }
	rows, err := tx.Query(ctx, sqlTake, s.Now(), page)
	if err != nil {
		return 0, fmt.Errorf("letters due: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
	if err != nil {
		return 0, fmt.Errorf("letters due: %w", err)
	}
	for _, d := range list {
		sent, err := s.writeOne(ctx, tx, d.UserID, d.Since)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, sqlWritten, d.UserID, sent, s.Now()); err != nil {
			return 0, fmt.Errorf("letter written: %w", err)
		}
	}
	return len(list), nil
}

// writeOne tells an account what it has not read; false when there is nothing, or
// nobody to tell.
func (s *Service) writeOne(ctx context.Context, tx *pg.Tx, userID, since string) (bool, error) {
	var name, to, lang string
	if err := tx.QueryRow(ctx, sqlTo, userID).Scan(&name, &to, &lang); pg.NoRows(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("addressee: %w", err)
	}
	rows, err := tx.Query(ctx, sqlUnread, userID, since, maxTold)
	if err != nil {
		return false, fmt.Errorf("unread notifications: %w", err)
	}
	var told summary
	var typ, acct string
	if _, err := pgx.ForEachRow(rows, []any{&typ, &acct}, func() error { told.add(typ, acct); return nil }); err != nil {
		return false, fmt.Errorf("unread notifications: %w", err)
	}
	if told.count == 0 {
		return false, nil
	}
	return true, s.Mail.Send(ctx, tx, s.digest(told, s.Auth.Language(lang), name, to))
}

// summary is what a letter tells of: by type, who did it, the latest first.
type summary struct {
	count int
	order []string
	by    map[string][]string
}

func (u *summary) add(typ, acct string) {
	if u.by == nil {
		u.by = map[string][]string{}
	}
	if _, known := u.by[typ]; !known {
		u.order = append(u.order, typ)
	}
	u.count++
	for _, a := range u.by[typ] {
		if a == acct {
			return
		}
	}
	u.by[typ] = append(u.by[typ], acct)
}

// digest is the letter of what somebody has not read.
func (s *Service) digest(told summary, lang, name, to string) mailer.Letter {
	t := texts[lang]
	site := s.site()
	fill := strings.NewReplacer("{site}", site, "{name}", name, "{n}", strconv.Itoa(told.count))
	l := mailer.Letter{To: to, Lang: lang, Subject: fill.Replace(t.subject) + " - " + site, Paragraphs: []string{fill.Replace(t.intro)},
		Link: s.Meta.Origin + "/my/notifications", LinkText: t.button, Footer: fill.Replace(t.footer) + " " + s.Meta.Origin + "/settings/email",
		Until: s.Now().Add(24 * time.Hour)}
	for _, typ := range told.order {
		who := told.by[typ]
		form, more := t.kinds[typ], max(0, len(who)-maxNamed)
		if form == "" {
			form = t.other
		}
		names := strings.Join(who[:len(who)-more], ", ")
		if more > 0 {
			names = strings.NewReplacer("{who}", names, "{more}", strconv.Itoa(more)).Replace(t.and)
		}
		l.Paragraphs = append(l.Paragraphs, strings.ReplaceAll(form, "{who}", names))
	}
	return l
}
