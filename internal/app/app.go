// Package app is in charge of putting the house together: it builds everything
// with plain constructors, plugs the slices into the sockets, and starts and
// stops them.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/account"
	"buttersc.one/oven/internal/announcement"
	"buttersc.one/oven/internal/antenna"
	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/backup"
	"buttersc.one/oven/internal/catalogue"
	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/clip"
	"buttersc.one/oven/internal/decoration"
	"buttersc.one/oven/internal/draft"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/federation"
	"buttersc.one/oven/internal/game"
	"buttersc.one/oven/internal/hashtag"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/letter"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/httpsig"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/mail"
	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/moderation"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/notification"
	"buttersc.one/oven/internal/preview"
	"buttersc.one/oven/internal/profile"
	"buttersc.one/oven/internal/push"
	"buttersc.one/oven/internal/queue"
	"buttersc.one/oven/internal/reaction"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/retention"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/search"
	"buttersc.one/oven/internal/site"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/mailer"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/stats"
	"buttersc.one/oven/internal/timeline"
	"buttersc.one/oven/internal/transfer"
	"buttersc.one/oven/internal/translate"
	"buttersc.one/oven/internal/user"
	"buttersc.one/oven/internal/webhook"
	"buttersc.one/oven/web"
)

// MisskeyVersion is whose API is answered; clients look at it.
const MisskeyVersion = "2026.5.1"

// Options are what an App is made of.
type Options struct {
	Mode            string // production, development, test
	Origin          string
	Host, Hostname  string // of Origin, in binding form
	Version         string // Oven's
	DB              *pg.DB // migrated
	Box             *secret.Box
	Files           blob.Store
	TempDir         string
	Zone            *time.Location
	TrustedProxies  []netip.Prefix
	PrivateNetworks []netip.Prefix
	SetupPassword   string // for making the first account; "": anybody may
	TestHosts       map[string]netip.AddrPort
	Workers         bool // work jobs, deliveries and the inbox here
	Backup          Backup
	Search          search.Place // where the search index is; nil: this process has none
	SearchOld       search.Place // where it was before; nil: nowhere
	SearchLocal     bool         // only notes of this server can be searched
	Log             *slog.Logger
}

// Backup is how the server backs itself up.
type Backup struct {
	backup.Config
	DataDir       string
	DirectURL     string // of the database, past a pooler
	SecretKeyFile string
	Settings      func(secrets bool) ([]byte, error)
}

// App is the whole server.
type App struct {
	o     Options
	clock *clock
	node  *meta.Node

	Log      *log.Log
	Bus      *event.Bus
	Jobs     *job.Queue
	Hub      *stream.Hub
	API      *api.Server
	Stream   *stream.Server
	Inbox    *inbox.Service
	Delivery *delivery.Service
	Remote   *remote.Client
	Web      *remote.Client // to pages that people link to
	Mail     *mailer.Service
	Charts   *chart.Engine

	Meta          *meta.Service
	Roles         *role.Service
	Instances     *instance.Service
	Emojis        *emoji.Service
	Decorations   *decoration.Service
	News          *announcement.Service
	Users         *user.Service
	Auth          *auth.Service
	Relations     *relation.Service
	Drive         *drive.Service
	Channels      *channel.Service
	Notes         *note.Service
	Reactions     *reaction.Service
	Timelines     *timeline.Service
	Lists         *list.Service
	Hashtags      *hashtag.Service
	Search        *search.Service
	Clips         *clip.Service
	Drafts        *draft.Service
	Antennas      *antenna.Service
	Games         *game.Service
	Catalogue     *catalogue.Service
	Previews      *preview.Service
	Translations  *translate.Service
	Notifications *notification.Service
	Letters       *letter.Service
	Webhooks      *webhook.Service
	Push          *push.Service
	Stats         *stats.Service
	Profiles      *profile.Service
	Transfers     *transfer.Service
	Accounts      *account.Service
	Moderation    *moderation.Service
	Federation    *federation.Service
	Site          *site.Service
	Queues        *queue.Service
	Retention     *retention.Service
	Backups       *backup.Service

	routes []api.Route
	ready  chan struct{}
	health *health
}

