// Package channel is in charge of channels: places for notes on one subject that
// stay on this server, who follows, keeps and mutes them, and how much is in them.
package channel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// ErrNotFound says that there is no such channel.
var ErrNotFound = errors.New("no such channel")

// Channel is a channel's row.
type Channel struct {
	ID                    string
	UserID                *string
	Name                  string
	Description           *string
	BannerID              *string
	PinnedNoteIDs         []string
	Color                 string
	Archived              bool
	Sensitive             bool
	AllowRenoteToExternal bool
	LastNotedAt           *time.Time
	Notes, Users          int64

	bannerURL                   *string
	following, favorite, muting bool // by the viewer
}

// Packed is a channel as clients see it.
type Packed struct {
	ID                    string    `json:"id"`
	CreatedAt             api.Time  `json:"createdAt"`
	LastNotedAt           *api.Time `json:"lastNotedAt"`
	Name                  string    `json:"name"`
	Description           *string   `json:"description"`
	UserID                *string   `json:"userId"`
	BannerURL             *string   `json:"bannerUrl"`
	BannerID              *string   `json:"bannerId"`
	PinnedNoteIDs         []string  `json:"pinnedNoteIds"`
	Color                 string    `json:"color"`
	IsArchived            bool      `json:"isArchived"`
	UsersCount            int64     `json:"usersCount"`
	NotesCount            int64     `json:"notesCount"`
	IsSensitive           bool      `json:"isSensitive"`
	AllowRenoteToExternal bool      `json:"allowRenoteToExternal"`
	IsFollowing           *bool     `json:"isFollowing,omitempty"`
	IsFavorited           *bool     `json:"isFavorited,omitempty"`
	IsMuting              *bool     `json:"isMuting,omitempty"`
}

// Deps are what the slice stands on.
type Deps struct {
	DB    *pg.DB
	IDs   *id.Maker
	Drive *drive.Service
	Log   *log.Log
	Hub   *stream.Hub
	Now   func() time.Time
}

// Service keeps channels.
type Service struct {
	Deps
	sets sets
}

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d, sets: newSets()} }

// Endpoints is the API of this slice. What gives notes is with the timelines.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("channels/create", s.apiCreate, api.Scope("write:channels"), api.NotMoved, api.Policy("canCreateChannel"), api.Limit(10, time.Hour), api.Errors(errCreateNoFile)),
		api.Post("channels/update", s.apiUpdate, api.Scope("write:channels"), api.Errors(errUpdateNone, errUpdateDenied, errUpdateNoFile, errUpdateNoNote)),
		api.Post("channels/featured", s.apiFeatured, api.Visitors),
		api.Post("channels/search", s.apiSearch, api.Visitors),
		api.Post("channels/owned", s.apiOwned, api.Scope("read:channels")),
		api.Post("channels/followed", s.apiFollowed, api.Scope("read:channels")),
		api.Post("channels/my-favorites", s.apiFavorites, api.Scope("read:channels")),
		api.Post("channels/follow", s.apiFollow, api.Scope("write:channels"), api.NotMoved, api.Errors(errFollowNone)),
		api.Post("channels/unfollow", s.apiUnfollow, api.Scope("write:channels"), api.NotMoved, api.Errors(errUnfollowNone)),
		api.Post("channels/favorite", s.apiFavorite, api.Scope("write:channels"), api.NotMoved, api.Errors(errFavoriteNone)),
		api.Post("channels/unfavorite", s.apiUnfavorite, api.Scope("write:channels"), api.NotMoved, api.Errors(errUnfavoriteNone)),
		api.Post("channels/mute/create", s.apiMute, api.Scope("write:channels"), api.NotMoved, api.Errors(errMuteNone, errMuteTwice, errMutePast)),
		api.Post("channels/mute/delete", s.apiUnmute, api.Scope("write:channels"), api.NotMoved, api.Errors(errUnmuteNone, errUnmuteNot)),
		api.Post("channels/mute/list", s.apiMuted, api.Scope("read:channels")),
	}
}

// Consumers count what is in channels, and keep what is in memory fresh.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{
		{Name: "channel.counts", Durable: true, Kinds: []string{"note.created", "note.deleted"}, Handle: s.onNotes},
		{Name: "channel.sets", Kinds: []string{changed}, Handle: s.onChanged, Lost: s.sets.forget},
	}
}

