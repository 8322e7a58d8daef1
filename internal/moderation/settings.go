package moderation

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/timeline"
)

// settingsEndpoints show and change the server's settings.
func (s *Service) settingsEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("admin/meta", s.apiMeta, api.Admin("read:admin:meta")),
		api.Post("admin/update-meta", s.apiUpdateMeta, api.Admin("write:admin:meta"), api.Errors(errNoEffect)),
	}
}

// kept stands where a password or a key is: it is told to nobody, and given back it means
// the one that is there.
const kept = "********"

// adminMeta are the settings as administrators see them.
type adminMeta struct {
	*meta.Settings
	missing

	Policies       *role.Policies `json:"policies"` // with the defaults
	SMTPPass       *string        `json:"smtpPass"`
	DeeplAuthKey   *string        `json:"deeplAuthKey"`
	LibreKey       *string        `json:"libreTranslateKey"`
	HcaptchaKey    *string        `json:"hcaptchaSecretKey"`
	McaptchaKey    *string        `json:"mcaptchaSecretKey"`
	RecaptchaKey   *string        `json:"recaptchaSecretKey"`
	TurnstileKey   *string        `json:"turnstileSecretKey"`
	VerifymailKey  *string        `json:"verifymailAuthKey"`
	TruemailKey    *string        `json:"truemailAuthKey"`
	Translates     bool           `json:"translatorAvailable"`
	SummalyProxy   *string        `json:"summalyProxy"` // the older name of urlPreviewSummaryProxyUrl
	URI            string         `json:"uri"`
	Version        string         `json:"version"`
	ProxyAccountID string         `json:"proxyAccountId"` // the server's own account: no other fetches for anybody
	HomeFeedMax    int            `json:"perUserHomeTimelineCacheMax"`
	ListFeedMax    int            `json:"perUserListTimelineCacheMax"`
}

// missing are Misskey's settings of what this server does not have, or always
// does, with what that comes to.
type missing struct {
	GoogleAnalytics         *string    `json:"googleAnalyticsMeasurementId"`
	SwPublickey             *string    `json:"swPublickey"`
	SwPrivateKey            *string    `json:"swPrivateKey"`
	App192IconURL           *string    `json:"app192IconUrl"`
	App512IconURL           *string    `json:"app512IconUrl"`
	SilencedHosts           []string   `json:"silencedHosts"` // a server is silenced by a flag of its own
	NamesProhibited         []string   `json:"prohibitedWordsForNameOfUser"`
	MediaDetection          string     `json:"sensitiveMediaDetection"`
	MediaSensitivity        string     `json:"sensitiveMediaDetectionSensitivity"`
	MediaFlags              bool       `json:"setSensitiveFlagAutomatically"`
	MediaVideos             bool       `json:"enableSensitiveMediaDetectionForVideos"`
	UseObjectStorage        bool       `json:"useObjectStorage"`
	ObjectStorageBaseURL    *string    `json:"objectStorageBaseUrl"`
	ObjectStorageBucket     *string    `json:"objectStorageBucket"`
	ObjectStoragePrefix     *string    `json:"objectStoragePrefix"`
	ObjectStorageEndpoint   *string    `json:"objectStorageEndpoint"`
	ObjectStorageRegion     *string    `json:"objectStorageRegion"`
	ObjectStoragePort       *int       `json:"objectStoragePort"`
	ObjectStorageAccessKey  *string    `json:"objectStorageAccessKey"`
	ObjectStorageSecretKey  *string    `json:"objectStorageSecretKey"`
	ObjectStorageUseSSL     bool       `json:"objectStorageUseSSL"`
	ObjectStorageUseProxy   bool       `json:"objectStorageUseProxy"`
	ObjectStoragePublicRead bool       `json:"objectStorageSetPublicRead"`
	ObjectStoragePathStyle  bool       `json:"objectStorageS3ForcePathStyle"`
	EnableIPLogging         bool       `json:"enableIpLogging"`
	ChartsForRemoteUser     bool       `json:"enableChartsForRemoteUser"`
	ChartsForInstances      bool       `json:"enableChartsForFederatedInstances"`
	StatsForInstances       bool       `json:"enableStatsForFederatedInstances"`
	IdenticonGeneration     bool       `json:"enableIdenticonGeneration"`
	ManifestJSONOverride    string     `json:"manifestJsonOverride"`
	FanoutTimeline          bool       `json:"enableFanoutTimeline"`
	FanoutTimelineFallback  bool       `json:"enableFanoutTimelineDbFallback"`
	LocalUserCacheMax       int        `json:"perLocalUserUserTimelineCacheMax"`
	RemoteUserCacheMax      int        `json:"perRemoteUserUserTimelineCacheMax"`
	ReactionsBuffering      bool       `json:"enableReactionsBuffering"`
	SuspendedSoftware       []struct{} `json:"deliverSuspendedSoftware"`
	SingleUserMode          bool       `json:"singleUserMode"`
	VisibleToVisitors       string     `json:"ugcVisibilityForVisitor"`
	ExternalApRedirect      bool       `json:"allowExternalApRedirect"`
	NotesCleaning           bool       `json:"enableRemoteNotesCleaning"`
	NotesCleaningDays       int        `json:"remoteNotesCleaningExpiryDaysForEachNotes"`
	NotesCleaningMinutes    int        `json:"remoteNotesCleaningMaxProcessingDurationInMinutes"`
}