// late lends services to those that are built before them.
type late struct {
	users *user.Service
	fed   *federation.Service
	auth  *auth.Service
	roles *role.Service
	notes *note.Service
}

func (l *late) SignGet(ctx context.Context) (httpsig.Key, error) { return l.users.SignGet(ctx) }
func (l *late) Fetch(ctx context.Context, uri string) error      { return l.fed.FetchAny(ctx, uri) }
func (l *late) Authenticate(ctx context.Context, token string) (*api.Identity, error) {
	return l.auth.Authenticate(ctx, token)
}
func (l *late) CanCapture(ctx context.Context, viewer, noteID string) (bool, error) {
	return l.notes.CanCapture(ctx, viewer, noteID)
}
func (l *late) StillSeen(ctx context.Context, viewer string, noteIDs []string) ([]string, error) {
	return l.notes.StillSeen(ctx, viewer, noteIDs)
}
func (l *late) Key(ctx context.Context, id string) (*inbox.Key, error) { return l.users.Key(ctx, id) }
func (l *late) FetchKey(ctx context.Context, id string) (*inbox.Key, error) {
	return l.users.FetchKey(ctx, id)
}
func (l *late) Known(ctx context.Context, actor string) (bool, error) {
	return l.users.Known(ctx, actor)
}

// final tells whether what an activity waits for can never be had.
func final(err error) bool {
	return remote.IsGone(err) || errors.Is(err, note.ErrNotFound) || errors.Is(err, user.ErrNotFound) || errors.Is(err, user.ErrActor) ||
		errors.Is(err, instance.ErrBlocked)
}

// poster fits remote's deliveries to delivery's need.
type poster struct{ p *remote.Poster }

func (p poster) Post(ctx context.Context, to string, body []byte, key httpsig.Key, still func() error) (delivery.Answer, error) {
	a, err := p.p.Post(ctx, to, body, key, still)
	if err != nil {
		return delivery.Answer{}, err
	}
	page := strings.HasPrefix(a.Header.Get("Content-Type"), "text/html")
	return delivery.Answer{Status: a.Status, RetryAfter: a.RetryAfter, HTML: page}, nil
}

// New builds the server on a migrated database. Run starts it.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{o: o, clock: &clock{}, ready: make(chan struct{})}
	a.health = newHealth(a)
	method, err := meta.Settle(ctx, o.DB, o.Origin, o.Box.Fingerprint())
	if err != nil {
		return nil, err
	}
	if a.node, err = meta.TakeNode(ctx, o.DB); err != nil {
		return nil, err
	}
	ids := id.NewMaker(method, a.node.Slot, a.clock.Now)
	if err := a.sockets(o, ids); err != nil {
		return nil, err
	}
	if err := a.slices(o, ids); err != nil {
		return nil, err
	}
	if err := a.plugAll(); err != nil {
		return nil, err
	}
	return a, a.Meta.Load(ctx)
}

// tombstone renders the Delete of something of a local account by its ids.
func (a *App) tombstone(actorID, activityID, object string) []byte {
	b, err := json.Marshal(ap.Delete(a.o.Origin+"/users/"+actorID, activityID, object))
	if err != nil {
		panic(err) // ids and constants
	}
	return b
}

