package push_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// device is a browser with its push service: it opens what is sent to it (RFC 8188, 8291).
type device struct {
	*httptest.Server
	t    *testing.T
	key  *ecdh.PrivateKey
	auth []byte

	mu     sync.Mutex
	got    []m
	heads  []http.Header
	status int
}

func newDevice(t *testing.T) *device {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, key: key, auth: make([]byte, 16), status: http.StatusCreated}
	_, _ = rand.Read(d.auth)
	d.Server = httptest.NewServer(http.HandlerFunc(d.take))
	t.Cleanup(d.Close)
	return d
}

func (d *device) take(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil || len(b) > 4096 {
		d.t.Errorf("%d bytes: %v", len(b), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var msg m
	if err := json.Unmarshal(d.open(b), &msg); err != nil {
		d.t.Errorf("what was sent: %v", err)
	}
	d.got, d.heads = append(d.got, msg), append(d.heads, r.Header)
	w.WriteHeader(d.status)
}

// open decrypts a message.
func (d *device) open(b []byte) []byte {
	salt, size, idLen := b[:16], binary.BigEndian.Uint32(b[16:20]), int(b[20])
	sender, err := ecdh.P256().NewPublicKey(b[21 : 21+idLen])
	if err != nil {
		d.t.Error(err)
		return nil
	}
	shared, err := d.key.ECDH(sender)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		out, err := hkdf.Key(sha256.New, secret, salt, info, n)
		if err != nil {
			d.t.Error(err)
		}
		return out
	}
	ikm := derive(shared, d.auth, "WebPush: info\x00"+string(d.key.PublicKey().Bytes())+string(sender.Bytes()), 32)
	block, err := aes.NewCipher(derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16))
	if err != nil {
		d.t.Error(err)
		return nil
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	body := b[21+idLen:]
	if uint32(len(body)) > size { //nolint:gosec // 4096 at most
		d.t.Error("more than one record")
	}
	plain, err := gcm.Open(nil, derive(ikm, salt, "Content-Encoding: nonce\x00", 12), body, nil)
	if err != nil {
		d.t.Error(err)
		return nil
	}
	end := strings.TrimRight(string(plain), "\x00")
	return []byte(strings.TrimSuffix(end, "\x02"))
}

func (d *device) registration() m {
	b64 := base64.RawURLEncoding.EncodeToString
	return m{"endpoint": d.URL + "/push/1", "auth": b64(d.auth), "publickey": b64(d.key.PublicKey().Bytes())}
}

func (d *device) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.got)
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// A browser registers, changes what it wants and is forgotten.
func TestRegister(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	d := newDevice(t)
	reg := d.registration()
	key := testsrv.Dig(s.Guest().Post(t, "meta", m{"detail": true}), "swPublickey")
	first := alice.Post(t, "sw/register", reg).(m)
	if first["state"] != "subscribed" || first["key"] != key || key == nil || first["endpoint"] != reg["endpoint"] || first["sendReadMessage"] != false || first["userId"] != alice.ID {
		t.Errorf("registered: %v, key %v", first, key)
	}
	if raw, err := base64.RawURLEncoding.DecodeString(fmt.Sprint(key)); err != nil || len(raw) != 65 {
		t.Errorf("the key is none: %v", key)
	}
	if again := alice.Post(t, "sw/register", reg).(m); again["state"] != "already-subscribed" {
		t.Errorf("again: %v", again)
	}
	if up := alice.Post(t, "sw/update-registration", m{"endpoint": reg["endpoint"], "sendReadMessage": true}).(m); up["sendReadMessage"] != true {
		t.Errorf("updated: %v", up)
	}
	if got := alice.Post(t, "sw/show-registration", m{"endpoint": reg["endpoint"]}).(m); got["sendReadMessage"] != true {
		t.Errorf("shown: %v", got)
	}
	if got := bob.Post(t, "sw/show-registration", m{"endpoint": reg["endpoint"]}); got != nil {
		t.Errorf("another's: %v", got)
	}
	bob.Fails(t, "sw/update-registration", m{"endpoint": reg["endpoint"], "sendReadMessage": true}, 400, "NO_SUCH_REGISTRATION")
	for k, v := range map[string]any{"endpoint": "ftp://x", "auth": "AAAA", "publickey": base64.RawURLEncoding.EncodeToString(make([]byte, 65))} {
		bad := d.registration()
		bad[k] = v
		alice.Fails(t, "sw/register", bad, 400, "INVALID_PARAM")
	}
	bob.Post(t, "sw/unregister", m{"endpoint": reg["endpoint"]}) // not his
	if n := s.Count(t, `SELECT count(*) FROM sw_subscription`); n != 1 {
		t.Errorf("%d registrations", n)
	}
	s.Guest().Post(t, "sw/unregister", m{"endpoint": reg["endpoint"]})
	if n := s.Count(t, `SELECT count(*) FROM sw_subscription`); n != 0 {
		t.Errorf("%d registrations", n)
	}
	// The key is the same after a restart, and cannot be read in the database.
	s.Stop(t)
	s.Start(t)
	if got := testsrv.Dig(s.Guest().Post(t, "meta", m{"detail": true}), "swPublickey"); got != key {
		t.Errorf("another key: %v", got)
	}
}

