// Package httpsig signs and verifies HTTP requests: by
// draft-cavage-http-signatures-12, as the fediverse has always done, and by RFC
// 9421. It does not fetch keys, does not know whose they are, and does not
// remember what it has seen: a repeated request verifies again.
package httpsig

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Errors of reading and checking a signature. All but ErrNone mean that the
// request must not be believed.
var (
	ErrNone      = errors.New("request is not signed")
	ErrMalformed = errors.New("signature is malformed")
	ErrCoverage  = errors.New("signature does not cover what it must")
	ErrDigest    = errors.New("body does not match its digest")
	ErrHost      = errors.New("request is for another host")
	ErrTime      = errors.New("signature is too old or from the future")
	ErrInvalid   = errors.New("signature does not match")
)

// Scheme is a way of signing.
type Scheme int8

// The two schemes.
const (
	Cavage  Scheme = iota // draft-cavage-http-signatures-12
	RFC9421               // RFC 9421
)

// String names the scheme.
func (s Scheme) String() string {
	if s == RFC9421 {
		return "rfc9421"
	}
	return "cavage"
}

// How far the date of a request may be from now: servers' clocks differ, and
// queues are long.
const (
	maxAge    = 12 * time.Hour
	maxFuture = time.Hour
)

// maxHeader bounds each header of a signature, in bytes.
const maxHeader = 8 << 10

// Expect is what the verifier knows by itself.
type Expect struct {
	Authority string    // this server's: host[:port], lower-case punycode, default port dropped
	Now       time.Time // the zero time fails every signature
}

// Signature is the signature of a request, read but not checked.
type Signature struct {
	KeyID  string // as its sender says; proves nothing before Verify
	Scheme Scheme

	r      *http.Request
	cavage *cavageParams
	rfc    *rfcParams
}

// Parse reads the signature of a request, so that its key can be looked up:
// RFC 9421's if it has a Signature-Input, else draft-cavage's. A request with
// more than one signature is ErrMalformed, one with none ErrNone. The request
// must stay unchanged until Verify.
func Parse(r *http.Request) (*Signature, error) {
	if len(r.Header.Values("Signature-Input")) > 0 {
		return parseRFC(r)
	}
	return parseCavage(r)
}

// Verify checks the signature with the key: it covers the method, the target,
// the host, the date and (for POST and for any request with a body) the digest;
// the body matches the digest, the host is the wanted authority, the date is
// within −12 h and +1 h, and the bytes are signed by the key. body is the raw
// body as it came. Errors wrap one of the package's.
func (s *Signature) Verify(key crypto.PublicKey, body []byte, want Expect) error {
	if !sameAuthority(s.r.Host, want.Authority) {
		return fmt.Errorf("%w: %.100q", ErrHost, s.r.Host)
	}
	if s.Scheme == RFC9421 {
		return s.verifyRFC(key, body, want)
	}
	return s.verifyCavage(key, body, want)
}

// needsDigest tells whether a request must sign the digest of its body.
func needsDigest(r *http.Request, body []byte) bool {
	return r.Method == http.MethodPost || len(body) > 0
}

// checkTime checks a moment against the clock.
func checkTime(t, now time.Time) error {
	if now.Sub(t) > maxAge || t.Sub(now) > maxFuture {
		return fmt.Errorf("%w: %s", ErrTime, t.UTC().Format(time.RFC3339))
	}
	return nil
}

// sameAuthority compares a Host header with an authority in binding form.
func sameAuthority(host, want string) bool {
	host = strings.ToLower(host)
	return host != "" && (host == want || strings.TrimSuffix(host, ":443") == want || strings.TrimSuffix(host, ":80") == want)
}

// authority is the normal form of the request's own (RFC 9421 §2.2.3): lower
// case, the scheme's default port dropped.
func authority(r *http.Request) string {
	host := strings.ToLower(r.Host)
	switch r.URL.Scheme {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	}
	return host
}

// target is the path and the query ("" or with its "?") of a request, byte for
// byte as they went over the wire: what was parsed and written again may differ
// in escapes.
func target(r *http.Request) (path, query string) {
	raw := r.RequestURI // of requests that came
	if raw == "" {
		raw = r.URL.RequestURI() // of those to be sent
	}
	if !strings.HasPrefix(raw, "/") {
		if u, err := url.Parse(raw); err == nil {
			raw = u.RequestURI() // absolute form, RFC 9112 §3.2.2
		}
	}
	if i := strings.IndexByte(raw, '?'); i >= 0 {
		return raw[:i], raw[i:]
	}
	return raw, ""
}

// field is the value of a header as both schemes sign it: lines trimmed and
// joined by ", ". net/http keeps Host and Content-Length elsewhere.
func field(r *http.Request, name string) (string, error) {
	if name == "host" {
		return r.Host, nil
	}
	vals := r.Header.Values(name)
	if len(vals) == 0 {
		if name == "content-length" && r.ContentLength >= 0 {
			return fmt.Sprint(r.ContentLength), nil
		}
		return "", fmt.Errorf("%w: header %.50q is missing", ErrMalformed, name)
	}
	trimmed := make([]string, len(vals))
	for i, v := range vals {
		trimmed[i] = strings.TrimSpace(v)
	}
	return strings.Join(trimmed, ", "), nil
}
