// Package account is in charge of leaving: moving to another account, here or
// elsewhere, and taking over when somebody that people here follow has moved;
// clearing an account of its notes and files, and ending it.
package account

import (
	"log/slog"
	"time"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/profile"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Users     *user.Service
	Relations *relation.Service
	Auth      *auth.Service
	Drive     *drive.Service
	Notes     *note.Service
	Lists     *list.Service
	Profiles  *profile.Service
	Roles     *role.Service
	Delivery  *delivery.Service
	Queue     *job.Queue
	IDs       *id.Maker
	Bus       *event.Bus
	Log       *log.Log
	Hub       *stream.Hub
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service moves, clears and ends accounts.
type Service struct {
	Deps
	wake  chan struct{} // a clearing is due
	moved chan struct{} // somebody has moved
}

// New makes the service; Run clears accounts, RunMoves takes people along.
func New(d Deps) *Service {
	return &Service{Deps: d, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("i/move", s.apiMove, api.Secure, api.NotMoved, api.Limit(5, 24*time.Hour), api.Errors(moveErrors()...)),
		api.Post("i/truncate-account", s.apiTruncate, api.Secure, api.Errors(errTruncatePassword, errRunning, errNothing)),
		api.Post("i/delete-account", s.apiLeave, api.Secure, api.Errors(errLeavePassword, errLeaveStays)),
		api.Post("admin/delete-account", s.apiRemove, api.Admin("write:admin:delete-account"), api.Errors(errLeaveNobody, errLeaveStays)),
		api.Post("admin/accounts/delete", s.apiRemove, api.Admin("write:admin:account"), api.Errors(errLeaveNobody, errLeaveStays)),
		api.Post("oven/account/cleanup/preview", s.apiPreview, api.Secure, api.Hidden, api.Limit(60, time.Hour)),
		api.Post("oven/account/cleanup/status", s.apiStatus, api.Secure, api.Hidden),
		api.Post("oven/account/cleanup/pause", s.apiPause, api.Secure, api.Hidden),
		api.Post("oven/account/cleanup/resume", s.apiResume, api.Secure, api.Hidden),
		api.Post("oven/account/cleanup/cancel", s.apiCancel, api.Secure, api.Hidden),
	}
}

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{inbox.On("Move", s.onMove)}
}

// Consumers see who has moved, whichever way it became known.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{
		{Name: "account.moves", Durable: true, Kinds: []string{"user.moved"}, Handle: s.onMoved},
		{Name: "account.cleanup", Kinds: []string{"account.cleanup"}, Handle: s.onCleanup},
	}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workRefresh), job.Work(s.workTakeOver), job.Work(s.workLeave), job.Work(s.workEnd)}
}
