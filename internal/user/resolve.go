package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/remote"
)

// fresh is how long a remote actor's row is used without asking again.
const fresh = 24 * time.Hour

// ErrConflict says that an acct or actor id stands in the way of a new row
// and could not be settled.
var ErrConflict = errors.New("the account conflicts with one that is known")

// Resolve gives the account of an actor id (or an address that leads to one),
// asking its server when it is unknown or stale. It is the only door through
// which remote accounts are made (integrity.md 1.3). A stale account whose
// server does not answer is returned as it is known.
func (s *Service) Resolve(ctx context.Context, uri string) (*User, error) {
	uri, _, _ = strings.Cut(uri, "#")
	known, err := s.ByURI(ctx, s.db, uri)
	switch {
	case err == nil && (known.Local() || s.isFresh(known)):
		return known, nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return nil, err
	case err != nil && strings.HasPrefix(uri, s.meta.Origin+"/"):
		return nil, ErrNotFound // ours, and we do not have it: never fetched
	}
	u, ferr := s.Refresh(ctx, uri)
	if ferr != nil && known != nil {
		return known, nil
	}
	return u, ferr
}

func (s *Service) isFresh(u *User) bool {
	return u.LastFetchedAt != nil && s.now().Sub(*u.LastFetchedAt) < fresh
}

