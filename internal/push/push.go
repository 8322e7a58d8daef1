// Package push is in charge of telling browsers and devices of notifications while
// nobody looks: Web Push (RFC 8030, 8291, 8292), in Misskey's form.
package push

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/notification"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
)

// Deps are what the slice stands on.
type Deps struct {
	DB            *pg.DB
	Meta          *meta.Service
	IDs           *id.Maker
	Notifications *notification.Service
	Queue         *job.Queue
	Door          http.RoundTripper // guarded, to push services
	Now           func() time.Time
}

// Service tells devices.
type Service struct {
	Deps
	http *http.Client
}

// New makes the service.
func New(d Deps) *Service {
	return &Service{Deps: d, http: &http.Client{Transport: d.Door, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("sw/register", s.apiRegister, api.Secure),
		api.Post("sw/show-registration", s.apiShow, api.Secure),
		api.Post("sw/update-registration", s.apiUpdate, api.Secure, api.Errors(errUpdateNone)),
		api.Post("sw/unregister", s.apiUnregister, api.Visitors),
	}
}

// Consumers read from the change log whom to tell.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "push.notify", Durable: true, Kinds: []string{"notification.created", "notification.read"}, Handle: s.onChanges}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workNotify), job.Few(tries, s.workSend)}
}

var errUpdateNone = api.Err("NO_SUCH_REGISTRATION", "b09d8066-8064-5613-efb6-0e963b21d012", "This browser has not been registered.")

// maxDevices of an account; the oldest make room.
const maxDevices = 50

type registerReq struct {
	Endpoint        string `json:"endpoint" api:"required,max=1024"`
	Auth            string `json:"auth" api:"required,max=200"`
	PublicKey       string `json:"publickey" api:"required,max=200"`
	SendReadMessage bool   `json:"sendReadMessage" api:"default=false"`
}

type registerRes struct {
	State           string `json:"state"` // subscribed, already-subscribed
	Key             string `json:"key"`
	UserID          string `json:"userId"`
	Endpoint        string `json:"endpoint"`
	SendReadMessage bool   `json:"sendReadMessage"`
}

const (
	sqlRegister = `
INSERT INTO sw_subscription (id, user_id, endpoint, auth, public_key, send_read_message) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (user_id, endpoint) DO UPDATE SET auth = excluded.auth, public_key = excluded.public_key WHERE (sw_subscription.auth, sw_subscription.public_key) <> (excluded.auth, excluded.public_key)`
	sqlTooMany = `
DELETE FROM sw_subscription WHERE user_id = $1 AND id < (SELECT id FROM sw_subscription WHERE user_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)`
	sqlShow       = `SELECT send_read_message FROM sw_subscription WHERE user_id = $1 AND endpoint = $2`
	sqlUpdate     = `UPDATE sw_subscription SET send_read_message = coalesce($3, send_read_message) WHERE user_id = $1 AND endpoint = $2 RETURNING send_read_message`
	sqlUnregister = `DELETE FROM sw_subscription WHERE endpoint = $1 AND ($2 = '' OR user_id = $2)`
)

// apiRegister has a browser told. One that has registered already stays as it is, but for
// its keys.
func (s *Service) apiRegister(ctx context.Context, c *api.Call, req registerReq) (*registerRes, error) {
	if err := check(&req); err != nil {
		return nil, err
	}
	key, err := s.Meta.PushKey(ctx)
	if err != nil {
		return nil, err
	}
	out := &registerRes{State: "subscribed", Key: key.Public, UserID: c.UserID, Endpoint: req.Endpoint, SendReadMessage: req.SendReadMessage}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		err := tx.QueryRow(ctx, sqlShow, c.UserID, req.Endpoint).Scan(&out.SendReadMessage)
		if err == nil {
			out.State = "already-subscribed"
		} else if !pg.NoRows(err) {
			return fmt.Errorf("push: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlRegister, s.IDs.Now(), c.UserID, req.Endpoint, req.Auth, req.PublicKey, req.SendReadMessage); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlTooMany, c.UserID, maxDevices-1); err != nil {
			return fmt.Errorf("push: %w", err)
		}
		return nil
	})
	return out, err
}

// check refuses what no browser would give.
func check(r *registerReq) error {
	u, err := url.Parse(r.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return api.InvalidParam("#/properties/endpoint/format", "the address of a push service is needed")
	}
	key, err := decode(r.PublicKey)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(key)
	}
	if err != nil {
		return api.InvalidParam("#/properties/publickey/format", "a point of P-256 in base64url is needed")
	}
	if auth, err := decode(r.Auth); err != nil || len(auth) != 16 {
		return api.InvalidParam("#/properties/auth/format", "16 bytes in base64url are needed")
	}
	return nil
}

// decode reads base64 as browsers and their libraries write it.
func decode(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "="))
}

type endpointReq struct {
	Endpoint string `json:"endpoint" api:"required"`
}

type registration struct {
	UserID          string `json:"userId"`
	Endpoint        string `json:"endpoint"`
	SendReadMessage bool   `json:"sendReadMessage"`
}

// apiShow gives null for a browser that has not registered.
func (s *Service) apiShow(ctx context.Context, c *api.Call, req endpointReq) (*registration, error) {
	out := &registration{UserID: c.UserID, Endpoint: req.Endpoint}
	err := s.DB.QueryRow(ctx, sqlShow, c.UserID, req.Endpoint).Scan(&out.SendReadMessage)
	if pg.NoRows(err) {
		return nil, nil
	}
	return out, err
}

type updateReq struct {
	Endpoint        string `json:"endpoint" api:"required"`
	SendReadMessage *bool  `json:"sendReadMessage" api:"optional"`
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*registration, error) {
	out := &registration{UserID: c.UserID, Endpoint: req.Endpoint}
	err := s.DB.QueryRow(ctx, sqlUpdate, c.UserID, req.Endpoint, req.SendReadMessage).Scan(&out.SendReadMessage)
	if pg.NoRows(err) {
		return nil, errUpdateNone
	}
	return out, err
}

// apiUnregister works without an account, too: whoever knows the address is the browser,
// which may have signed out.
func (s *Service) apiUnregister(ctx context.Context, c *api.Call, req endpointReq) (api.None, error) {
	if _, err := s.DB.Exec(ctx, sqlUnregister, req.Endpoint, c.ID()); err != nil {
		return api.None{}, fmt.Errorf("push: %w", err)
	}
	return api.None{}, nil
}
