// Package letter is in charge of the mail that people have asked for in their
// settings: of notifications that they have not read (emailNotificationTypes), at most
// one letter in a while however much happens, and of announcements that everybody is to
// confirm (receiveAnnouncementEmail). Letters that guard an account are package auth's.
// They go to proven addresses only, and say who did what, never what a note says: mail
// is read by others on its way.
package letter

import (
	"context"
	"fmt"
	"time"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/mailer"
)

const (
	// unreadFor is how long somebody has to read here what a letter would tell.
	unreadFor = 30 * time.Minute
	// quietFor is how long no letter follows the last one.
	quietFor = 6 * time.Hour
	// lookEvery is how often it is looked which letters are due.
	lookEvery = time.Minute
)

// Deps are what the service needs.
type Deps struct {
	DB    *pg.DB
	Meta  *meta.Service
	Auth  *auth.Service // which languages letters are written in
	Mail  *mailer.Service
	Queue *job.Queue
	Now   func() time.Time
}

// Service writes letters.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{d} }

// Consumers make letters of what happens.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "letter", Durable: true, Kinds: []string{"notification.created", "announcement.created"}, Handle: s.onChanges}}
}

// Jobs write them.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{
		job.Every(lookEvery, dueArgs{}, s.workDue),
		job.Work(s.workNews),
	}
}

// A letter that is due already takes what happens until then along.
const sqlDue = `
INSERT INTO letter_due AS d (user_id, since, due_at)
SELECT n.notifiee_id, min(n.id), $2::timestamptz FROM notification n
JOIN account a ON a.user_id = n.notifiee_id AND a.email_verified AND a.email IS NOT NULL
JOIN user_profile p ON p.user_id = n.notifiee_id AND n.type = ANY(p.email_notification_types)
WHERE n.id = ANY($1) GROUP BY n.notifiee_id
ON CONFLICT (user_id) DO UPDATE SET since = excluded.since, due_at = greatest(excluded.due_at, d.sent_at + make_interval(secs => $3)) WHERE d.due_at IS NULL`

func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	if !s.Mail.Ready() {
		return nil
	}
	var notifications, announcements []string
	for _, c := range batch {
		if c.Kind == "announcement.created" {
			announcements = append(announcements, c.ObjectID)
		} else {
			notifications = append(notifications, c.ObjectID)
		}
	}
	if len(notifications) > 0 {
		if _, err := tx.Exec(ctx, sqlDue, notifications, s.Now().Add(unreadFor), quietFor.Seconds()); err != nil {
			return fmt.Errorf("letters due: %w", err)
		}
	}
	return s.announce(ctx, tx, announcements)
}

// site is what the server is called in letters.
func (s *Service) site() string {
	if n := s.Meta.Get().Name; n != nil && *n != "" {
		return *n
	}
	return s.Meta.Host
}
