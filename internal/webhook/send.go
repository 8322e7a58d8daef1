package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
)

// tries of one call.
const tries = 4

// sendArgs ask to tell a webhook.
type sendArgs struct {
	HookID  string  `json:"hookId"`
	EventID string  `json:"eventId"`
	At      int64   `json:"at"` // ms since 1970: when it happened
	What    what    `json:"what"`
	Instead *target `json:"instead"` // of the webhook's own, for a test; nil: none
}

// target is where a test goes.
type target struct {
	URL    string `json:"url"`
	Sealed []byte `json:"sealed"` // its secret
}

// Kind implements job.Args.
func (sendArgs) Kind() string { return "webhook.send" }

func (s *Service) enqueue(ctx context.Context, tx *pg.Tx, hookID string, w what, instead *target) error {
	now := s.Now()
	return s.Queue.Insert(ctx, tx, sendArgs{HookID: hookID, EventID: rand.Text(), At: now.UnixMilli(), What: w, Instead: instead}, time.Time{})
}

// message is the body of a call, in Misskey's form.
type message struct {
	Server    string `json:"server"`
	HookID    string `json:"hookId"`
	UserID    string `json:"userId,omitempty"` // "" of the server's own
	EventID   string `json:"eventId"`
	CreatedAt int64  `json:"createdAt"` // ms since 1970
	Type      string `json:"type"`
	Body      any    `json:"body"`
}

var errHookGone = errors.New("the webhook, or what it would be told of, is gone")

// workSend tells a webhook of an account.
func (s *Service) workSend(ctx context.Context, a sendArgs) error {
	list, err := s.query(ctx, s.DB, sqlByID, a.HookID)
	if err != nil {
		return err
	}
	if len(list) == 0 || !list[0].Active && a.Instead == nil {
		return nil
	}
	h := list[0]
	body, err := s.body(ctx, h.UserID, a.What)
	if errors.Is(err, errHookGone) {
		return nil
	}
	if err != nil {
		return err
	}
	to, secret, err := s.where(a.Instead, h.URL, h.Secret, box+h.ID)
	if err != nil {
		return err
	}
	return s.call(ctx, to, secret, sqlRemember, message{HookID: h.ID, UserID: h.UserID, EventID: a.EventID, CreatedAt: a.At, Type: a.What.Type, Body: body})
}

// seal keeps where a test goes: to the webhook's own address and with its secret, but
// for what the test names instead.
func (s *Service) seal(o override, url, secret, purpose string) (*target, error) {
	if o.URL != nil {
		if err := address(*o.URL); err != nil {
			return nil, err
		}
		url = *o.URL
	}
	if o.Secret != nil {
		secret = *o.Secret
	}
	return &target{URL: url, Sealed: s.Box.Seal([]byte(secret), purpose)}, nil
}

// where a call goes, and with what secret: a test's, or the webhook's own.
func (s *Service) where(t *target, url, secret, purpose string) (string, string, error) {
	if t == nil {
		return url, secret, nil
	}
	plain, err := s.Box.Open(t.Sealed, purpose)
	if err != nil {
		return "", "", job.Cancel(err)
	}
	return t.URL, string(plain), nil
}

// call tells an address, and keeps what came of it by the statement remember. What
// refuses the call for good (4xx) is not asked again.
func (s *Service) call(ctx context.Context, to, secret, remember string, m message) error {
	m.Server = s.Meta.Origin
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	status, err := s.post(ctx, to, secret, m.HookID, b)
	if _, e := s.DB.Exec(ctx, remember, m.HookID, s.Now(), status); e != nil {
		return fmt.Errorf("webhook: %w", e)
	}
	switch {
	case err != nil:
		return err
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		return job.Cancel(fmt.Errorf("webhook answers %d", status))
	case status < 200 || status >= 300:
		return fmt.Errorf("webhook answers %d", status)
	}
	return nil
}

// unreachable is the status of a call that nobody answered.
const unreachable = 1

// post makes the call. Redirects are not followed: the secret is for the address that
// was named.
func (s *Service) post(ctx context.Context, to, secret, hookID string, body []byte) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return unreachable, job.Cancel(fmt.Errorf("webhook: %w", err))
	}
	for k, v := range map[string]string{"User-Agent": "Misskey-Hooks", "X-Misskey-Host": s.Meta.Host, "X-Misskey-Hook-Id": hookID, "X-Misskey-Hook-Secret": secret, "Content-Type": "application/json"} {
		req.Header.Set(k, v)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return unreachable, fmt.Errorf("webhook: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be used again
	return res.StatusCode, nil
}

const sqlRemember = `UPDATE webhook SET latest_sent_at = $2, latest_status = $3 WHERE id = $1`

const sqlWanted = `SELECT n.id FROM note n`

// body is what an account is told, as it may see it now.
func (s *Service) body(ctx context.Context, userID string, w what) (any, error) {
	out := map[string]any{}
	if w.NoteID != "" {
		var where pg.Where
		where.And("n.id = ?", w.NoteID)
		note.See(&where, userID)
		var id string
		err := s.DB.QueryRow(ctx, sqlWanted+where.SQL(), where.Args...).Scan(&id)
		if pg.NoRows(err) {
			return nil, errHookGone
		}
		if err != nil {
			return nil, fmt.Errorf("webhook: %w", err)
		}
		list, err := s.Notes.PackIDs(ctx, userID, []string{id})
		if err != nil || len(list) == 0 {
			return nil, errors.Join(err, errHookGone)
		}
		out["note"] = list[0]
	}
	switch w.Type {
	case "follow", "unfollow":
		list, err := s.Users.DetailedByIDs(ctx, userID, []string{w.UserID})
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, errHookGone
		}
		out["user"] = list[0]
	case "followed", "reaction":
		lites, err := s.Users.LiteByIDs(ctx, []string{w.UserID})
		if err != nil {
			return nil, err
		}
		if lites[w.UserID] == nil {
			return nil, errHookGone
		}
		out["user"] = lites[w.UserID]
	}
	if w.Type == "reaction" {
		out["reaction"] = note.ShownReaction(w.Reaction)
	}
	return out, nil
}

type testReq struct {
	WebhookID string   `json:"webhookId" api:"required,id"`
	Type      string   `json:"type" api:"required,enum=mention|unfollow|follow|followed|note|reply|renote|reaction"`
	Override  override `json:"override" api:"optional"`
}

type override struct {
	URL    *string `json:"url" api:"optional,max=1024"`
	Secret *string `json:"secret" api:"optional,max=1024"`
}

const sqlLatest = `SELECT id FROM note WHERE user_id = $1 ORDER BY id DESC LIMIT 1`

// apiTest tells a webhook of something that did not happen: of the caller's latest note,
// or of the caller himself.
func (s *Service) apiTest(ctx context.Context, c *api.Call, req testReq) (api.None, error) {
	h, err := s.own(ctx, s.DB, c, req.WebhookID, errTestNone)
	if err != nil {
		return api.None{}, err
	}
	to, err := s.seal(req.Override, h.URL, h.Secret, box+h.ID)
	if err != nil {
		return api.None{}, err
	}
	w := what{Type: req.Type, UserID: c.UserID, Reaction: "👍"}
	switch req.Type {
	case "follow", "unfollow", "followed":
	default:
		if err := s.DB.QueryRow(ctx, sqlLatest, c.UserID).Scan(&w.NoteID); err != nil && !pg.NoRows(err) {
			return api.None{}, fmt.Errorf("webhook: %w", err)
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.enqueue(ctx, tx, h.ID, w, to) })
}
