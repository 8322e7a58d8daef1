package role

import (
	"context"

	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
)

type metaReq struct {
	Detail bool `json:"detail" api:"default=true"`
}

// metaRes is MetaLite, and with Detail MetaDetailed.
type metaRes struct {
	MaintainerName      *string            `json:"maintainerName"`
	MaintainerEmail     *string            `json:"maintainerEmail"`
	Version             string             `json:"version"`
	ProvidesTarball     bool               `json:"providesTarball"`
	Name                *string            `json:"name"`
	ShortName           *string            `json:"shortName"`
	URI                 string             `json:"uri"`
	Description         *string            `json:"description"`
	Langs               []string           `json:"langs"`
	TosURL              *string            `json:"tosUrl"`
	RepositoryURL       *string            `json:"repositoryUrl"`
	FeedbackURL         *string            `json:"feedbackUrl"`
	DefaultDarkTheme    *string            `json:"defaultDarkTheme"`
	DefaultLightTheme   *string            `json:"defaultLightTheme"`
	ClientOptions       meta.ClientOptions `json:"clientOptions"`
	DisableRegistration bool               `json:"disableRegistration"`
	EmailRequired       bool               `json:"emailRequiredForSignup"`
	ApprovalRequired    bool               `json:"approvalRequiredForSignup"` // ours
	EnableHcaptcha      bool               `json:"enableHcaptcha"`
	HcaptchaSiteKey     *string            `json:"hcaptchaSiteKey"`
	EnableMcaptcha      bool               `json:"enableMcaptcha"`
	McaptchaSiteKey     *string            `json:"mcaptchaSiteKey"`
	McaptchaInstanceURL *string            `json:"mcaptchaInstanceUrl"`
	EnableRecaptcha     bool               `json:"enableRecaptcha"`
	RecaptchaSiteKey    *string            `json:"recaptchaSiteKey"`
	EnableTurnstile     bool               `json:"enableTurnstile"`
	TurnstileSiteKey    *string            `json:"turnstileSiteKey"`
	EnableTestcaptcha   bool               `json:"enableTestcaptcha"`
	GoogleAnalytics     *string            `json:"googleAnalyticsMeasurementId"`
	SwPublickey         *string            `json:"swPublickey"`
	MascotImageURL      string             `json:"mascotImageUrl"`
	BannerURL           *string            `json:"bannerUrl"`
	ServerErrorImageURL *string            `json:"serverErrorImageUrl"`
	InfoImageURL        *string            `json:"infoImageUrl"`
	NotFoundImageURL    *string            `json:"notFoundImageUrl"`
	IconURL             *string            `json:"iconUrl"`
	MaxNoteTextLength   int                `json:"maxNoteTextLength"`
	Ads                 []struct{}         `json:"ads"`
	NotesPerOneAd       int                `json:"notesPerOneAd"`
	EnableEmail         bool               `json:"enableEmail"`
	EnableServiceWorker bool               `json:"enableServiceWorker"`
	TranslatorAvailable bool               `json:"translatorAvailable"`
	SentryForFrontend   *struct{}          `json:"sentryForFrontend"`
	MediaProxy          string             `json:"mediaProxy"`
	EnableURLPreview    bool               `json:"enableUrlPreview"`
	BackgroundImageURL  *string            `json:"backgroundImageUrl"`
	ImpressumURL        *string            `json:"impressumUrl"`
	LogoImageURL        *string            `json:"logoImageUrl"`
	PrivacyPolicyURL    *string            `json:"privacyPolicyUrl"`
	InquiryURL          *string            `json:"inquiryUrl"`
	ServerRules         []string           `json:"serverRules"`
	ThemeColor          *string            `json:"themeColor"`
	Policies            *Policies          `json:"policies"`
	NoteSearchableScope string             `json:"noteSearchableScope"`
	MaxFileSize         int64              `json:"maxFileSize"`
	Federation          string             `json:"federation"`

	*metaDetail
}

type metaDetail struct {
	Features          metaFeatures `json:"features"`
	ProxyAccountName  *string      `json:"proxyAccountName"`
	RequireSetup      bool         `json:"requireSetup"`
	CacheRemoteFiles  bool         `json:"cacheRemoteFiles"`
	CacheRemoteNsfw   bool         `json:"cacheRemoteSensitiveFiles"`
	PreservedUsername []string     `json:"preservedUsernames,omitempty"`
}

