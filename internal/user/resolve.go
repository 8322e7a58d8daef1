package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
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
// same time share one question.
func (s *Service) Refresh(ctx context.Context, uri string) (*User, error) {
	v, err, _ := s.resolving.Do(uri, func() (any, error) {
		// Shared by several callers, so not ended with the first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return s.refresh(ctx, uri)
	})
	if err != nil {
		return nil, err
	}
	return v.(*User), nil
}

func (s *Service) refresh(ctx context.Context, uri string) (*User, error) {
	o, err := s.remote.GetObject(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	a, err := s.readActor(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	// The canonical id decides from here on; what led to it is an alias.
	var alias *string
	if uri != a.URI {
		alias = &uri
	}
	verified, err := s.findAcct(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", uri, err)
	}
	return s.store(ctx, a, alias, verified)
}

// findAcct settles which host the account's name belongs to: its own, or the
// one that WebFinger names and that names the actor in return (split domains;
// FEP-4adb). verified tells whether WebFinger led back to this actor.
func (s *Service) findAcct(ctx context.Context, a *actor) (verified bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	f, err := s.remote.WebFinger(ctx, a.Username, a.ActorHost)
	if err != nil || f.Self != a.URI {
		return false, nil //nolint:nilerr // usable under its own host, but proves nothing
	}
	name, host, ok := strings.Cut(strings.TrimPrefix(f.Subject, "acct:"), "@")
	if !ok || !strings.EqualFold(name, a.Username) {
		return true, nil
	}
	host, bad := ap.NormalizeHost(host)
	if bad != nil || host == a.ActorHost {
		return true, nil //nolint:nilerr // no other host is named
	}
	if host == s.meta.Host {
		return true, nil // nobody else hands out our names
	}
	back, err := s.remote.WebFinger(ctx, a.Username, host)
	if err == nil && back.Self == a.URI {
		a.Host = host
	}
	return true, nil
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
			return u, nil
		}
	}
	if known != nil {
		return known, nil
	}
	return nil, fmt.Errorf("resolve @%s@%s: %w", username, host, ferr)
}

// rounds bounds how often an insert is tried against rows that come and go.
const rounds = 3

// store writes the actor in one transaction, under locks on its id and its
// acct: found by id it is updated, found by acct under another id it has been
// born again, else it is new.
func (s *Service) store(ctx context.Context, a *actor, alias *string, verified bool) (*User, error) {
	var u *User
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := lockIdentity(ctx, tx, a.URI, strings.ToLower(a.Username)+"@"+a.Host); err != nil {
			return err
		}
		var id string
		var err error
		for range rounds {
			if id, err = s.storeOnce(ctx, tx, a, verified); !errors.Is(err, errAgain) {
				break
			}
		}
		if err != nil {
			return err
		}
		if err := s.storeDetails(ctx, tx, id, a, alias); err != nil {
			return err
		}
		u, err = s.ByIDIn(ctx, tx, id)
		return err
	})
	if errors.Is(err, errAgain) {
		err = ErrConflict
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", a.URI, err)
	}
	return u, nil
}

const sqlLock = `SELECT pg_advisory_xact_lock($1, $2)`

// lockIdentity locks in a fixed order, so that two resolvers with two keys in
// common wait instead of deadlocking.
func lockIdentity(ctx context.Context, tx *pg.Tx, keys ...string) error {
	nums := make([]int32, 0, len(keys))
	for _, k := range keys {
		h := fnv.New32a()
		_, _ = h.Write([]byte(k))
		nums = append(nums, int32(h.Sum32()))
	}
	slices.Sort(nums)
	for _, n := range nums {
		if _, err := tx.Exec(ctx, sqlLock, pg.LockResolve, n); err != nil {
			return fmt.Errorf("lock identity: %w", err)
		}
	}
	return nil
}

// errAgain asks for another round: somebody else's row appeared or went.
var errAgain = errors.New("try again")

func (s *Service) storeOnce(ctx context.Context, tx *pg.Tx, a *actor, verified bool) (string, error) {
	have, err := one(ctx, tx, sqlByURI, a.URI)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if have != nil && have.UsernameLower == strings.ToLower(a.Username) && *have.Host == a.Host {
		return have.ID, s.update(ctx, tx, have.ID, a)
	}
	holder, err := s.ByAcct(ctx, tx, a.Username, &a.Host)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if holder != nil {
		// Another id holds the name. Only its own host may take it away: WebFinger
		// led to the new one, which is what makes it the account now.
		if !verified {
			return "", fmt.Errorf("%w: @%s@%s", ErrConflict, a.Username, a.Host)
		}
		if err := s.moveAside(ctx, tx, holder, a.URI); err != nil {
			return "", err
		}
	}
	if have != nil {
		if err := s.rename(ctx, tx, have, a); err != nil {
			return "", err
		}
		return have.ID, s.update(ctx, tx, have.ID, a)
	}
	return s.insert(ctx, tx, a)
}

