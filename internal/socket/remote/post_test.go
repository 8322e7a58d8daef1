package remote_test

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/socket/remote"
)

func TestPost(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	var scheme atomic.Int32
	takes := func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s, err := w.verifies(r, "b.example", body)
		if err != nil || string(body) != `{"id":1}` || r.Header.Get("Content-Type") != "application/activity+json" || r.UserAgent() != "Oven/test" {
			t.Errorf("%s: %v, %q, %v", r.URL, err, body, r.Header)
		}
		scheme.Store(int32(s))
		rw.WriteHeader(http.StatusAccepted)
	}
	w.handle("http://b.example/inbox", takes)
	w.handle("http://b.example/moved", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/inbox?shared=1", http.StatusPermanentRedirect)
	})
	w.handle("http://b.example/twice", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/moved", http.StatusTemporaryRedirect)
	})
	w.handle("http://b.example/away", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://c.example/inbox", http.StatusTemporaryRedirect)
	})
	w.handle("http://b.example/found", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "/inbox", http.StatusFound)
	})
	c := w.client()
	for _, s := range []httpsig.Scheme{httpsig.Cavage, httpsig.RFC9421} {
		for path, want := range map[string]int{"inbox": 202, "moved": 202, "twice": 308, "away": 307, "found": 302, "gone": 404} {
			a, err := c.Post(t.Context(), "http://b.example/"+path, []byte(`{"id":1}`), w.key, s, nil)
			if err != nil || a.Status != want {
				t.Errorf("%v %s: %+v, %v", s, path, a, err)
			}
			if want == 202 && scheme.Load() != int32(s) {
				t.Errorf("%v %s: signed by %d", s, path, scheme.Load())
			}
		}
	}
	if w.got("http://c.example/inbox") != 0 {
		t.Error("followed to another host")
	}
	if c.Waiting() != 0 {
		t.Error("places are not given back")
	}
}

func TestRetryAfter(t *testing.T) {
	w := newWorld(t, "b.example")
	var header atomic.Value
	w.handle("http://b.example/inbox", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", header.Load().(string))
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	c := w.client()
	for v, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "0": 0, "-5": 0, "soon": 0, "99999999999": 365 * 24 * time.Hour, "99999999999999999999": 0,
		start.Add(time.Hour).Format(http.TimeFormat): time.Hour, start.Add(-time.Hour).Format(http.TimeFormat): 0,
		start.AddDate(20, 0, 0).Format(http.TimeFormat): 365 * 24 * time.Hour,
	} {
		header.Store(v)
		a, err := c.Post(t.Context(), "http://b.example/inbox", []byte("{}"), w.key, httpsig.Cavage, nil)
		if err != nil || a.Status != 429 || a.RetryAfter != want || a.Header.Get("Retry-After") != v {
			t.Errorf("%q: %+v, %v", v, a, err)
		}
	}
}

