// Package transfer is in charge of carrying what an account has, and whom it has
// to do with, out into files of its drive and in from them: notes, favourites,
// clips, antennas, lists, and whom it follows, mutes and blocks. The files are
// Misskey's; of Mastodon's, those that name accounts are read too.
//
// Who may be followed, muted or put on a list, and what that does, is decided
// where it is decided for one who does it by hand.
package transfer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"buttersc.one/oven/internal/antenna"
	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/errand"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/user"
)

// Deps are what the slice stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	IDs       *id.Maker
	Roles     *role.Service
	Auth      *auth.Service
	Users     *user.Service
	Relations *relation.Service
	Drive     *drive.Service
	Notes     *note.Service
	Lists     *list.Service
	Antennas  *antenna.Service
	Delivery  *delivery.Service
	Bus       *event.Bus
	Slog      *slog.Logger
	Dir       string // for files in the making
	Now       func() time.Time
}

// Service carries things out and in.
type Service struct {
	Deps
	runs     map[string]*errand.Runner[*carry] // by way
	silent   silent
	patience time.Duration // with which one account is asked for
}

// How many are carried each way at a time. One that takes things in mostly waits
// for other servers.
const (
	outAtATime = 2
	inAtATime  = 4
)

// New makes the service; Run carries.
func New(d Deps) *Service {
	s := &Service{Deps: d, silent: newSilent(d.Now), patience: askTimeout}
	s.runs = map[string]*errand.Runner[*carry]{
		wayOut: s.runner(wayOut, 2, outAtATime, s.writeOut), wayIn: s.runner(wayIn, 3, inAtATime, s.takeIn),
	}
	return s
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	hour, day := api.Limit(1, time.Hour), api.Limit(1, 24*time.Hour)
	return []api.Endpoint{
		api.Post("i/export-notes", s.apiExport(notes), api.Secure, day),
		api.Post("i/export-favorites", s.apiExport(favorites), api.Secure, day),
		api.Post("i/export-clips", s.apiExport(clips), api.Secure, day),
		api.Post("i/export-antennas", s.apiExport(antennas), api.Secure, hour),
		api.Post("i/export-following", s.apiExportFollowing, api.Secure, hour),
		api.Post("i/export-mute", s.apiExport(muting), api.Secure, hour),
		api.Post("i/export-blocking", s.apiExport(blocking), api.Secure, hour),
		api.Post("i/export-user-lists", s.apiExport(userLists), api.Secure, api.Limit(1, time.Minute)),
		api.Post("i/import-following", s.apiImportFollowing, api.Secure, api.NotMoved, api.Policy("canImportFollowing"), hour, api.Errors(followingErrors.all()...)),
		api.Post("i/import-muting", s.apiImport(muting, mutingErrors), api.Secure, api.NotMoved, api.Policy("canImportMuting"), hour, api.Errors(mutingErrors.all()...)),
		api.Post("i/import-blocking", s.apiImport(blocking, blockingErrors), api.Secure, api.NotMoved, api.Policy("canImportBlocking"), hour, api.Errors(blockingErrors.all()...)),
		api.Post("i/import-user-lists", s.apiImport(userLists, listErrors), api.Secure, api.NotMoved, api.Policy("canImportUserLists"), hour, api.Errors(listErrors.all()...)),
		api.Post("i/import-antennas", s.apiImportAntennas, api.Secure, api.NotMoved, api.Policy("canImportAntennas"), hour,
			api.Errors(errAntennasNoFile, errAntennasNoUser, errAntennasEmpty, errAntennasTooMany)),
	}
}

// Run carries things out and in until ctx ends. What is begun and not ended is
// gone on with by whatever process comes first.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, r := range s.runs {
		wg.Go(func() { _ = r.Run(ctx) })
	}
	wg.Wait()
	return nil
}

// lateRest is how long nothing is carried when live deliveries are late.
const lateRest = 2 * time.Second

// rest lets others have the machine for a while, longer when it is busy.
func (s *Service) rest(ctx context.Context, d time.Duration) error {
	if s.Delivery.Late() {
		d += lateRest
	}
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
