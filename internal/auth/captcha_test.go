package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// asker is a server of mCaptcha that takes one answer, "right".
func asker(t *testing.T) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var b struct{ Key, Secret, Token string }
		if r.URL.Path != "/api/v1/pow/siteverify" || json.NewDecoder(r.Body).Decode(&b) != nil {
			http.NotFound(w, r)
			return
		}
		if b.Token == "down" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(m{"valid": b.Key == "site" && b.Secret == "secret" && b.Token == "right"})
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

// Who signs up, and who signs in with nothing but a password, shows that he is a person;
// all who are switched on are asked, and one that is silent lets nobody in.
func TestCaptcha(t *testing.T) {
	t.Parallel()
	url, asked := asker(t)
	s := testsrv.New(t, testsrv.Mode("production"))
	root, g := s.User(t, "alice"), s.Guest()
	save := m{"provider": "mcaptcha", "sitekey": "site", "secret": "secret", "instanceUrl": url, "captchaResult": "right"}
	with := func(change m) m {
		out := m{}
		for _, from := range []m{save, change} {
			for k, v := range from {
				out[k] = v
			}
		}
		return out
	}
	testsrv.Is(t, root.Post(t, "admin/captcha/current", m{}), "none", "provider")
	root.Fails(t, "admin/captcha/save", with(m{"captchaResult": nil}), 400, "NO_RESPONSE_PROVIDED")
	root.Fails(t, "admin/captcha/save", with(m{"captchaResult": "wrong"}), 400, "VERIFICATION_FAILED")
	root.Fails(t, "admin/captcha/save", with(m{"captchaResult": "down"}), 500, "REQUEST_FAILED")
	root.Fails(t, "admin/captcha/save", with(m{"secret": ""}), 400, "INVALID_PARAMETERS")
	root.Fails(t, "admin/captcha/save", with(m{"secret": "********"}), 400, "INVALID_PARAMETERS")
	root.Fails(t, "admin/captcha/save", with(m{"instanceUrl": "m.example"}), 400, "INVALID_PARAMETERS")
	root.Fails(t, "admin/captcha/save", with(m{"provider": "guess"}), 400, "INVALID_PARAM")
	testsrv.Is(t, root.Post(t, "admin/captcha/current", m{}), "none", "provider")
	testsrv.Is(t, g.Post(t, "meta", m{}), false, "enableMcaptcha")
	root.Post(t, "admin/captcha/save", save)
	root.Post(t, "admin/captcha/save", with(m{"secret": "********"})) // as it was shown: the one that is there
	now := root.Post(t, "admin/captcha/current", m{})
	testsrv.Is(t, now, "mcaptcha", "provider")
	testsrv.Is(t, now, "site", "mcaptcha", "siteKey")
	testsrv.Is(t, now, "********", "mcaptcha", "secretKey")
	testsrv.Is(t, now, url, "mcaptcha", "instanceUrl")
	meta := g.Post(t, "meta", m{})
	testsrv.Is(t, meta, true, "enableMcaptcha")
	testsrv.Is(t, meta, "site", "mcaptchaSiteKey")
	testsrv.Is(t, meta, url, "mcaptchaInstanceUrl")
	if n := s.Count(t, `SELECT count(*) FROM meta WHERE settings::text LIKE '%"secret"%'`) + s.Count(t, `SELECT count(*) FROM moderation_log WHERE info::text LIKE '%"secret"%'`); n != 0 {
		t.Error("the secret can be read in the database")
	}

	bora := m{"username": "bora", "password": "password"}
	g.Fails(t, "signup", bora, 400, "CAPTCHA_FAILED")
	for token, want := range map[string]string{"wrong": "CAPTCHA_FAILED", "down": "CAPTCHA_UNAVAILABLE"} {
		bora["m-captcha-response"] = token
		g.Fails(t, "signup", bora, map[string]int{"wrong": 400, "down": 503}[token], want)
	}
	if n := s.Count(t, `SELECT count(*) FROM account`); n != 1 {
		t.Errorf("%d accounts", n)
	}
	bora["m-captcha-response"] = "right"
	g.Post(t, "signup", bora)
	for _, name := range []string{"signin", "signin-flow"} {
		before := asked.Load()
		testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "bora"}), "captcha", "next")
		g.Fails(t, name, m{"username": "bora", "password": "password"}, 400, "CAPTCHA_FAILED")
		g.Fails(t, name, m{"username": "bora", "password": "wrong", "m-captcha-response": "right"}, 403, "INCORRECT_PASSWORD")
		g.Post(t, name, bora)
		if n := asked.Load() - before; n != 2 {
			t.Errorf("%s: asked %d times", name, n)
		}
	}

	// All of them; keys alone ask nobody.
	s.Set(t, m{"enableTestcaptcha": true, "enableHcaptcha": true})
	g.Fails(t, "signin-flow", bora, 400, "CAPTCHA_FAILED")
	bora["testcaptcha-response"] = "testcaptcha-passed"
	g.Post(t, "signin-flow", bora)
	root.Post(t, "admin/captcha/save", m{"provider": "testcaptcha", "captchaResult": "testcaptcha-passed"})
	testsrv.Is(t, g.Post(t, "meta", m{}), false, "enableMcaptcha")
	g.Fails(t, "signin", m{"username": "bora", "password": "password"}, 400, "CAPTCHA_FAILED")
	root.Post(t, "admin/captcha/save", m{"provider": "none"})
	g.Post(t, "signin", m{"username": "bora", "password": "password"})
}
