package translate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/testsrv"
)

type m = testsrv.M

// service is a translator on a socket. It speaks as DeepL (API v2, with the key
// "good"), as DeepLX and as LibreTranslate, by the path.
type service struct {
	*httptest.Server
	asked  atomic.Int32
	status atomic.Int32 // what it answers; 0: it translates
	wait   chan struct{}
	mu     sync.Mutex
	last   m
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		var body m
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.mu.Lock()
		s.last = body
		s.mu.Unlock()
		if s.wait != nil {
			<-s.wait
		}
		w.Header().Set("Content-Type", "application/json")
		if status := int(s.status.Load()); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"message":"no"}`))
			return
		}
		switch r.URL.Path {
		case "/v2/translate":
			if r.Header.Get("Authorization") != "DeepL-Auth-Key good" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			texts, _ := body["text"].([]any)
			_ = json.NewEncoder(w).Encode(m{"translations": []m{{"detected_source_language": "EN", "text": fmt.Sprintf("[%v] %v", body["target_lang"], texts[0])}}})
		case "/libre/translate":
			if body["api_key"] == "bad" {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"error":"Invalid API key"}`))
				return
			}
			_ = json.NewEncoder(w).Encode(m{"translatedText": fmt.Sprintf("(%v) %v", body["target"], body["q"]), "detectedLanguage": m{"confidence": 90, "language": "en"}})
		case "/deeplx":
			_ = json.NewEncoder(w).Encode(m{"code": 200, "data": fmt.Sprintf("{%v} %v", body["target_lang"], body["text"]), "source_lang": "EN"})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) deepl() m {
	return m{"deeplFreeMode": true, "deeplFreeInstance": s.URL, "deeplAuthKey": "good", "libreTranslateURL": nil}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := testsrv.New(t, testsrv.Mode("test"))
	a, b := s.User(t, "alice"), s.User(t, "bora")
	id := a.Note(t, m{"text": "@bora Fresh bread today #bread"})
	want := func(u *testsrv.User, note, lang string, text, source any) {
		t.Helper()
		v := u.Post(t, "notes/translate", m{"noteId": note, "targetLang": lang})
		testsrv.Is(t, v, text, "text")
		testsrv.Is(t, v, source, "sourceLang")
	}
	b.Fails(t, "notes/translate", m{"noteId": id, "targetLang": "ko-KR"}, 400, "UNAVAILABLE")
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), false, "translatorAvailable")
	s.Set(t, far.deepl())
	testsrv.Is(t, s.Guest().Post(t, "meta", m{}), true, "translatorAvailable")
	want(b, id, "ko-KR", "@bora [KO] Fresh bread today #bread", "EN")
	want(a, id, "ko-KR", "@bora [KO] Fresh bread today #bread", "EN")
	if n := far.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	want(b, id, "ja-JP", "@bora [JA] Fresh bread today #bread", "EN")
	a.Post(t, "notes/update", m{"noteId": id, "text": "Stale bread"})
	want(b, id, "ko-KR", "[KO] Stale bread", "EN")
	if n := far.asked.Load(); n != 3 {
		t.Errorf("asked %d times", n)
	}
	clock := func(d time.Duration) { s.Guest().Post(t, "oven/clock", m{"offsetMs": d.Milliseconds()}) }
	clock(25 * time.Hour)
	want(b, id, "ko-KR", "[KO] Stale bread", "EN")
	if n := far.asked.Load(); n != 4 {
		t.Errorf("asked %d times", n)
	}
	clock(0)
	s.Set(t, m{"deeplFreeInstance": far.URL + "/deeplx", "deeplAuthKey": nil})
	want(b, id, "zh-TW", "{ZH-HANT} Stale bread", "EN")
	s.Set(t, m{"deeplFreeMode": false, "libreTranslateURL": far.URL + "/libre", "libreTranslateKey": "k"})
	want(b, id, "zh-TW", "(zt) Stale bread", "en")

	// No words, no translation.
	n := far.asked.Load()
	poll := a.Note(t, m{"poll": m{"choices": []string{"a", "b"}}})
	link := a.Note(t, m{"text": "https://a.example/ :bread:"})
	for _, id := range []string{poll, link} {
		if status, v := b.Call(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}); status != http.StatusNoContent {
			t.Errorf("%d %v", status, v)
		}
	}
	b.Fails(t, "notes/translate", m{"noteId": id, "targetLang": "../x"}, 400, "INVALID_PARAM")
	b.Fails(t, "notes/translate", m{"noteId": "nothing", "targetLang": "ko"}, 400, "NO_SUCH_NOTE")
	s.Guest().Fails(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}, 401, "CREDENTIAL_REQUIRED")
	if far.asked.Load() != n {
		t.Error("it was asked for nothing")
	}
}

