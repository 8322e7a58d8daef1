// Package meta is in charge of this server's own facts: its address, what was
// decided at the first start, the settings administrators change, the running
// nodes, and the endpoints that tell of them.
package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/log"
)

// Self is who this server is.
type Self struct {
	Origin   string // "https://oven.example", no slash at the end
	Host     string // authority in binding form: punycode, default port dropped
	Hostname string // without port
	Version  string // as clients see it, "2026.5.1+oven.…"
	Oven     string // Oven's own version
	Mode     string
	Scope    string         // of what can be searched: local, global
	Zone     *time.Location // the operator's calendar
}

// Test tells whether the server runs in test mode.
func (s Self) Test() bool { return s.Mode == "test" }

// Settings are what administrators change while the server runs. A key that is
// absent in the database has the value of defaults.
type Settings struct {
	Name                  *string         `json:"name"`
	ShortName             *string         `json:"shortName"`
	Description           *string         `json:"description"`
	MaintainerName        *string         `json:"maintainerName"`
	MaintainerEmail       *string         `json:"maintainerEmail"`
	Langs                 []string        `json:"langs"`
	TosURL                *string         `json:"tosUrl"`
	RepositoryURL         *string         `json:"repositoryUrl"`
	FeedbackURL           *string         `json:"feedbackUrl"`
	ImpressumURL          *string         `json:"impressumUrl"`
	PrivacyPolicyURL      *string         `json:"privacyPolicyUrl"`
	InquiryURL            *string         `json:"inquiryUrl"`
	DefaultDarkTheme      *string         `json:"defaultDarkTheme"`
	DefaultLightTheme     *string         `json:"defaultLightTheme"`
	ThemeColor            *string         `json:"themeColor"`
	MascotImageURL        *string         `json:"mascotImageUrl"`
	BannerURL             *string         `json:"bannerUrl"`
	BackgroundImageURL    *string         `json:"backgroundImageUrl"`
	LogoImageURL          *string         `json:"logoImageUrl"`
	IconURL               *string         `json:"iconUrl"`
	ServerErrorImageURL   *string         `json:"serverErrorImageUrl"`
	InfoImageURL          *string         `json:"infoImageUrl"`
	NotFoundImageURL      *string         `json:"notFoundImageUrl"`
	ClientOptions         ClientOptions   `json:"clientOptions"`
	DisableRegistration   bool            `json:"disableRegistration"`
	ServerRules           []string        `json:"serverRules"`
	PreservedUsernames    []string        `json:"preservedUsernames"`
	PinnedUsers           []string        `json:"pinnedUsers"` // accts
	SensitiveWords        []string        `json:"sensitiveWords"`
	ProhibitedWords       []string        `json:"prohibitedWords"`
	HiddenTags            []string        `json:"hiddenTags"`
	BlockedHosts          []string        `json:"blockedHosts"`
	MediaSilencedHosts    []string        `json:"mediaSilencedHosts"`
	Federation            string          `json:"federation"` // all, specified, none
	FederationHosts       []string        `json:"federationHosts"`
	Policies              json.RawMessage `json:"policies"` // what differs from the built-in defaults
	NotesPerOneAd         int             `json:"notesPerOneAd"`
	CacheRemoteFiles      bool            `json:"cacheRemoteFiles"`
	CacheRemoteSensitive  bool            `json:"cacheRemoteSensitiveFiles"`
	ProxyRemoteFiles      bool            `json:"proxyRemoteFiles"` // pictures of other servers are shown through this one
	ProxyCacheMb          int             `json:"proxyCacheMb"`     // ours; MiB that are kept of them at most
	NodeinfoSoftware      string          `json:"nodeinfoSoftware"`
	SignToActivityPubGet  bool            `json:"signToActivityPubGet"`
	EnableServiceWorker   bool            `json:"enableServiceWorker"`
	EnableMachineStats    bool            `json:"enableServerMachineStats"`
	RemoteBadges          bool            `json:"showRoleBadgesOfRemoteUsers"`
	EmailRequiredToSignup bool            `json:"emailRequiredForSignup"`
	ApprovalRequired      bool            `json:"approvalRequiredForSignup"` // ours: a moderator lets new accounts in

	MailSettings
	AddressSettings
	RetentionSettings
	PreviewSettings
	TranslatorSettings
	CaptchaSettings
}

// ClientOptions are what visitors' clients show.
type ClientOptions struct {
	EntrancePageStyle        string `json:"entrancePageStyle"` // classic, simple
	ShowTimelineForVisitor   bool   `json:"showTimelineForVisitor"`
	ShowActivitiesForVisitor bool   `json:"showActivitiesForVisitor"`
}

