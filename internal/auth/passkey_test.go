package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/testsrv"
)

// key is an authenticator with one passkey.
type key struct {
	t       *testing.T
	origin  string // of the page that asks
	rp      string
	private *ecdsa.PrivateKey
	id      []byte
	handle  []byte
	count   uint32
	flags   byte
}

const (
	present  = 1
	verified = 4
)

func newKey(t *testing.T, origin string) *key {
	t.Helper()
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		t.Fatal(err)
	}
	return &key{t: t, origin: origin, rp: "localhost", private: p, id: id, flags: present | verified}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k *key) name() string { return b64(k.id) }

func (k *key) client(typ string, challenge any) []byte {
	b, err := json.Marshal(m{"type": typ, "challenge": challenge, "origin": k.origin, "crossOrigin": false})
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *key) data(attested []byte) []byte {
	k.count++
	h := sha256.Sum256([]byte(k.rp))
	flags := k.flags
	if attested != nil {
		flags |= 0x40
	}
	b := append(h[:], flags)
	b = binary.BigEndian.AppendUint32(b, k.count)
	return append(b, attested...)
}

// create answers navigator.credentials.create.
func (k *key) create(options any) m {
	k.t.Helper()
	handle, err := base64.RawURLEncoding.DecodeString(testsrv.Dig(options, "user", "id").(string))
	if err != nil {
		k.t.Fatal(err)
	}
	k.handle = handle
	point, err := k.private.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		k.t.Fatal(err)
	}
	attested := append(make([]byte, 16), byte(len(k.id)>>8), byte(len(k.id)))
	attested = append(append(attested, k.id...), cose...)
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": k.data(attested)})
	if err != nil {
		k.t.Fatal(err)
	}
	return m{"id": k.name(), "rawId": k.name(), "type": "public-key", "clientExtensionResults": m{}, "response": m{
		"clientDataJSON": b64(k.client("webauthn.create", testsrv.Dig(options, "challenge"))), "attestationObject": b64(object), "transports": []string{"internal"}}}
}

// get answers navigator.credentials.get.
func (k *key) get(options any) m {
	k.t.Helper()
	client, data := k.client("webauthn.get", testsrv.Dig(options, "challenge")), k.data(nil)
	h := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), h[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return m{"id": k.name(), "rawId": k.name(), "type": "public-key", "clientExtensionResults": m{}, "response": m{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(sig), "userHandle": b64(k.handle)}}
}

// onLocalhost gives the server a name that passkeys can be for.
func onLocalhost(o *app.Options) { o.Hostname = "localhost" }

