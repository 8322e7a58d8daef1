package user

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

// Field is a line of a profile.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Detailed is an account as others see its page (UserDetailedNotMe).
type Detailed struct {
	Lite

	URL                 *string   `json:"url"`
	URI                 *string   `json:"uri"`
	MovedTo             *string   `json:"movedTo"`
	AlsoKnownAs         []string  `json:"alsoKnownAs"`
	CreatedAt           api.Time  `json:"createdAt"`
	UpdatedAt           *api.Time `json:"updatedAt"`
	LastFetchedAt       *api.Time `json:"lastFetchedAt"`
	BannerURL           *string   `json:"bannerUrl"`
	BannerBlurhash      *string   `json:"bannerBlurhash"`
	IsLocked            bool      `json:"isLocked"`
	IsSilenced          bool      `json:"isSilenced"`
	IsSuspended         bool      `json:"isSuspended"`
	Description         *string   `json:"description"`
	Location            *string   `json:"location"`
	Birthday            *string   `json:"birthday"`
	Lang                *string   `json:"lang"`
	Fields              []Field   `json:"fields"`
	VerifiedLinks       []string  `json:"verifiedLinks"`
	FollowersCount      int       `json:"followersCount"`
	FollowingCount      int       `json:"followingCount"`
	NotesCount          int       `json:"notesCount"`
	PinnedNoteIDs       []string  `json:"pinnedNoteIds"`
	PinnedNotes         []any     `json:"pinnedNotes"`
	PinnedPageID        *string   `json:"pinnedPageId"`
	PinnedPage          *struct{} `json:"pinnedPage"`
	PublicReactions     bool      `json:"publicReactions"`
	FollowersVisibility string    `json:"followersVisibility"`
	FollowingVisibility string    `json:"followingVisibility"`
	ChatScope           string    `json:"chatScope"`
	CanChat             bool      `json:"canChat"`
	Memo                *string   `json:"memo"`
	ModerationNote      *string   `json:"moderationNote,omitempty"`

	Roles []role.Lite `json:"roles"`

	// FollowedMessage is for followers and the account itself; nil: not told.
	FollowedMessage json.RawMessage `json:"followedMessage,omitempty"`

	*Tie
	*Me
}

// message is a text that is told, null when there is none.
func message(s *string) json.RawMessage {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}

// Tie is what lies between the viewer and an account; absent for visitors and
// for oneself.
type Tie struct {
	IsFollowing       bool   `json:"isFollowing"`
	IsFollowed        bool   `json:"isFollowed"`
	HasPendingFromYou bool   `json:"hasPendingFollowRequestFromYou"`
	HasPendingToYou   bool   `json:"hasPendingFollowRequestToYou"`
	IsBlocking        bool   `json:"isBlocking"`
	IsBlocked         bool   `json:"isBlocked"`
	IsMuted           bool   `json:"isMuted"`
	IsRenoteMuted     bool   `json:"isRenoteMuted"`
	Notify            string `json:"notify"`
	WithReplies       bool   `json:"withReplies"`
	memo              *string
}

// Profile is what only pages of an account show.
type Profile struct {
	UserID              string
	Description         *string
	FollowedMessage     *string
	Fields              []Field
	VerifiedLinks       []string
	Location            *string
	Birthday            *string
	Lang                *string
	FollowingVisibility string
	FollowersVisibility string
	PublicReactions     bool
	ModerationNote      string
	AutoAcceptFollowed  bool
	CarefulBot          bool
	NoCrawle            bool
	PreventAiLearning   bool
	ChatScope           string
}

const sqlProfiles = `SELECT user_id, description, followed_message, fields, verified_links, location, birthday, lang,
	following_visibility, followers_visibility, public_reactions, moderation_note, auto_accept_followed, careful_bot,
	no_crawle, prevent_ai_learning, chat_scope
FROM user_profile WHERE user_id = ANY($1)`

// Profiles reads the profiles of accounts.
func (s *Service) Profiles(ctx context.Context, userIDs []string) (map[string]*Profile, error) {
	return s.ProfilesIn(ctx, s.db, userIDs)
}

