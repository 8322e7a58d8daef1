package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxAnswer is read of answers whose text does not matter, in bytes.
	maxAnswer = 4 << 10
	// drainTime is how long such an answer is waited for once its status is known.
	drainTime = time.Second
)

// request is one request to one address that check has passed.
type request struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte                    // nil: none
	still  func() error              // nil: always. Asked when a part of the body is about to leave
	sign   func(*http.Request) error // nil: unsigned
	limit  func(*http.Response) read // nil: the answer's text does not matter
}

// read says how much of an answer is read.
type read struct {
	max int64 // bytes, after decompression: a small answer may unfold to a large one
	cut bool  // a longer one is cut; else it is ErrTooLong
}

// answer is a response whose body has been read.
type answer struct {
	url    *url.URL // that was asked
	host   string   // its authority
	status int
	header http.Header
	body   []byte
}

// outgoing is a body that is given away only while it may be sent. http.Transport
// has sent the header before it reads from such a body, and sends what it reads at
// once.
type outgoing struct {
	*bytes.Reader
	still func() error
}

// Read asks first.
func (o *outgoing) Read(p []byte) (int, error) {
	if o.still != nil {
		if err := o.still(); err != nil {
			return 0, err
		}
	}
	return o.Reader.Read(p)
}

// WriteTo is Read's, so that nothing goes past it.
func (o *outgoing) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{o})
}

// Close implements io.Closer.
func (*outgoing) Close() error { return nil }

// exchange makes one request and reads the answer. It follows no redirect.
func (c *Client) exchange(ctx context.Context, host string, q request) (*answer, error) {
	release, err := c.slots.take(ctx, host)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScheme, err)
	}
	if len(q.body) > 0 {
		r.ContentLength = int64(len(q.body))
		r.GetBody = func() (io.ReadCloser, error) { return &outgoing{bytes.NewReader(q.body), q.still}, nil }
		r.Body, _ = r.GetBody()
	}
	r.Header = q.header.Clone()
	r.Header.Set("User-Agent", c.cfg.UserAgent)
	if q.sign != nil {
		if err := q.sign(r); err != nil {
			return nil, err
		}
	}
	res, err := c.rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	a := &answer{url: q.url, host: host, status: res.StatusCode, header: res.Header}
	if q.limit == nil || a.status < 200 || a.status > 299 {
		// Read so that the connection can be used again, not longer than that is
		// worth.
		t := time.AfterFunc(drainTime, cancel)
		defer t.Stop()
		_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
		return a, nil
	}
	how := q.limit(res)
	if !how.cut && res.ContentLength > how.max {
		return nil, ErrTooLong
	}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, how.max+1)); err != nil {
		return nil, err
	}
	if int64(len(a.body)) > how.max {
		if !how.cut {
			return nil, ErrTooLong
		}
		a.body = a.body[:how.max]
	}
	return a, nil
}