func (a *App) sockets(o Options, ids *id.Maker) error {
	self := meta.Self{Origin: o.Origin, Host: o.Host, Hostname: o.Hostname, Version: MisskeyVersion + "+oven." + o.Version, Oven: o.Version, Mode: o.Mode, Scope: "global", Zone: o.Zone}
	if o.SearchLocal {
		self.Scope = "local"
	}
	l := &late{}
	a.Log = log.New(o.DB, o.Log)
	a.Bus = event.New()
	a.Charts = chart.New(o.DB, a.clock.Now, o.Log)
	a.Jobs = job.New(o.DB, db.RiverSchema, o.Log)
	a.Hub = stream.NewHub(o.Log)
	a.Meta = meta.New(self, o.DB, o.Box, a.Log, func() []*api.Endpoint { return a.API.Endpoints() }, o.Log)
	a.Roles = role.New(o.DB, a.Meta, ids, a.Log, a.Bus, a.clock.Now)
	a.Mail = mailer.New(o.Box, a.Jobs, a.mailServer, a.clock.Now)
	a.Instances = instance.New(o.DB, a.Meta, ids, a.Jobs, o.Log)
	a.API = api.New(api.Config{Mode: o.Mode, Version: self.Version, Origin: o.Origin, TrustedProxies: o.TrustedProxies, Log: o.Log,
		TempDir: o.TempDir, MaxFileSize: 250 << 20}, l, a.Roles)
	a.Remote = remote.New(remote.Config{UserAgent: "Oven/" + o.Version + " (" + o.Origin + ")", Origin: o.Origin,
		AllowedPrivateNetworks: o.PrivateNetworks, AllowLoopback: o.Mode != "production", AllowPlainHTTP: o.Mode != "production", TestHosts: o.TestHosts, Now: a.clock.Now}, l, a.Instances)
	a.Instances.Bind(a.Remote)
	// Connections of its own: slow pages do not stand in the way of deliveries. Plain http is no door for federation, but there are pages.
	a.Web = remote.New(remote.Config{UserAgent: "Oven/" + o.Version + " (" + o.Origin + ")", Origin: o.Origin,
		AllowedPrivateNetworks: o.PrivateNetworks, AllowLoopback: o.Mode != "production", AllowPlainHTTP: true, TestHosts: o.TestHosts, Now: a.clock.Now}, nil, a.Instances.Web())
	a.Delivery = delivery.New(delivery.Config{DB: o.DB, Box: o.Box, Poster: poster{remote.NewPoster(a.Remote)}, Log: o.Log, Now: a.clock.Now,
		Drop:     func(host string) bool { return a.Instances.Allowed(context.Background(), host) != nil },
		SelfHost: o.Host, Tombstone: a.tombstone, Alive: a.Instances.Alive,
		Moved: func(ctx context.Context, inbox string) string { return l.users.InboxNow(ctx, inbox) },
		Sent:  func(host string, taken bool) { a.Stats.Sent(host, taken) }})
	a.Inbox = inbox.New(inbox.Config{DB: o.DB, Keys: l, Policy: a.Instances, Fetcher: l, Self: o.Host, Origin: o.Origin, Log: o.Log,
		Now: a.clock.Now, Heard: a.heard, Gone: final, Workers: 6})
	a.Stream = stream.NewServer(a.Hub, l, l, func(userID string) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := a.Users.Active(ctx, userID); err != nil {
			o.Log.Warn("activity", "err", err)
		}
	}, o.Log)
	a.lend(l, ids)
	return nil
}

// heard takes note of a verified request from a host.
func (a *App) heard(host string) {
	a.Delivery.Heard(host)
	a.Stats.Received(host)
}

// mailServer is where the settings of the moment say that mail goes.
func (a *App) mailServer() (mail.Server, bool) {
	set := a.Meta.Get()
	if !set.SendsMail() {
		return mail.Server{}, false
	}
	s := mail.Server{Host: *set.SMTPHost, Secure: set.SMTPSecure, From: *set.Email, FromName: a.o.Host, Domain: a.o.Hostname}
	if set.Name != nil && *set.Name != "" {
		s.FromName = *set.Name
	}
	if set.SMTPPort != nil {
		s.Port = *set.SMTPPort
	}
	if set.SMTPUser != nil && set.SMTPPass != nil {
		s.User, s.Pass = *set.SMTPUser, *set.SMTPPass
	}
	return s, true
}

