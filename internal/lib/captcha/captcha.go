// Package captcha is in charge of asking those who tell people from programs whether an
// answer is one of theirs: hCaptcha, reCAPTCHA, Turnstile, a server of mCaptcha, and the
// test of Misskey's own that asks nobody. It knows the addresses too that a page needs to
// show their questions.
package captcha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Names of those who ask, as Misskey writes them.
const (
	Hcaptcha  = "hcaptcha"
	Recaptcha = "recaptcha"
	Turnstile = "turnstile"
	Mcaptcha  = "mcaptcha"
	Test      = "testcaptcha"
)

var (
	// ErrNone is when there is no answer at all.
	ErrNone = errors.New("captcha: no answer")
	// ErrWrong is an answer that does not hold.
	ErrWrong = errors.New("captcha: the answer does not hold")
	// ErrDown is when whoever has to say so does not: nobody is let in for that.
	ErrDown = errors.New("captcha: it does not say whether the answer holds")
)

// Asker is who asks, with the keys that this server has from him.
type Asker struct {
	Name    string
	SiteKey string
	Secret  string
	Server  string // address of the server, of Mcaptcha alone
}

const (
	patience  = 8 * time.Second
	maxAnswer = 64 << 10
	maxToken  = 8 << 10
	passed    = "testcaptcha-passed"
)

// checks are where answers are checked.
var checks = map[string]string{
	Hcaptcha:  "https://api.hcaptcha.com/siteverify",
	Recaptcha: "https://www.recaptcha.net/recaptcha/api/siteverify",
	Turnstile: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
}

// Check asks whether token is the answer of somebody who was asked. Errors are ErrNone,
// ErrWrong and ErrDown.
func (a Asker) Check(ctx context.Context, door http.RoundTripper, token string) error {
	if token == "" {
		return ErrNone
	}
	if len(token) > maxToken {
		return ErrWrong
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out struct {
		Success bool `json:"success"`
		Valid   bool `json:"valid"` // of Mcaptcha
	}
	var err error
	switch a.Name {
	case Test:
		out.Success = token == passed
	case Mcaptcha:
		var ask []byte
		if ask, err = json.Marshal(map[string]string{"key": a.SiteKey, "secret": a.Secret, "token": token}); err == nil {
			err = post(ctx, door, strings.TrimSuffix(a.Server, "/")+"/api/v1/pow/siteverify", "application/json", ask, &out)
		}
	default:
		ask := url.Values{"secret": {a.Secret}, "response": {token}}
		if a.Name == Hcaptcha {
			ask.Set("sitekey", a.SiteKey) // refuses answers of another site
		}
		err = post(ctx, door, checks[a.Name], "application/x-www-form-urlencoded", []byte(ask.Encode()), &out)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDown, a.Name, err)
	}
	if !out.Success && !out.Valid {
		return ErrWrong
	}
	return nil
}

func post(ctx context.Context, door http.RoundTripper, at, kind string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	res, err := door.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("it answers %d", res.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out)
}

// Field is the name under which a client hands in the answer, as Misskey's does.
func Field(name string) string {
	switch name {
	case Recaptcha:
		return "g-recaptcha-response"
	case Hcaptcha:
		return "hcaptcha-response"
	case Turnstile:
		return "turnstile-response"
	case Mcaptcha:
		return "m-captcha-response"
	}
	return "testcaptcha-response"
}

// Widget is what a page needs to ask: a script, or a frame, and the sources that its policy
// has to allow for them.
type Widget struct {
	Script string   // "": none
	Frame  string   // "": none
	From   []string // of scripts, styles, frames and connections
}

// Widget says what a page needs to ask.
func (a Asker) Widget() Widget {
	switch a.Name {
	case Hcaptcha:
		return Widget{Script: "https://js.hcaptcha.com/1/api.js?render=explicit&recaptchacompat=off&onload=ask", From: []string{"https://hcaptcha.com", "https://*.hcaptcha.com"}}
	case Recaptcha:
		return Widget{Script: "https://www.recaptcha.net/recaptcha/api.js?render=explicit&onload=ask",
			From: []string{"https://www.recaptcha.net/recaptcha/", "https://www.gstatic.com/recaptcha/", "https://www.gstatic.cn/recaptcha/", "https://recaptcha.google.com/recaptcha/"}}
	case Turnstile:
		return Widget{Script: "https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit&onload=ask", From: []string{"https://challenges.cloudflare.com"}}
	case Mcaptcha:
		server := strings.TrimSuffix(a.Server, "/")
		return Widget{Frame: server + "/widget/?sitekey=" + url.QueryEscape(a.SiteKey), From: []string{origin(server)}}
	}
	return Widget{}
}

// origin is the scheme and the host of an address, in a form that cannot end a directive
// of a page's policy; 'none' for what has no such form.
func origin(at string) string {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(u.Host, " ;,'\"*") {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
