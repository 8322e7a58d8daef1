package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/pg"
)

// ErrNameTaken says that an account of that name exists.
var ErrNameTaken = errors.New("username is taken")

// New local account: what must be known.
type NewLocal struct {
	Username string
	Root     bool
	System   bool
}

const (
	sqlInsertLocal = `
INSERT INTO "user" (id, username, username_lower, is_root, is_system, is_locked, is_explorable, updated_at)
VALUES ($1, $2, $3, $4, $5, $5, NOT $5, now())
ON CONFLICT (username_lower, host) DO NOTHING RETURNING id`
	sqlInsertStat    = `INSERT INTO user_stat (user_id) VALUES ($1)`
	sqlInsertProfile = `INSERT INTO user_profile (user_id) VALUES ($1)`
)

// CreateLocal makes an account of this server in tx, with the key pair that
// was generated before (it takes long). ErrNameTaken when the name is in use.
func (s *Service) CreateLocal(ctx context.Context, tx *pg.Tx, n NewLocal, pair *httpsig.KeyPair) (*User, error) {
	id := s.ids.Now()
	err := tx.QueryRow(ctx, sqlInsertLocal, id, n.Username, strings.ToLower(n.Username), n.Root, n.System).Scan(&id)
	if pg.NoRows(err) {
		return nil, ErrNameTaken
	}
	if err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	for _, sql := range []string{sqlInsertStat, sqlInsertProfile} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return nil, fmt.Errorf("create user: %w", err)
		}
	}
	if err := s.delivery.AddKey(ctx, tx, id, s.KeyID(id), pair); err != nil {
		return nil, err
	}
	if err := s.log.Append(ctx, tx, "user.created", id, id, createdData{Local: true, System: n.System}); err != nil {
		return nil, err
	}
	return s.ByIDIn(ctx, tx, id)
}

// createdData goes with "user.created".
type createdData struct {
	Local  bool   `json:"local"`
	System bool   `json:"system,omitempty"`
	Server string `json:"server,omitempty"` // authority of a remote account's server
}

// InstanceActor is the name of the account that signs this server's fetches;
// the dot makes it a name nobody can sign up with.
const InstanceActor = "instance.actor"

// EnsureInstanceActor makes the server's own actor when there is none.
func (s *Service) EnsureInstanceActor(ctx context.Context) (*User, error) {
	u, err := s.ByAcct(ctx, s.db, InstanceActor, nil)
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	pair, err := httpsig.GenerateRSA()
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		u, err = s.CreateLocal(ctx, tx, NewLocal{Username: InstanceActor, System: true}, pair)
		return err
	})
	if errors.Is(err, ErrNameTaken) { // another process was first
		return s.ByAcct(ctx, s.db, InstanceActor, nil)
	}
	return u, err
}

const sqlInsertImaginary = `
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, last_fetched_at, updated_at)
VALUES ($1, $2, $3, $4, $4, $5, now(), now())
ON CONFLICT (username_lower, host) DO NOTHING RETURNING id`

// CreateImaginary makes an account of a remote server that need not exist, for
// test mode's sign-up with a host. It has no inbox, so nothing is delivered to
// it.
func (s *Service) CreateImaginary(ctx context.Context, tx *pg.Tx, username, host string) (*User, error) {
	if !s.meta.Test() {
		return nil, errors.New("imaginary accounts exist in test mode only")
	}
	id := s.ids.Now()
	uri := "https://" + host + "/users/" + id
	err := tx.QueryRow(ctx, sqlInsertImaginary, id, username, strings.ToLower(username), host, uri).Scan(&id)
	if pg.NoRows(err) {
		return nil, ErrNameTaken
	}
	if err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	for _, sql := range []string{sqlInsertStat, sqlInsertProfile} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return nil, fmt.Errorf("create user: %w", err)
		}
	}
	if err := s.log.Append(ctx, tx, "user.created", id, id, createdData{Server: host}); err != nil {
		return nil, err
	}
	return s.ByIDIn(ctx, tx, id)
}

// Update is a change of one's own profile; nil fields stay.
type Update struct {
	User    map[string]any // column → value, of "user"
	Profile map[string]any // column → value, of user_profile
}

// userColumns and profileColumns are what Update may change.
var (
	userColumns = map[string]bool{
		"name": true, "is_bot": true, "is_cat": true, "is_locked": true, "is_explorable": true, "hide_online_status": true,
		"avatar_id": true, "avatar_url": true, "avatar_blurhash": true, "banner_id": true, "banner_url": true, "banner_blurhash": true,
		"emojis": true, "tags": true, "also_known_as": true, "avatar_decorations": true,
		"require_signin": true, "followers_only_before": true, "hidden_before": true,
	}
	profileColumns = map[string]bool{
		"description": true, "followed_message": true, "fields": true, "location": true, "birthday": true, "lang": true,
		"following_visibility": true, "followers_visibility": true, "public_reactions": true, "auto_accept_followed": true,
		"careful_bot": true, "no_crawle": true, "prevent_ai_learning": true, "always_mark_nsfw": true, "auto_sensitive": true,
		"inject_featured_note": true, "receive_announcement_email": true, "muted_words": true, "hard_muted_words": true,
		"muted_instances": true, "notification_recieve_config": true, "email_notification_types": true, "chat_scope": true,
	}
)

