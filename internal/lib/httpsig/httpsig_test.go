package httpsig_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const host = "b.example"

// rsaKey is one key for all tests, since making one is slow.
var rsaKey = sync.OnceValue(func() *httpsig.KeyPair {
	p, err := httpsig.GenerateRSA()
	if err != nil {
		panic(err)
	}
	return p
})

// keys are one of each kind, with their public halves read from PEM.
func keys(t *testing.T) map[string]httpsig.Key {
	t.Helper()
	r, err := httpsig.ParsePrivateKey(rsaKey().PrivatePEM)
	if err != nil {
		t.Fatal(err)
	}
	e, err := httpsig.ParsePrivateKey(keyEd25519Private)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]httpsig.Key{
		"rsa":     {ID: "https://a.example/users/1#main-key", Signer: r},
		"ed25519": {ID: "https://a.example/users/1#ed25519", Signer: e},
	}
}

type signFunc func(r *http.Request, key httpsig.Key, body []byte) error

func schemes() map[string]signFunc {
	return map[string]signFunc{
		"cavage": func(r *http.Request, k httpsig.Key, b []byte) error { return httpsig.SignCavage(r, k, b, now) },
		"cavage without query": func(r *http.Request, k httpsig.Key, b []byte) error {
			return httpsig.SignCavage(r, k, b, now, httpsig.WithoutQuery)
		},
		"rfc9421": func(r *http.Request, k httpsig.Key, b []byte) error { return httpsig.SignRFC9421(r, k, b, now) },
	}
}

// send gives the bytes of a signed request.
func send(t *testing.T, sign signFunc, key httpsig.Key, method, url string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		r.Header.Set("Accept", "application/activity+json")
	}
	if err := sign(r, key, body); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// receive reads a request as a server would and verifies it.
func receive(raw []byte, pub crypto.PublicKey, want httpsig.Expect) (string, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	s, err := httpsig.Parse(r)
	if err != nil {
		return "", err
	}
	return s.KeyID, s.Verify(pub, body, want)
}

func TestRoundTrip(t *testing.T) {
	for kind, key := range keys(t) {
		for name, sign := range schemes() {
			for _, c := range []struct {
				method, url string
				body        []byte
			}{
				{"POST", "https://b.example/inbox", []byte(`{"id":1}`)},
				{"POST", "https://b.example/inbox", []byte{}},
				{"POST", "https://B.Example:443/inbox?a=1&b=%2f", []byte("x")},
				{"GET", "https://b.example", nil},
				{"GET", "https://b.example/users/1?page=true", nil},
				{"GET", "https://b.example/a%2Fb/%ED%95%9C?", nil},
				{"GET", "http://b.example:80/notes/1", nil},
			} {
				id, err := receive(send(t, sign, key, c.method, c.url, c.body), key.Signer.Public(), httpsig.Expect{Authority: host, Now: now})
				if err != nil || id != key.ID {
					t.Errorf("%s %s %s %s: %q, %v", kind, name, c.method, c.url, id, err)
				}
			}
		}
	}
}

// TestRow1FlippedBits: whatever is changed of method, path, query, host, date,
// digest or body, the request does not verify (security row 1).
func TestRow1FlippedBits(t *testing.T) {
	for kind, key := range keys(t) {
		for name, sign := range schemes() {
			raw := send(t, sign, key, "POST", "https://b.example/inbox/q?x=1", []byte(`{"type":"Delete"}`))
			want := httpsig.Expect{Authority: host, Now: now}
			if _, err := receive(raw, key.Signer.Public(), want); err != nil {
				t.Fatalf("%s %s: %v", kind, name, err)
			}
			flips := 0
			for i := range raw {
				for bit := range 8 {
					bad := bytes.Clone(raw)
					bad[i] ^= 1 << bit
					if signedPart(raw, name) == signedPart(bad, name) {
						continue
					}
					flips++
					if _, err := receive(bad, key.Signer.Public(), want); err == nil {
						t.Errorf("%s %s: byte %d %q → %q verifies", kind, name, i, raw[i], bad[i])
					}
				}
			}
			if flips < 500 {
				t.Errorf("%s %s: only %d changes tried", kind, name, flips)
			}
		}
	}
}

