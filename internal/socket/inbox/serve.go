package inbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/httpsig"
)

// refusal is an answer other than 202.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP takes an activity (AP §7.1): 202 once it is stored, or is nothing
// to anybody here; 401 when its signature does not hold.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.serve(w, r)
	var no refusal
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case errors.As(err, &no):
		if no.status == http.StatusTooManyRequests || no.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "60")
		}
		http.Error(w, no.reason, no.status)
	case r.Context().Err() != nil: // the sender has gone and will come again
	default:
		s.log.Error("inbox", "err", err)
		w.Header().Set("Retry-After", "60")
		http.Error(w, "", http.StatusServiceUnavailable)
	}
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return refuse(http.StatusServiceUnavailable, "busy")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ap.MaxSize))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return refuse(http.StatusRequestEntityTooLarge, "larger than 1 MiB")
		}
		return refuse(http.StatusBadRequest, "unreadable")
	}
	sig, err := httpsig.Parse(r)
	if err != nil {
		return refuse(http.StatusUnauthorized, "%v", err)
	}
	keyHost, err := ap.Host(sig.KeyID)
	if err != nil {
		return refuse(http.StatusUnauthorized, "key id")
	}
	if !s.limits.take(keyHost+" "+sourceOf(r.RemoteAddr), s.cfg.Now()) {
		return refuse(http.StatusTooManyRequests, "too many requests")
	}
	o, err := ap.Parse(body)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	a, err := s.read(r.Context(), o, body, keyHost)
	if err != nil || a == nil {
		return err
	}
	k, err := s.verify(r.Context(), sig, body, a)
	if err != nil {
		return err
	}
	if s.cfg.Heard != nil {
		s.cfg.Heard(a.Host)
	}
	if k.Suspended {
		return nil
	}
	a.ActorID = k.UserID
	return s.store(r.Context(), a, body)
}

// read checks what can be checked without the key. A nil activity is one that
// needs no more than an answer.
func (s *Service) read(ctx context.Context, o *ap.Object, body []byte, keyHost string) (*Activity, error) {
	a := &Activity{ID: o.ID(), Type: o.Type(), Actor: o.Ref("actor"), Object: o, Received: s.cfg.Now()}
	var err error
	if a.Host, err = ap.Host(a.Actor); err != nil || a.Type == "" {
		return nil, refuse(http.StatusBadRequest, "no actor or no type")
	}
	if a.Host != keyHost {
		return nil, refuse(http.StatusUnauthorized, "signed by another host than the actor's")
	}
	if err := s.cfg.Policy.Allowed(ctx, a.Host); err != nil {
		return nil, refuse(http.StatusForbidden, "not federating")
	}
	if a.ID == "" {
		a.ID = fmt.Sprintf("%s#%x", a.Actor, hashOf(string(body)))
	}
	if err := ownObject(a); err != nil {
		return nil, err
	}
	if o.Is("Delete", "Update") && o.Ref("object") == a.Actor {
		// The farewell of somebody who was never here: common, and not worth a
		// fetch of a key that is gone.
		known, err := s.cfg.Keys.Known(ctx, a.Actor)
		if err != nil || !known {
			return nil, err
		}
	}
	if s.handler(o) == nil {
		return nil, nil
	}
	return a, nil
}

// ownObject checks that an activity, and what it creates, changes or deletes,
// is on its actor's host (FEP-fe34; security rows 2 and 5).
func ownObject(a *Activity) error {
	if !ap.SameHost(a.ID, a.Actor) {
		return refuse(http.StatusUnauthorized, "the activity's id is on another host than its actor")
	}
	if !a.Object.Is("Create", "Update", "Delete") {
		return nil
	}
	if object := a.Object.Ref("object"); !ap.SameHost(object, a.Actor) {
		return refuse(http.StatusUnauthorized, "the object is on another host than the actor")
	}
	return nil
}

// verify checks the signature with the key as it is known, and when that fails
// with the key as its server gives it now. The key must be the actor's own.
func (s *Service) verify(ctx context.Context, sig *httpsig.Signature, body []byte, a *Activity) (*Key, error) {
	k, err := s.key(ctx, sig.KeyID, a.Host)
	switch {
	case errors.Is(err, ErrNoKey):
		return nil, refuse(http.StatusUnauthorized, "the key cannot be had")
	case errors.Is(err, errBusy):
		return nil, refuse(http.StatusServiceUnavailable, "%v", err)
	case err != nil:
		return nil, err
	}
	want := httpsig.Expect{Authority: s.cfg.Self, Now: s.cfg.Now()}
	if err = sig.Verify(k.Public, body, want); errors.Is(err, httpsig.ErrInvalid) && s.asked.mayRenew(sig.KeyID, s.cfg.Now()) {
		fresh, ferr := s.fetchKey(ctx, sig.KeyID, a.Host)
		if ferr == nil {
			k = fresh
			err = sig.Verify(k.Public, body, want)
		}
	}
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, "%v", err)
	}
	if k.Actor != a.Actor {
		return nil, refuse(http.StatusUnauthorized, "the key is not the actor's")
	}
	return k, nil
}

// Accept stores an activity whose sender has been verified by other means.
func (s *Service) Accept(ctx context.Context, k *Key, body []byte) error {
	o, err := ap.Parse(body)
	if err != nil {
		return err
	}
	host, err := ap.Host(k.Actor)
	if err != nil {
		return err
	}
	a, err := s.read(ctx, o, body, host)
	if err != nil || a == nil {
		return err
	}
	if a.Actor != k.Actor {
		return refuse(http.StatusUnauthorized, "the key is not the actor's")
	}
	a.ActorID = k.UserID
	return s.store(ctx, a, body)
}
