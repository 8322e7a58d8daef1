package moderation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/announcement"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/mailer"
)

const (
	// awayFor is how long no moderator may be here before nobody signs up any more
	// without an invitation.
	awayFor = 7 * 24 * time.Hour
	// warnWithin is how long before that they are told: two whole days are left.
	warnWithin = 3 * 24 * time.Hour
	// warnEvery is how often, at most, and how long the last of it is before the end.
	warnEvery = 24 * time.Hour
	// watchEvery is how often it is looked at.
	watchEvery = time.Hour

	away   = "moderators.away"     // the kind of change that a warning is
	closed = "registration.closed" // and that of the end of it
)

// watchArgs ask to look whether anybody looks after the server.
type watchArgs struct{}

// Kind implements job.Args.
func (watchArgs) Kind() string { return "moderation.watch" }

const (
	// The row is held until the end: whoever looks at the same time comes after it.
	sqlWatch   = `INSERT INTO moderator_watch (one) VALUES (true) ON CONFLICT (one) DO UPDATE SET one = true RETURNING warned_at`
	sqlWarned  = `UPDATE moderator_watch SET warned_at = $1`
	sqlClosed  = `SELECT coalesce((SELECT (settings ->> 'disableRegistration')::bool FROM meta), false)`
	sqlLastWas = `
SELECT max(s.last_active_at) FROM user_stat s JOIN "user" u ON u.id = s.user_id WHERE s.user_id = ANY($1) AND NOT u.is_suspended AND NOT u.is_deleted`
)

// workWatch sees to it that a server whose moderators stay away takes nobody in whom it
// does not know: they are warned, once a day, and then it needs an invitation to sign up.
// As long as nobody who moderates has been here at all there is nothing to see.
func (s *Service) workWatch(ctx context.Context) error {
	if err := s.forgetRecipients(ctx); err != nil {
		return err
	}
	found, err := s.Roles.Moderators(ctx)
	if err != nil {
		return err
	}
	moderators := slices.Sorted(maps.Keys(found))
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		var warned, last *time.Time
		var shut bool
		if err := tx.QueryRow(ctx, sqlWatch).Scan(&warned); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if err := tx.QueryRow(ctx, sqlClosed).Scan(&shut); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if err := tx.QueryRow(ctx, sqlLastWas, moderators).Scan(&last); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		if shut || last == nil {
			return nil
		}
		// A server that was away itself does not close before it has warned.
		now := s.Now()
		left := last.Add(awayFor).Sub(now)
		told := warned != nil && warned.After(*last)
		due := !told || !now.Before(warned.Add(warnEvery))
		switch {
		case left <= 0 && told && due:
			return s.closeRegistration(ctx, tx, moderators)
		case left < warnWithin && due:
			left = max(left, warnEvery)
			if _, err := tx.Exec(ctx, sqlWarned, now); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			return s.warn(ctx, tx, moderators, left)
		}
		return nil
	})
}

// watchTexts are what moderators are told, by language: {n} is a number of days or
// hours.
var watchTexts = map[string]struct {
	soon, days, hours, soonText string
	now, nowText, button        string
}{
	"ko": {
		soon: "곧 초대를 받아야만 가입할 수 있게 돼요", days: "{n}일", hours: "{n}시간",
		soonText: "최근 {site}에 접속한 모더레이터가 없어요. 앞으로 {left} 안에 아무도 접속하지 않으면, 초대 코드가 있어야만 가입할 수 있도록 자동으로 바뀌어요. 접속하기만 하면 바뀌지 않아요.",
		now:      "이제 초대를 받아야만 가입할 수 있어요", nowText: "{site}에 7일 동안 접속한 모더레이터가 없어서, 초대 코드가 있어야만 가입할 수 있도록 바뀌었어요. 서버 설정에서 다시 열 수 있어요.", button: "접속하기",
	},
	"ja": {
		soon: "まもなく招待制に切り替わります", days: "{n}日", hours: "{n}時間",
		soonText: "最近{site}を開いたモデレーターがいません。あと{left}のあいだに誰も開かないと、登録には招待コードが必要になります。開くだけで、切り替わりません。",
		now:      "招待制に切り替わりました", nowText: "{site}を開いたモデレーターが7日間いなかったため、登録に招待コードが必要になりました。サーバーの設定から元に戻せます。", button: "サーバーを開く",
	},
	"en": {
		soon: "Soon nobody can sign up without an invitation", days: "{n} days", hours: "{n} hours",
		soonText: "No moderator has been on {site} lately. If none comes within {left}, signing up will need an invitation. Opening the site is enough to prevent that.",
		now:      "Signing up needs an invitation now", nowText: "No moderator has been on {site} for 7 days, so signing up needs an invitation from now on. It can be opened again in the server's settings.", button: "Open the site",
	},
}

