package moderation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mail"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
)

// offered are the settings that can be changed. It describes them only: what is
// absent, null and a value differ, so they are read one by one.
type offered struct {
	DisableRegistration   *bool    `json:"disableRegistration" api:"nullable"`
	ApprovalRequired      bool     `json:"approvalRequiredForSignup" api:"optional"` // ours
	EmailRequiredToSignup bool     `json:"emailRequiredForSignup" api:"optional"`
	PinnedUsers           []string `json:"pinnedUsers" api:"nullable,max=1000,items-max=512"`
	HiddenTags            []string `json:"hiddenTags" api:"nullable,max=1000,items-max=128"`
	BlockedHosts          []string `json:"blockedHosts" api:"nullable,max=100000,items-max=255"`
	MediaSilencedHosts    []string `json:"mediaSilencedHosts" api:"nullable,max=100000,items-max=255"`
	Federation            string   `json:"federation" api:"enum=all|none|specified"`
	FederationHosts       []string `json:"federationHosts" api:"max=100000,items-max=255"`
	SensitiveWords        []string `json:"sensitiveWords" api:"nullable,max=10000,items-max=1024"`
	ProhibitedWords       []string `json:"prohibitedWords" api:"nullable,max=10000,items-max=1024"`
	PreservedUsernames    []string `json:"preservedUsernames" api:"max=10000,items-max=128"`
	ServerRules           []string `json:"serverRules" api:"max=100,items-max=4096"`
	Langs                 []string `json:"langs" api:"max=100,items-max=16"`
	Name                  *string  `json:"name" api:"nullable,max=1024"`
	ShortName             *string  `json:"shortName" api:"nullable,max=64"`
	Description           *string  `json:"description" api:"nullable,max=16384"`
	MaintainerName        *string  `json:"maintainerName" api:"nullable,max=1024"`
	MaintainerEmail       *string  `json:"maintainerEmail" api:"nullable,max=1024"`
	ThemeColor            *string  `json:"themeColor" api:"nullable,pattern=^#[0-9a-fA-F]{6}$"`
	DefaultLightTheme     *string  `json:"defaultLightTheme" api:"nullable,max=16384"`
	DefaultDarkTheme      *string  `json:"defaultDarkTheme" api:"nullable,max=16384"`
	MascotImageURL        *string  `json:"mascotImageUrl" api:"nullable,max=1024"`
	BannerURL             *string  `json:"bannerUrl" api:"nullable,max=1024"`
	ServerErrorImageURL   *string  `json:"serverErrorImageUrl" api:"nullable,max=1024"`
	InfoImageURL          *string  `json:"infoImageUrl" api:"nullable,max=1024"`
	NotFoundImageURL      *string  `json:"notFoundImageUrl" api:"nullable,max=1024"`
	IconURL               *string  `json:"iconUrl" api:"nullable,max=1024"`
	BackgroundImageURL    *string  `json:"backgroundImageUrl" api:"nullable,max=1024"`
	LogoImageURL          *string  `json:"logoImageUrl" api:"nullable,max=1024"`
	TosURL                *string  `json:"tosUrl" api:"nullable,max=1024"`
	RepositoryURL         *string  `json:"repositoryUrl" api:"nullable,max=1024"`
	FeedbackURL           *string  `json:"feedbackUrl" api:"nullable,max=1024"`
	ImpressumURL          *string  `json:"impressumUrl" api:"nullable,max=1024"`
	PrivacyPolicyURL      *string  `json:"privacyPolicyUrl" api:"nullable,max=1024"`
	InquiryURL            *string  `json:"inquiryUrl" api:"nullable,max=1024"`
	EnableMachineStats    bool     `json:"enableServerMachineStats" api:"optional"`
	RemoteBadges          bool     `json:"showRoleBadgesOfRemoteUsers" api:"optional"`
	ProxyRemoteFiles      bool     `json:"proxyRemoteFiles" api:"optional"`
	ProxyCacheMb          *int     `json:"proxyCacheMb" api:"nullable,min=1,max=1000000000"` // ours
	EnableServiceWorker   bool     `json:"enableServiceWorker" api:"optional"`
	NodeinfoSoftware      string   `json:"nodeinfoSoftware" api:"pattern=^[a-z0-9-]{1\\,64}$"` // ours
	EnableEmail           bool     `json:"enableEmail" api:"optional"`
	Email                 *string  `json:"email" api:"nullable,max=1024"`
	SMTPHost              *string  `json:"smtpHost" api:"nullable,max=1024"`
	SMTPPort              *int     `json:"smtpPort" api:"nullable,min=1,max=65535"`
	SMTPUser              *string  `json:"smtpUser" api:"nullable,max=1024"`
	SMTPPass              *string  `json:"smtpPass" api:"nullable,max=1024"`
	SMTPSecure            bool     `json:"smtpSecure" api:"optional"`

	URLPreviewEnabled       bool    `json:"urlPreviewEnabled" api:"optional"`
	URLPreviewAllowRedirect bool    `json:"urlPreviewAllowRedirect" api:"optional"`
	URLPreviewTimeout       int     `json:"urlPreviewTimeout" api:"min=100,max=60000"`
	URLPreviewMaximum       int     `json:"urlPreviewMaximumContentLength" api:"min=1024,max=1073741824"`
	URLPreviewRequireLength bool    `json:"urlPreviewRequireContentLength" api:"optional"`
	URLPreviewUserAgent     *string `json:"urlPreviewUserAgent" api:"nullable,max=1024"`
	URLPreviewProxyURL      *string `json:"urlPreviewSummaryProxyUrl" api:"nullable,max=1024"`
	SummalyProxy            *string `json:"summalyProxy" api:"nullable,max=1024"`

	DeeplAuthKey      *string `json:"deeplAuthKey" api:"nullable,max=1024"`
	DeeplIsPro        bool    `json:"deeplIsPro" api:"optional"`
	DeeplFreeMode     bool    `json:"deeplFreeMode" api:"optional"`              // ours, as in forks
	DeeplFreeInstance *string `json:"deeplFreeInstance" api:"nullable,max=1024"` // ours, as in forks
	LibreTranslateURL *string `json:"libreTranslateURL" api:"nullable,max=1024"` // ours, as in forks
	LibreTranslateKey *string `json:"libreTranslateKey" api:"nullable,max=1024"` // ours, as in forks

	BannedEmailDomains    []string `json:"bannedEmailDomains" api:"max=100000,items-max=255"`
	ActiveEmailValidation bool     `json:"enableActiveEmailValidation" api:"optional"`
	EnableVerifymailAPI   bool     `json:"enableVerifymailApi" api:"optional"`
	VerifymailAuthKey     *string  `json:"verifymailAuthKey" api:"nullable,max=1024"`
	EnableTruemailAPI     bool     `json:"enableTruemailApi" api:"optional"`
	TruemailInstance      *string  `json:"truemailInstance" api:"nullable,max=1024"`
	TruemailAuthKey       *string  `json:"truemailAuthKey" api:"nullable,max=1024"`

	EnableHcaptcha      bool    `json:"enableHcaptcha" api:"optional"`
	HcaptchaSiteKey     *string `json:"hcaptchaSiteKey" api:"nullable,max=1024"`
	HcaptchaSecretKey   *string `json:"hcaptchaSecretKey" api:"nullable,max=1024"`
	EnableMcaptcha      bool    `json:"enableMcaptcha" api:"optional"`
	McaptchaSiteKey     *string `json:"mcaptchaSiteKey" api:"nullable,max=1024"`
	McaptchaSecretKey   *string `json:"mcaptchaSecretKey" api:"nullable,max=1024"`
	McaptchaInstanceURL *string `json:"mcaptchaInstanceUrl" api:"nullable,max=1024"`
	EnableRecaptcha     bool    `json:"enableRecaptcha" api:"optional"`
	RecaptchaSiteKey    *string `json:"recaptchaSiteKey" api:"nullable,max=1024"`
	RecaptchaSecretKey  *string `json:"recaptchaSecretKey" api:"nullable,max=1024"`
	EnableTurnstile     bool    `json:"enableTurnstile" api:"optional"`
	TurnstileSiteKey    *string `json:"turnstileSiteKey" api:"nullable,max=1024"`
	TurnstileSecretKey  *string `json:"turnstileSecretKey" api:"nullable,max=1024"`
	EnableTestcaptcha   bool    `json:"enableTestcaptcha" api:"optional"`

	ClientOptions struct {
		EntrancePageStyle        string `json:"entrancePageStyle" api:"enum=classic|simple"`
		ShowTimelineForVisitor   bool   `json:"showTimelineForVisitor" api:"optional"`
		ShowActivitiesForVisitor bool   `json:"showActivitiesForVisitor" api:"optional"`
	} `json:"clientOptions" api:"optional"`
}

