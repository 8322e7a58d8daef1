// Package draft is in charge of notes that are not posted yet: those that somebody
// writes on later, and those that post themselves at a time.
package draft

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/user"
)

// Service keeps drafts.
type Service struct {
	db    *pg.DB
	ids   *id.Maker
	users *user.Service
	notes *note.Service
	drive *drive.Service
	roles *role.Service
	queue *job.Queue
	bus   *event.Bus
	now   func() time.Time
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, us *user.Service, ns *note.Service, d *drive.Service, roles *role.Service, q *job.Queue, bus *event.Bus, now func() time.Time) *Service {
	return &Service{db: db, ids: ids, users: us, notes: ns, drive: d, roles: roles, queue: q, bus: bus, now: now}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	write := []api.Option{api.Scope("write:account"), api.NotMoved, api.Limit(300, time.Hour), api.Errors(refusals()...)}
	return []api.Endpoint{
		api.Post("notes/drafts/create", s.apiCreate, write...),
		api.Post("notes/drafts/update", s.apiUpdate, append(write, api.Errors(errNoDraft))...),
		api.Post("notes/drafts/delete", s.apiDelete, api.Scope("write:account"), api.Errors(errNoDraft)),
		api.Post("notes/drafts/list", s.apiList, api.Scope("read:account")),
		api.Post("notes/drafts/count", s.apiCount, api.Scope("read:account")),
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker { return []job.Worker{job.Work(s.workPost)} }

// Draft is a note that is not posted yet.
type Draft struct {
	ID, UserID         string
	Text, CW           *string
	Visibility         string
	VisibleUserIDs     []string
	LocalOnly          bool
	ReactionAcceptance *string
	Hashtag            *string
	ReplyID, RenoteID  *string
	ChannelID          *string
	FileIDs            []string
	Poll               *poll
	ScheduledAt        *time.Time
	Scheduled          bool // it posts itself then
}

// poll is the poll of a draft, which may have too few choices still.
type poll struct {
	Choices      []string `json:"choices" api:"required,unique,max=10,items-min=1,items-max=50"`
	Multiple     bool     `json:"multiple" api:"optional"`
	ExpiresAt    *int64   `json:"expiresAt" api:"nullable"`          // ms since 1970
	ExpiredAfter *int64   `json:"expiredAfter" api:"nullable,min=1"` // ms after it is posted
}

const (
	cols = `id, user_id, text, cw, visibility, visible_user_ids, local_only, reaction_acceptance, hashtag, reply_id, renote_id, channel_id, file_ids, poll,
	scheduled_at, is_scheduled`
	sqlByID   = `SELECT ` + cols + ` FROM note_draft WHERE id = $1`
	sqlOwn    = `SELECT ` + cols + ` FROM note_draft WHERE id = $1 AND user_id = $2`
	sqlLocked = sqlOwn + ` FOR UPDATE`
	sqlByIDs  = `SELECT ` + cols + ` FROM note_draft WHERE id = ANY($1) AND user_id = $2`
	sqlInsert = `
INSERT INTO note_draft (` + cols + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	sqlUpdate = `
UPDATE note_draft SET text = $3, cw = $4, visibility = $5, visible_user_ids = $6, local_only = $7, reaction_acceptance = $8, hashtag = $9, reply_id = $10,
	renote_id = $11, channel_id = $12, file_ids = $13, poll = $14, scheduled_at = $15, is_scheduled = $16 WHERE id = $1 AND user_id = $2`
)

func scan(r pgx.CollectableRow) (*Draft, error) {
	d := &Draft{}
	return d, r.Scan(&d.ID, &d.UserID, &d.Text, &d.CW, &d.Visibility, &d.VisibleUserIDs, &d.LocalOnly, &d.ReactionAcceptance, &d.Hashtag, &d.ReplyID, &d.RenoteID,
		&d.ChannelID, &d.FileIDs, &d.Poll, &d.ScheduledAt, &d.Scheduled)
}

// args are the row, in the order of cols.
func (d *Draft) args() ([]any, error) {
	var p any
	if d.Poll != nil {
		b, err := json.Marshal(d.Poll)
		if err != nil {
			return nil, fmt.Errorf("draft: %w", err)
		}
		p = b
	}
	return []any{d.ID, d.UserID, d.Text, d.CW, d.Visibility, list(d.VisibleUserIDs), d.LocalOnly, d.ReactionAcceptance, d.Hashtag, d.ReplyID, d.RenoteID, d.ChannelID,
		list(d.FileIDs), p, d.ScheduledAt, d.Scheduled}, nil
}

func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

func query(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Draft, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("drafts: %w", err)
	}
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("drafts: %w", err)
	}
	return out, nil
}

// writing is the draft as notes/create would be asked for it.
func (d *Draft) writing() note.Writing {
	w := note.Writing{Visibility: d.Visibility, VisibleUserIDs: d.VisibleUserIDs, CW: d.CW, LocalOnly: d.LocalOnly, ReactionAcceptance: d.ReactionAcceptance,
		ReplyID: d.ReplyID, RenoteID: d.RenoteID, ChannelID: d.ChannelID, Text: d.Text, FileIDs: d.FileIDs}
	if d.Poll != nil {
		w.Poll = &note.WritingPoll{Choices: d.Poll.Choices, Multiple: d.Poll.Multiple, ExpiresAt: d.Poll.ExpiresAt, ExpiredAfter: d.Poll.ExpiredAfter}
	}
	return w
}

