package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
)

const (
	tries       = 4
	sendTimeout = 20 * time.Second
	// unreadAfter is how long whoever looks has to read a notification before devices are
	// told of it.
	unreadAfter = 2 * time.Second
	// keepFor is how long a push service keeps a message for a device that is off.
	keepFor = 24 * time.Hour
	// maxBody is what fits into a message that every push service takes (RFC 8030 §7.2),
	// encrypted.
	maxBody = 3900
)

// notifyArgs ask to tell an account's devices of a notification, unless it is read by
// then.
type notifyArgs struct {
	UserID         string `json:"userId"`
	NotificationID string `json:"notificationId"`
}

// Kind implements job.Args.
func (notifyArgs) Kind() string { return "push.notify" }

// sendArgs ask to tell one device.
type sendArgs struct {
	SubscriptionID string `json:"subscriptionId"`
	NotificationID string `json:"notificationId"` // "": that everything has been read
	At             int64  `json:"at"`             // ms since 1970
}

// Kind implements job.Args.
func (sendArgs) Kind() string { return "push.send" }

const sqlWho = `SELECT id, user_id, send_read_message FROM sw_subscription WHERE user_id = ANY($1) ORDER BY id`

// onChanges makes jobs for accounts that have devices.
func (s *Service) onChanges(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	users := make([]string, len(batch))
	for i, c := range batch {
		users[i] = c.ActorID
	}
	rows, err := tx.Query(ctx, sqlWho, users)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	devices, readers := map[string]bool{}, map[string][]string{}
	var id, userID string
	var read bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &userID, &read}, func() error {
		devices[userID] = true
		if read {
			readers[userID] = append(readers[userID], id)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	for _, c := range batch {
		switch {
		case c.Kind == "notification.created" && devices[c.ActorID]:
			if err := s.Queue.Insert(ctx, tx, notifyArgs{c.ActorID, c.ObjectID}, time.Now().Add(unreadAfter)); err != nil {
				return err
			}
		case c.Kind == "notification.read":
			for _, id := range readers[c.ActorID] {
				if err := s.Queue.Insert(ctx, tx, sendArgs{id, "", s.Now().UnixMilli()}, time.Time{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// workNotify makes a job for every device, so that one that is slow holds up no other.
func (s *Service) workNotify(ctx context.Context, a notifyArgs) error {
	unread, err := s.Notifications.Unread(ctx, a.UserID, a.NotificationID)
	if err != nil || unread == nil {
		return err
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlWho, []string{a.UserID})
		if err != nil {
			return fmt.Errorf("push: %w", err)
		}
		var ids []string
		var id, userID string
		var read bool
		if _, err := pgx.ForEachRow(rows, []any{&id, &userID, &read}, func() error { ids = append(ids, id); return nil }); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		for _, id := range ids {
			if err := s.Queue.Insert(ctx, tx, sendArgs{id, a.NotificationID, s.Now().UnixMilli()}, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// message is what a device is told, in Misskey's form.
type message struct {
	Type     string          `json:"type"` // notification, readAllNotifications
	Body     json.RawMessage `json:"body,omitempty"`
	UserID   string          `json:"userId"`
	DateTime int64           `json:"dateTime"` // ms since 1970
}

const (
	sqlDevice = `SELECT user_id, endpoint, auth, public_key FROM sw_subscription WHERE id = $1`
	sqlForget = `DELETE FROM sw_subscription WHERE id = $1`
)

// workSend tells one device. A device that its service does not know any more is
// forgotten.
func (s *Service) workSend(ctx context.Context, a sendArgs) error {
	m := message{Type: "readAllNotifications", DateTime: a.At}
	sub := webpush.Subscription{}
	err := s.DB.QueryRow(ctx, sqlDevice, a.SubscriptionID).Scan(&m.UserID, &sub.Endpoint, &sub.Keys.Auth, &sub.Keys.P256dh)
	if pg.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	if a.NotificationID != "" {
		unread, err := s.Notifications.Unread(ctx, m.UserID, a.NotificationID)
		if err != nil || unread == nil {
			return err
		}
		if m.Body, err = shortened(unread); err != nil {
			return err
		}
		m.Type = "notification"
	}
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	key, err := s.Meta.PushKey(ctx)
	if err != nil {
		return err
	}
	contact := s.Meta.Origin
	if mail := s.Meta.Get().MaintainerEmail; mail != nil && *mail != "" {
		contact = *mail
	}
	res, err := webpush.SendNotificationWithContext(ctx, b, &sub, &webpush.Options{HTTPClient: s.http, Subscriber: contact, TTL: int(keepFor / time.Second),
		Urgency: webpush.UrgencyNormal, VAPIDPublicKey: key.Public, VAPIDPrivateKey: key.Private})
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	return s.answered(ctx, a.SubscriptionID, res.StatusCode)
}

func (s *Service) answered(ctx context.Context, subscriptionID string, status int) error {
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		if _, err := s.DB.Exec(ctx, sqlForget, subscriptionID); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		return nil
	case status >= 200 && status < 300:
		return nil
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		return job.Cancel(fmt.Errorf("push service answers %d", status))
	}
	return fmt.Errorf("push service answers %d", status)
}

// shortened is a notification without what does not fit: of a note its summary stays.
func shortened(notification any) (json.RawMessage, error) {
	b, err := json.Marshal(notification)
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	var n map[string]any
	if err := json.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	if note, ok := n["note"].(map[string]any); ok {
		n["note"] = map[string]any{"id": note["id"], "createdAt": note["createdAt"], "userId": note["userId"], "visibility": note["visibility"], "text": summary(note),
			"replyId": note["replyId"], "renoteId": note["renoteId"]}
	}
	for _, cut := range []func(){func() {}, func() { shorten(n, 500) }, func() { shorten(n, 100) }, func() { delete(n, "user") }, func() { shorten(n, 0) }} {
		cut()
		if b, err = json.Marshal(n); err != nil {
			return nil, fmt.Errorf("push: %w", err)
		}
		if len(b) <= maxBody {
			return b, nil
		}
	}
	return nil, errors.New("push: a notification is too large")
}

// summary is a note in a few words: its warning, or its text and what goes with it.
func summary(note map[string]any) string {
	if cw, ok := note["cw"].(string); ok {
		return cw
	}
	text, _ := note["text"].(string)
	if files, ok := note["files"].([]any); ok && len(files) > 0 {
		text += fmt.Sprintf(" (📎%d)", len(files))
	}
	if _, ok := note["poll"].(map[string]any); ok {
		text += " (📊)"
	}
	return text
}

// shorten cuts a note's text, and what an app says.
func shorten(n map[string]any, most int) {
	at := []map[string]any{n}
	if note, ok := n["note"].(map[string]any); ok {
		at = append(at, note)
	}
	for _, m := range at {
		for _, k := range []string{"text", "body", "header"} {
			if s, ok := m[k].(string); ok && utf8.RuneCountInString(s) > most {
				m[k] = string([]rune(s)[:most]) + "…"
			}
		}
	}
}