// Refresh asks the actor's server now and writes what it says. Callers at the
// same time share one question, which goes on when one of them leaves.
func (s *Service) Refresh(ctx context.Context, uri string) (*User, error) {
	ch := s.resolving.DoChan(uri, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return s.refresh(ctx, uri)
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*User), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answer is what an actor's server says, and when it was asked.
type answer struct {
	*actor
	at       time.Time // before the question, by the database's clock
	alias    *string   // the address that led to the actor, when it is not its id
	verified bool      // WebFinger of the acct's host leads to the actor
	unasked  bool      // a host that knows about the acct did not answer
}

func (s *Service) refresh(ctx context.Context, uri string) (*User, error) {
	a, err := s.ask(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	var r rival
	for range rounds {
		u, err := s.store(ctx, a, r)
		var held *heldError
		if !errors.As(err, &held) {
			return u, err
		}
		if r, err = s.askRival(ctx, a, held.uri); err != nil {
			return nil, fmt.Errorf("resolve %s: %w", uri, err)
		}
	}
	return nil, fmt.Errorf("resolve %s: %w: its name changes hands too fast", uri, ErrConflict)
}

const sqlClock = `SELECT clock_timestamp()`

// ask does all that needs the network.
func (s *Service) ask(ctx context.Context, uri string) (*answer, error) {
	a := &answer{}
	if err := s.db.QueryRow(ctx, sqlClock).Scan(&a.at); err != nil {
		return nil, err
	}
	o, err := s.remote.GetObject(ctx, uri)
	if err != nil {
		return nil, err
	}
	if a.actor, err = s.readActor(ctx, o); err != nil {
		return nil, err
	}
	if a.ActorHost == s.meta.Host {
		return nil, fmt.Errorf("%w: its id is of this server", ErrActor)
	}
	// The canonical id decides from here on; what led to it is an alias.
	if uri != a.URI {
		a.alias = &uri
	}
	return a, s.findAcct(ctx, a)
}

// rival is who holds a name that another actor has now, and what he says.
type rival struct {
	uri   string
	at    time.Time
	named bool // WebFinger leads to him all the same
}

// heldError says that a name is another's, who has not been asked.
type heldError struct{ uri string }

func (e *heldError) Error() string { return "the name is held by " + e.uri }

// askRival asks who holds the name of a before it is taken from him. He may have
// another name himself, which is written here, so that nobody is moved aside
// for a rename; or the name's host may mean both, as one does that tells names
// apart by case.
func (s *Service) askRival(ctx context.Context, a *answer, uri string) (rival, error) {
	r := rival{uri: uri}
	if err := s.db.QueryRow(ctx, sqlClock).Scan(&r.at); err != nil {
		return r, err
	}
	b, err := s.ask(ctx, uri)
	if host, _ := ap.Host(uri); err != nil {
		// A server that has just answered for a and does not for him is asked another
		// time; one that is no more is not waited for.
		r.named = silent(err) && host == a.ActorHost
		return r, ctx.Err()
	}
	if b.URI != uri {
		return r, nil // he has another id, too
	}
	r.at = b.at
	r.named = b.sameAcct(a.actor) && (b.verified || b.unasked)
	_, err = s.store(ctx, b, rival{uri: a.URI, at: a.at, named: b.sameAcct(a.actor)})
	var held *heldError
	if errors.As(err, &held) || errors.Is(err, ErrConflict) {
		err = nil // what he is called now is settled when he is asked for
	}
	return r, err
}

func (a *actor) sameAcct(b *actor) bool {
	return strings.EqualFold(a.Username, b.Username) && a.Host == b.Host
}

// findAcct settles which host the account's name belongs to: its own, or the
// one that WebFinger names and that names the actor in return (split domains;
// FEP-4adb).
func (s *Service) findAcct(ctx context.Context, a *answer) error {
	f, err := s.remote.WebFinger(ctx, a.Username, a.ActorHost)
	switch {
	case err != nil && silent(err):
		return s.keepHost(ctx, a)
	case err != nil || f.Self != a.URI:
		return nil //nolint:nilerr // usable under its own host, but proves nothing
	}
	a.verified = true
	name, host, ok := strings.Cut(strings.TrimPrefix(f.Subject, "acct:"), "@")
	if !ok || !strings.EqualFold(name, a.Username) {
		return nil
	}
	host, bad := ap.NormalizeHost(host)
	if bad != nil || host == a.ActorHost || host == s.meta.Host { // nobody else hands out our names
		return nil //nolint:nilerr // no other host is named
	}
	back, err := s.remote.WebFinger(ctx, a.Username, host)
	switch {
	case err == nil && back.Self == a.URI:
		a.Host = host
	case err != nil && silent(err):
		a.verified = false // of that host
		return s.keepHost(ctx, a)
	}
	return nil
}

// silent tells whether a host that was asked may answer another time.
func silent(err error) bool {
	var re *remote.Error
	return !errors.As(err, &re) || re.Temporary
}

// keepHost leaves a known account the host of its acct while that cannot be
// asked: a server that is down renames nobody.
func (s *Service) keepHost(ctx context.Context, a *answer) error {
	a.unasked = true
	if err := ctx.Err(); err != nil {
		return err
	}
	known, err := one(ctx, s.db, sqlByURI, a.URI)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if known != nil && known.UsernameLower == strings.ToLower(a.Username) {
		a.Host = *known.Host
	}
	return nil
}

// ResolveAcct gives the account of a name and host ("" or this host: local).
func (s *Service) ResolveAcct(ctx context.Context, username, host string) (*User, error) {
	if host == "" {
		return s.ByAcct(ctx, s.db, username, nil)
	}
	host, err := ap.NormalizeHost(host)
	if err != nil {
		return nil, ErrNotFound
	}
	if host == s.meta.Host {
		return s.ByAcct(ctx, s.db, username, nil)
	}
	known, err := s.ByAcct(ctx, s.db, username, &host)
	if err == nil && s.isFresh(known) {
		return known, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	f, ferr := s.remote.WebFinger(ctx, username, host)
	if ferr == nil {
		var u *User
		if u, ferr = s.Resolve(ctx, f.Self); ferr == nil {
			return s.renamed(ctx, u, username, host), nil
		}
	}
	if known != nil {
		return known, nil
	}
	return nil, fmt.Errorf("resolve @%s@%s: %w", username, host, ferr)
}

// justNow is how long what a server said is not doubted.
const justNow = time.Minute

// renamed asks again for an account that is known under another name than the
// one that led to it.
func (s *Service) renamed(ctx context.Context, u *User, username, host string) *User {
	if u.Local() || u.UsernameLower == strings.ToLower(username) && (*u.Host == host || *u.ActorHost == host) ||
		u.LastFetchedAt != nil && s.now().Sub(*u.LastFetchedAt) < justNow {
		return u
	}
	if again, err := s.Refresh(ctx, *u.URI); err == nil {
		return again
	}
	return u
}

const sqlMoveTo = `UPDATE "user" SET moved_to_uri = $2, moved_at = $3, updated_at = $3 WHERE id = $1 AND moved_to_uri IS NULL AND host IS NULL`

// ErrMoved says that an account has moved already.
var ErrMoved = errors.New("the account has moved already")

// MoveTo records that a local account has moved to the actor, in tx. ErrMoved
// when it already had.
func (s *Service) MoveTo(ctx context.Context, tx *pg.Tx, userID, uri string) error {
	tag, err := tx.Exec(ctx, sqlMoveTo, userID, uri, s.now())
	if err != nil {
		return fmt.Errorf("move: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrMoved
	}
	return s.log.Append(ctx, tx, "user.moved", userID, userID, nil)
}

// Gone tells whether a failed fetch says that the object does not exist any
// more.
func Gone(err error) bool {
	var re *remote.Error
	return errors.As(err, &re) && (re.Status == 404 || re.Status == 410)
}

// goneData goes with "user.deleted", "user.movedAside" and "user.returned".
type goneData struct {
	Server *string `json:"server,omitempty"` // authority of a remote account's server that has one less, or one more
	Local  bool    `json:"local,omitempty"`  // this server has one less
}

// The row is locked first: who finds it deleted already must not say so again.
// An answer that was asked for before is older than this, and not written.
const sqlDeleted = `
UPDATE "user" SET is_deleted = true, last_fetched_at = now(), updated_at = now()
FROM (SELECT id AS before_id, is_deleted AS was_gone FROM "user" WHERE id = $1 AND host IS NOT NULL FOR UPDATE) before
WHERE id = before_id RETURNING was_gone, actor_host`

// MarkDeleted records that a remote account has been deleted by its server.
func (s *Service) MarkDeleted(ctx context.Context, tx *pg.Tx, userID string) error {
	var already bool
	var server *string
	err := tx.QueryRow(ctx, sqlDeleted, userID).Scan(&already, &server)
	if err != nil && !pg.NoRows(err) {
		return fmt.Errorf("delete user: %w", err)
	}
	if already {
		server = nil
	}
	return s.log.Append(ctx, tx, "user.deleted", userID, userID, goneData{Server: server})
}

// One that was moved aside for another with its name does not come back.
const sqlRevived = `
UPDATE "user" SET is_deleted = false, last_fetched_at = NULL, updated_at = now()
WHERE id = $1 AND host IS NOT NULL AND is_deleted AND strpos(username_lower, '~') = 0 RETURNING actor_host`

// Revive takes a remote account back whose server says that it is there again.
// What is known of it is fetched anew when it is needed.
func (s *Service) Revive(ctx context.Context, tx *pg.Tx, userID string) error {
	var server *string
	err := tx.QueryRow(ctx, sqlRevived, userID).Scan(&server)
	if pg.NoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("revive user: %w", err)
	}
	if err := s.log.Append(ctx, tx, "user.returned", userID, userID, goneData{Server: server}); err != nil {
		return err
	}
	return s.log.Append(ctx, tx, "user.updated", userID, userID, nil)
}

const sqlAskAgain = `UPDATE "user" SET last_fetched_at = NULL WHERE id = $1`

// ApplyActor writes a profile that the actor itself sent. Its name and host
// stay: those change only through Resolve, which asks anew when the profile has
// another name. One that was moved aside is left to Resolve altogether.
func (s *Service) ApplyActor(ctx context.Context, tx *pg.Tx, userID string, o *ap.Object) error {
	u, err := s.ByIDIn(ctx, tx, userID)
	if err != nil {
		return err
	}
	a, err := s.readActor(ctx, o)
	if err != nil {
		return err
	}
	if a.URI != *u.URI {
		return ErrActor
	}
	if u.aside() {
		return nil
	}
	policies, err := s.roles.Of(ctx, userID)
	if err != nil {
		return err
	}
	if err := s.update(ctx, tx, userID, a, policies, nil); err != nil {
		return err
	}
	if a.Username != u.Username {
		if _, err := tx.Exec(ctx, sqlAskAgain, userID); err != nil {
			return fmt.Errorf("update user: %w", err)
		}
	}
	return s.storeDetails(ctx, tx, userID, a, nil)
}