// Packed is a draft as clients see it.
type Packed struct {
	ID                 string          `json:"id"`
	CreatedAt          api.Time        `json:"createdAt"`
	Text               *string         `json:"text"`
	CW                 *string         `json:"cw"`
	UserID             string          `json:"userId"`
	User               *user.Lite      `json:"user"`
	ReplyID            *string         `json:"replyId"`
	RenoteID           *string         `json:"renoteId"`
	Reply              *note.Packed    `json:"reply,omitempty"`
	Renote             *note.Packed    `json:"renote,omitempty"`
	Visibility         string          `json:"visibility"`
	VisibleUserIDs     []string        `json:"visibleUserIds"`
	FileIDs            []string        `json:"fileIds"`
	Files              []*drive.Packed `json:"files"`
	Hashtag            *string         `json:"hashtag"`
	Poll               *packedPoll     `json:"poll"`
	ChannelID          *string         `json:"channelId"`
	LocalOnly          bool            `json:"localOnly"`
	ReactionAcceptance *string         `json:"reactionAcceptance"`
	ScheduledAt        *int64          `json:"scheduledAt"` // ms since 1970
	Scheduled          bool            `json:"isActuallyScheduled"`
}

type packedPoll struct {
	Choices      []string  `json:"choices"`
	Multiple     bool      `json:"multiple"`
	ExpiresAt    *api.Time `json:"expiresAt"`
	ExpiredAfter *int64    `json:"expiredAfter"`
}

// Pack is drafts as their author sees them: of notes that they answer or quote, what may
// be seen still.
func (s *Service) Pack(ctx context.Context, userID string, drafts []*Draft) ([]*Packed, error) {
	var noteIDs, files []string
	for _, d := range drafts {
		for _, ref := range []*string{d.ReplyID, d.RenoteID} {
			if ref != nil {
				noteIDs = append(noteIDs, *ref)
			}
		}
		files = append(files, d.FileIDs...)
	}
	seen, err := s.notes.StillSeen(ctx, userID, noteIDs)
	if err != nil {
		return nil, err
	}
	packed, err := s.notes.PackIDs(ctx, userID, seen)
	if err != nil {
		return nil, err
	}
	notes := map[string]*note.Packed{}
	for _, n := range packed {
		notes[n.ID] = n
	}
	lites, err := s.users.LiteByIDs(ctx, []string{userID})
	if err != nil {
		return nil, err
	}
	have, err := s.drive.ByIDs(ctx, s.db, files)
	if err != nil {
		return nil, err
	}
	out := make([]*Packed, 0, len(drafts))
	for _, d := range drafts {
		p, err := s.packOne(d, have)
		if err != nil {
			return nil, err
		}
		p.User = lites[userID]
		if d.ReplyID != nil {
			p.Reply = notes[*d.ReplyID]
		}
		if d.RenoteID != nil {
			p.Renote = notes[*d.RenoteID]
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) packOne(d *Draft, have map[string]*drive.File) (*Packed, error) {
	at, err := s.ids.Method().Time(d.ID)
	if err != nil {
		return nil, err
	}
	p := &Packed{ID: d.ID, CreatedAt: api.Time(at), Text: d.Text, CW: d.CW, UserID: d.UserID, ReplyID: d.ReplyID, RenoteID: d.RenoteID, Visibility: d.Visibility,
		VisibleUserIDs: list(d.VisibleUserIDs), FileIDs: list(d.FileIDs), Files: []*drive.Packed{}, Hashtag: d.Hashtag, ChannelID: d.ChannelID, LocalOnly: d.LocalOnly,
		ReactionAcceptance: d.ReactionAcceptance, Scheduled: d.Scheduled}
	for _, f := range d.FileIDs {
		if file := have[f]; file != nil {
			p.Files = append(p.Files, s.drive.Pack(file))
		}
	}
	if d.Poll != nil {
		p.Poll = &packedPoll{Choices: list(d.Poll.Choices), Multiple: d.Poll.Multiple, ExpiredAfter: d.Poll.ExpiredAfter}
		if d.Poll.ExpiresAt != nil {
			t := api.Time(time.UnixMilli(*d.Poll.ExpiresAt))
			p.Poll.ExpiresAt = &t
		}
	}
	if d.ScheduledAt != nil {
		ms := d.ScheduledAt.UnixMilli()
		p.ScheduledAt = &ms
	}
	return p, nil
}

// PackIDs packs drafts of an account; those that are gone are missing.
func (s *Service) PackIDs(ctx context.Context, userID string, ids []string) (map[string]*Packed, error) {
	out := map[string]*Packed{}
	if len(ids) == 0 {
		return out, nil
	}
	drafts, err := query(ctx, s.db, sqlByIDs, ids, userID)
	if err != nil {
		return nil, err
	}
	packed, err := s.Pack(ctx, userID, drafts)
	for _, p := range packed {
		out[p.ID] = p
	}
	return out, err
}
