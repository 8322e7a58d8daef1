package user

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

const cols = `u.id, u.username, u.username_lower, u.host, u.actor_host, u.uri, u.url, u.name, u.inbox, u.shared_inbox,
	u.featured, u.followers_uri, u.following_uri, u.avatar_id, u.banner_id, u.avatar_url, u.banner_url,
	u.avatar_blurhash, u.banner_blurhash, u.avatar_decorations, u.emojis, u.tags, u.is_root, u.is_bot, u.is_cat,
	u.is_locked, u.is_explorable, u.is_suspended, u.is_deleted, u.is_system, u.hide_online_status,
	u.require_signin, u.followers_only_before, u.hidden_before, u.moved_to_uri,
	u.moved_at, u.also_known_as, u.updated_at, u.last_fetched_at,
	st.notes_count, st.followers_count, st.following_count, st.last_active_at`

const from = ` FROM "user" u JOIN user_stat st ON st.user_id = u.id `

// Columns and From let other slices read accounts inside their own statements;
// Scan reads one such row.
const (
	Columns = cols
	From    = from
)

// Scan reads a row of Columns.
func Scan(r pgx.CollectableRow) (*User, error) {
	u := &User{}
	return u, r.Scan(u.Dest()...)
}

// Dest are the targets of Columns, for rows that carry more.
func (u *User) Dest() []any {
	return []any{&u.ID, &u.Username, &u.UsernameLower, &u.Host, &u.ActorHost, &u.URI, &u.URL, &u.Name, &u.Inbox, &u.SharedInbox,
		&u.Featured, &u.FollowersURI, &u.FollowingURI, &u.AvatarID, &u.BannerID, &u.AvatarURL, &u.BannerURL,
		&u.AvatarBlurhash, &u.BannerBlurhash, &u.AvatarDecorations, &u.Emojis, &u.Tags, &u.IsRoot, &u.IsBot, &u.IsCat,
		&u.IsLocked, &u.IsExplorable, &u.IsSuspended, &u.IsDeleted, &u.IsSystem, &u.HideOnlineStatus,
		&u.RequireSignin, &u.FollowersOnlyBefore, &u.HiddenBefore, &u.MovedToURI,
		&u.MovedAt, &u.AlsoKnownAs, &u.UpdatedAt, &u.LastFetchedAt,
		&u.NotesCount, &u.FollowersCount, &u.FollowingCount, &u.LastActiveAt}
}

const (
	sqlByIDs = `SELECT ` + cols + from + `WHERE u.id = ANY($1)`
	sqlByURI = `SELECT ` + cols + from + `WHERE u.uri = $1`
	// An alias led to the actor before.
	sqlByAlias = `SELECT ` + cols + from + `JOIN user_alias a ON a.user_id = u.id WHERE a.uri = $1`
	sqlByAcct  = `SELECT ` + cols + from + `WHERE u.username_lower = $1 AND u.host IS NOT DISTINCT FROM $2`
)

func one(ctx context.Context, q pg.Q, sql string, args ...any) (*User, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, Scan)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// ByID finds an account; deleted and suspended ones too.
func (s *Service) ByID(ctx context.Context, userID string) (*User, error) {
	return s.ByIDIn(ctx, s.db, userID)
}

// ByIDIn is ByID inside a transaction.
func (s *Service) ByIDIn(ctx context.Context, q pg.Q, userID string) (*User, error) {
	return one(ctx, q, sqlByIDs, []string{userID})
}

// ByIDs finds accounts by id; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, userIDs []string) (map[string]*User, error) {
	out := make(map[string]*User, len(userIDs))
	if len(userIDs) == 0 {
		return out, nil
	}
	rows, err := q.Query(ctx, sqlByIDs, userIDs)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	list, err := pgx.CollectRows(rows, Scan)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, u := range list {
		out[u.ID] = u
	}
	return out, nil
}

// LocalID is the account id that an actor id of this server names.
func (s *Service) LocalID(uri string) (string, bool) {
	rest, ok := strings.CutPrefix(uri, s.meta.Origin+"/users/")
	if !ok || rest == "" || strings.ContainsAny(rest, "/?#") {
		return "", false
	}
	return rest, true
}

// ByURI finds an account that is known already, by its actor id or an alias.
// It never asks the network.
func (s *Service) ByURI(ctx context.Context, q pg.Q, uri string) (*User, error) {
	if local, ok := s.LocalID(uri); ok {
		u, err := s.ByIDIn(ctx, q, local)
		if err == nil && !u.Local() {
			return nil, ErrNotFound // a remote account has its id elsewhere
		}
		return u, err
	}
	u, err := one(ctx, q, sqlByURI, uri)
	if errors.Is(err, ErrNotFound) {
		return one(ctx, q, sqlByAlias, uri)
	}
	return u, err
}

// ByAcct finds a known account by name and host; nil is this server.
func (s *Service) ByAcct(ctx context.Context, q pg.Q, username string, host *string) (*User, error) {
	if host != nil && *host == s.meta.Host {
		host = nil
	}
	return one(ctx, q, sqlByAcct, strings.ToLower(username), host)
}

const (
	sqlCount = `UPDATE user_stat SET notes_count = notes_count + $2, followers_count = followers_count + $3,
	following_count = following_count + $4 WHERE user_id = $1`
	sqlActive = `UPDATE user_stat SET last_active_at = now()
WHERE user_id = $1 AND (last_active_at IS NULL OR last_active_at < now() - interval '1 minute')`
)

// Count changes an account's counters. Callers that change two accounts do so
// in the order of their ids.
func (s *Service) Count(ctx context.Context, tx *pg.Tx, userID string, notes, followers, following int) error {
	if _, err := tx.Exec(ctx, sqlCount, userID, notes, followers, following); err != nil {
		return fmt.Errorf("count of user: %w", err)
	}
	return nil
}

const (
	sqlLockStats  = `SELECT FROM user_stat WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE`
	sqlCountNotes = `
UPDATE user_stat s SET notes_count = s.notes_count + c.n FROM unnest($1::text[], $2::int[]) c (id, n) WHERE s.user_id = c.id`
)

// CountNotes changes how many notes are counted of accounts, in the order of
// their ids.
func (s *Service) CountNotes(ctx context.Context, tx *pg.Tx, by map[string]int) error {
	ids := slices.Sorted(maps.Keys(by))
	n := make([]int, 0, len(ids))
	for _, id := range ids {
		n = append(n, by[id])
	}
	if _, err := tx.Exec(ctx, sqlLockStats, ids); err != nil {
		return fmt.Errorf("count of users: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlCountNotes, ids, n); err != nil {
		return fmt.Errorf("count of users: %w", err)
	}
	return nil
}

// Active records that the account is in use, at most once a minute.
func (s *Service) Active(ctx context.Context, userID string) error {
	if _, err := s.db.Exec(ctx, sqlActive, userID); err != nil {
		return fmt.Errorf("activity of user: %w", err)
	}
	if s.seen != nil {
		s.seen(userID)
	}
	return nil
}

const sqlUsedOn = `UPDATE user_profile SET logged_in_dates = logged_in_dates || $2::date
WHERE user_id = $1 AND NOT ($2::date = ANY(logged_in_dates))`

// UsedOn counts a day as one on which the account was used.
func (s *Service) UsedOn(ctx context.Context, userID string, day time.Time) error {
	if _, err := s.db.Exec(ctx, sqlUsedOn, userID, day); err != nil {
		return fmt.Errorf("day of use: %w", err)
	}
	return nil
}