// asItIs is what missing settings come to: timelines are in memory, with the
// database behind them, and faces of names are drawn; the rest is off.
func asItIs() missing {
	return missing{SilencedHosts: []string{}, NamesProhibited: []string{}, MediaDetection: "none", MediaSensitivity: "medium",
		IdenticonGeneration: true, ManifestJSONOverride: "{}", FanoutTimeline: true, FanoutTimelineFallback: true, SuspendedSoftware: []struct{}{},
		VisibleToVisitors: "all"}
}

// hidden stands for a secret that is there.
func hidden(secret *string) *string {
	if secret == nil {
		return nil
	}
	stand := kept
	return &stand
}

func (s *Service) apiMeta(ctx context.Context, _ *api.Call, _ struct{}) (*adminMeta, error) {
	policies, err := s.Roles.Default()
	if err != nil {
		return nil, err
	}
	self, err := s.Users.EnsureInstanceActor(ctx)
	if err != nil {
		return nil, err
	}
	push, err := s.Meta.PushKey(ctx)
	if err != nil {
		return nil, err
	}
	m := &adminMeta{Settings: s.Meta.Get(), missing: asItIs(), Policies: policies, URI: s.Meta.Origin, Version: s.Meta.Version, ProxyAccountID: self.ID,
		HomeFeedMax: timeline.FeedMax, ListFeedMax: timeline.FeedMax}
	m.SwPublickey = &push.Public
	set := m.Settings
	m.SMTPPass, m.DeeplAuthKey, m.LibreKey = hidden(set.SMTPPass), hidden(set.DeeplAuthKey), hidden(set.LibreTranslateKey)
	m.VerifymailKey, m.TruemailKey = hidden(set.VerifymailAuthKey), hidden(set.TruemailAuthKey)
	m.HcaptchaKey, m.McaptchaKey, m.RecaptchaKey, m.TurnstileKey = hidden(set.HcaptchaSecretKey), hidden(set.McaptchaSecretKey), hidden(set.RecaptchaSecretKey), hidden(set.TurnstileSecretKey)
	m.Translates, m.SummalyProxy = set.Translates(), set.URLPreviewSummaryProxyURL
	return m, nil
}

// inForce are the settings of this moment by key, in their plainest form.
func (s *Service) inForce(ctx context.Context, c *api.Call) (map[string]any, error) {
	m, err := s.apiMeta(ctx, c, struct{}{})
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	now := map[string]any{}
	if err := json.Unmarshal(b, &now); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	now["swPublicKey"] = now["swPublickey"] // which is changed under another name
	return now, nil
}

var errNoEffect = api.Err("SETTING_HAS_NO_EFFECT", "d7e1a2c4-3b5f-4c60-8e9a-1f2b3c4d5e01",
	"This server does not have what one of the settings is for. Nothing was changed.")

// apiUpdateMeta changes settings, all or none of those that are given. One that
// would do nothing here is refused, unless it is as it is anyhow: clients send
// whole pages.
func (s *Service) apiUpdateMeta(ctx context.Context, c *api.Call, req updateMetaReq) (api.None, error) {
	now, err := s.inForce(ctx, c)
	if err != nil {
		return api.None{}, err
	}
	known := map[string]*api.Schema{}
	for _, p := range offers().Props {
		known[p.Name] = p.Schema
	}
	if raw, ok := req["summalyProxy"]; ok {
		delete(req, "summalyProxy")
		if _, both := req["urlPreviewSummaryProxyUrl"]; !both {
			req["urlPreviewSummaryProxyUrl"] = raw
		}
	}
	changes, before := map[string]any{}, map[string]any{}
	var nothing []string
	for key, raw := range req {
		schema, is := known[key], now[key]
		if _, exists := now[key]; !exists {
			continue // no setting: the token, or what a newer client knows
		}
		value, given, err := readSetting(key, raw, schema, is)
		if err != nil {
			return api.None{}, err
		}
		switch {
		case !given, reflect.DeepEqual(value, is):
		case schema == nil:
			nothing = append(nothing, key)
		default:
			changes[key], before[key] = value, is
		}
	}
	if len(nothing) > 0 {
		slices.Sort(nothing)
		return api.None{}, errNoEffect.WithInfo(map[string]any{"settings": nothing})
	}
	return api.None{}, s.change(ctx, c, changes, before)
}

// change puts settings in force and tells the moderation log what they were before.
func (s *Service) change(ctx context.Context, c *api.Call, changes, before map[string]any) error {
	if len(changes) == 0 {
		return nil
	}
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.Meta.UpdateIn(ctx, tx, changes); err != nil {
			return err
		}
		after := map[string]any{}
		for key, value := range changes {
			if after[key] = value; slices.Contains(meta.Secrets(), key) && value != nil {
				after[key] = kept
			}
		}
		return s.acted(ctx, tx, c, "updateServerSettings", map[string]any{"before": before, "after": after})
	})
}