// Which columns, set knows.
const (
	sqlSetUser    = `UPDATE "user" SET %s WHERE id = %s`
	sqlSetProfile = `UPDATE user_profile SET %s WHERE user_id = %s`
)

// Apply writes a change of a local account's profile in tx and tells the
// change log.
func (s *Service) Apply(ctx context.Context, tx *pg.Tx, userID string, up Update) error {
	up.User["updated_at"] = s.now()
	if err := set(ctx, tx, sqlSetUser, userColumns, up.User, userID); err != nil {
		return err
	}
	if len(up.Profile) > 0 {
		if err := set(ctx, tx, sqlSetProfile, profileColumns, up.Profile, userID); err != nil {
			return err
		}
	}
	for _, col := range []string{"require_signin", "followers_only_before", "hidden_before"} {
		if _, ok := up.User[col]; ok {
			if err := s.log.Append(ctx, tx, "user.guarded", userID, userID, nil); err != nil {
				return err
			}
			break
		}
	}
	return s.log.Append(ctx, tx, "user.updated", userID, userID, nil)
}

const sqlVerified = `
UPDATE user_profile SET verified_links = (SELECT coalesce(array_agg(l ORDER BY o), '{}') FROM unnest($2::text[]) WITH ORDINALITY v (l, o)
	WHERE EXISTS (SELECT FROM jsonb_array_elements(fields) f WHERE f ->> 'value' = l))
WHERE user_id = $1 AND verified_links <> (SELECT coalesce(array_agg(l ORDER BY o), '{}') FROM unnest($2::text[]) WITH ORDINALITY v (l, o)
	WHERE EXISTS (SELECT FROM jsonb_array_elements(fields) f WHERE f ->> 'value' = l))`

// Verified records which of the links in a profile lead to pages that link
// back, of those that are still there.
func (s *Service) Verified(ctx context.Context, tx *pg.Tx, userID string, links []string) error {
	tag, err := tx.Exec(ctx, sqlVerified, userID, links)
	if err != nil {
		return fmt.Errorf("verified links: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return s.log.Append(ctx, tx, "user.updated", userID, userID, nil)
}

// set builds an UPDATE of named columns. Names come from the lists above only.
func set(ctx context.Context, tx *pg.Tx, sql string, allowed map[string]bool, values map[string]any, id string) error {
	var w pg.Where
	var b strings.Builder
	sep := ""
	for _, col := range sortedKeys(values) {
		if !allowed[col] && col != "updated_at" {
			return fmt.Errorf("column %s cannot be changed", col)
		}
		v := values[col]
		if raw, ok := v.(json.RawMessage); ok {
			v = []byte(raw)
		}
		b.WriteString(sep + col + " = " + w.Arg(v))
		sep = ", "
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(sql, b.String(), w.Arg(id)), w.Args...); err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

const (
	sqlNoteOn    = `SELECT moderation_note FROM user_profile WHERE user_id = $1 FOR UPDATE`
	sqlSetNoteOn = `UPDATE user_profile SET moderation_note = $2 WHERE user_id = $1`
)

// SetModerationNote writes down what moderators know of an account, and gives what
// stood there before.
func (s *Service) SetModerationNote(ctx context.Context, tx *pg.Tx, userID, text string) (before string, err error) {
	if err := tx.QueryRow(ctx, sqlNoteOn, userID).Scan(&before); err != nil {
		return "", fmt.Errorf("note on account: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlSetNoteOn, userID, text); err != nil {
		return "", fmt.Errorf("note on account: %w", err)
	}
	return before, nil
}

const sqlLocals = `SELECT ` + cols + from + `WHERE u.host IS NULL AND NOT u.is_system AND NOT u.is_deleted ORDER BY u.id`

// Locals are all accounts of this server.
func (s *Service) Locals(ctx context.Context) ([]*User, error) {
	rows, err := s.db.Query(ctx, sqlLocals)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return pgx.CollectRows(rows, Scan)
}

const sqlSuspend = `UPDATE "user" SET is_suspended = $2, updated_at = now() WHERE id = $1 AND is_suspended <> $2`

// SuspendIn takes an account's rights, or gives them back; its connections end.
// False when the account was so already. Other servers are package moderation's to
// tell.
func (s *Service) SuspendIn(ctx context.Context, tx *pg.Tx, userID string, yes bool) (bool, error) {
	tag, err := tx.Exec(ctx, sqlSuspend, userID, yes)
	if err != nil {
		return false, fmt.Errorf("suspend: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	return true, s.log.Append(ctx, tx, "user.suspended", userID, userID, nil)
}
