// Package account is in charge of leaving: moving to another account, here or
// elsewhere, and taking over when somebody that people here follow has moved.
package account

import (
	"log/slog"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/profile"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/user"
)

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Users     *user.Service
	Relations *relation.Service
	Lists     *list.Service
	Profiles  *profile.Service
	Roles     *role.Service
	Delivery  *delivery.Service
	Queue     *job.Queue
	IDs       *id.Maker
	Log       *log.Log
	Slog      *slog.Logger
	Now       func() time.Time
}

// Service moves accounts.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("i/move", s.apiMove, api.Secure, api.NotMoved, api.Limit(5, 24*time.Hour), api.Errors(moveErrors()...)),
	}
}

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{inbox.On("Move", s.onMove)}
}

// Consumers see who has moved, whichever way it became known.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "account.moves", Durable: true, Kinds: []string{"user.moved"}, Handle: s.onMoved}}
}

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker {
	return []job.Worker{job.Work(s.workRefresh), job.Work(s.workTakeOver), job.Work(s.workLeave)}
}