func offers() *api.Schema { return api.SchemaOf(reflect.TypeFor[offered]()) }

// updateMetaReq are settings by key, those that are given.
type updateMetaReq map[string]json.RawMessage

// APISchema has what can be changed, and after it what is refused.
func (updateMetaReq) APISchema() *api.Schema {
	s := *offers()
	s.Props = slices.Clone(s.Props)
	known := map[string]bool{"policies": true, "uri": true, "version": true, "noteSearchableScope": true, "swPublickey": true}
	for _, p := range s.Props {
		known[p.Name] = true
	}
	for _, p := range append(api.SchemaOf(reflect.TypeFor[adminMeta]()).Props, &api.Prop{Name: "swPublicKey"}) {
		if !known[p.Name] {
			known[p.Name] = true
			s.Props = append(s.Props, &api.Prop{Name: p.Name, Schema: &api.Schema{}})
		}
	}
	return &s
}

// readSetting gives a value in the form in which settings are kept. given is false
// where nothing is meant to change: for null in the place of yes, no or a list, and
// for the stand-in of a password.
func readSetting(key string, raw json.RawMessage, schema *api.Schema, is any) (value any, given bool, err error) {
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, false, api.InvalidParam("#/properties/"+key, "must be JSON")
	}
	switch v := value.(type) {
	case nil:
		return nil, schema == nil || schema.Type == "string" || schema.Type == "integer", nil
	case string:
		if v == "" && (schema == nil && is == nil || schema != nil && schema.Nullable) {
			return nil, true, nil
		}
		if v == kept && slices.Contains(meta.Secrets(), key) {
			return nil, false, nil
		}
	case []any:
		value = slices.DeleteFunc(v, func(x any) bool { return x == "" })
	}
	if read := readers[key]; read != nil && schema != nil {
		if value, err = read(value, is); err != nil {
			return nil, false, api.InvalidParam("#/properties/"+key, err.Error())
		}
	}
	return value, true, nil
}