// Devices are told of what is not read within two seconds, encrypted for them and signed
// by this server; a device that is gone is forgotten.
func TestPush(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	alice, bob := s.User(t, "alice"), s.User(t, "bob")
	d := newDevice(t)
	reg := d.registration()
	reg["sendReadMessage"] = true
	alice.Post(t, "sw/register", reg)
	bob.Post(t, "notes/create", m{"text": "@alice " + strings.Repeat("따뜻한 빵 ", 400), "cw": nil})
	eventually(t, "the mention", func() bool { return d.count() == 1 })
	got := d.got[0]
	if got["type"] != "notification" || got["userId"] != alice.ID || got["dateTime"] == nil || testsrv.Dig(got, "body", "type") != "mention" ||
		!strings.HasPrefix(fmt.Sprint(testsrv.Dig(got, "body", "note", "text")), "@alice 따뜻한 빵") || testsrv.Dig(got, "body", "user", "username") != "bob" {
		t.Errorf("told: %v", got)
	}
	h := d.heads[0]
	if h.Get("Content-Encoding") != "aes128gcm" || h.Get("Ttl") != "86400" || !strings.HasPrefix(h.Get("Authorization"), "vapid t=") {
		t.Errorf("headers: %v", h)
	}
	alice.Post(t, "notifications/mark-all-as-read", m{})
	eventually(t, "that all is read", func() bool { return d.count() == 2 })
	if d.got[1]["type"] != "readAllNotifications" {
		t.Errorf("told: %v", d.got[1])
	}
	// What is read at once is not told.
	bob.Post(t, "notes/create", m{"text": "@alice seen", "cw": "a warning"})
	s.Settle(t)
	alice.Post(t, "notifications/mark-all-as-read", m{})
	eventually(t, "that all is read", func() bool { return d.count() == 3 })
	d.mu.Lock()
	d.status = http.StatusGone
	d.mu.Unlock()
	bob.Post(t, "notes/create", m{"text": "@alice secret dough", "cw": "a warning"})
	eventually(t, "the device to be forgotten", func() bool { return s.Count(t, `SELECT count(*) FROM sw_subscription`) == 0 })
	if n := d.count(); n != 4 || testsrv.Dig(d.got[3], "body", "note", "text") != "a warning" {
		t.Errorf("%d messages, the last %v", n, d.got[n-1])
	}
	for _, g := range d.got {
		if g["type"] == "notification" && testsrv.Dig(g, "body", "note", "text") == "seen" {
			t.Error("told of what was read at once")
		}
	}
}