const (
	sqlAside  = `UPDATE "user" SET username_lower = username_lower || '~' || id, is_deleted = true, updated_at = now() WHERE id = $1`
	sqlReborn = `INSERT INTO user_rebirth (acct, old_user_id, old_uri, new_uri) VALUES ($1, $2, $3, $4)`
	sqlRename = `UPDATE "user" SET username = $2, username_lower = $3, host = $4 WHERE id = $1`
)

// moveAside frees an acct whose account has another id now: the old row stays
// with all that hangs on it, under a name nobody can have.
func (s *Service) moveAside(ctx context.Context, tx *pg.Tx, old *User, newURI string) error {
	if _, err := tx.Exec(ctx, sqlAside, old.ID); err != nil {
		return fmt.Errorf("move aside: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlReborn, old.Acct(), old.ID, *old.URI, newURI); err != nil {
		return fmt.Errorf("move aside: %w", err)
	}
	d := goneData{}
	if !old.IsDeleted {
		d.Server = old.ActorHost
	}
	return s.log.Append(ctx, tx, "user.movedAside", old.ID, old.ID, d)
}

func (s *Service) rename(ctx context.Context, tx *pg.Tx, u *User, a *actor) error {
	_, err := tx.Exec(ctx, sqlRename, u.ID, a.Username, strings.ToLower(a.Username), a.Host)
	if err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return nil
}

const sqlInsertRemote = `
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, inbox, last_fetched_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now(), now())
ON CONFLICT (username_lower, host) DO NOTHING RETURNING id`

// insert makes the row under a savepoint: the second unique key, the uri, can
// still be violated, and must not end the transaction.
func (s *Service) insert(ctx context.Context, tx *pg.Tx, a *actor) (id string, err error) {
	err = tx.Savepoint(ctx, func(tx *pg.Tx) error {
		return tx.QueryRow(ctx, sqlInsertRemote, s.ids.Now(), a.Username, strings.ToLower(a.Username), a.Host, a.ActorHost, a.URI, a.Inbox).Scan(&id)
	})
	if pg.NoRows(err) || pg.Violated(err) == "user_uri_key" {
		return "", errAgain
	}
	if err != nil {
		return "", fmt.Errorf("insert user: %w", err)
	}
	for _, sql := range []string{sqlInsertStat, sqlInsertProfile} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return "", fmt.Errorf("insert user: %w", err)
		}
	}
	if err := s.update(ctx, tx, id, a); err != nil {
		return "", err
	}
	// Side effects of a new account, because a row was really inserted.
	if err := s.instances.Touch(ctx, tx, a.ActorHost); err != nil {
		return "", err
	}
	return id, s.log.Append(ctx, tx, "user.created", id, id, createdData{Server: a.ActorHost})
}

const sqlUpdateRemote = `
UPDATE "user" SET url = $2, name = $3, inbox = $4, shared_inbox = $5, featured = $6, followers_uri = $7, following_uri = $8,
	avatar_url = CASE WHEN $23 THEN $9 ELSE avatar_url END, banner_url = CASE WHEN $23 THEN $10 ELSE banner_url END, emojis = $11, tags = $12, is_bot = $13, is_cat = $14, is_locked = $15,
	is_explorable = $16, moved_to_uri = $17, also_known_as = $18, outbox = $19,
	require_signin = $20, followers_only_before = $21, hidden_before = $22,
	moved_at = CASE WHEN $17::text IS NULL THEN NULL WHEN moved_to_uri IS DISTINCT FROM $17 THEN now() ELSE moved_at END,
	is_deleted = false, last_fetched_at = now(), updated_at = now()
FROM (SELECT id AS before_id, require_signin AS signin, followers_only_before AS narrowed, hidden_before AS hid, is_deleted AS was_gone FROM "user" WHERE id = $1 FOR UPDATE) before
WHERE id = before_id RETURNING coalesce(moved_at = now(), false), (signin, narrowed, hid) IS DISTINCT FROM ($20::bool, $21::bigint, $22::bigint), was_gone`