func withKey(t *testing.T, c *clock, u *testsrv.User, seed, name string) *key {
	t.Helper()
	k := newKey(t, u.S.Origin)
	code := c.code(t, seed)
	options := u.Post(t, "i/2fa/register-key", m{"password": "password", "token": code})
	// Clients ask for the code once.
	res := u.Post(t, "i/2fa/key-done", m{"password": "password", "token": code, "name": name, "credential": k.create(options)})
	testsrv.Is(t, res, k.name(), "id")
	testsrv.Is(t, res, name, "name")
	return k
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, onLocalhost)
	a, b, c, g := s.User(t, "alice"), s.User(t, "bora"), &clock{s: s}, s.Guest()
	a.Fails(t, "i/2fa/register-key", m{"password": "wrong"}, 400, "INCORRECT_PASSWORD")
	a.Fails(t, "i/2fa/register-key", m{"password": "password"}, 400, "TWO_FACTOR_NOT_ENABLED")
	a.Fails(t, "i/2fa/key-done", m{"password": "password", "name": "x", "credential": m{}}, 400, "TWO_FACTOR_NOT_ENABLED")
	a.Fails(t, "i/2fa/password-less", m{"value": true}, 400, "NO_SECURITY_KEY")
	seed, _ := withTOTP(t, c, a)
	k := newKey(t, s.Origin)
	code := c.code(t, seed)
	options := a.Post(t, "i/2fa/register-key", m{"password": "password", "token": code})
	testsrv.Is(t, options, "localhost", "rp", "id")
	testsrv.Is(t, options, "alice", "user", "name")
	testsrv.Is(t, options, "required", "authenticatorSelection", "residentKey")
	done := m{"password": "password", "token": code, "name": "phone", "credential": k.create(options)}
	// Not without the password, not with another code, not for another account.
	bad := m{"password": "wrong", "token": code, "name": "phone", "credential": done["credential"]}
	a.Fails(t, "i/2fa/key-done", bad, 400, "INCORRECT_PASSWORD")
	bad["password"], bad["token"] = "password", "000000"
	a.Fails(t, "i/2fa/key-done", bad, 400, "INCORRECT_TOKEN")
	b.Fails(t, "i/2fa/key-done", done, 400, "TWO_FACTOR_NOT_ENABLED")
	// A page of another site, and a key that did not ask who is there.
	foreign := *k
	foreign.origin = "https://evil.example"
	for _, wrong := range []*key{&foreign, {t: t, origin: k.origin, rp: "evil.example", private: k.private, id: k.id, flags: k.flags}, {t: t, origin: k.origin, rp: k.rp, private: k.private, id: k.id, flags: present}} {
		code := c.code(t, seed)
		o := a.Post(t, "i/2fa/register-key", m{"password": "password", "token": code})
		a.Fails(t, "i/2fa/key-done", m{"password": "password", "token": code, "name": "x", "credential": wrong.create(o)}, 400, "KEY_NOT_VERIFIED")
	}
	a.Post(t, "i/2fa/key-done", done)
	a.Fails(t, "i/2fa/key-done", m{"password": "password", "token": c.code(t, seed), "name": "again", "credential": done["credential"]}, 400, "KEY_NOT_VERIFIED") // once
	me := a.Post(t, "i", m{})
	testsrv.Is(t, me, true, "securityKeys")
	testsrv.Is(t, me, "phone", "securityKeysList", 0, "name")
	testsrv.Is(t, me, k.name(), "securityKeysList", 0, "id")
	b.Fails(t, "i/2fa/update-key", m{"credentialId": k.name(), "name": "mine"}, 400, "ACCESS_DENIED")
	b.Fails(t, "i/2fa/update-key", m{"credentialId": "none", "name": "mine"}, 400, "NO_SUCH_KEY")
	a.Post(t, "i/2fa/update-key", m{"credentialId": k.name(), "name": "telephone"})
	testsrv.Is(t, a.Post(t, "i", m{}), "telephone", "securityKeysList", 0, "name")

	in := m{"username": "alice", "password": "password"}
	step := g.Post(t, "signin-flow", in)
	testsrv.Is(t, step, "passkey", "next")
	testsrv.Is(t, step, k.name(), "authRequest", "allowCredentials", 0, "id")
	ask := func() any { return testsrv.Dig(g.Post(t, "signin-flow", in), "authRequest") }
	with := func(credential any) m {
		return m{"username": "alice", "password": "password", "credential": credential}
	}
	answer := k.get(ask())
	g.Fails(t, "signin-flow", m{"username": "alice", "password": "wrong", "credential": answer}, 403, "INCORRECT_PASSWORD")
	testsrv.Is(t, g.Post(t, "signin-flow", with(answer)), a.Token, "i")
	_, out := g.Call(t, "signin-flow", with(answer))
	id(t, out, "93b86c4b-72f9-40eb-9815-798928603d1e") // an answer counts once
	for what, credential := range map[string]any{
		"another page":    func() any { f := foreign; f.id, f.private = k.id, k.private; return f.get(ask()) }(),
		"another key":     newKey(t, s.Origin).get(ask()),
		"nothing asked":   k.get(m{"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
		"no verification": func() any { f := *k; f.flags = present; return f.get(ask()) }(),
		"a copied key":    func() any { f := *k; f.count = 0; return f.get(ask()) }(),
		"rubbish":         m{"id": "x"},
	} {
		if status, out := g.Call(t, "signin-flow", with(credential)); status != 403 || testsrv.Dig(out, "error", "code") != "PASSKEY_VERIFICATION_FAILED" {
			t.Errorf("%s: %d %v", what, status, out)
		}
	}
	// The code still works, for whoever has lost the key; and the form of older apps.
	g.Post(t, "signin-flow", m{"username": "alice", "password": "password", "token": c.code(t, seed)})
	request := g.Post(t, "signin", in)
	testsrv.Is(t, g.Post(t, "signin", with(k.get(request))), a.Token, "i")

	a.Fails(t, "i/2fa/remove-key", m{"password": "wrong", "token": c.code(t, seed), "credentialId": k.name()}, 400, "INCORRECT_PASSWORD")
	a.Post(t, "i/2fa/remove-key", m{"password": "password", "token": c.code(t, seed), "credentialId": k.name()})
	testsrv.Is(t, a.Post(t, "i", m{}), false, "securityKeys")
	testsrv.Is(t, g.Post(t, "signin-flow", in), "totp", "next")
}

func TestPasskeyAlone(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t, onLocalhost)
	a, b, c, g := s.User(t, "alice"), s.User(t, "bora"), &clock{s: s}, s.Guest()
	seed, _ := withTOTP(t, c, a)
	k := withKey(t, c, a, seed, "phone")
	ask := func() (any, any) {
		res := g.Post(t, "signin-with-passkey", m{})
		return testsrv.Dig(res, "option"), testsrv.Dig(res, "context")
	}
	refused := func(params m, want string) {
		t.Helper()
		_, out := g.Call(t, "signin-with-passkey", params)
		id(t, out, want)
	}
	option, about := ask()
	refused(m{"credential": k.get(option)}, "1658cc2e-4495-461f-aee4-d403cdf073c1")
	refused(m{"credential": k.get(option), "context": about}, "2d84773e-f7b7-4d0b-8f72-bb69b584c912") // the account asks for its password
	a.Post(t, "i/2fa/password-less", m{"value": true})
	testsrv.Is(t, a.Post(t, "i", m{}), true, "usePasswordLessLogin")
	option, about = ask()
	answer := k.get(option)
	refused(m{"credential": answer, "context": "another"}, "2d16e51c-007b-4edd-afd2-f7dd02c947f6")
	refused(m{"credential": newKey(t, s.Origin).get(option), "context": about}, "36b96a7d-b547-412d-aeed-2d611cdc8cdc")
	res := g.Post(t, "signin-with-passkey", m{"credential": answer, "context": about})
	testsrv.Is(t, res, a.Token, "signinResponse", "i")
	testsrv.Is(t, res, true, "signinResponse", "finished")
	refused(m{"credential": answer, "context": about}, "2d16e51c-007b-4edd-afd2-f7dd02c947f6") // once
	// A signature for one account does not open another.
	option, about = ask()
	thief := *k
	thief.handle = []byte(b.ID)
	refused(m{"credential": thief.get(option), "context": about}, "b18c89a7-5b5e-4cec-bb5b-0419f332d430")
	option, about = ask()
	thief = *k
	thief.private = newKey(t, s.Origin).private
	refused(m{"credential": thief.get(option), "context": about}, "b18c89a7-5b5e-4cec-bb5b-0419f332d430")
	// Too late.
	option, about = ask()
	c.skip(t, 6*60e9)
	refused(m{"credential": k.get(option), "context": about}, "2d16e51c-007b-4edd-afd2-f7dd02c947f6")
	// With the name, and without the password.
	step := g.Post(t, "signin-flow", m{"username": "alice", "password": ""})
	testsrv.Is(t, step, "passkey", "next")
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice", "credential": k.get(testsrv.Dig(step, "authRequest"))}), a.Token, "i")
	// The password alone is still not enough.
	testsrv.Is(t, g.Post(t, "signin-flow", m{"username": "alice", "password": "password"}), false, "finished")
	if err := s.App.Moderation.Suspend(t.Context(), "", a.ID, true); err != nil {
		t.Fatal(err)
	}
	option, about = ask()
	refused(m{"credential": k.get(option), "context": about}, "e03a5f46-d309-4865-9b69-56282d94e1eb")
	if err := s.App.Moderation.Suspend(t.Context(), "", a.ID, false); err != nil {
		t.Fatal(err)
	}
	s.Settle(t)
	// Switching the second factor off takes the keys along.
	a.Post(t, "i/2fa/unregister", m{"password": "password", "token": c.code(t, seed)})
	option, about = ask()
	refused(m{"credential": k.get(option), "context": about}, "36b96a7d-b547-412d-aeed-2d611cdc8cdc")
	testsrv.Is(t, a.Post(t, "i", m{}), false, "usePasswordLessLogin")
}