// readers check settings that are more than a text, and give them their form.
var readers = map[string]func(value, is any) (any, error){
	"blockedHosts":       hosts,
	"mediaSilencedHosts": hosts,
	"federationHosts":    hosts,
	"sensitiveWords":     words,
	"prohibitedWords":    words,
	"preservedUsernames": lower,
	"hiddenTags":         lower,
	"email":              address,
	"maintainerEmail":    address,
	"clientOptions":      merged,

	"urlPreviewUserAgent":       headerText,
	"urlPreviewSummaryProxyUrl": place,
	"deeplFreeInstance":         place,
	"libreTranslateURL":         place,
	"mcaptchaInstanceUrl":       place,
	"truemailInstance":          place,
	"truemailAuthKey":           headerText,
	"bannedEmailDomains":        hosts,
	"deeplAuthKey":              headerText,
}

func hosts(value, _ any) (any, error) {
	return each(value, func(x string) (string, error) {
		h, err := ap.NormalizeHost(strings.TrimSpace(x))
		if err != nil {
			return "", fmt.Errorf("%q is no host", x)
		}
		return h, nil
	})
}

func lower(value, _ any) (any, error) {
	return each(value, func(x string) (string, error) { return strings.ToLower(strings.TrimSpace(x)), nil })
}

var expression = regexp.MustCompile(`^/(.+)/([a-z]*)$`)

// words are lines of a filter; one that is a regular expression must be one that
// can be used.
func words(value, _ any) (any, error) {
	return each(value, func(x string) (string, error) {
		if m := expression.FindStringSubmatch(x); m != nil {
			if _, err := regexp.Compile(m[1]); err != nil {
				return "", fmt.Errorf("%q is no regular expression", x)
			}
		}
		return x, nil
	})
}

// each reads a list, and leaves out what comes again.
func each(value any, read func(string) (string, error)) (any, error) {
	out := []any{}
	for _, x := range value.([]any) {
		text, err := read(x.(string))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, any(text)) {
			out = append(out, text)
		}
	}
	return out, nil
}

func address(value, _ any) (any, error) {
	if !mail.Valid(value.(string)) {
		return nil, fmt.Errorf("%q is no mail address", value)
	}
	return value, nil
}

// headerText is what may stand in a header of HTTP (RFC 9110 §5.5).
func headerText(value, _ any) (any, error) {
	text := strings.TrimSpace(value.(string))
	if !httpguts.ValidHeaderFieldValue(text) {
		return nil, errors.New("must be on one line")
	}
	return text, nil
}

// place is the address of a server that the operator names. It may be in the
// private network: whoever may change settings decides that.
func place(value, _ any) (any, error) {
	text := strings.TrimSpace(value.(string))
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address of a server", value)
	}
	return text, nil
}

// merged lays the options that are given over those that are there.
func merged(value, is any) (any, error) {
	out := maps.Clone(is.(map[string]any))
	for key, v := range value.(map[string]any) {
		if _, known := out[key]; known {
			out[key] = v
		}
	}
	return out, nil
}
