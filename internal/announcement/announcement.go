// Package announcement is in charge of what the server tells everybody, or one
// account: writing it, and who has read it.
package announcement

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Service announces.
type Service struct {
	db  *pg.DB
	ids *id.Maker
	bus *event.Bus
	log *log.Log
	hub *stream.Hub
	now func() time.Time
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, bus *event.Bus, lg *log.Log, hub *stream.Hub, now func() time.Time) *Service {
	return &Service{db: db, ids: ids, bus: bus, log: lg, hub: hub, now: now}
}

// Announcement is one.
type Announcement struct {
	ID               string
	UpdatedAt        *time.Time
	Title            string
	Text             string
	ImageURL         *string
	Icon             string
	Display          string
	NeedConfirmation bool
	ForExisting      bool // for accounts that were there before it
	Silence          bool // nobody is told that it is unread
	Active           bool
	UserID           *string // nil: for everybody

	read  bool // by the viewer
	reads int
}

// Packed is an announcement as people see it.
type Packed struct {
	ID               string    `json:"id"`
	CreatedAt        api.Time  `json:"createdAt"`
	UpdatedAt        *api.Time `json:"updatedAt"`
	Title            string    `json:"title"`
	Text             string    `json:"text"`
	ImageURL         *string   `json:"imageUrl"`
	Icon             string    `json:"icon"`
	Display          string    `json:"display"`
	NeedConfirmation bool      `json:"needConfirmationToRead"`
	Silence          bool      `json:"silence"`
	ForYou           bool      `json:"forYou"`
	IsRead           *bool     `json:"isRead,omitempty"`
}

// Whether the viewer, $1, has read it, and how many have.
const sqlAnnouncements = `SELECT t.id, t.updated_at, t.title, t.text, t.image_url, t.icon, t.display, t.need_confirmation, t.for_existing_users, t.silence,
	t.is_active, t.user_id, EXISTS (SELECT FROM announcement_read r WHERE r.user_id = $1 AND r.announcement_id = t.id),
	(SELECT count(*) FROM announcement_read r WHERE r.announcement_id = t.id) FROM announcement t`

// where begins conditions for a viewer.
func where(viewerID string) *pg.Where {
	w := &pg.Where{}
	w.Arg(viewerID)
	return w
}

// forViewer are the announcements that are meant for the viewer of where: an
// account made after one that is for those who were there does not get it.
func forViewer(w *pg.Where, viewerID string) {
	if viewerID == "" {
		w.And("t.user_id IS NULL AND NOT t.for_existing_users")
		return
	}
	w.And("(t.user_id IS NULL OR t.user_id = $1) AND (NOT t.for_existing_users OR t.id > $1)")
}

func (s *Service) read(ctx context.Context, q pg.Q, w *pg.Where, tail string) ([]*Announcement, error) {
	rows, err := q.Query(ctx, sqlAnnouncements+w.SQL()+tail, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("announcements: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Announcement, error) {
		a := &Announcement{}
		return a, r.Scan(&a.ID, &a.UpdatedAt, &a.Title, &a.Text, &a.ImageURL, &a.Icon, &a.Display, &a.NeedConfirmation, &a.ForExisting, &a.Silence,
			&a.Active, &a.UserID, &a.read, &a.reads)
	})
	if err != nil {
		return nil, fmt.Errorf("announcements: %w", err)
	}
	return list, nil
}

func (s *Service) createdAt(a *Announcement) api.Time {
	at, err := s.ids.Method().Time(a.ID)
	if err != nil {
		return api.Time{} // no id of ours
	}
	return api.Time(at)
}

// pack packs an announcement for a viewer, "" for visitors.
func (s *Service) pack(viewerID string, a *Announcement) *Packed {
	p := &Packed{ID: a.ID, CreatedAt: s.createdAt(a), UpdatedAt: api.TimePtr(a.UpdatedAt), Title: a.Title, Text: a.Text, ImageURL: a.ImageURL, Icon: a.Icon,
		Display: a.Display, NeedConfirmation: a.NeedConfirmation, Silence: a.Silence, ForYou: a.UserID != nil && *a.UserID == viewerID}
	if viewerID != "" {
		p.IsRead = &a.read
	}
	return p
}

// maxUnread announcements are told with an account.
const maxUnread = 50

// Unread are the announcements that the account is to be told of.
func (s *Service) Unread(ctx context.Context, userID string) ([]*Packed, error) {
	w := where(userID)
	forViewer(w, userID)
	w.And("t.is_active AND NOT t.silence AND NOT EXISTS (SELECT FROM announcement_read r WHERE r.user_id = $1 AND r.announcement_id = t.id)")
	list, err := s.read(ctx, s.db, w, " ORDER BY t.id DESC"+pg.Limit(maxUnread))
	if err != nil {
		return nil, err
	}
	out := make([]*Packed, 0, len(list))
	for _, a := range list {
		out = append(out, s.pack(userID, a))
	}
	return out, nil
}

// Consumers bring announcements to those who are connected.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "announcement.stream", Kinds: []string{"announcement.created", "announcement.allRead"}, Handle: s.onChanges}}
}

// createdBody is what an announcement is told with.
type createdBody struct {
	Announcement *Packed `json:"announcement"`
}

func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		if c.Kind == "announcement.allRead" {
			s.hub.Publish(stream.MainTopic(c.ActorID), stream.Event{Type: "readAllAnnouncements"})
			continue
		}
		w := where("")
		w.And("t.id = ?", c.ObjectID)
		list, err := s.read(ctx, s.db, w, "")
		if err != nil {
			return err
		}
		for _, a := range list {
			topic, viewer := stream.BroadcastTopic, ""
			if a.UserID != nil {
				topic, viewer = stream.MainTopic(*a.UserID), *a.UserID
			}
			s.hub.Publish(topic, stream.Event{Type: "announcementCreated", Body: createdBody{s.pack(viewer, a)}})
		}
	}
	return nil
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	read, write := api.Moderator("read:admin:announcements"), api.Moderator("write:admin:announcements")
	return []api.Endpoint{
		api.Post("announcements", s.apiList, api.Visitors),
		api.Post("announcements/show", s.apiShow, api.Visitors, api.Errors(errShowNone)),
		api.Post("i/read-announcement", s.apiRead, api.Scope("write:account")),
		api.Post("admin/announcements/create", s.apiCreate, write, api.Errors(errNoUser)),
		api.Post("admin/announcements/list", s.apiAdminList, read),
		api.Post("admin/announcements/update", s.apiUpdate, write, api.Errors(errUpdateNone)),
		api.Post("admin/announcements/delete", s.apiDelete, write, api.Errors(errDeleteNone)),
	}
}
