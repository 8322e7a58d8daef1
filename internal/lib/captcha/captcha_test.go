package captcha_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/captcha"
)

// door leads every request to one server, and remembers where it was meant to go.
type door struct {
	to    *url.URL
	meant string
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	d.meant = r.URL.String()
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = d.to.Scheme, d.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// Each is asked at its address, in its words, and believed only when it says yes.
func TestCheck(t *testing.T) {
	t.Parallel()
	answer := func(w http.ResponseWriter, r *http.Request) {
		said := map[string]string{}
		if r.Header.Get("Content-Type") == "application/json" {
			_ = json.NewDecoder(r.Body).Decode(&said)
			said["response"] = said["token"]
		} else {
			_ = r.ParseForm()
			for k := range r.PostForm {
				said[k] = r.PostForm.Get(k)
			}
		}
		switch said["response"] {
		case "broken":
			_, _ = w.Write([]byte("<html>"))
		case "down":
			w.WriteHeader(http.StatusBadGateway)
		default:
			right := said["secret"] == "secret" && said["response"] == "right"
			if right && said["sitekey"] != "" {
				right = said["sitekey"] == "site"
			}
			name := "success"
			if said["token"] != "" {
				name, right = "valid", right && said["key"] == "site"
			}
			_ = json.NewEncoder(w).Encode(map[string]any{name: right, "error-codes": []string{}})
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(srv.Close)
	to, _ := url.Parse(srv.URL)
	for name, at := range map[string]string{
		captcha.Hcaptcha: "https://api.hcaptcha.com/siteverify", captcha.Recaptcha: "https://www.recaptcha.net/recaptcha/api/siteverify",
		captcha.Turnstile: "https://challenges.cloudflare.com/turnstile/v0/siteverify", captcha.Mcaptcha: "https://m.example/api/v1/pow/siteverify",
	} {
		a := captcha.Asker{Name: name, SiteKey: "site", Secret: "secret", Server: "https://m.example/"}
		for token, want := range map[string]error{"right": nil, "wrong": captcha.ErrWrong, "": captcha.ErrNone, "down": captcha.ErrDown, "broken": captcha.ErrDown, strings.Repeat("x", 9000): captcha.ErrWrong} {
			d := &door{to: to}
			if err := a.Check(t.Context(), d, token); !errors.Is(err, want) {
				t.Errorf("%s %.10q: %v, not %v", name, token, err, want)
			}
			if token == "right" && d.meant != at {
				t.Errorf("%s is asked at %s", name, d.meant)
			}
		}
		a.Secret = "another"
		if err := a.Check(t.Context(), &door{to: to}, "right"); !errors.Is(err, captcha.ErrWrong) {
			t.Errorf("%s with another key: %v", name, err)
		}
	}
	test := captcha.Asker{Name: captcha.Test}
	if test.Check(t.Context(), nil, "testcaptcha-passed") != nil || !errors.Is(test.Check(t.Context(), nil, "x"), captcha.ErrWrong) {
		t.Error("Misskey's own test")
	}
}

// Who does not answer lets nobody in.
func TestSilent(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // else it is not seen that the other side has gone
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	to, _ := url.Parse(srv.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := (captcha.Asker{Name: captcha.Turnstile}).Check(ctx, &door{to: to}, "right"); !errors.Is(err, captcha.ErrDown) {
		t.Errorf("%v", err)
	}
}

// An address cannot say more in a page's policy than where something comes from.
func TestWidget(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"https://m.example": "https://m.example", "https://m.example/x/": "https://m.example", "javascript:alert(1)": "'none'",
		"https://a;script-src *": "'none'", "https://*": "'none'", "": "'none'",
	} {
		if got := (captcha.Asker{Name: captcha.Mcaptcha, Server: server, SiteKey: "a b"}).Widget().From[0]; got != want {
			t.Errorf("%q: %s", server, got)
		}
	}
	fields := map[string]bool{}
	for _, name := range []string{captcha.Hcaptcha, captcha.Recaptcha, captcha.Turnstile, captcha.Mcaptcha, captcha.Test} {
		fields[captcha.Field(name)] = true
	}
	if len(fields) != 5 {
		t.Errorf("%v", fields)
	}
}