// lend builds what the sockets were promised.
func (a *App) lend(l *late, ids *id.Maker) {
	o := a.o
	a.Emojis = emoji.New(o.DB, a.Meta, ids, a.Log, a.Hub, a.clock.Now)
	a.Decorations = decoration.New(o.DB, ids, a.Bus, a.Log)
	a.News = announcement.New(o.DB, ids, a.Bus, a.Log, a.Hub, a.clock.Now)
	a.Users = user.New(user.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, News: a.News, Instances: a.Instances, Emojis: a.Emojis, Wardrobe: a.Decorations, Remote: a.Remote,
		Delivery: a.Delivery, IDs: ids, Log: a.Log, Slog: o.Log, Now: a.clock.Now, Seen: func(userID string) { a.Stats.Seen(userID) }})
	a.Auth = auth.New(auth.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Users: a.Users, Box: o.Box, IDs: ids, Log: a.Log, Bus: a.Bus, Hub: a.Hub,
		Queue: a.Jobs, Mail: a.Mail, Door: a.Remote, Now: a.clock.Now, Limits: a.API.Limits, Setup: o.SetupPassword, Web: a.Web.Transport(), Own: a.Web.Own(), Slog: o.Log})
	a.Relations = relation.New(o.DB, a.Meta, a.Users, a.Delivery, ids, a.Bus, a.Log, a.Hub, o.Log, a.clock.Now)
	a.Drive = drive.New(drive.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Users: a.Users, IDs: ids, Files: o.Files, Engine: media.NewEngine(media.FindPrograms(), pictureWorkers),
		Dir: o.TempDir, Door: a.Remote.Transport(), Queue: a.Jobs, Bus: a.Bus, Log: a.Log, Hub: a.Hub, Slog: o.Log, Now: a.clock.Now})
	a.Channels = channel.New(channel.Deps{DB: o.DB, IDs: ids, Drive: a.Drive, Log: a.Log, Hub: a.Hub, Now: a.clock.Now})
	a.Notes = note.New(note.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Instances: a.Instances, Emojis: a.Emojis, Users: a.Users,
		Relations: a.Relations, Drive: a.Drive, Channels: a.Channels, Delivery: a.Delivery, Remote: a.Remote, Inbox: a.Inbox, Queue: a.Jobs, IDs: ids,
		Bus: a.Bus, Log: a.Log, Hub: a.Hub, Slog: o.Log, Now: a.clock.Now})
	a.Reactions = reaction.New(reaction.Deps{DB: o.DB, Meta: a.Meta, Users: a.Users, Relations: a.Relations, Notes: a.Notes, Emojis: a.Emojis,
		Roles: a.Roles, Instances: a.Instances, Delivery: a.Delivery, Inbox: a.Inbox, IDs: ids, Bus: a.Bus, Log: a.Log, Hub: a.Hub})
	a.Stats = stats.New(stats.Deps{DB: o.DB, Meta: a.Meta, Instances: a.Instances, Engine: a.Charts, Box: o.Box, IDs: ids, Hub: a.Hub, Dir: o.TempDir,
		Slog: o.Log, Now: a.clock.Now})
	a.Federation = federation.New(federation.Deps{DB: o.DB, Meta: a.Meta, Users: a.Users, Relations: a.Relations, Notes: a.Notes,
		Reactions: a.Reactions, Emojis: a.Emojis, Stats: a.Stats, Remote: a.Remote, Delivery: a.Delivery, Instances: a.Instances,
		Drive: a.Drive, Queue: a.Jobs, IDs: ids, Bus: a.Bus, Slog: o.Log, Now: a.clock.Now})
	l.users, l.fed, l.auth, l.roles, l.notes = a.Users, a.Federation, a.Auth, a.Roles, a.Notes
}

