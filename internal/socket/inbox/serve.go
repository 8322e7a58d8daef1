package inbox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/httpsig"
)

const (
	maxBody  = ap.MaxSize
	bodyTime = 15 * time.Second // for a body to arrive
)

// ServeHTTP takes a delivery (AP §7.1): 202 when the activity is kept, or when
// there is nothing to do with it; 401 and the reason when it is not believed;
// 429 or 503 with Retry-After when the sender is to keep it for later.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.receive(w, r)
	if err == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	var no *refusal
	if !errors.As(err, &no) {
		if r.Context().Err() == nil {
			s.log.Error("inbox", "err", err)
		}
		no = &refusal{status: http.StatusServiceUnavailable, reason: "cannot take it at the moment", retry: 30 * time.Second}
	}
	h := w.Header()
	if no.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(no.retry)))
	}
	if no.status == http.StatusMethodNotAllowed {
		h.Set("Allow", http.MethodPost)
	}
	http.Error(w, no.reason, no.status)
}

// receive goes from the cheap to the dear: nothing is decoded before the rate
// is checked, nothing is fetched before the host is, nothing is kept before the
// signature is.
func (s *Service) receive(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "POST only")
	}
	if r.ContentLength > maxBody {
		return errTooLong()
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return refuse(http.StatusUnsupportedMediaType, "no content encodings")
	}
	sig, err := httpsig.Parse(r)
	if err != nil {
		return refuse(http.StatusUnauthorized, err.Error())
	}
	host, err := ap.Host(sig.KeyID)
	if err != nil || !plainID(sig.KeyID) {
		return refuse(http.StatusUnauthorized, "the key's id is no address")
	}
	if wait, ok := s.rates.take(host+" "+sourceOf(r.RemoteAddr), time.Now()); !ok {
		return later(http.StatusTooManyRequests, "too many requests", wait)
	}
	size := r.ContentLength
	if size < 0 {
		size = maxBody
	}
	if !s.room.enter(size) {
		return later(http.StatusServiceUnavailable, "too busy", 10*time.Second)
	}
	defer s.room.leave(size)
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	return s.verified(r.Context(), sig, host, body)
}

func errUnreadable() error {
	return refuse(http.StatusBadRequest, "not a JSON document that can be read")
}

func errTooLong() error { return refuse(http.StatusRequestEntityTooLarge, "more than 1 MiB") }

// readBody reads the body, against a clock: a sender that drips holds a place.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Writers that know no deadlines are those of tests.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, errTooLong()
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the body did not arrive")
	}
	// Or the request would be cancelled by it while its key is fetched.
	_ = rc.SetReadDeadline(time.Time{})
	return body, nil
}

// verified finds out who sent the body and takes it.
func (s *Service) verified(ctx context.Context, sig *httpsig.Signature, host string, body []byte) error {
	// Not ap.Inbound: the signature says what the document is for, and some
	// leave the context out.
	o, err := ap.Parse(body)
	if err != nil {
		return errUnreadable()
	}
	a, err := read(claimed(o), body)
	if err != nil {
		return err
	}
	if selfDirected(a) {
		// Accounts nobody here has heard of go by the thousand. Fetching their keys
		// would only find them gone.
		known, err := s.cfg.Keys.Known(ctx, a.Actor)
		if err != nil {
			return err
		}
		if !known {
			s.tally.add("account is unknown")
			return nil
		}
	}
	switch {
	case s.cfg.Policy.Allowed(ctx, host) != nil || s.cfg.Policy.Allowed(ctx, a.Host) != nil:
		return refuse(http.StatusForbidden, "not federating with this host")
	case host == s.cfg.Self:
		return refuse(http.StatusUnauthorized, "the key is of this server")
	case host != a.Host:
		return refuse(http.StatusUnauthorized, "the key is of another host than the actor")
	}
	k, err := s.verify(ctx, sig, host, body)
	switch {
	case errors.Is(err, errKeyGone) && a.Type == "Delete" && selfDirected(a):
		// The account went and took its key along: it cannot be proved, and will
		// not be by trying again.
		s.tally.add("key is gone")
		return nil
	case err != nil:
		return err
	case k.Actor != a.Actor:
		return refuse(http.StatusUnauthorized, "the key is not the actor's")
	}
	s.cfg.Heard(host)
	return s.take(ctx, k, o, body)
}

// claimed is the activity by which a document is judged before it is verified:
// itself, or of a collection the first item.
func claimed(o *ap.Object) *ap.Object {
	if items, ok := itemsOf(o); ok && len(items) > 0 {
		return items[0]
	}
	return o
}

// itemsOf are the activities in a collection; false for anything else.
func itemsOf(o *ap.Object) ([]*ap.Object, bool) {
	switch o.Type() {
	case "Collection", "CollectionPage":
		return o.Objects("items"), true
	case "OrderedCollection", "OrderedCollectionPage":
		return o.Objects("orderedItems"), true
	}
	return nil, false
}

// verify checks the signature and gives the key that made it.
func (s *Service) verify(ctx context.Context, sig *httpsig.Signature, host string, body []byte) (*Key, error) {
	expect := httpsig.Expect{Authority: s.cfg.Self, Now: s.cfg.Now()}
	k, err := s.cfg.Keys.Key(ctx, sig.KeyID)
	fresh := false
	if errors.Is(err, ErrNoKey) {
		fresh = true
		k, err = s.keyring.fetch(ctx, sig.KeyID, host)
	}
	if err != nil {
		return nil, err
	}
	err = sig.Verify(k.Public, body, expect)
	if errors.Is(err, httpsig.ErrInvalid) && !fresh && s.keyring.mayRenew(sig.KeyID) {
		// The actor may have changed keys.
		if k, err = s.keyring.fetch(ctx, sig.KeyID, host); err != nil {
			return nil, err
		}
		err = sig.Verify(k.Public, body, expect)
	}
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, err.Error())
	}
	return k, nil
}