// ProfilesIn is Profiles inside a transaction.
func (s *Service) ProfilesIn(ctx context.Context, q pg.Q, userIDs []string) (map[string]*Profile, error) {
	rows, err := q.Query(ctx, sqlProfiles, userIDs)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	out := make(map[string]*Profile, len(userIDs))
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Profile, error) {
		p := &Profile{}
		var fields []byte
		if err := r.Scan(&p.UserID, &p.Description, &p.FollowedMessage, &fields, &p.VerifiedLinks, &p.Location, &p.Birthday,
			&p.Lang, &p.FollowingVisibility, &p.FollowersVisibility, &p.PublicReactions, &p.ModerationNote,
			&p.AutoAcceptFollowed, &p.CarefulBot, &p.NoCrawle, &p.PreventAiLearning, &p.ChatScope); err != nil {
			return nil, err
		}
		return p, json.Unmarshal(fields, &p.Fields)
	})
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	for _, p := range list {
		out[p.UserID] = p
	}
	return out, nil
}

const sqlTies = `
SELECT u.id,
	f.id IS NOT NULL, b.id IS NOT NULL,
	EXISTS (SELECT FROM follow_request r WHERE r.follower_id = $1 AND r.followee_id = u.id),
	EXISTS (SELECT FROM follow_request r WHERE r.follower_id = u.id AND r.followee_id = $1),
	EXISTS (SELECT FROM blocking x WHERE x.blocker_id = $1 AND x.blockee_id = u.id),
	EXISTS (SELECT FROM blocking x WHERE x.blocker_id = u.id AND x.blockee_id = $1),
	EXISTS (SELECT FROM muting x WHERE x.muter_id = $1 AND x.mutee_id = u.id AND (x.expires_at IS NULL OR x.expires_at > now())),
	EXISTS (SELECT FROM renote_muting x WHERE x.muter_id = $1 AND x.mutee_id = u.id),
	coalesce(f.notify, 'none'), coalesce(f.with_replies, false),
	(SELECT memo FROM user_memo x WHERE x.user_id = $1 AND x.target_user_id = u.id)
FROM unnest($2::text[]) u (id)
LEFT JOIN following f ON f.follower_id = $1 AND f.followee_id = u.id
LEFT JOIN following b ON b.follower_id = u.id AND b.followee_id = $1`

// Ties reads what lies between the viewer and accounts.
func (s *Service) Ties(ctx context.Context, viewerID string, userIDs []string) (map[string]*Tie, error) {
	rows, err := s.db.Query(ctx, sqlTies, viewerID, userIDs)
	if err != nil {
		return nil, fmt.Errorf("ties: %w", err)
	}
	defer rows.Close()
	out := make(map[string]*Tie, len(userIDs))
	for rows.Next() {
		var id string
		t := &Tie{}
		if err := rows.Scan(&id, &t.IsFollowing, &t.IsFollowed, &t.HasPendingFromYou, &t.HasPendingToYou, &t.IsBlocking,
			&t.IsBlocked, &t.IsMuted, &t.IsRenoteMuted, &t.Notify, &t.WithReplies, &t.memo); err != nil {
			return nil, fmt.Errorf("ties: %w", err)
		}
		out[id] = t
	}
	return out, rows.Err()
}

const sqlMoved = `SELECT uri, id FROM "user" WHERE uri = ANY($1)`

// PackDetailed packs accounts for a viewer ("" for visitors), by id. The
// viewer's own account comes as MeDetailed; secrets adds what only the native
// token may read.
func (s *Service) PackDetailed(ctx context.Context, viewerID string, users map[string]*User, secrets bool) (map[string]*Detailed, error) {
	ids := make([]string, 0, len(users))
	var elsewhere []string
	for id, u := range users {
		ids = append(ids, id)
		elsewhere = append(elsewhere, u.AlsoKnownAs...)
		if u.MovedToURI != nil {
			elsewhere = append(elsewhere, *u.MovedToURI)
		}
	}
	lites, err := s.PackLite(ctx, users)
	if err != nil {
		return nil, err
	}
	profiles, err := s.Profiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	ties := map[string]*Tie{}
	if viewerID != "" {
		if ties, err = s.Ties(ctx, viewerID, ids); err != nil {
			return nil, err
		}
	}
	pins, err := s.pins.PinsOf(ctx, viewerID, ids)
	if err != nil {
		return nil, err
	}
	known, err := s.idsOfURIs(ctx, elsewhere)
	if err != nil {
		return nil, err
	}
	roles, err := s.roles.RolesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	moderator := false
	if viewerID != "" {
		if moderator, _, err = s.roles.Ranks(ctx, viewerID); err != nil {
			return nil, err
		}
	}
	out := make(map[string]*Detailed, len(users))
	for id, u := range users {
		p := profiles[id]
		if p == nil {
			return nil, fmt.Errorf("user %s has no profile", id)
		}
		d, err := s.detailed(ctx, u, p, lites[id], known)
		if err != nil {
			return nil, err
		}
		for _, r := range roles[id] {
			if r.Public {
				d.Roles = append(d.Roles, r.Lite())
			}
		}
		if moderator {
			d.ModerationNote = &p.ModerationNote
		}
		if pin, ok := pins[id]; ok {
			d.PinnedNoteIDs, d.PinnedNotes = pin.NoteIDs, pin.Notes
		}
		if t := ties[id]; t != nil {
			d.Memo = t.memo
		}
		switch {
		case id == viewerID:
			if d.Me, err = s.me(ctx, u, secrets); err != nil {
				return nil, err
			}
			d.FollowedMessage = message(p.FollowedMessage)
		case viewerID != "":
			d.Tie = ties[id]
			s.hideCounts(d, p)
			if d.Tie != nil && d.IsFollowing {
				d.FollowedMessage = message(p.FollowedMessage)
			}
		default:
			s.hideCounts(d, p)
		}
		out[id] = d
	}
	return out, nil
}