// Only who may see a note may have it translated, and whose roles allow it.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := testsrv.New(t)
	root, a, b := s.User(t, "chief"), s.User(t, "alice"), s.User(t, "bora")
	s.Set(t, far.deepl())
	id := a.Note(t, m{"text": "only for friends", "visibility": "followers"})
	a.Post(t, "notes/translate", m{"noteId": id, "targetLang": "ko"})
	b.Fails(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}, 400, "CANNOT_TRANSLATE_INVISIBLE_NOTE") // although it is kept
	b.Post(t, "following/create", m{"userId": a.ID})
	testsrv.Is(t, b.Post(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}), "[KO] only for friends", "text")
	root.Post(t, "admin/roles/update-default-policies", m{"policies": m{"canUseTranslator": false}})
	b.Fails(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}, 400, "UNAVAILABLE")
	if n := far.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// One who refuses is not asked by everybody again; a new key is tried at once.
func TestTrouble(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	s.Set(t, far.deepl())
	clock := time.Duration(0)
	reason := func(want string) {
		t.Helper()
		id := a.Note(t, m{"text": "bread"})
		status, v := a.Call(t, "notes/translate", m{"noteId": id, "targetLang": "ko"})
		if status != 400 || testsrv.Dig(v, "error", "code") != "UNAVAILABLE" || testsrv.Dig(v, "error", "info", "reason") != want {
			t.Errorf("%s: %d %v", want, status, v)
		}
	}
	for _, tc := range []struct {
		status int32
		reason string
		rest   time.Duration // 0: it is asked again at once
	}{{456, "quota", 31 * time.Minute}, {429, "busy", 21 * time.Second}, {403, "refused", 6 * time.Minute}, {500, "down", 0}} {
		far.status.Store(tc.status)
		n := far.asked.Load()
		reason(tc.reason)
		reason(tc.reason)
		if more := far.asked.Load() - n; more != 1 && tc.rest != 0 || more != 2 && tc.rest == 0 {
			t.Errorf("%s: asked %d times", tc.reason, more)
		}
		clock += tc.rest
		s.Guest().Post(t, "oven/clock", m{"offsetMs": clock.Milliseconds()})
		n = far.asked.Load()
		reason(tc.reason)
		if far.asked.Load() != n+1 {
			t.Errorf("%s: not asked again", tc.reason)
		}
		clock += tc.rest
		s.Guest().Post(t, "oven/clock", m{"offsetMs": clock.Milliseconds()})
	}
	far.status.Store(0)
	s.Set(t, m{"deeplAuthKey": "bad"})
	reason("refused")
	s.Set(t, m{"deeplAuthKey": "good"})
	id := a.Note(t, m{"text": "bread"})
	testsrv.Is(t, a.Post(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}), "[KO] bread", "text")
	far.Close()
	reason("down")
}

// The same note wanted by many at once is paid for once.
func TestOnce(t *testing.T) {
	t.Parallel()
	far := newService(t)
	far.wait = make(chan struct{})
	s := testsrv.New(t)
	a := s.User(t, "alice")
	s.Set(t, far.deepl())
	id := a.Note(t, m{"text": strings.Repeat("bread ", 100)})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if status, v := a.Call(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}); status != 200 {
				t.Errorf("%d %v", status, v)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	close(far.wait)
	wg.Wait()
	if n := far.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A server that the operator named may be on the same machine, in production too.
func TestOperatorsServer(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := testsrv.New(t)
	a := s.User(t, "alice")
	id := a.Note(t, m{"text": "bread"})
	s.Stop(t)
	s.Configure(testsrv.Mode("production"))
	s.Start(t)
	s.Set(t, m{"libreTranslateURL": far.URL + "/libre"})
	testsrv.Is(t, a.Post(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}), "(ko) bread", "text")
	testsrv.Is(t, a.Post(t, "notes/translate", m{"noteId": id, "targetLang": "ko"}), "en", "sourceLang")
}
