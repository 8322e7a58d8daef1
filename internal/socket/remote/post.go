package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/httpsig"
)

// Answer is what an inbox said.
type Answer struct {
	Status     int
	RetryAfter time.Duration // 0: none
	Header     http.Header
}

const (
	postTimeout   = 20 * time.Second
	maxRetryAfter = 365 * 24 * time.Hour
)

// Post delivers a body to an inbox, signed by key in the given scheme at the
// moment of sending. still, unless it is nil, is asked as late as can be, when the
// body is about to leave; its error ends the request, which is an *Error then that
// wraps it. 307 and 308 are followed once, on the same host; of the
// answer at most 4 KiB are read and nothing is kept. Any status is an Answer,
// an *Error means that none came.
func (c *Client) Post(ctx context.Context, inbox string, body []byte, key httpsig.Key, scheme httpsig.Scheme, still func() error) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	u, err := url.Parse(inbox)
	if err != nil {
		return nil, fail("", fmt.Errorf("%w: %w", ErrScheme, err))
	}
	if body == nil {
		body = []byte{}
	}
	for hop := 0; ; hop++ {
		to, host, err := c.check(ctx, u)
		if err != nil {
			return nil, fail(host, err)
		}
		a, err := c.exchange(ctx, host, request{
			method: http.MethodPost, url: to, header: http.Header{"Content-Type": {"application/activity+json"}}, body: body, still: still,
			sign: func(r *http.Request) error { return signPost(r, key, body, scheme, c.cfg.Now()) },
		})
		if err != nil {
			return nil, fail(host, err)
		}
		if hop == 0 && (a.status == http.StatusTemporaryRedirect || a.status == http.StatusPermanentRedirect) && a.header.Get("Location") != "" {
			next, err := to.Parse(a.header.Get("Location"))
			if err == nil && next.Scheme == to.Scheme && ap.SameHost(next.String(), to.String()) {
				u = next
				continue
			}
		}
		return &Answer{Status: a.status, RetryAfter: retryAfter(a.header.Get("Retry-After"), c.cfg.Now()), Header: a.header}, nil
	}
}

func signPost(r *http.Request, key httpsig.Key, body []byte, scheme httpsig.Scheme, now time.Time) error {
	var err error
	if scheme == httpsig.RFC9421 {
		err = httpsig.SignRFC9421(r, key, body, now)
	} else {
		err = httpsig.SignCavage(r, key, body, now)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSign, err)
	}
	return nil
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3): never negative, at
// most a year.
func retryAfter(v string, now time.Time) time.Duration {
	if sec, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(sec, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}