// warn tells moderators how long is left.
func (s *Service) warn(ctx context.Context, tx *pg.Tx, moderators []string, left time.Duration) error {
	s.Slog.WarnContext(ctx, "no moderator has been here lately: registration will close", "left", left.Round(time.Minute))
	if err := s.Log.Append(ctx, tx, away, "", "", map[string]int64{"leftMs": left.Milliseconds()}); err != nil {
		return err
	}
	to, err := s.addresses(ctx, tx, moderators)
	if err != nil {
		return err
	}
	for _, x := range to {
		lang := s.Auth.Language(x.Lang)
		t := watchTexts[lang]
		n, unit := int(left/(24*time.Hour)), t.days
		if n == 0 {
			n, unit = int(left/time.Hour), t.hours
		}
		text := strings.NewReplacer("{site}", s.site(), "{left}", strings.Replace(unit, "{n}", strconv.Itoa(n), 1)).Replace(t.soonText)
		if err := s.Mail.Send(ctx, tx, s.watchLetter(x.Email, lang, t.soon, text)); err != nil {
			return err
		}
	}
	return nil
}

const sqlLangs = `SELECT p.user_id, coalesce(p.lang, '') FROM user_profile p WHERE p.user_id = ANY($1) ORDER BY p.user_id`

// closeRegistration makes signing up need an invitation, and tells moderators by letter
// and, for they may have no address, by an announcement of their own.
func (s *Service) closeRegistration(ctx context.Context, tx *pg.Tx, moderators []string) error {
	s.Slog.WarnContext(ctx, "no moderator has been here for 7 days: signing up needs an invitation now")
	if err := s.Meta.UpdateIn(ctx, tx, map[string]any{"disableRegistration": true}); err != nil {
		return err
	}
	if err := s.Log.Append(ctx, tx, closed, "", "", nil); err != nil {
		return err
	}
	err := s.Bus.Emit(ctx, tx, role.Acted{Type: "updateServerSettings", Info: map[string]any{"before": map[string]any{"disableRegistration": false},
		"after": map[string]any{"disableRegistration": true}}})
	if err != nil {
		return err
	}
	type told struct{ UserID, Lang string }
	rows, err := tx.Query(ctx, sqlLangs, moderators)
	if err != nil {
		return fmt.Errorf("languages of moderators: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[told])
	if err != nil {
		return fmt.Errorf("languages of moderators: %w", err)
	}
	for _, x := range list {
		t := watchTexts[s.Auth.Language(x.Lang)]
		err := s.News.Tell(ctx, tx, announcement.Told{UserID: x.UserID, Title: t.now, Text: strings.ReplaceAll(t.nowText, "{site}", s.site()), Icon: "warning"})
		if err != nil {
			return err
		}
	}
	to, err := s.addresses(ctx, tx, moderators)
	if err != nil {
		return err
	}
	for _, x := range to {
		lang := s.Auth.Language(x.Lang)
		t := watchTexts[lang]
		if err := s.Mail.Send(ctx, tx, s.watchLetter(x.Email, lang, t.now, strings.ReplaceAll(t.nowText, "{site}", s.site()))); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) watchLetter(to, lang, subject, text string) mailer.Letter {
	return mailer.Letter{To: to, Lang: lang, Subject: subject + " - " + s.site(), Paragraphs: []string{text}, Link: s.Meta.Origin,
		LinkText: watchTexts[lang].button, Footer: s.site() + " " + s.Meta.Origin}
}