// signedPart is what a signature of the scheme vouches for, as a server reads it.
func signedPart(raw []byte, scheme string) string {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return "unreadable"
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "cut"
	}
	target, date, digest := r.RequestURI, r.Header.Get("Date"), "Digest"
	switch scheme {
	case "cavage without query":
		target, _, _ = strings.Cut(target, "?")
	case "rfc9421":
		date, digest = "", "Content-Digest"
	}
	_, sum, _ := strings.Cut(r.Header.Get(digest), "=")
	return fmt.Sprint(r.Method, target, strings.ToLower(r.Host), date, sum, string(body))
}

func TestRefusals(t *testing.T) {
	key := keys(t)["rsa"]
	pub := key.Signer.Public()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":1}`)
	for name, sign := range schemes() {
		raw := send(t, sign, key, "POST", "https://b.example/inbox", body)
		text := string(raw)
		want := httpsig.Expect{Authority: host, Now: now}
		for _, c := range []struct {
			name string
			raw  string
			pub  crypto.PublicKey
			want httpsig.Expect
			err  error
		}{
			{"as sent", text, pub, want, nil},
			{"another key", text, &other.PublicKey, want, httpsig.ErrInvalid},
			{"another kind of key", text, keys(t)["ed25519"].Signer.Public(), want, httpsig.ErrInvalid},
			{"no key", text, nil, want, httpsig.ErrInvalid},
			{"another server", text, pub, httpsig.Expect{Authority: "c.example", Now: now}, httpsig.ErrHost},
			{"another port", text, pub, httpsig.Expect{Authority: "b.example:3000", Now: now}, httpsig.ErrHost},
			{"another Host header", strings.Replace(text, "Host: b.example", "Host: c.example", 1), pub, want, httpsig.ErrHost},
			{"12 h later", text, pub, httpsig.Expect{Authority: host, Now: now.Add(12 * time.Hour)}, nil},
			{"more than 12 h later", text, pub, httpsig.Expect{Authority: host, Now: now.Add(12*time.Hour + time.Second)}, httpsig.ErrTime},
			{"1 h before", text, pub, httpsig.Expect{Authority: host, Now: now.Add(-time.Hour)}, nil},
			{"more than 1 h before", text, pub, httpsig.Expect{Authority: host, Now: now.Add(-time.Hour - time.Second)}, httpsig.ErrTime},
			{"no clock", text, pub, httpsig.Expect{Authority: host}, httpsig.ErrTime},
			{"no authority", text, pub, httpsig.Expect{Now: now}, httpsig.ErrHost},
			{"another body", strings.Replace(text, `{"id":1}`, `{"id":2}`, 1), pub, want, httpsig.ErrDigest},
			{"two Signature headers", strings.Replace(text, "\r\nSignature:", "\r\nSignature: x=:AA==:\r\nSignature:", 1), pub, want, httpsig.ErrMalformed},
			{"an endless header", strings.Replace(text, "\r\nSignature:", "\r\nSignature: "+strings.Repeat("x", 9<<10), 1), pub, want, httpsig.ErrMalformed},
			{"unsigned", text[:strings.Index(text, "Signature")] + "X" + strings.ReplaceAll(text[strings.Index(text, "Signature"):], "\r\nSignature", "\r\nX-Signature"), pub, want, httpsig.ErrNone},
		} {
			if _, err := receive([]byte(c.raw), c.pub, c.want); !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
				t.Errorf("%s, %s: %v, want %v", name, c.name, err, c.err)
			}
		}
	}
}