func (s *Service) update(ctx context.Context, tx *pg.Tx, id string, a *actor) error {
	if a.Emojis == nil {
		a.Emojis = []string{}
	}
	if a.Tags == nil {
		a.Tags = []string{}
	}
	policies, err := s.roles.Of(ctx, id)
	if err != nil {
		return err
	}
	var moved, guarded, back bool
	err = tx.QueryRow(ctx, sqlUpdateRemote, id, a.URL, a.Name, a.Inbox, a.SharedInbox, a.Featured, a.Followers, a.Following,
		a.AvatarURL, a.BannerURL, a.Emojis, a.Tags, a.IsBot, a.IsCat, a.IsLocked, a.Explorable, a.MovedTo, a.AlsoKnownAs, a.Outbox,
		a.RequireSignin, a.FollowersOnlyBefore, a.HiddenBefore, policies.CanUpdateBioMedia).Scan(&moved, &guarded, &back)
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if back {
		if err := s.log.Append(ctx, tx, "user.returned", id, id, goneData{Server: &a.ActorHost}); err != nil {
			return err
		}
	}
	if guarded {
		if err := s.log.Append(ctx, tx, "user.guarded", id, id, nil); err != nil {
			return err
		}
	}
	if moved {
		return s.log.Append(ctx, tx, "user.moved", id, id, nil)
	}
	return nil
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

const (
	sqlUpdateProfile = `UPDATE user_profile SET description = $2, followed_message = $3, fields = $4, birthday = $5, location = $6 WHERE user_id = $1`
	sqlSaveKey       = `
INSERT INTO user_publickey (key_id, user_id, pem) VALUES ($1, $2, $3)
ON CONFLICT (key_id) DO UPDATE SET pem = excluded.pem, fetched_at = now() WHERE user_publickey.user_id = excluded.user_id`
	sqlDropKeys  = `DELETE FROM user_publickey WHERE user_id = $1 AND key_id <> $2`
	sqlSaveAlias = `
INSERT INTO user_alias (uri, user_id) VALUES ($1, $2)
ON CONFLICT (uri) DO UPDATE SET user_id = excluded.user_id, seen_at = now()`
)

func (s *Service) storeDetails(ctx context.Context, tx *pg.Tx, id string, a *actor, alias *string) error {
	fields, err := json.Marshal(a.Fields)
	if err != nil {
		return err
	}
	if a.Fields == nil {
		fields = []byte("[]")
	}
	if _, err := tx.Exec(ctx, sqlUpdateProfile, id, a.Summary, a.Followed, fields, a.Birthday, a.Location); err != nil {
		return fmt.Errorf("update profile: %w", err)
	}
	if a.KeyID != "" {
		tag, err := tx.Exec(ctx, sqlSaveKey, a.KeyID, id, a.KeyPEM)
		if err != nil {
			return fmt.Errorf("save key: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: key %s is another account's", ErrConflict, a.KeyID)
		}
		if _, err := tx.Exec(ctx, sqlDropKeys, id, a.KeyID); err != nil {
			return fmt.Errorf("drop old keys: %w", err)
		}
	}
	if alias != nil {
		if _, err := tx.Exec(ctx, sqlSaveAlias, *alias, id); err != nil {
			return fmt.Errorf("save alias: %w", err)
		}
	}
	return s.log.Append(ctx, tx, "user.updated", id, id, nil)
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
}

// The row is locked first: who finds it deleted already must not say so again.
const sqlDeleted = `
UPDATE "user" SET is_deleted = true, updated_at = now()
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
WHERE id = $1 AND host IS NOT NULL AND is_deleted AND strpos(username_lower, '~') = 0`

// Revive takes a remote account back whose server says that it is there again.
// What is known of it is fetched anew when it is needed.
func (s *Service) Revive(ctx context.Context, tx *pg.Tx, userID string) error {
	tag, err := tx.Exec(ctx, sqlRevived, userID)
	if err != nil {
		return fmt.Errorf("revive user: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return s.log.Append(ctx, tx, "user.updated", userID, userID, nil)
}

// ApplyActor writes a profile that the actor itself sent. Its name and host
// stay: those change only through Resolve.
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
	if err := s.update(ctx, tx, userID, a); err != nil {
		return err
	}
	return s.storeDetails(ctx, tx, userID, a, nil)
}