const (
	cols = `t.id, t.user_id, t.name, t.description, t.banner_id, t.pinned_note_ids, t.color, t.is_archived, t.is_sensitive, t.allow_renote_to_external,
	t.last_noted_at, t.notes_count, t.users_count`
	// $1 is who asks, "" for a visitor.
	sqlSeen = `SELECT ` + cols + `, (SELECT f.url FROM drive_file f WHERE f.id = t.banner_id),
	EXISTS (SELECT FROM channel_following x WHERE x.user_id = $1 AND x.channel_id = t.id),
	EXISTS (SELECT FROM channel_favorite x WHERE x.user_id = $1 AND x.channel_id = t.id),
	EXISTS (SELECT FROM channel_muting x WHERE x.user_id = $1 AND x.channel_id = t.id AND (x.expires_at IS NULL OR x.expires_at > now()))
FROM channel t`
	sqlByIDs = `SELECT ` + cols + ` FROM channel t WHERE t.id = ANY($1)`
)

func (c *Channel) places() []any {
	return []any{&c.ID, &c.UserID, &c.Name, &c.Description, &c.BannerID, &c.PinnedNoteIDs, &c.Color, &c.Archived, &c.Sensitive, &c.AllowRenoteToExternal, &c.LastNotedAt, &c.Notes, &c.Users}
}

// ByIDs reads channels; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, ids []string) (map[string]*Channel, error) {
	out := map[string]*Channel{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := q.Query(ctx, sqlByIDs, ids)
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Channel, error) {
		c := &Channel{}
		return c, r.Scan(c.places()...)
	})
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	for _, c := range list {
		out[c.ID] = c
	}
	return out, nil
}

const sqlNamed = `SELECT id FROM channel WHERE lower(name) = lower($1) OR id = $1 ORDER BY id LIMIT 50`

// Named gives the ids of the channels of a name, whose case does not count, and of
// the channel whose id it is. Names are not unique; of very many the oldest 50.
func (s *Service) Named(ctx context.Context, q pg.Q, name string) ([]string, error) {
	rows, err := q.Query(ctx, sqlNamed, name)
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	return ids, nil
}

// ByID reads a channel; ErrNotFound.
func (s *Service) ByID(ctx context.Context, q pg.Q, channelID string) (*Channel, error) {
	list, err := s.ByIDs(ctx, q, []string{channelID})
	if err == nil && list[channelID] == nil {
		err = ErrNotFound
	}
	return list[channelID], err
}

// where begins conditions for a viewer.
func where(viewerID string) *pg.Where {
	w := &pg.Where{}
	w.Arg(viewerID)
	return w
}

// list reads channels as the viewer has them.
func (s *Service) list(ctx context.Context, q pg.Q, w *pg.Where, order string) ([]*Channel, error) {
	rows, err := q.Query(ctx, sqlSeen+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Channel, error) {
		c := &Channel{}
		return c, r.Scan(append(c.places(), &c.bannerURL, &c.following, &c.favorite, &c.muting)...)
	})
	if err != nil {
		return nil, fmt.Errorf("channels: %w", err)
	}
	return list, nil
}

// Show gives a channel as the viewer sees it; ErrNotFound.
func (s *Service) Show(ctx context.Context, viewerID, channelID string) (*Packed, error) {
	w := where(viewerID)
	w.And("t.id = ?", channelID)
	list, err := s.list(ctx, s.DB, w, "")
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return s.pack(viewerID, list[0]), nil
}

func (s *Service) pack(viewerID string, c *Channel) *Packed {
	p := &Packed{ID: c.ID, LastNotedAt: api.TimePtr(c.LastNotedAt), Name: c.Name, Description: c.Description, UserID: c.UserID, BannerURL: c.bannerURL, BannerID: c.BannerID,
		PinnedNoteIDs: c.PinnedNoteIDs, Color: c.Color, IsArchived: c.Archived, UsersCount: c.Users, NotesCount: c.Notes, IsSensitive: c.Sensitive,
		AllowRenoteToExternal: c.AllowRenoteToExternal}
	if t, err := s.IDs.Method().Time(c.ID); err == nil {
		p.CreatedAt = api.Time(t)
	}
	if viewerID != "" {
		p.IsFollowing, p.IsFavorited, p.IsMuting = &c.following, &c.favorite, &c.muting
	}
	return p
}

func (s *Service) packAll(viewerID string, list []*Channel) []*Packed {
	out := make([]*Packed, 0, len(list))
	for _, c := range list {
		out = append(out, s.pack(viewerID, c))
	}
	return out
}