type metaFeatures struct {
	Registration   bool `json:"registration"`
	EmailRequired  bool `json:"emailRequiredForSignup"`
	LocalTimeline  bool `json:"localTimeline"`
	GlobalTimeline bool `json:"globalTimeline"`
	Hcaptcha       bool `json:"hcaptcha"`
	Turnstile      bool `json:"turnstile"`
	Recaptcha      bool `json:"recaptcha"`
	ObjectStorage  bool `json:"objectStorage"`
	ServiceWorker  bool `json:"serviceWorker"`
	Miauth         bool `json:"miauth"`
}

// maxFileSize of an upload in bytes.
const maxFileSize = 262144000

func (s *Service) apiMeta(ctx context.Context, _ *api.Call, req metaReq) (*metaRes, error) {
	set := s.meta.Get()
	p, err := s.Default()
	if err != nil {
		return nil, err
	}
	push, err := s.meta.PushKey(ctx)
	if err != nil {
		return nil, err
	}
	res := &metaRes{
		SwPublickey:    &push.Public,
		MaintainerName: set.MaintainerName, MaintainerEmail: set.MaintainerEmail, Version: s.meta.Version,
		Name: set.Name, ShortName: set.ShortName, URI: s.meta.Origin, Description: set.Description, Langs: set.Langs,
		TosURL: set.TosURL, RepositoryURL: set.RepositoryURL, FeedbackURL: set.FeedbackURL,
		DefaultDarkTheme: set.DefaultDarkTheme, DefaultLightTheme: set.DefaultLightTheme, ClientOptions: set.ClientOptions,
		DisableRegistration: set.DisableRegistration, EmailRequired: set.EmailRequiredToSignup, ApprovalRequired: set.ApprovalRequired,
		BannerURL: set.BannerURL, ServerErrorImageURL: set.ServerErrorImageURL, InfoImageURL: set.InfoImageURL,
		NotFoundImageURL: set.NotFoundImageURL, IconURL: set.IconURL, MaxNoteTextLength: 3000, Ads: []struct{}{},
		NotesPerOneAd: set.NotesPerOneAd, EnableEmail: set.SendsMail(), EnableServiceWorker: set.EnableServiceWorker,
		MediaProxy: s.meta.Origin + "/proxy", EnableURLPreview: set.URLPreviewEnabled, BackgroundImageURL: set.BackgroundImageURL,
		ImpressumURL: set.ImpressumURL, LogoImageURL: set.LogoImageURL, PrivacyPolicyURL: set.PrivacyPolicyURL,
		InquiryURL: set.InquiryURL, ServerRules: set.ServerRules, ThemeColor: set.ThemeColor, Policies: p,
		EnableHcaptcha: set.EnableHcaptcha, HcaptchaSiteKey: set.HcaptchaSiteKey, EnableMcaptcha: set.EnableMcaptcha, McaptchaSiteKey: set.McaptchaSiteKey,
		McaptchaInstanceURL: set.McaptchaInstanceURL, EnableRecaptcha: set.EnableRecaptcha, RecaptchaSiteKey: set.RecaptchaSiteKey,
		EnableTurnstile: set.EnableTurnstile, TurnstileSiteKey: set.TurnstileSiteKey, EnableTestcaptcha: set.EnableTestcaptcha,
		NoteSearchableScope: s.meta.Scope, TranslatorAvailable: set.Translates(), MaxFileSize: maxFileSize, Federation: set.Federation,
	}
	if set.MascotImageURL != nil {
		res.MascotImageURL = *set.MascotImageURL
	}
	if !req.Detail {
		return res, nil
	}
	setup, err := s.meta.RequiresSetup(ctx, s.db)
	if err != nil {
		return nil, err
	}
	res.metaDetail = &metaDetail{
		Features: features(set, p), RequireSetup: setup,
		CacheRemoteFiles: set.CacheRemoteFiles, CacheRemoteNsfw: set.CacheRemoteSensitive,
	}
	return res, nil
}

func features(set *meta.Settings, p *Policies) metaFeatures {
	return metaFeatures{
		Registration: !set.DisableRegistration, EmailRequired: set.EmailRequiredToSignup,
		LocalTimeline: p.LtlAvailable, GlobalTimeline: p.GtlAvailable,
		Hcaptcha: set.EnableHcaptcha, Turnstile: set.EnableTurnstile, Recaptcha: set.EnableRecaptcha,
		ServiceWorker: set.EnableServiceWorker, Miauth: true,
	}
}