func defaults() *Settings {
	return &Settings{
		ClientOptions: ClientOptions{EntrancePageStyle: "classic", ShowTimelineForVisitor: true, ShowActivitiesForVisitor: true},
		Langs:         []string{}, ServerRules: []string{}, Policies: json.RawMessage("{}"), PinnedUsers: []string{}, SensitiveWords: []string{},
		ProhibitedWords: []string{}, HiddenTags: []string{}, BlockedHosts: []string{}, MediaSilencedHosts: []string{}, FederationHosts: []string{},
		PreservedUsernames:   []string{"admin", "administrator", "root", "system", "maintainer", "host", "mod", "moderator", "owner", "superuser", "staff", "auth", "i", "me", "everyone", "all", "mention", "mentions", "example", "user", "users", "account", "accounts", "official", "help", "helps", "support", "supports", "info", "information", "informations", "announce", "announces", "announcement", "announcements", "notice", "notification", "notifications", "dev", "developer", "developers", "tech", "misskey"},
		Federation:           "all",
		CacheRemoteSensitive: true,
		ProxyRemoteFiles:     true,
		ProxyCacheMb:         10 << 10,
		NodeinfoSoftware:     "oven",
		SignToActivityPubGet: true,
		EnableServiceWorker:  true,
		PreviewSettings:      previewDefaults(),
		AddressSettings:      AddressSettings{BannedEmailDomains: []string{}, ActiveEmailValidation: true},
	}
}

// Service holds the settings in memory; the change log keeps every node's copy
// fresh.
type Service struct {
	Self
	db        *pg.DB
	log       *log.Log
	slog      *slog.Logger
	box       *secret.Box
	endpoints func() []*api.Endpoint
	settings  atomic.Pointer[Settings]
	push      atomic.Pointer[PushKey]
	taken     atomic.Bool // somebody has an account here
	started   time.Time
}

// New makes the service; Load must follow. endpoints lists the API's table.
// box seals the settings that are secrets.
func New(self Self, db *pg.DB, box *secret.Box, lg *log.Log, endpoints func() []*api.Endpoint, l *slog.Logger) *Service {
	s := &Service{Self: self, db: db, box: box, log: lg, slog: l, endpoints: endpoints, started: time.Now()}
	s.settings.Store(defaults())
	return s
}

// Get is the settings of this moment. They must not be changed.
func (s *Service) Get() *Settings { return s.settings.Load() }

const sqlSettings = `SELECT settings FROM meta`

// Load reads the settings from the database.
func (s *Service) Load(ctx context.Context) error {
	set := defaults()
	var raw []byte
	err := s.db.QueryRow(ctx, sqlSettings).Scan(&raw)
	if err != nil && !pg.NoRows(err) {
		return fmt.Errorf("load settings: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(raw, set); err != nil {
			return fmt.Errorf("settings in the database: %w", err)
		}
		if err := s.openSecrets(set); err != nil {
			return err
		}
	}
	s.settings.Store(set)
	s.push.Store(nil)
	s.taken.Store(false) // looked at again: reset-db has emptied everything
	return nil
}

const sqlUpdateSettings = `
INSERT INTO meta (one, settings) VALUES (true, $1)
ON CONFLICT (one) DO UPDATE SET settings = meta.settings || excluded.settings, updated_at = now()`

// Update changes the settings given by their JSON keys, on every node.
func (s *Service) Update(ctx context.Context, changes map[string]any) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error { return s.UpdateIn(ctx, tx, changes) })
}

// UpdateIn is Update in tx: the settings are as they were until it commits.
func (s *Service) UpdateIn(ctx context.Context, tx *pg.Tx, changes map[string]any) error {
	b, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("update settings: %w", err)
	}
	if err := json.Unmarshal(b, defaults()); err != nil {
		return fmt.Errorf("update settings: %w", err)
	}
	if b, err = s.sealSecrets(b); err != nil {
		return fmt.Errorf("update settings: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlUpdateSettings, b); err != nil {
		return fmt.Errorf("update settings: %w", err)
	}
	tx.AfterCommit(func() {
		if err := s.Load(context.WithoutCancel(ctx)); err != nil {
			s.slog.Error("reload settings", "err", err)
		}
	})
	return s.log.Append(ctx, tx, "meta.updated", "", "", nil)
}

// Consumers keep the copy in memory fresh.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{
		Name: "meta.cache", Kinds: []string{"meta.updated"},
		Handle: func(ctx context.Context, _ *pg.Tx, _ []log.Change) error { return s.Load(ctx) },
		Lost: func() {
			if err := s.Load(context.Background()); err != nil {
				s.slog.Error("reload settings", "err", err)
			}
		},
	}}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("ping", s.apiPing, api.Visitors),
		api.Post("endpoints", s.apiEndpoints, api.Visitors),
		api.Post("endpoint", s.apiEndpoint, api.Visitors),
	}
}

// Today is the date on the operator's calendar.
func (s *Service) Today() time.Time {
	return time.Now().In(s.Zone)
}