func (a *App) slices(o Options, ids *id.Maker) (err error) {
	a.Timelines = timeline.New(o.DB, ids, a.Notes, a.Users, a.Relations, a.Channels, a.Roles, a.Hub, a.clock.Now)
	a.Lists = list.New(o.DB, ids, a.Users, a.Relations, a.Roles, a.Timelines, a.Log, a.Hub)
	a.Clips = clip.New(o.DB, ids, a.Users, a.Notes, a.Roles, a.clock.Now)
	a.Drafts = draft.New(o.DB, ids, a.Users, a.Notes, a.Drive, a.Roles, a.Jobs, a.Bus, a.clock.Now)
	a.Antennas = antenna.New(antenna.Deps{DB: o.DB, Meta: a.Meta, IDs: ids, Notes: a.Notes, Roles: a.Roles, Log: a.Log, Hub: a.Hub, Now: a.clock.Now})
	a.Games = game.New(game.Deps{DB: o.DB, IDs: ids, Users: a.Users, Relations: a.Relations, Log: a.Log, Hub: a.Hub, Slog: o.Log, Now: a.clock.Now})
	a.Catalogue = catalogue.New(catalogue.Deps{DB: o.DB, Meta: a.Meta, IDs: ids, Emojis: a.Emojis, Drive: a.Drive, Roles: a.Roles, Auth: a.Auth, Bus: a.Bus, Slog: o.Log, Dir: o.TempDir, Now: a.clock.Now})
	own := a.Web.Own()
	a.Previews = preview.New(preview.Deps{DB: o.DB, Meta: a.Meta, Users: a.Users, Notes: a.Notes, Policy: a.Instances.Web(), Web: a.Web.Transport(), Own: own,
		Limits: a.API.Limits, Client: a.API.ClientIP, Slog: o.Log, Now: a.clock.Now})
	a.Translations = translate.New(translate.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Notes: a.Notes, Web: a.Web.Transport(), Own: own, Slog: o.Log, Now: a.clock.Now})
	a.Hashtags = hashtag.New(o.DB, a.Meta, a.Users, a.clock.Now)
	a.Search = search.New(search.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Users: a.Users, Notes: a.Notes, Channels: a.Channels, IDs: ids, Zone: o.Zone, Slog: o.Log,
		Home: o.Search, Old: o.SearchOld, Local: o.SearchLocal, Serves: o.Search != nil})
	a.Notifications = notification.New(o.DB, ids, a.Users, a.Notes, a.Drafts, a.Roles, a.Log, a.Hub)
	a.Push = push.New(push.Deps{DB: o.DB, Meta: a.Meta, IDs: ids, Notifications: a.Notifications, Queue: a.Jobs, Door: a.Remote.Transport(), Now: a.clock.Now})
	a.Letters = letter.New(letter.Deps{DB: o.DB, Meta: a.Meta, Auth: a.Auth, Mail: a.Mail, Queue: a.Jobs, Now: a.clock.Now})
	a.Webhooks = webhook.New(webhook.Deps{DB: o.DB, Meta: a.Meta, Box: o.Box, IDs: ids, Users: a.Users, Notes: a.Notes, Roles: a.Roles, Queue: a.Jobs,
		Bus: a.Bus, Door: a.Remote.Transport(), Now: a.clock.Now})
	a.Profiles = profile.New(profile.Deps{DB: o.DB, Meta: a.Meta, Users: a.Users, Relations: a.Relations, Notes: a.Notes, Drive: a.Drive, Roles: a.Roles,
		Wardrobe: a.Decorations, Stats: a.Stats, Remote: a.Remote, Queue: a.Jobs, Delivery: a.Delivery, IDs: ids, Bus: a.Bus, Log: a.Log, Hub: a.Hub, Lookups: a.API.Limits, Now: a.clock.Now})
	a.Users.BindPins(a.Profiles)
	a.Transfers = transfer.New(transfer.Deps{DB: o.DB, Meta: a.Meta, IDs: ids, Roles: a.Roles, Auth: a.Auth, Users: a.Users, Relations: a.Relations, Drive: a.Drive, Notes: a.Notes,
		Lists: a.Lists, Antennas: a.Antennas, Delivery: a.Delivery, Bus: a.Bus, Slog: o.Log, Dir: o.TempDir, Now: a.clock.Now})
	a.Accounts = account.New(account.Deps{DB: o.DB, Meta: a.Meta, Users: a.Users, Relations: a.Relations, Lists: a.Lists, Profiles: a.Profiles, Roles: a.Roles,
		Auth: a.Auth, Drive: a.Drive, Notes: a.Notes, Bus: a.Bus, Hub: a.Hub,
		Delivery: a.Delivery, Queue: a.Jobs, IDs: ids, Log: a.Log, Slog: o.Log, Now: a.clock.Now})
	a.Moderation = moderation.New(moderation.Deps{DB: o.DB, Meta: a.Meta, Roles: a.Roles, Instances: a.Instances, Users: a.Users, Auth: a.Auth, Relations: a.Relations,
		Notes: a.Notes, News: a.News, Webhooks: a.Webhooks, Delivery: a.Delivery, Mail: a.Mail, Queue: a.Jobs, IDs: ids, Bus: a.Bus, Log: a.Log, Hub: a.Hub, Slog: o.Log, Now: a.clock.Now})
	a.Queues = queue.New(o.DB, a.Delivery, a.Inbox, a.Jobs, a.Bus, a.Hub, o.Log)
	a.Retention = retention.New(retention.Deps{DB: o.DB, Meta: a.Meta, Notes: a.Notes, Drive: a.Drive, Delivery: a.Delivery, Inbox: a.Inbox, IDs: ids,
		Bus: a.Bus, Slog: o.Log, Now: a.clock.Now})
	a.Backups, err = backup.New(backup.Source{DB: o.DB, Direct: o.Backup.DirectURL, Files: o.Files, Dir: o.Backup.DataDir, Box: o.Box,
		SecretKeyFile: o.Backup.SecretKeyFile, Version: o.Version, Settings: o.Backup.Settings, Schema: db.Schema, Log: o.Log}, o.Backup.Config,
		backup.Prover{Version: o.Version, Schema: db.Schema, Migrate: db.Migrate, Log: o.Log}, a.clock.Now)
	if err != nil {
		return err
	}
	a.Site, err = site.New(web.Client(), o.DB, a.Meta, a.Auth, a.Users, a.Notes, a.Timelines, a.Stats, a.API, o.Log)
	return err
}

