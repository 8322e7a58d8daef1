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

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
)

// rounds bounds how often an insert is tried against rows that come and go.
const rounds = 3

// store writes the answer in one transaction, under locks on its id and its
// acct: found by id it is updated, found by acct under another id it has moved
// or been born again, else it is new. Who asked later knows better: an older
// answer changes nothing.
func (s *Service) store(ctx context.Context, a *answer, r rival) (*User, error) {
	policies, err := s.policies(ctx, a.URI)
	if err != nil {
		return nil, err
	}
	var u *User
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := lockIdentity(ctx, tx, a.URI, strings.ToLower(a.Username)+"@"+a.Host); err != nil {
			return err
		}
		id, old, err := "", false, errAgain
		for i := 0; i < rounds && errors.Is(err, errAgain); i++ {
			id, old, err = s.storeOnce(ctx, tx, a, policies, r)
		}
		if err != nil {
			return err
		}
		if old {
			err = s.saveAlias(ctx, tx, id, a.alias)
		} else {
			err = s.storeDetails(ctx, tx, id, a.actor, a.alias)
		}
		if err != nil {
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

// policies are what the actor may do. They are read before the transaction:
// while it waits for a lock it must not need a second connection.
func (s *Service) policies(ctx context.Context, uri string) (*role.Policies, error) {
	known, err := one(ctx, s.db, sqlByURI, uri)
	switch {
	case err == nil:
		return s.roles.Of(ctx, known.ID)
	case errors.Is(err, ErrNotFound):
		return s.roles.Default()
	}
	return nil, err
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

// after tells whether the row was asked for, or told of, later than at.
func (u *User) after(at time.Time) bool { return u.LastFetchedAt != nil && u.LastFetchedAt.After(at) }

// aside tells whether the account was moved aside for another with its name.
func (u *User) aside() bool { return strings.Contains(u.UsernameLower, "~") }

// storeOnce gives the row's id; old, when it knew better and nothing was
// written.
func (s *Service) storeOnce(ctx context.Context, tx *pg.Tx, a *answer, p *role.Policies, r rival) (id string, old bool, err error) {
	have, err := one(ctx, tx, sqlByURI, a.URI)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", false, err
	}
	if have != nil && have.after(a.at) {
		return have.ID, true, nil
	}
	if have != nil && have.UsernameLower == strings.ToLower(a.Username) && *have.Host == a.Host {
		if have.Username != a.Username { // in case alone
			if err := s.rename(ctx, tx, have, a.actor); err != nil {
				return "", false, err
			}
		}
		return have.ID, false, s.update(ctx, tx, have.ID, a.actor, p, &a.at)
	}
	holder, err := s.ByAcct(ctx, tx, a.Username, &a.Host)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", false, err
	}
	if holder != nil {
		same, err := s.sameAccount(ctx, tx, a, holder, have, r)
		if err == nil && same {
			have, err = holder, s.rehome(ctx, tx, holder, a.actor)
		} else if err == nil {
			err = s.moveAside(ctx, tx, holder, a.URI)
		}
		if err != nil {
			return "", false, err
		}
	}
	if have == nil {
		id, err = s.insert(ctx, tx, a, p)
		return id, false, err
	}
	if err := s.rename(ctx, tx, have, a.actor); err != nil {
		return "", false, err
	}
	return have.ID, false, s.update(ctx, tx, have.ID, a.actor, p, &a.at)
}

const sqlHasKey = `SELECT EXISTS (SELECT FROM user_publickey WHERE user_id = $1 AND pem = $2)`

// sameAccount judges an actor whose name is held under another id. Only the
// name's own host may give it away: WebFinger must lead to the new id, and no
// more to the holder, who was asked after all that is known of him. With the
// holder's key it is the same account, moved to another address (https, another
// software); without, somebody new.
func (s *Service) sameAccount(ctx context.Context, tx *pg.Tx, a *answer, holder, have *User, r rival) (same bool, err error) {
	switch {
	case !a.verified:
		return false, fmt.Errorf("%w: @%s@%s", ErrConflict, a.Username, a.Host)
	case *holder.URI != r.uri || holder.after(r.at):
		return false, &heldError{*holder.URI}
	case r.named:
		return false, fmt.Errorf("%w: @%s@%s is two accounts", ErrConflict, a.Username, a.Host)
	case have != nil || a.KeyPEM == "":
		return false, nil
	}
	err = tx.QueryRow(ctx, sqlHasKey, holder.ID, a.KeyPEM).Scan(&same)
	return same, err
}

const (
	// Locked first, as a Delete that comes at the same time is told of once.
	sqlAside = `
UPDATE "user" SET username_lower = username_lower || '~' || id, is_deleted = true, last_fetched_at = NULL, updated_at = now()
FROM (SELECT id AS before_id, is_deleted AS was_gone FROM "user" WHERE id = $1 FOR UPDATE) before WHERE id = before_id RETURNING was_gone`
	sqlDropAllKeys = `DELETE FROM user_publickey WHERE user_id = $1`
	sqlReborn      = `INSERT INTO user_rebirth (acct, old_user_id, old_uri, new_uri, kept) VALUES ($1, $2, $3, $4, $5)`
	sqlRename      = `UPDATE "user" SET username = $2, username_lower = $3, host = $4 WHERE id = $1`
)

// moveAside frees an acct whose account has another id now: the old row stays
// with all that hangs on it, under a name nobody can have. Should it live on
// under a name of its own, it is asked for when it is next met: nothing that it
// signs is believed before.
func (s *Service) moveAside(ctx context.Context, tx *pg.Tx, old *User, newURI string) error {
	var gone bool
	if err := tx.QueryRow(ctx, sqlAside, old.ID).Scan(&gone); err != nil {
		return fmt.Errorf("move aside: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlDropAllKeys, old.ID); err != nil {
		return fmt.Errorf("move aside: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlReborn, old.Acct(), old.ID, *old.URI, newURI, false); err != nil {
		return fmt.Errorf("move aside: %w", err)
	}
	d := goneData{}
	if !gone {
		d.Server = old.ActorHost
	}
	return s.log.Append(ctx, tx, "user.movedAside", old.ID, old.ID, d)
}

// rehomedData goes with "user.rehomed": the authorities of the account's server
// before and now, and what was counted of the one for it.
type rehomedData struct {
	FromServer string `json:"fromServer"`
	ToServer   string `json:"toServer"`
	Users      int    `json:"users"` // 0 when the account was deleted
	Notes      int    `json:"notes"`
	Follows    int    `json:"follows"`  // of accounts here
	Followed   int    `json:"followed"` // by accounts here
}

const (
	sqlRehome = `
UPDATE "user" SET uri = $2, actor_host = $3
FROM (SELECT id AS before_id, is_deleted AS was_gone FROM "user" WHERE id = $1 FOR UPDATE) before WHERE id = before_id RETURNING was_gone`
	sqlTiesOf = `SELECT (SELECT count(*) FROM following WHERE follower_id = $1), (SELECT count(*) FROM following WHERE followee_id = $1)`
)

// rehome gives an account another id. The one before stays an address of it.
func (s *Service) rehome(ctx context.Context, tx *pg.Tx, u *User, a *actor) error {
	var gone bool
	if err := tx.QueryRow(ctx, sqlRehome, u.ID, a.URI, a.ActorHost).Scan(&gone); err != nil {
		return fmt.Errorf("rehome: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlReborn, u.Acct(), u.ID, *u.URI, a.URI, true); err != nil {
		return fmt.Errorf("rehome: %w", err)
	}
	if err := s.saveAlias(ctx, tx, u.ID, u.URI); err != nil || *u.ActorHost == a.ActorHost {
		return err
	}
	if err := s.instances.Touch(ctx, tx, a.ActorHost); err != nil {
		return err
	}
	d := rehomedData{FromServer: *u.ActorHost, ToServer: a.ActorHost, Notes: u.NotesCount}
	if !gone {
		d.Users = 1
	}
	if err := tx.QueryRow(ctx, sqlTiesOf, u.ID).Scan(&d.Follows, &d.Followed); err != nil {
		return fmt.Errorf("rehome: %w", err)
	}
	return s.log.Append(ctx, tx, "user.rehomed", u.ID, u.ID, d)
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
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
ON CONFLICT (username_lower, host) DO NOTHING RETURNING id`

// insert makes the row under a savepoint: the second unique key, the uri, can
// still be violated, and must not end the transaction.
func (s *Service) insert(ctx context.Context, tx *pg.Tx, a *answer, p *role.Policies) (id string, err error) {
	err = tx.Savepoint(ctx, func(tx *pg.Tx) error {
		return tx.QueryRow(ctx, sqlInsertRemote, s.ids.Now(), a.Username, strings.ToLower(a.Username), a.Host, a.ActorHost, a.URI, a.Inbox, a.at).Scan(&id)
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
	if err := s.update(ctx, tx, id, a.actor, p, &a.at); err != nil {
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
	require_signin = $20, followers_only_before = $21, hidden_before = $22, is_indexable = $25,
	moved_at = CASE WHEN $17::text IS NULL THEN NULL WHEN moved_to_uri IS DISTINCT FROM $17 THEN now() ELSE moved_at END,
	is_deleted = false, last_fetched_at = coalesce($24::timestamptz, now()), updated_at = now()
FROM (SELECT id AS before_id, require_signin AS signin, followers_only_before AS narrowed, hidden_before AS hid, is_deleted AS was_gone
	FROM "user" WHERE id = $1 AND ($24::timestamptz IS NULL OR last_fetched_at IS NULL OR last_fetched_at <= $24) FOR UPDATE) before
WHERE id = before_id RETURNING coalesce(moved_at = now(), false), (signin, narrowed, hid) IS DISTINCT FROM ($20::bool, $21::bigint, $22::bigint), was_gone`

// update writes what the actor says of itself, asked at a time or, nil, told
// now.
func (s *Service) update(ctx context.Context, tx *pg.Tx, id string, a *actor, policies *role.Policies, at *time.Time) error {
	if a.Emojis == nil {
		a.Emojis = []string{}
	}
	if a.Tags == nil {
		a.Tags = []string{}
	}
	var moved, guarded, back bool
	err := tx.QueryRow(ctx, sqlUpdateRemote, id, a.URL, a.Name, a.Inbox, a.SharedInbox, a.Featured, a.Followers, a.Following,
		a.AvatarURL, a.BannerURL, a.Emojis, a.Tags, a.IsBot, a.IsCat, a.IsLocked, a.Explorable, a.MovedTo, a.AlsoKnownAs, a.Outbox,
		a.RequireSignin, a.FollowersOnlyBefore, a.HiddenBefore, policies.CanUpdateBioMedia, at, a.Indexable).Scan(&moved, &guarded, &back)
	if pg.NoRows(err) && at != nil {
		return errAgain // a Delete or an Update came in between: they know better
	}
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
	if err := s.saveAlias(ctx, tx, id, alias); err != nil {
		return err
	}
	return s.log.Append(ctx, tx, "user.updated", id, id, nil)
}

func (s *Service) saveAlias(ctx context.Context, tx *pg.Tx, id string, alias *string) error {
	if alias == nil {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlSaveAlias, *alias, id); err != nil {
		return fmt.Errorf("save alias: %w", err)
	}
	return nil
}
