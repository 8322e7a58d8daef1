package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// Addresses of domains that are not wanted cannot be had, nor those of which the service
// that is asked says that nobody reads them; one that is silent is no consent.
func TestAddressesThatCannotBeHad(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch email := r.URL.Query().Get("email"); {
		case r.Header.Get("Authorization") != "hush" || strings.HasPrefix(email, "silent"):
			w.WriteHeader(http.StatusBadGateway)
		case strings.HasPrefix(email, "gone"):
			_, _ = w.Write([]byte(`{"email":"x","success":false,"errors":{"smtp":"no such box"}}`))
		default:
			_, _ = w.Write([]byte(`{"email":"x","success":true}`))
		}
	}))
	t.Cleanup(far.Close)
	s := testsrv.New(t, testsrv.Mode("production"))
	a, g := s.User(t, "alice"), s.Guest()
	a.Post(t, "admin/update-meta", m{"bannedEmailDomains": []string{" Bad.example"}, "enableTruemailApi": true, "truemailInstance": far.URL, "truemailAuthKey": "hush"})
	now := a.Post(t, "admin/meta", m{})
	testsrv.Is(t, now, "bad.example", "bannedEmailDomains", 0)
	testsrv.Is(t, now, true, "enableActiveEmailValidation")
	testsrv.Is(t, now, "********", "truemailAuthKey")
	why := func(email string, want any) {
		t.Helper()
		got := g.Post(t, "email-address/available", m{"emailAddress": email})
		testsrv.Is(t, got, want, "reason")
		testsrv.Is(t, got, want == nil, "available")
	}
	why("bora@good.example", nil)
	why("bora@notbad.example", nil)
	why("bora@bad.example", "banned")
	why("bora@Mail.BAD.example", "banned")
	why("gone@good.example", "smtp")
	why("silent@good.example", "network")
	why("bora", "format")
	a.Fails(t, "i/update-email", m{"password": "password", "email": "bora@bad.example"}, 400, "UNAVAILABLE")
	a.Fails(t, "i/update-email", m{"password": "password", "email": "gone@good.example"}, 400, "UNAVAILABLE")
	a.Post(t, "admin/update-meta", m{"enableActiveEmailValidation": false})
	why("gone@good.example", nil)
	why("bora@bad.example", "banned")
	if n := s.Count(t, `SELECT count(*) FROM account WHERE email IS NOT NULL`) + s.Count(t, `SELECT count(*) FROM meta WHERE settings::text LIKE '%hush%'`); n != 0 {
		t.Error("an address was taken, or the key can be read")
	}
}