// The plugs a slice may have.
type (
	endpoints  interface{ Endpoints() []api.Endpoint }
	activities interface{ Activities() []inbox.Handler }
	listeners  interface{ Listeners() []event.Listener }
	consumers  interface{ Consumers() []log.Consumer }
	jobs       interface{ Jobs() []job.Worker }
	channels   interface{ Channels() []stream.Channel }
	charts     interface{ Charts() []chart.Def }
	routes     interface{ Routes() []api.Route }
)

// plugAll connects the slices, bottom up. A slice that plugs nothing is a
// mistake: its method has another name than app looks for.
func (a *App) plugAll() error {
	for _, s := range []any{a.Mail, a.Meta, a.Roles, a.Instances, a.Emojis, a.Decorations, a.News, a.Users, a.Auth, a.Relations, a.Drive, a.Channels, a.Notes, a.Reactions,
		a.Timelines, a.Lists, a.Hashtags, a.Search, a.Clips, a.Drafts, a.Antennas, a.Games, a.Catalogue, a.Previews, a.Translations, a.Notifications, a.Webhooks, a.Push, a.Letters, a.Stats, a.Profiles, a.Transfers, a.Accounts, a.Moderation, a.Federation, a.Site, a.Queues, a.Retention, a.Backups, a.health, &testMode{a}} {
		if !a.plug(s) {
			return fmt.Errorf("%T plugs nothing", s)
		}
	}
	a.routes = append(a.routes, a.Federation.Routes(a.Site.Page())...)
	return nil
}

func (a *App) plug(s any) (any bool) {
	if p, ok := s.(endpoints); ok {
		a.API.Plug(p.Endpoints()...)
		any = true
	}
	if p, ok := s.(activities); ok {
		a.Inbox.Plug(p.Activities()...)
		any = true
	}
	if p, ok := s.(listeners); ok {
		a.Bus.Plug(p.Listeners()...)
		any = true
	}
	if p, ok := s.(consumers); ok {
		a.Log.Plug(p.Consumers()...)
		any = true
	}
	if p, ok := s.(jobs); ok {
		a.Jobs.Plug(p.Jobs()...)
		any = true
	}
	if p, ok := s.(channels); ok {
		a.Stream.Plug(p.Channels()...)
		any = true
	}
	if p, ok := s.(charts); ok {
		a.Charts.Plug(p.Charts()...)
		any = true
	}
	if p, ok := s.(routes); ok {
		a.routes = append(a.routes, p.Routes()...)
		any = true
	}
	return any
}

