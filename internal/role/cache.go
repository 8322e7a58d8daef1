package role

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Role is something an account is, and what it may do because of it.
type Role struct {
	ID                 string
	UpdatedAt          time.Time
	Name               string
	Description        string
	Color              *string
	IconURL            *string
	Conditional        bool
	Formula            json.RawMessage
	Public             bool
	Moderator          bool
	Admin              bool
	Explorable         bool
	Badge              bool
	Preserve           bool // goes along when an account moves
	MembersByModerator bool // moderators may give and take it
	DisplayOrder       int

	overrides map[string]override
	matches   condition
}

// changed is the kind of change that empties what is remembered.
const changed = "role.changed"

// holdFor is how long what conditions see may be old.
const holdFor = time.Minute

// maxHeld bounds the memory of the cache; a full one starts anew.
const maxHeld = 20_000

// held is what is remembered of an account.
type held struct {
	subject Subject
	roles   []*Role // the foremost first
	till    time.Time

	once     sync.Mutex
	base     *Policies
	policies *Policies
}

// allowed is what the account may do with the defaults being base.
func (h *held) allowed(base *Policies) *Policies {
	if len(h.roles) == 0 {
		return base
	}
	h.once.Lock()
	defer h.once.Unlock()
	if h.base != base {
		h.base, h.policies = base, merge(base, h.roles)
	}
	return h.policies
}

// cache remembers roles, and accounts for a moment. Whatever changes roles
// empties it: in this process after the commit, elsewhere by the change log.
type cache struct {
	mu    *sync.Mutex
	gen   int64
	roles []*Role // nil: not read
	users map[string]*held
}

// Forget empties what is remembered.
func (s *Service) Forget() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.gen++
	s.cache.roles = nil
	clear(s.cache.users)
}

func (c *cache) dropUser(userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	delete(c.users, userID)
}

const sqlRoles = `SELECT id, updated_at, name, description, color, icon_url, target = 'conditional', cond_formula, is_public, is_moderator,
	is_administrator, is_explorable, as_badge, preserve_on_move, can_edit_members_by_moderator, display_order, policies
FROM role ORDER BY display_order DESC, id`

// all gives every role, the foremost first.
func (s *Service) all(ctx context.Context) ([]*Role, error) {
	s.cache.mu.Lock()
	roles, gen := s.cache.roles, s.cache.gen
	s.cache.mu.Unlock()
	if roles != nil {
		return roles, nil
	}
	roles, err := s.read(ctx, s.db)
	if err != nil {
		return nil, err
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.cache.gen == gen {
		s.cache.roles = roles
	}
	return roles, nil
}

func scan(r pgx.CollectableRow) (*Role, error) {
	x := &Role{}
	var policies []byte
	err := r.Scan(&x.ID, &x.UpdatedAt, &x.Name, &x.Description, &x.Color, &x.IconURL, &x.Conditional, &x.Formula, &x.Public, &x.Moderator,
		&x.Admin, &x.Explorable, &x.Badge, &x.Preserve, &x.MembersByModerator, &x.DisplayOrder, &policies)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(policies, &x.overrides); err != nil {
		return nil, fmt.Errorf("policies of role %s: %w", x.ID, err)
	}
	if x.matches, err = readFormula(x.Formula); err != nil || !x.Conditional {
		x.matches = func(*Subject, time.Time) bool { return false } // one that this version cannot read is nobody's
	}
	return x, nil
}

// What conditions see, the roles given, and when the next of those runs out.
const sqlHeld = `
SELECT u.id, u.host IS NULL, u.is_root, u.is_suspended, u.is_locked, u.is_bot, u.is_cat, u.is_explorable,
	st.followers_count, st.following_count, st.notes_count, coalesce(a.ids, '{}'), a.next
FROM "user" u JOIN user_stat st ON st.user_id = u.id
LEFT JOIN LATERAL (SELECT array_agg(role_id) AS ids, min(expires_at) AS next FROM role_assignment
	WHERE user_id = u.id AND (expires_at IS NULL OR expires_at > $2)) a ON true
WHERE u.id = ANY($1)`

func (s *Service) one(ctx context.Context, userID string) (*held, error) {
	found, err := s.hold(ctx, []string{userID})
	if err != nil {
		return nil, err
	}
	if h := found[userID]; h != nil {
		return h, nil
	}
	return &held{}, nil // not there, or not yet committed: it has no role
}

// hold gives what is known of accounts, in at most two statements.
func (s *Service) hold(ctx context.Context, userIDs []string) (map[string]*held, error) {
	now := s.now()
	out := make(map[string]*held, len(userIDs))
	var ask []string
	s.cache.mu.Lock()
	gen := s.cache.gen
	for _, userID := range userIDs {
		if h := s.cache.users[userID]; h != nil && now.Before(h.till) {
			out[userID] = h
		} else {
			ask = append(ask, userID)
		}
	}
	s.cache.mu.Unlock()
	if len(ask) == 0 {
		return out, nil
	}
	roles, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, sqlHeld, ask, now)
	if err != nil {
		return nil, fmt.Errorf("roles of accounts: %w", err)
	}
	defer rows.Close()
	fresh := map[string]*held{}
	for rows.Next() {
		var userID string
		var next *time.Time
		h := &held{till: now.Add(holdFor)}
		x := &h.subject
		if err := rows.Scan(&userID, &x.Local, &x.Root, &x.Suspended, &x.Locked, &x.Bot, &x.Cat, &x.Explorable, &x.Followers, &x.Following,
			&x.Notes, &x.Assigned, &next); err != nil {
			return nil, fmt.Errorf("roles of accounts: %w", err)
		}
		if next != nil && next.Before(h.till) {
			h.till = *next
		}
		if x.CreatedAt, err = s.ids.Method().Time(userID); err != nil {
			return nil, fmt.Errorf("account %s: %w", userID, err)
		}
		h.roles = of(roles, x, now)
		fresh[userID], out[userID] = h, h
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("roles of accounts: %w", err)
	}
	s.remember(gen, fresh)
	return out, nil
}

// remember keeps what was read since generation gen began; later changes win.
func (s *Service) remember(gen int64, fresh map[string]*held) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.cache.gen != gen {
		return
	}
	if len(s.cache.users) > maxHeld {
		clear(s.cache.users)
	}
	for userID, h := range fresh {
		s.cache.users[userID] = h
	}
}

// of are those of the roles that are the account's, given to it or by their
// condition.
func of(roles []*Role, x *Subject, now time.Time) []*Role {
	sort.Strings(x.Assigned)
	var out []*Role
	for _, r := range roles {
		i := sort.SearchStrings(x.Assigned, r.ID)
		if i < len(x.Assigned) && x.Assigned[i] == r.ID || r.Conditional && r.matches(x, now) {
			out = append(out, r)
		}
	}
	return out
}
