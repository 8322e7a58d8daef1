// Package antenna is in charge of antennas: what an account wants to be collected out of
// everything that is written. What is caught is kept in the order of the change log, once;
// whether its owner may see it is asked when he looks.
package antenna

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// Deps are what the slice stands on.
type Deps struct {
	DB    *pg.DB
	Meta  *meta.Service
	IDs   *id.Maker
	Notes *note.Service
	Roles *role.Service
	Log   *log.Log
	Hub   *stream.Hub
	Now   func() time.Time
}

// Service keeps antennas.
type Service struct {
	Deps
	mu     sync.Mutex
	active []*Antenna // as of mark
	mark   mark
}

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("antennas/create", s.apiCreate, api.Scope("write:account"), api.NotMoved, api.Errors(errCreateNoList, errTooMany, errCreateEmpty)),
		api.Post("antennas/update", s.apiUpdate, api.Scope("write:account"), api.NotMoved, api.Errors(errUpdateNone, errUpdateNoList, errUpdateEmpty)),
		api.Post("antennas/delete", s.apiDelete, api.Scope("write:account"), api.Errors(errDeleteNone)),
		api.Post("antennas/list", s.apiList, api.Scope("read:account")),
		api.Post("antennas/show", s.apiShow, api.Scope("read:account"), api.Errors(errShowNone)),
		api.Post("antennas/notes", s.apiNotes, api.Scope("read:account"), api.Errors(errNotesNone)),
	}
}

// Consumers catch notes, and bring what was caught to who listens.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{
		{Name: "antenna.match", Durable: true, Kinds: []string{"note.created"}, Handle: s.onNotes},
		{Name: "antenna.stream", Kinds: []string{"antenna.caught"}, Handle: s.onCaught},
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Every(6*time.Hour, restArgs{}, s.workRest)}
}

// Antenna is what is to be caught.
type Antenna struct {
	ID, UserID        string
	Name, Src         string
	ListID            *string
	Keywords, Exclude [][]string
	Users             []string
	CaseSensitive     bool
	LocalOnly         bool
	ExcludeBots       bool
	WithReplies       bool
	WithFile          bool
	ExcludeSensitive  bool
	Active            bool
	Unread            bool
}

const (
	cols = `id, user_id, name, src, user_list_id, keywords, exclude_keywords, users, case_sensitive, local_only, exclude_bots, with_replies, with_file,
	exclude_sensitive_channel, is_active`
	unread    = `, EXISTS (SELECT FROM antenna_note c WHERE c.antenna_id = antenna.id AND c.note_id > antenna.read_id)`
	sqlOwn    = `SELECT ` + cols + unread + ` FROM antenna WHERE id = $1 AND user_id = $2`
	sqlOfUser = `SELECT ` + cols + unread + ` FROM antenna WHERE user_id = $1 ORDER BY id`
	sqlActive = `SELECT ` + cols + `, false FROM antenna WHERE is_active`
)

func query(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Antenna, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("antennas: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Antenna, error) {
		a := &Antenna{}
		return a, r.Scan(&a.ID, &a.UserID, &a.Name, &a.Src, &a.ListID, &a.Keywords, &a.Exclude, &a.Users, &a.CaseSensitive, &a.LocalOnly, &a.ExcludeBots, &a.WithReplies,
			&a.WithFile, &a.ExcludeSensitive, &a.Active, &a.Unread)
	})
	if err != nil {
		return nil, fmt.Errorf("antennas: %w", err)
	}
	return list, nil
}

// Packed is an antenna as its owner sees it.
type Packed struct {
	ID               string     `json:"id"`
	CreatedAt        api.Time   `json:"createdAt"`
	Name             string     `json:"name"`
	Keywords         [][]string `json:"keywords"`
	Exclude          [][]string `json:"excludeKeywords"`
	Src              string     `json:"src"`
	ListID           *string    `json:"userListId"`
	Users            []string   `json:"users"`
	CaseSensitive    bool       `json:"caseSensitive"`
	LocalOnly        bool       `json:"localOnly"`
	ExcludeBots      bool       `json:"excludeBots"`
	WithReplies      bool       `json:"withReplies"`
	WithFile         bool       `json:"withFile"`
	Active           bool       `json:"isActive"`
	Unread           bool       `json:"hasUnreadNote"`
	Notify           bool       `json:"notify"` // nobody is told any more; for older apps
	ExcludeSensitive bool       `json:"excludeNotesInSensitiveChannel"`
}

func (s *Service) pack(a *Antenna) (*Packed, error) {
	at, err := s.IDs.Method().Time(a.ID)
	if err != nil {
		return nil, err
	}
	return &Packed{ID: a.ID, CreatedAt: api.Time(at), Name: a.Name, Keywords: a.Keywords, Exclude: a.Exclude, Src: a.Src, ListID: a.ListID, Users: a.Users,
		CaseSensitive: a.CaseSensitive, LocalOnly: a.LocalOnly, ExcludeBots: a.ExcludeBots, WithReplies: a.WithReplies, WithFile: a.WithFile, Active: a.Active,
		Unread: a.Unread, ExcludeSensitive: a.ExcludeSensitive}, nil
}

// Channels is the channel of an antenna, for its owner.
func (s *Service) Channels() []stream.Channel {
	return []stream.Channel{{
		Name: "antenna", Login: true, Scope: "read:account",
		Open: func(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
			var p struct {
				AntennaID string `json:"antennaId"`
			}
			if json.Unmarshal(raw, &p) != nil {
				return stream.ErrRefused
			}
			own, err := query(ctx, s.DB, sqlOwn, p.AntennaID, sub.UserID())
			if err != nil {
				return err
			}
			if len(own) == 0 {
				return stream.ErrRefused
			}
			sub.On(topic(p.AntennaID), func(msg any) (string, any, bool) { return "note", msg, true })
			return nil
		},
	}}
}

func topic(antennaID string) string { return "antenna:" + antennaID }

// restAfter an antenna that nobody looks at catches nothing any more.
const restAfter = 7 * 24 * time.Hour

type restArgs struct{}

// Kind implements job.Args.
func (restArgs) Kind() string { return "antenna.rest" }

const sqlRest = `UPDATE antenna SET is_active = false, changed_at = clock_timestamp() WHERE is_active AND last_used_at < $1`

// workRest lets antennas rest that nobody looks at.
func (s *Service) workRest(ctx context.Context) error {
	if _, err := s.DB.Exec(ctx, sqlRest, s.Now().Add(-restAfter)); err != nil {
		return fmt.Errorf("antennas: %w", err)
	}
	return nil
}
