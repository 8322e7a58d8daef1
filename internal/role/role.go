// Package role is in charge of what accounts may do: policies, their defaults
// and what the server's settings override. The endpoint meta is here because
// it tells visitors' policies along with the server's facts.
package role

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
)

// Policies are what an account may do. Numbers are limits.
type Policies struct {
	GtlAvailable               bool     `json:"gtlAvailable"`
	LtlAvailable               bool     `json:"ltlAvailable"`
	IgnoreServerSilence        bool     `json:"ignoreServerSilence"`
	CanPublicNote              bool     `json:"canPublicNote"`
	CanEditNote                bool     `json:"canEditNote"`
	MentionLimit               int      `json:"mentionLimit"`
	CanInvite                  bool     `json:"canInvite"`
	InviteLimit                int      `json:"inviteLimit"`
	InviteLimitCycle           int      `json:"inviteLimitCycle"`     // minutes
	InviteExpirationTime       int      `json:"inviteExpirationTime"` // minutes, 0 = never
	CanManageCustomEmojis      bool     `json:"canManageCustomEmojis"`
	CanManageAvatarDecorations bool     `json:"canManageAvatarDecorations"`
	CanSearchNotes             bool     `json:"canSearchNotes"`
	CanSearchUsers             bool     `json:"canSearchUsers"`
	CanUseTranslator           bool     `json:"canUseTranslator"`
	CanHideAds                 bool     `json:"canHideAds"`
	CanCreateChannel           bool     `json:"canCreateChannel"`
	DriveCapacityMb            int      `json:"driveCapacityMb"`
	MaxFileSizeMb              int      `json:"maxFileSizeMb"`
	UploadableFileTypes        []string `json:"uploadableFileTypes"`
	AlwaysMarkNsfw             bool     `json:"alwaysMarkNsfw"`
	CanUpdateBioMedia          bool     `json:"canUpdateBioMedia"`
	PinLimit                   int      `json:"pinLimit"`
	AntennaLimit               int      `json:"antennaLimit"`
	WordMuteLimit              int      `json:"wordMuteLimit"` // characters of JSON
	WebhookLimit               int      `json:"webhookLimit"`
	ClipLimit                  int      `json:"clipLimit"`
	NoteEachClipsLimit         int      `json:"noteEachClipsLimit"`
	UserListLimit              int      `json:"userListLimit"`
	UserEachUserListsLimit     int      `json:"userEachUserListsLimit"`
	RateLimitFactor            float64  `json:"rateLimitFactor"`
	AvatarDecorationLimit      int      `json:"avatarDecorationLimit"`
	CanImportAntennas          bool     `json:"canImportAntennas"`
	CanImportBlocking          bool     `json:"canImportBlocking"`
	CanImportFollowing         bool     `json:"canImportFollowing"`
	CanImportMuting            bool     `json:"canImportMuting"`
	CanImportUserLists         bool     `json:"canImportUserLists"`
	ChatAvailability           string   `json:"chatAvailability"`
	NoteDraftLimit             int      `json:"noteDraftLimit"`
	ScheduledNoteLimit         int      `json:"scheduledNoteLimit"`
	WatermarkAvailable         bool     `json:"watermarkAvailable"`
}

// builtIn are the defaults: Misskey's, except that notes can be searched.
func builtIn() Policies {
	return Policies{
		GtlAvailable: true, LtlAvailable: true, CanPublicNote: true, CanEditNote: true, MentionLimit: 20,
		InviteLimitCycle: 60 * 24 * 7, CanSearchNotes: true, CanSearchUsers: true, CanUseTranslator: true,
		CanCreateChannel: true, DriveCapacityMb: 100, MaxFileSizeMb: 30,
		UploadableFileTypes: []string{"text/plain", "application/json", "image/*", "video/*", "audio/*"},
		CanUpdateBioMedia:   true, PinLimit: 5, AntennaLimit: 5, WordMuteLimit: 200, WebhookLimit: 3, ClipLimit: 10,
		NoteEachClipsLimit: 200, UserListLimit: 10, UserEachUserListsLimit: 50, RateLimitFactor: 1,
		AvatarDecorationLimit: 1, CanImportAntennas: true, CanImportBlocking: true, CanImportFollowing: true,
		CanImportMuting: true, CanImportUserLists: true, ChatAvailability: "unavailable",
		NoteDraftLimit: 10, ScheduledNoteLimit: 1, WatermarkAvailable: true,
	}
}

// Service answers what accounts may do.
type Service struct {
	db   *pg.DB
	meta *meta.Service
	last atomic.Pointer[resolved]
}

// resolved is the defaults with the settings laid over, kept while the settings
// are the same.
type resolved struct {
	of       *meta.Settings
	policies Policies
}

// New makes the service.
func New(db *pg.DB, m *meta.Service) *Service { return &Service{db: db, meta: m} }

// Default is what an account without roles may do, and a visitor.
func (s *Service) Default() (*Policies, error) {
	set := s.meta.Get()
	if r := s.last.Load(); r != nil && r.of == set {
		return &r.policies, nil
	}
	r := &resolved{of: set, policies: builtIn()}
	if err := json.Unmarshal(set.Policies, &r.policies); err != nil {
		return nil, fmt.Errorf("policies in the settings: %w", err)
	}
	s.last.Store(r)
	return &r.policies, nil
}

// Of is what the account may do.
func (s *Service) Of(_ context.Context, _ string) (*Policies, error) { return s.Default() }

// Allows implements api.Policies.
func (s *Service) Allows(ctx context.Context, userID, policy string) (bool, error) {
	p, err := s.Of(ctx, userID)
	if err != nil {
		return false, err
	}
	f := reflect.ValueOf(p).Elem().FieldByName(strings.ToUpper(policy[:1]) + policy[1:])
	if f.Kind() != reflect.Bool {
		return false, fmt.Errorf("policy %s is not a yes or no", policy)
	}
	return f.Bool(), nil
}

// RateFactor implements api.Policies.
func (s *Service) RateFactor(ctx context.Context, userID string) (float64, error) {
	p, err := s.Of(ctx, userID)
	if err != nil {
		return 0, err
	}
	return p.RateLimitFactor, nil
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{api.Post("meta", s.apiMeta, api.Visitors)}
}