// pictureWorkers is how many pictures are decoded at a time.
const pictureWorkers = 2

// jobWorkers is how many jobs run at a time.
const jobWorkers = 4

// Prepare makes the server able to insert jobs without running any, for
// commands.
func (a *App) Prepare(ctx context.Context) error { return a.Jobs.Start(ctx, 0) }

// Run works until ctx ends, then finishes what is under way. A missing key of
// identity keeps federation's door shut, and says so.
func (a *App) Run(ctx context.Context) error {
	if err := a.health.check(ctx); err != nil {
		return err
	}
	if _, err := a.Users.EnsureInstanceActor(ctx); err != nil {
		return err
	}
	if err := a.Search.Open(ctx); err != nil {
		return err
	}
	if err := a.Log.Start(ctx); err != nil {
		return err
	}
	if err := a.Drive.SweepAll(); err != nil {
		a.o.Log.Warn("files that were left over", "err", err)
	}
	workers := 0
	if a.o.Workers {
		workers = jobWorkers
	}
	if err := a.Jobs.Start(ctx, workers); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	run := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	wg.Go(func() { a.node.Keep(ctx, func() { cancel(errors.New("another process has taken this node's place")) }) })
	run("change log", a.Log.Run)
	run("charts", a.Charts.Run)
	run("auth", a.Auth.Run)
	run("search", a.Search.Run)
	run("games", a.Games.Run)
	run("health", a.health.run)
	if a.o.Workers {
		run("delivery", a.Delivery.Run)
		run("clearings", a.Accounts.Run)
		run("moves", a.Accounts.RunMoves)
		run("retention", a.Retention.Run)
		run("files", a.Drive.Run)
		run("archives of emoji", a.Catalogue.Run)
		run("transfers", a.Transfers.Run)
		run("inbox", a.health.whileSound(a.Inbox.Run))
	}
	close(a.ready)
	<-ctx.Done()
	a.Hub.CloseAll()
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), 8*time.Second)
	defer done()
	err := a.Jobs.Stop(stop)
	wg.Wait()
	if e := a.Charts.Flush(stop); err == nil {
		err = e
	}
	a.Remote.Close()
	a.Web.Close()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// Ready is closed once Run has started everything.
func (a *App) Ready() <-chan struct{} { return a.ready }

// Handler answers HTTP.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", a.API)
	mux.Handle("GET /streaming", a.Stream)
	mux.HandleFunc("GET /api.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		api.Answer(w, a.API.OpenAPI())
	})
	mux.HandleFunc("GET /healthz", a.serveHealth)
	mux.HandleFunc("POST /inbox", a.serveInbox)
	mux.HandleFunc("POST /users/{id}/inbox", a.serveInbox)
	for _, r := range a.routes {
		mux.Handle(r.Pattern, r.Handler)
	}
	mux.Handle("/", a.Site.Page())
	return a.headers(mux)
}

func (a *App) serveInbox(w http.ResponseWriter, r *http.Request) {
	if !a.health.ingest() {
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "not taking activities at the moment", http.StatusServiceUnavailable)
		return
	}
	// Its limits go by the sender's address, not the proxy's.
	r.RemoteAddr = netip.AddrPortFrom(a.API.ClientIP(r), 0).String()
	a.Inbox.ServeHTTP(w, r)
}

func (a *App) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := a.o.DB.Ping(ctx); err != nil {
		http.Error(w, "database", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (a *App) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.o.Mode == "production" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// Release gives back what New took, for an App that never ran.
func (a *App) Release() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.node.Keep(ctx, func() {})
	a.Remote.Close()
	a.Web.Close()
}

// DB is the database the server was built on.
func (a *App) DB() *pg.DB { return a.o.DB }

// Files is where files' bytes are.
func (a *App) Files() blob.Store { return a.o.Files }
