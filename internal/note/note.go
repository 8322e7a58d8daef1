// Package note is in charge of writing: creating, showing and deleting notes,
// polls and votes, the counts of a note, and notes on the wire. It is not in
// charge of lists of notes by anything but their thread (timeline), of
// reactions (reaction), or of telling people (notification).
package note

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Visibilities of a note.
const (
	Public    = "public"
	Home      = "home"
	Followers = "followers"
	Specified = "specified"
)

// ErrNotFound says that there is no such note, or that the viewer may not
// know that there is.
var ErrNotFound = errors.New("no such note")

// Note is a note's row with its counts.
type Note struct {
	ID                 string
	UserID             string
	UserHost           *string
	Text               *string
	CW                 *string
	Visibility         string
	LocalOnly          bool
	ReactionAcceptance *string
	ReplyID            *string
	ReplyUserID        *string
	ReplyUserHost      *string
	RenoteID           *string
	RenoteUserID       *string
	RenoteUserHost     *string
	ThreadID           *string
	ChannelID          *string
	URI                *string
	URL                *string
	FileIDs            []string
	VisibleUserIDs     []string
	Mentions           []string
	Emojis             []string
	Tags               []string
	HasPoll            bool
	IsPureRenote       bool
	UpdatedAt          *time.Time
	AudienceID         *int64
	AudienceExtra      []int32

	RenoteCount   int
	RepliesCount  int
	ClippedCount  int
	Reactions     map[string]int
	ReactionPairs []string
}

// Local tells whether the note was written here.
func (n *Note) Local() bool { return n.UserHost == nil }

// Thread is the id of the thread the note belongs to.
func (n *Note) Thread() string {
	if n.ThreadID != nil {
		return *n.ThreadID
	}
	return n.ID
}

// Created is emitted when a note has been written.
type Created struct {
	Note          *Note
	Author        *user.User
	Reply, Renote *Note
	Mentioned     []*user.User
}

// Deleted is emitted when notes of one author go, before their rows do.
type Deleted struct {
	AuthorID string
	IDs      []string
}

// PollEnded is emitted when a poll's time is over.
type PollEnded struct {
	Note   *Note
	Voters []string // local accounts
}

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Roles     *role.Service
	Instances *instance.Service
	Emojis    *emoji.Service
	Users     *user.Service
	Relations *relation.Service
	Drive     *drive.Service
	Channels  *channel.Service
	Delivery  *delivery.Service
	Remote    *remote.Client
	Inbox     Burial
	Queue     *job.Queue
	IDs       *id.Maker
	Bus       *event.Bus
	Log       *log.Log
	Hub       *stream.Hub
	Slog      *slog.Logger
	Now       func() time.Time
}

// Burial remembers what was deleted before it was known; inbox.Service is one.
type Burial interface {
	Tombstone(ctx context.Context, tx *pg.Tx, uri string) error
	Buried(ctx context.Context, tx *pg.Tx, uri string) (bool, error)
}

// Service writes notes.
type Service struct {
	Deps
	fetching singleflight.Group
}

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// URI is a note's id on the wire.
func (s *Service) URI(n *Note) string {
	if n.URI != nil {
		return *n.URI
	}
	return s.Meta.Origin + "/notes/" + n.ID
}

// CreatedAt is when the note was made.
func (s *Service) CreatedAt(n *Note) time.Time {
	t, err := s.IDs.Method().Time(n.ID)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return append(s.threadEndpoints(), []api.Endpoint{
		api.Post("notes", s.apiNotes, api.Visitors),
		api.Post("notes/update", s.apiUpdate, api.Scope("write:notes"), api.Policy("canEditNote"), api.Limit(300, time.Hour), api.Gap(time.Second),
			api.Errors(errUpdateNoNote, errUpdateAccess, errContainsWords, errTooManyMentions)),
		api.Post("oven/notes/history", s.apiHistory, api.Visitors, api.Errors(errHistoryNoNote)),
		api.Post("oven/notes/forget-history", s.apiForget, api.Scope("write:notes"), api.Errors(errForgetNoNote)),
		api.Post("notes/show-partial-bulk", s.apiPartial, api.Visitors),
		api.Post("drive/files/attached-notes", s.apiAttached, api.Scope("read:drive"), api.Errors(errAttachedNoFile)),
		api.Post("notes/polls/recommendation", s.apiPolls, api.Scope("read:account")),
		api.Post("notes/favorites/create", s.apiFavorite, api.Scope("write:favorites"), api.NotMoved, api.Limit(20, time.Hour), api.Errors(errFavoriteNoNote, errFavoriteTwice)),
		api.Post("notes/favorites/delete", s.apiUnfavorite, api.Scope("write:favorites"), api.Errors(errUnfavoriteNoNote, errUnfavoriteNone)),
		api.Post("i/favorites", s.apiFavorites, api.Scope("read:favorites")),
		api.Post("notes/create", s.apiCreate, api.Scope("write:notes"), api.NotMoved, api.Limit(300, time.Hour), api.Errors(createErrors()...)),
		api.Post("notes/delete", s.apiDelete, api.Scope("write:notes"), api.Limit(300, time.Hour), api.Gap(time.Second)),
		api.Post("notes/unrenote", s.apiUnrenote, api.Scope("write:notes"), api.Limit(300, time.Hour), api.Gap(time.Second)),
		api.Post("notes/show", s.apiShow, api.Visitors, api.Errors(errShowNoNote)),
		api.Post("notes/state", s.apiState, api.Scope("read:account")),
		api.Post("notes/children", s.apiChildren, api.Visitors),
		api.Post("notes/replies", s.apiReplies, api.Visitors),
		api.Post("notes/conversation", s.apiConversation, api.Visitors, api.Errors(errConversationNoNote)),
		api.Post("notes/renotes", s.apiRenotes, api.Visitors, api.Errors(errRenotesNoNote)),
		api.Post("notes/polls/vote", s.apiVote, api.Scope("write:votes"), api.NotMoved, api.Errors(voteErrors()...)),
	}...)
}

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{
		inbox.On("Create", s.onCreate, postTypes...),
		inbox.On("Create", s.onCreateByID, ""),
		inbox.On("Update", s.onUpdate, postTypes...),
		inbox.On("Delete", s.onDelete),
		inbox.On("Announce", s.onAnnounce),
		inbox.On("Undo", s.onUndoAnnounce, "Announce"),
		inbox.On("Undo", s.onUndoDelete, "Delete"),
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{
		job.Every(pollCheck, pollsArgs{}, s.workPolls),
		job.Work(s.workPurge),
		job.Few(pollTries, s.workPoll),
	}
}

// Consumers tell those who captured a note.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "note.stream", Kinds: []string{"note.deleted", "note.voted", "note.updated", "user.guarded"}, After: "relation.graph", Handle: s.onChanges,
	}}
}
