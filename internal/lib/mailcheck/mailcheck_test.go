package mailcheck_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"buttersc.one/oven/internal/lib/mailcheck"
)

// zone answers as a name server would, by name.
type zone struct {
	mx    map[string]string
	hosts map[string]bool
	down  bool
}

func (z zone) no(name string) error {
	return &net.DNSError{Name: name, IsNotFound: !z.down, IsTemporary: z.down}
}

// LookupMX implements mailcheck.Resolver.
func (z zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if to, ok := z.mx[name]; ok {
		return []*net.MX{{Host: to}}, nil
	}
	return nil, z.no(name)
}

// LookupHost implements mailcheck.Resolver.
func (z zone) LookupHost(_ context.Context, name string) ([]string, error) {
	if z.hosts[name] {
		return []string{"192.0.2.1"}, nil
	}
	return nil, z.no(name)
}

func TestDomain(t *testing.T) {
	t.Parallel()
	z := zone{mx: map[string]string{"mail.example.": "mx.mail.example.", "never.example.": "."}, hosts: map[string]bool{"plain.example.": true, "never.example.": true}}
	for address, want := range map[string]mailcheck.Reason{"a@mail.example": "", "a@plain.example": "", "a@never.example": mailcheck.NoServer, "a@gone.example": mailcheck.NoServer} {
		if got := mailcheck.Domain(t.Context(), z, address); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
	if got := mailcheck.Domain(t.Context(), zone{down: true}, "a@mail.example"); got != "" {
		t.Errorf("a name server that does not answer: %q", got)
	}
}

type door struct {
	to   *url.URL
	path string
}

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	d.path = r.URL.String()
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = d.to.Scheme, d.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// What services say, in their words.
func TestServices(t *testing.T) {
	t.Parallel()
	say := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if say == "" || r.URL.Query().Get("key") != "k" && r.Header.Get("Authorization") != "k" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(say))
	}))
	t.Cleanup(srv.Close)
	d := &door{}
	d.to, _ = url.Parse(srv.URL)
	for _, c := range []struct {
		of   string
		say  string
		want mailcheck.Reason
	}{
		{"verifymail", `{"email_address":"a+b@c.example","deliverable_email":true,"disposable":false,"mx":true}`, ""},
		{"verifymail", `{"email_address":"a@c.example"}`, ""},
		{"verifymail", `{"message":"?"}`, mailcheck.Format},
		{"verifymail", `{"email_address":"a@c.example","deliverable_email":false}`, mailcheck.NoBox},
		{"verifymail", `{"email_address":"a@c.example","disposable":true}`, mailcheck.Disposable},
		{"verifymail", `{"email_address":"a@c.example","mx":false}`, mailcheck.NoServer},
		{"verifymail", ``, mailcheck.Network}, {"verifymail", `no`, mailcheck.Network},
		{"truemail", `{"email":"a@c.example","success":true,"errors":null}`, ""},
		{"truemail", `{"success":false}`, mailcheck.Format},
		{"truemail", `{"email":"a@c.example","success":false,"errors":{"regex":"x"}}`, mailcheck.Format},
		{"truemail", `{"email":"a@c.example","success":false,"errors":{"smtp":"x"}}`, mailcheck.NoBox},
		{"truemail", `{"email":"a@c.example","success":false,"errors":{"mx":"x"}}`, mailcheck.NoServer},
		{"truemail", `{"email":"a@c.example","success":false,"errors":{"domain_list_match":"x"}}`, mailcheck.Listed},
		{"truemail", `{"email":"a@c.example","success":false,"errors":{"odd":"x"}}`, mailcheck.Network},
		{"truemail", ``, mailcheck.Network},
	} {
		say = c.say
		var got mailcheck.Reason
		var err error
		if c.of == "truemail" {
			got, err = mailcheck.Truemail(t.Context(), d, "http://t.example/check?x=1", "k", "a+b@c.example")
		} else {
			got, err = mailcheck.Verifymail(t.Context(), d, "k", "a+b@c.example")
		}
		if got != c.want || err != nil && got != mailcheck.Network {
			t.Errorf("%s %s: %q %v", c.of, c.say, got, err)
		}
	}
	if d.path != "http://t.example/check?email=a%2Bb%40c.example&x=1" {
		t.Errorf("asked at %s", d.path)
	}
	if _, err := mailcheck.Verifymail(t.Context(), d, "k", "a/../../b@c.example"); errors.Is(err, nil) {
		t.Error("answered")
	}
	if d.path != "https://verifymail.io/api/a%2F..%2F..%2Fb@c.example?key=k" {
		t.Errorf("asked at %s", d.path)
	}
}