// cavage makes a request signed over the given headers, right or wrong.
func cavage(t *testing.T, key httpsig.Key, method, target, body string, header map[string]string, algorithm, headers, more string) *http.Request {
	t.Helper()
	text := method + " " + target + " HTTP/1.1\nHost: b.example\n"
	for k, v := range header {
		text += k + ": " + v + "\n"
	}
	r := wire(t, text)
	var lines []string
	for h := range strings.FieldsSeq(headers) {
		switch h {
		case "(request-target)":
			lines = append(lines, h+": "+strings.ToLower(method)+" "+target)
		case "host":
			lines = append(lines, "host: b.example")
		case "(created)", "(expires)":
			_, val, _ := strings.Cut(more, strings.Trim(h, "()")+"=")
			val, _, _ = strings.Cut(val, ",")
			lines = append(lines, h+": "+val)
		default:
			lines = append(lines, h+": "+r.Header.Get(h))
		}
	}
	message := strings.Join(lines, "\n")
	var sig []byte
	var err error
	if _, ok := key.Signer.(ed25519.PrivateKey); ok {
		sig, err = key.Signer.Sign(rand.Reader, []byte(message), crypto.Hash(0))
	} else {
		sum := sha256.Sum256([]byte(message))
		sig, err = key.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Signature", fmt.Sprintf(`keyId="k",algorithm="%s",headers="%s"%s,signature="%s"`, algorithm, headers, more, base64.StdEncoding.EncodeToString(sig)))
	return r
}

// TestRow1Coverage: a signature that leaves out what it must cover is refused
// although its bytes are right (security row 1, CVE-2023-49079).
func TestRow1Coverage(t *testing.T) {
	key, ed := keys(t)["rsa"], keys(t)["ed25519"]
	body := `{"id":1}`
	full := map[string]string{"Date": now.Format(http.TimeFormat), "Digest": httpsig.Digest([]byte(body))}
	created := fmt.Sprintf(",created=%d", now.Unix())
	for _, c := range []struct {
		name, method, algorithm, headers, more string
		key                                    httpsig.Key
		header                                 map[string]string
		err                                    error
	}{
		{"all", "POST", "rsa-sha256", "(request-target) host date digest", "", key, full, nil},
		{"hs2019 of RSA", "POST", "hs2019", "(request-target) host date digest", "", key, full, nil},
		{"hs2019 of Ed25519", "POST", "hs2019", "(request-target) host date digest", "", ed, full, nil},
		{"no algorithm", "POST", "", "(request-target) host date digest", "", key, full, nil},
		{"created for date", "POST", "hs2019", "(request-target) (created) host digest", created, key, full, nil},
		{"GoToSocial's GET", "GET", "hs2019", "(request-target) host date", "", key, full, nil},
		{"no digest", "POST", "rsa-sha256", "(request-target) host date", "", key, full, httpsig.ErrCoverage},
		{"no host", "POST", "rsa-sha256", "(request-target) date digest", "", key, full, httpsig.ErrCoverage},
		{"no date", "POST", "rsa-sha256", "(request-target) host digest", "", key, full, httpsig.ErrCoverage},
		{"no target", "POST", "rsa-sha256", "host date digest", "", key, full, httpsig.ErrCoverage},
		{"nothing", "POST", "rsa-sha256", "", "", key, full, httpsig.ErrCoverage},
		{"date twice", "POST", "rsa-sha256", "(request-target) host date digest date", "", key, full, httpsig.ErrMalformed},
		{"a header that is missing", "POST", "rsa-sha256", "(request-target) host date digest x-missing", "", key, full, httpsig.ErrMalformed},
		{"unknown algorithm", "POST", "hmac-sha256", "(request-target) host date digest", "", key, full, httpsig.ErrMalformed},
		{"algorithm of another key", "POST", "ed25519", "(request-target) host date digest", "", key, full, httpsig.ErrInvalid},
		{"created with rsa-sha256", "POST", "rsa-sha256", "(request-target) (created) host digest", created, key, full, httpsig.ErrMalformed},
		{"created without value", "POST", "hs2019", "(request-target) (created) host digest", "", key, full, httpsig.ErrMalformed},
		{"created of yesterday", "POST", "hs2019", "(request-target) (created) host digest", fmt.Sprintf(",created=%d", now.Add(-24*time.Hour).Unix()), key, full, httpsig.ErrTime},
		{"expired", "POST", "hs2019", "(request-target) (created) (expires) host digest", fmt.Sprintf(",created=%d,expires=%d", now.Unix(), now.Unix()-1), key, full, httpsig.ErrTime},
		{"keyId twice", "POST", "rsa-sha256", "(request-target) host date digest", `,keyId="x"`, key, full, httpsig.ErrMalformed},
		{"a date that is none", "POST", "rsa-sha256", "(request-target) host date digest", "", key, map[string]string{"Date": "today", "Digest": full["Digest"]}, httpsig.ErrMalformed},
		{"another digest", "POST", "rsa-sha256", "(request-target) host date digest", "", key, map[string]string{"Date": full["Date"], "Digest": httpsig.Digest(nil)}, httpsig.ErrDigest},
		{"digest of a weak kind", "POST", "rsa-sha256", "(request-target) host date digest", "", key, map[string]string{"Date": full["Date"], "Digest": "MD5=AAAA"}, httpsig.ErrDigest},
	} {
		b := []byte(body)
		if c.method == "GET" {
			b = nil
		}
		r := cavage(t, c.key, c.method, "/inbox", body, c.header, c.algorithm, c.headers, c.more)
		s, err := httpsig.Parse(r)
		if err == nil {
			err = s.Verify(c.key.Signer.Public(), b, httpsig.Expect{Authority: host, Now: now})
		}
		if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
}

// TestRow1RFC9421Coverage is the same for RFC 9421.
func TestRow1RFC9421Coverage(t *testing.T) {
	key := keys(t)["ed25519"]
	body := []byte(`{"id":1}`)
	params := fmt.Sprintf(`;created=%d;keyid="k"`, now.Unix())
	for _, c := range []struct {
		name, components, params string
		err                      error
	}{
		{"all", `"@method" "@target-uri" "content-digest"`, params, nil},
		{"authority and path", `"@method" "@authority" "@path" "content-digest"`, params, nil},
		{"no method", `"@target-uri" "content-digest"`, params, httpsig.ErrCoverage},
		{"no host", `"@method" "@path" "content-digest"`, params, httpsig.ErrCoverage},
		{"no path", `"@method" "@authority" "content-digest"`, params, httpsig.ErrCoverage},
		{"no digest", `"@method" "@target-uri"`, params, httpsig.ErrCoverage},
		{"no time", `"@method" "@target-uri" "content-digest"`, `;keyid="k"`, httpsig.ErrCoverage},
		{"no key", `"@method" "@target-uri" "content-digest"`, fmt.Sprintf(`;created=%d`, now.Unix()), httpsig.ErrMalformed},
		{"time as text", `"@method" "@target-uri" "content-digest"`, `;created="1";keyid="k"`, httpsig.ErrMalformed},
		{"expired", `"@method" "@target-uri" "content-digest"`, params + fmt.Sprintf(";expires=%d", now.Unix()-1), httpsig.ErrTime},
		{"not expired", `"@method" "@target-uri" "content-digest"`, params + fmt.Sprintf(";expires=%d", now.Unix()), nil},
		{"another algorithm", `"@method" "@target-uri" "content-digest"`, params + `;alg="rsa-v1_5-sha256"`, httpsig.ErrInvalid},
		{"an algorithm of the draft", `"@method" "@target-uri" "content-digest"`, params + `;alg="hs2019"`, httpsig.ErrInvalid},
		{"created twice", `"@method" "@target-uri" "content-digest"`, params + ";created=1", httpsig.ErrMalformed},
		{"a parameter that changes what is covered", `"@method" "@target-uri" "content-digest";bs`, params, httpsig.ErrMalformed},
		{"digest of trailers", `"@method" "@target-uri" "content-digest";tr`, params, httpsig.ErrMalformed},
		{"numbers", `"@method" 1 "@target-uri" "content-digest"`, params, httpsig.ErrMalformed},
	} {
		r := wire(t, "POST /inbox HTTP/1.1\nHost: b.example\nContent-Digest: "+httpsig.ContentDigest(body)+
			"\nSignature-Input: s=("+c.components+")"+c.params+"\nSignature: s=:AAAA:\n")
		if base, err := httpsig.Base(r, "https", host); err == nil {
			sig, err := key.Signer.Sign(rand.Reader, []byte(base), crypto.Hash(0))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Signature", "s=:"+base64.StdEncoding.EncodeToString(sig)+":")
		}
		s, err := httpsig.Parse(r)
		if err == nil {
			err = s.Verify(key.Signer.Public(), body, httpsig.Expect{Authority: host, Now: now})
		}
		if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	for _, headers := range [][2]string{
		{`a=("@method");keyid="k", b=("@method");keyid="k"`, "a=:AAAA:"},
		{`a=("@method");keyid="k"`, "a=:AAAA:, b=:AAAA:"},
		{`a=("@method");keyid="k", a=("@path");keyid="k"`, "a=:AAAA:"},
		{`a=("@method");keyid="k"`, "b=:AAAA:"},
		{`a="@method";keyid="k"`, "a=:AAAA:"},
		{`a=("@method");keyid="k"`, `a="AAAA"`},
		{`a=("@method");keyid="k"`, ``},
		{`a=(`, "a=:AAAA:"},
		{`a`, "a=:AAAA:"},
	} {
		r := wire(t, "GET / HTTP/1.1\nHost: b.example\nSignature-Input: "+headers[0]+"\nSignature: "+headers[1]+"\n")
		if _, err := httpsig.Parse(r); !errors.Is(err, httpsig.ErrMalformed) {
			t.Errorf("%q: %v", headers, err)
		}
	}
}

// TestWithoutQuery: a peer that signs the path alone is believed, and we can be
// such a peer; the order of guesses does not matter to others.
func TestWithoutQuery(t *testing.T) {
	key := keys(t)["rsa"]
	r, _ := http.NewRequest(http.MethodGet, "https://b.example/users/1/outbox?page=1", nil)
	if err := httpsig.SignCavage(r, key, nil, now, httpsig.WithoutQuery); err != nil {
		t.Fatal(err)
	}
	with := r.Header.Get("Signature")
	r2, _ := http.NewRequest(http.MethodGet, "https://b.example/users/1/outbox", nil)
	if err := httpsig.SignCavage(r2, key, nil, now); err != nil {
		t.Fatal(err)
	}
	if with != r2.Header.Get("Signature") {
		t.Error("the query is signed")
	}
	if !strings.Contains(with, `headers="(request-target) date host",`) {
		t.Error(with)
	}
}

func TestSignedHeaders(t *testing.T) {
	key := keys(t)["rsa"]
	r, _ := http.NewRequest(http.MethodPost, "https://b.example/inbox", nil)
	if err := httpsig.SignCavage(r, key, []byte("x"), now); err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Signature"); !strings.HasPrefix(got, `keyId="https://a.example/users/1#main-key",algorithm="rsa-sha256",headers="(request-target) date host digest",signature="`) {
		t.Error(got)
	}
	if got := r.Header.Get("Date"); got != "Sun, 01 Mar 2026 12:00:00 GMT" {
		t.Error(got)
	}
	g, _ := http.NewRequest(http.MethodGet, "https://b.example/users/1", nil)
	g.Header.Set("Accept", "application/activity+json")
	if err := httpsig.SignCavage(g, key, nil, now); err != nil {
		t.Fatal(err)
	}
	if got := g.Header.Get("Signature"); !strings.Contains(got, `headers="(request-target) date host accept"`) {
		t.Error(got)
	}
	if err := httpsig.SignRFC9421(g, key, nil, now); err != nil {
		t.Fatal(err)
	}
	if got := g.Header.Get("Signature-Input"); got != `sig1=("@method" "@target-uri");created=1772366400;keyid="https://a.example/users/1#main-key";alg="rsa-v1_5-sha256"` {
		t.Error(got)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []httpsig.Key{{ID: `k",headers="date`, Signer: key.Signer}, {ID: "k", Signer: ec}} {
		if err := httpsig.SignCavage(g, bad, nil, now); !errors.Is(err, httpsig.ErrKey) {
			t.Error(err)
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	key := keys(t)["rsa"]
	r := cavage(t, key, "GET", "/users/1", "", map[string]string{"Date": now.Format(http.TimeFormat)}, "rsa-sha256", "(request-target) host date", "")
	r.Header.Set("Authorization", "Signature "+r.Header.Get("Signature"))
	r.Header.Del("Signature")
	s, err := httpsig.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(key.Signer.Public(), nil, httpsig.Expect{Authority: host, Now: now}); err != nil {
		t.Error(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	if _, err := httpsig.Parse(r); !errors.Is(err, httpsig.ErrNone) {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	p := rsaKey()
	priv, err := httpsig.ParsePrivateKey(p.PrivatePEM)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := httpsig.ParsePublicKey(p.PublicPEM)
	if err != nil {
		t.Fatal(err)
	}
	rk := pub.(*rsa.PublicKey)
	if !rk.Equal(priv.Public()) || rk.N.BitLen() != 2048 {
		t.Error("not a pair of 2048 bits")
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(rk)
	for name, text := range map[string]string{
		"PKCS #1":             string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1})),
		"PKCS #1, mislabeled": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkcs1})),
		"spaces and CRLF":     "\r\n  " + strings.ReplaceAll(p.PublicPEM, "\n", "\r\n") + "\r\n",
	} {
		if k, err := httpsig.ParsePublicKey(text); err != nil || !rk.Equal(k) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if k, err := httpsig.ParsePrivateKey(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(priv.(*rsa.PrivateKey))}))); err != nil || !rk.Equal(k.Public()) {
		t.Error(err)
	}
	small := `-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----`
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "key", "512 bits": small, "a private key": p.PrivatePEM,
		"rubbish": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "a book": strings.Repeat("x", 17<<10),
	} {
		if k, err := httpsig.ParsePublicKey(text); !errors.Is(err, httpsig.ErrKey) || k != nil {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "a public key": p.PublicPEM} {
		if k, err := httpsig.ParsePrivateKey(text); !errors.Is(err, httpsig.ErrKey) || k != nil {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
}

// FuzzParse: no header makes reading fail otherwise than by an error.
func FuzzParse(f *testing.F) {
	f.Add(`keyId="k",algorithm="rsa-sha256",headers="(request-target) host date digest",signature="AAAA"`, "")
	f.Add(`s=:AAAA:`, `s=("@method" "@target-uri" "@query-param";name="a");created=1;keyid="k";alg="ed25519"`)
	pub, err := httpsig.ParsePublicKey(keyEd25519)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, signature, input string) {
		r, _ := http.NewRequest(http.MethodPost, "https://b.example/inbox?a=1", nil)
		r.Header.Set("Signature", signature)
		r.Header.Set("Date", now.Format(http.TimeFormat))
		r.Header.Set("Digest", httpsig.Digest(nil))
		r.Header.Set("Content-Digest", httpsig.ContentDigest(nil))
		if input != "" {
			r.Header.Set("Signature-Input", input)
		}
		s, err := httpsig.Parse(r)
		if err != nil {
			return
		}
		if err := s.Verify(pub, nil, httpsig.Expect{Authority: host, Now: now}); err == nil {
			t.Error("verifies")
		}
	})
}