// TestRow8PostAnswers: an inbox that floods or drips its answer costs little,
// and its status counts.
func TestRow8PostAnswers(t *testing.T) {
	w := newWorld(t, "b.example")
	var sent atomic.Int64
	w.handle("http://b.example/flood", func(rw http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			n, err := rw.Write(make([]byte, 64<<10))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	w.handle("http://b.example/drip", func(rw http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = rw.Write([]byte(" "))
			rw.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})
	c := w.client()
	for _, path := range []string{"flood", "drip"} {
		begin := time.Now()
		a, err := c.Post(t.Context(), "http://b.example/"+path, []byte("{}"), w.key, httpsig.Cavage, nil)
		if err != nil || a.Status != 200 || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %+v, %v after %v", path, a, err, time.Since(begin))
		}
	}
	if n := sent.Load(); n == 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

// TestSlots: no more than 20 requests at a time go to one host, and a request
// is signed when its turn has come.
func TestSlots(t *testing.T) {
	w := newWorld(t, "b.example")
	var now, most atomic.Int64
	full, let := make(chan struct{}, 100), make(chan struct{})
	var mu sync.Mutex
	dates := map[string]int{}
	w.handle("http://b.example/inbox", func(rw http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		mu.Lock()
		dates[r.Header.Get("Date")]++
		mu.Unlock()
		full <- struct{}{}
		<-let
		now.Add(-1)
		rw.WriteHeader(http.StatusAccepted)
	})
	c := w.client()
	var done sync.WaitGroup
	for range 30 {
		done.Go(func() {
			if _, err := c.Post(t.Context(), "http://b.example/inbox", []byte("{}"), w.key, httpsig.Cavage, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range 20 {
		<-full
	}
	w.pass(time.Hour)
	close(let)
	done.Wait()
	if most.Load() != 20 {
		t.Errorf("%d at a time", most.Load())
	}
	if n := dates[start.Add(time.Hour).Format(http.TimeFormat)]; n != 10 {
		t.Errorf("%d of the 10 that waited are signed late: %v", n, dates)
	}
	if c.Waiting() != 0 {
		t.Error("places are not given back")
	}
}

// TestPoster: a host's taste in signatures is found out and remembered.
func TestPoster(t *testing.T) {
	w := newWorld(t, "b.example", "c.example")
	var wants atomic.Int32 // scheme; −1: none
	w.handle("http://b.example/inbox", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s, err := w.verifies(r, "b.example", body); err != nil || int32(s) != wants.Load() {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		rw.WriteHeader(http.StatusAccepted)
	})
	p := remote.NewPoster(w.client())
	last := int64(0)
	post := func(want int, requests int64) {
		t.Helper()
		a, err := p.Post(t.Context(), "http://b.example/inbox", []byte("{}"), w.key, nil)
		if err != nil || a.Status != want {
			t.Errorf("%+v, %v", a, err)
		}
		if n := w.got("http://b.example/inbox"); n-last != requests {
			t.Errorf("%d requests, want %d", n-last, requests)
		}
		last = w.got("http://b.example/inbox")
	}
	wants.Store(int32(httpsig.Cavage))
	post(202, 1)
	wants.Store(int32(httpsig.RFC9421))
	post(202, 2)
	post(202, 1)
	w.pass(25 * time.Hour)
	post(202, 2)
	wants.Store(int32(httpsig.Cavage))
	post(202, 2)
	post(202, 1)
	wants.Store(-1)
	post(401, 2)
	wants.Store(int32(httpsig.Cavage))
	post(202, 1)
}

// What may not be sent any more, having been begun, is not taken by anybody; the
// next one is.
func TestPostWhileItMay(t *testing.T) {
	w := newWorld(t, "b.example")
	var whole, empty atomic.Int64
	w.handle("http://b.example/inbox", func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
		case len(b) == 0 && r.ContentLength == 0:
			empty.Add(1)
		case int64(len(b)) == r.ContentLength:
			whole.Add(1)
		}
		rw.WriteHeader(http.StatusAccepted)
	})
	c := w.client()
	errOver := errors.New("it may not be sent")
	post := func(body []byte, times int64) error {
		t.Helper()
		var asked atomic.Int64
		_, err := c.Post(t.Context(), "http://b.example/inbox", body, w.key, httpsig.Cavage, func() error {
			if asked.Add(1) > times {
				return errOver
			}
			return nil
		})
		return err
	}
	for size, last := range map[int]int64{2: 0, 3000: 0, 300_000: 5} {
		for times := range last + 1 {
			if err := post(make([]byte, size), times); !errors.Is(err, errOver) {
				t.Errorf("%d bytes, told so after being asked %d times: %v", size, times, err)
			}
		}
		if n := whole.Load(); n != 0 {
			t.Fatalf("%d bytes: %d were taken", size, n)
		}
		if err := post(make([]byte, size), 1<<40); err != nil || whole.Swap(0) != 1 {
			t.Errorf("%d bytes that may be sent: %v", size, err)
		}
	}
	if err := post(nil, 0); err != nil || empty.Load() != 1 {
		t.Errorf("nothing at all: %v, taken %d times", err, empty.Load())
	}
}