func (s *Service) detailed(ctx context.Context, u *User, p *Profile, lite *Lite, known map[string]string) (*Detailed, error) {
	policies, err := s.roles.Of(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	created, err := s.ids.Method().Time(u.ID)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", u.ID, err)
	}
	d := &Detailed{
		Lite: *lite, URL: u.URL, URI: u.URI, CreatedAt: api.Time(created), UpdatedAt: api.TimePtr(u.UpdatedAt), LastFetchedAt: api.TimePtr(u.LastFetchedAt),
		BannerURL: s.shownBanner(u), BannerBlurhash: u.BannerBlurhash, IsLocked: u.IsLocked, IsSilenced: !policies.CanPublicNote,
		IsSuspended: u.IsSuspended, Description: p.Description, Location: p.Location, Birthday: p.Birthday, Lang: p.Lang,
		Fields: p.Fields, VerifiedLinks: p.VerifiedLinks, FollowersCount: u.FollowersCount, FollowingCount: u.FollowingCount,
		NotesCount: u.NotesCount, PinnedNoteIDs: []string{}, PinnedNotes: []any{}, PublicReactions: p.PublicReactions,
		FollowersVisibility: p.FollowersVisibility, FollowingVisibility: p.FollowingVisibility, ChatScope: p.ChatScope, CanChat: policies.ChatAvailability == "available",
		Roles: []role.Lite{},
	}
	if u.MovedToURI != nil {
		if id, ok := known[*u.MovedToURI]; ok {
			d.MovedTo = &id
		}
	}
	for _, uri := range u.AlsoKnownAs {
		if id, ok := known[uri]; ok {
			d.AlsoKnownAs = append(d.AlsoKnownAs, id)
		}
	}
	return d, nil
}

// hideCounts withholds the numbers that the account shows to fewer people.
func (s *Service) hideCounts(d *Detailed, p *Profile) {
	follows := d.Tie != nil && d.IsFollowing
	if p.FollowersVisibility == "private" || p.FollowersVisibility == "followers" && !follows {
		d.FollowersCount = 0
	}
	if p.FollowingVisibility == "private" || p.FollowingVisibility == "followers" && !follows {
		d.FollowingCount = 0
	}
}

func (s *Service) idsOfURIs(ctx context.Context, uris []string) (map[string]string, error) {
	out := map[string]string{}
	var ask []string
	for _, uri := range uris {
		if local, ok := s.LocalID(uri); ok {
			out[uri] = local
		} else {
			ask = append(ask, uri)
		}
	}
	if len(ask) == 0 {
		return out, nil
	}
	rows, err := s.db.Query(ctx, sqlMoved, ask)
	if err != nil {
		return nil, fmt.Errorf("other accounts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var uri, id string
		if err := rows.Scan(&uri, &id); err != nil {
			return nil, fmt.Errorf("other accounts: %w", err)
		}
		out[uri] = id
	}
	return out, rows.Err()
}

// DetailedByIDs reads and packs accounts in the order of ids; missing ones are
// missing.
func (s *Service) DetailedByIDs(ctx context.Context, viewerID string, ids []string) ([]*Detailed, error) {
	users, err := s.ByIDs(ctx, s.db, ids)
	if err != nil {
		return nil, err
	}
	packed, err := s.PackDetailed(ctx, viewerID, users, false)
	if err != nil {
		return nil, err
	}
	out := make([]*Detailed, 0, len(ids))
	for _, id := range ids {
		if d := packed[id]; d != nil {
			out = append(out, d)
		}
	}
	return out, nil
}
