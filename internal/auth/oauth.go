package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// OAuth 2 with addresses as client ids (IndieAuth), PKCE and nothing but codes
// (RFC 9700). Access tokens are those of all other apps.

// OAuthError is an error of the protocol (RFC 6749 §4.1.2.1, §5.2).
type OAuthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	location    string // where the client waits for it; "" while that is not proven to be the client's
}

func (e *OAuthError) Error() string { return e.Code + ": " + e.Description }

// Location is the client's address with the error, "" when there is none that
// may be gone to: then the person is told.
func (e *OAuthError) Location() string { return e.location }

func oauthErr(code, description string) *OAuthError {
	return &OAuthError{Code: code, Description: description}
}

// Authorization is what a client asks a person for, proven to come from the
// client as far as that can be.
type Authorization struct {
	ClientID    string   `json:"c"`
	Name        string   `json:"n"` // as the client says; its id when it says nothing
	IconURL     string   `json:"i,omitempty"`
	RedirectURI string   `json:"r"`
	State       string   `json:"s,omitempty"`
	Challenge   string   `json:"p"`
	Permission  []string `json:"o"`
	Browser     []byte   `json:"b"` // hash of what only the person's browser has
	Until       int64    `json:"u"` // s since 1970
}

// How long a person may think, a code is good, and a code that comes again
// takes back what it gave.
const (
	askFor       = 5 * time.Minute
	codeFor      = 5 * time.Minute
	rememberCode = 24 * time.Hour
	grantLength  = 128
	maxState     = 1024 // bytes
)

// Requests for authorization that one address may make: each fetches a page.
const (
	asks   = 120
	asksIn = time.Hour
)

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // 32 bytes

// asked are the parameters of an authorization request that are read here.
var asked = []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "code_challenge", "code_challenge_method", "request", "request_uri"}

// Authorize checks a request for authorization. Errors of the protocol are
// *OAuthError.
func (s *Service) Authorize(ctx context.Context, ip netip.Addr, q url.Values) (*Authorization, error) {
	if !s.meta.Test() {
		if _, ok := s.limits().Take("oauth\x00"+api.IPKey(ip), asks, asksIn, 0); !ok {
			return nil, errTooOften
		}
	}
	if len(q["client_id"]) != 1 || len(q["redirect_uri"]) != 1 {
		return nil, oauthErr("invalid_request", "client_id and redirect_uri are needed once each")
	}
	a := &Authorization{ClientID: q.Get("client_id"), RedirectURI: q.Get("redirect_uri"), Challenge: q.Get("code_challenge")}
	c, err := s.client(ctx, a.ClientID)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.redirects, a.RedirectURI) || !s.mayRedirect(a.RedirectURI) {
		return nil, oauthErr("invalid_request", "redirect_uri is not one that the client lists")
	}
	if len(q["state"]) == 1 && len(q.Get("state")) <= maxState {
		a.State = q.Get("state")
	}
	if e := a.read(q); e != nil {
		e.location = s.answer(a, url.Values{"error": {e.Code}, "error_description": {e.Description}})
		return nil, e
	}
	a.Name, a.IconURL, a.Until = c.name, c.icon, time.Now().Add(askFor).Unix()
	return a, nil
}

// read checks what the client may be told about.
func (a *Authorization) read(q url.Values) *OAuthError {
	for _, name := range asked {
		if len(q[name]) > 1 {
			return oauthErr("invalid_request", name+" is there more than once")
		}
	}
	for _, p := range strings.Fields(q.Get("scope")) {
		if slices.Contains(Permissions(), p) && !slices.Contains(a.Permission, p) {
			a.Permission = append(a.Permission, p)
		}
	}
	switch {
	case len(q.Get("state")) > maxState:
		return oauthErr("invalid_request", "state is too long")
	case q.Has("request"):
		return oauthErr("request_not_supported", "requests are parameters")
	case q.Has("request_uri"):
		return oauthErr("request_uri_not_supported", "requests are parameters")
	case q.Get("response_type") == "":
		return oauthErr("invalid_request", "response_type is missing")
	case q.Get("response_type") != "code":
		return oauthErr("unsupported_response_type", "only codes are given")
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return oauthErr("invalid_request", "codes are given in the query only")
	case q.Get("code_challenge_method") != "S256":
		return oauthErr("invalid_request", "code_challenge_method must be S256")
	case !challengeForm.MatchString(a.Challenge):
		return oauthErr("invalid_request", "code_challenge must be a SHA-256 in base64url")
	case len(a.Permission) == 0:
		return oauthErr("invalid_scope", "none of the scopes exists")
	}
	return nil
}

// mayRedirect tells whether codes may go to an address that a client lists: to
// the web under TLS, the person's own machine, or an app's own scheme.
func (s *Service) mayRedirect(raw string) bool {
	u, err := parseAddress(raw)
	if err != nil || strings.Contains(raw, "#") {
		return false
	}
	return u.Scheme != "http" || loopback(u) || s.meta.Mode != "production"
}

// answer is the redirect_uri with what the client is told (RFC 9207: and who
// tells it).
func (s *Service) answer(a *Authorization, with url.Values) string {
	u, _ := url.Parse(a.RedirectURI) // checked by mayRedirect
	q := u.Query()
	for k, v := range with {
		q[k] = v
	}
	if q.Del("state"); a.State != "" {
		q.Set("state", a.State)
	}
	q.Set("iss", s.meta.Origin)
	u.RawQuery = q.Encode()
	return u.String()
}

const sealAsked = "oauth.authorization"

// Seal gives the authorization for the page's form. It is kept nowhere else, so
// that asking costs no memory. browser is a secret of the person's browser.
func (s *Service) Seal(a *Authorization, browser string) (string, error) {
	a.Browser = hashToken(browser)
	b, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.box.Seal(b, sealAsked)), nil
}

// ErrNoAuthorization says that a form is too old or none of this server's.
var ErrNoAuthorization = errors.New("no such authorization")

// Unseal gives back what Seal was given.
func (s *Service) Unseal(sealed string) (*Authorization, error) {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, ErrNoAuthorization
	}
	if b, err = s.box.Open(b, sealAsked); err != nil {
		return nil, ErrNoAuthorization
	}
	a := &Authorization{}
	if err := json.Unmarshal(b, a); err != nil || time.Now().Unix() > a.Until {
		return nil, ErrNoAuthorization
	}
	return a, nil
}

// From tells whether a form comes from the browser that the page was shown in:
// another site can send a form, but not that cookie.
func (a *Authorization) From(browser string) bool {
	return subtle.ConstantTimeCompare(a.Browser, hashToken(browser)) == 1
}

// Denied is where a person goes who does not let the client in.
func (s *Service) Denied(a *Authorization) string {
	return s.answer(a, url.Values{"error": {"access_denied"}, "error_description": {"the person does not allow it"}})
}

const (
	sqlCodeInsert = `
INSERT INTO oauth_code (code_hash, user_id, client_id, redirect_uri, challenge, permission, name, icon_url, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9)`
	sqlCodesOver = `DELETE FROM oauth_code WHERE expires_at < $1`
)

// Allowed gives the client a code for the account, and where the person goes
// with it.
func (s *Service) Allowed(ctx context.Context, a *Authorization, u *user.User) (string, error) {
	code, now := id.RandomMixed(grantLength), time.Now()
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlCodesOver, now.Add(-rememberCode)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlCodeInsert, hashToken(code), u.ID, a.ClientID, a.RedirectURI, a.Challenge, a.Permission, a.Name, a.IconURL, now.Add(codeFor))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("give code: %w", err)
	}
	return s.answer(a, url.Values{"code": {code}}), nil
}

// SignInToken gives the account of a native token: how a client of Misskey's,
// in which the person is signed in, answers for him.
func (s *Service) SignInToken(ctx context.Context, token string) (*user.User, error) {
	i, err := s.Authenticate(ctx, token)
	switch {
	case errors.Is(err, api.ErrNoToken), err == nil && !i.Native():
		return nil, errNoSuchUser
	case err != nil:
		return nil, err
	case i.Suspended:
		return nil, errSuspended
	}
	return s.users.ByID(ctx, i.UserID)
}

// serverMetadata describes this server to clients (RFC 8414).
type serverMetadata struct {
	Issuer              string   `json:"issuer"`
	Authorization       string   `json:"authorization_endpoint"`
	Token               string   `json:"token_endpoint"`
	Scopes              []string `json:"scopes_supported"`
	ResponseTypes       []string `json:"response_types_supported"`
	ResponseModes       []string `json:"response_modes_supported"`
	GrantTypes          []string `json:"grant_types_supported"`
	ClientAuth          []string `json:"token_endpoint_auth_methods_supported"`
	Challenges          []string `json:"code_challenge_methods_supported"`
	Documentation       string   `json:"service_documentation"`
	NamesIssuer         bool     `json:"authorization_response_iss_parameter_supported"`
	ClientIDsAreAddress bool     `json:"client_id_metadata_document_supported"`
}

func (s *Service) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	api.Answer(w, &serverMetadata{
		Issuer: s.meta.Origin, Authorization: s.meta.Origin + "/oauth/authorize", Token: s.meta.Origin + "/oauth/token",
		Scopes: Permissions(), ResponseTypes: []string{"code"}, ResponseModes: []string{"query"}, GrantTypes: []string{"authorization_code"},
		ClientAuth: []string{"none"}, Challenges: []string{"S256"}, Documentation: "https://misskey-hub.net", NamesIssuer: true, ClientIDsAreAddress: true,
	})
}

// oauthRoutes are the calls that clients make; the page is package site's.
func (s *Service) oauthRoutes() []api.Route {
	return []api.Route{
		{Pattern: "GET /.well-known/oauth-authorization-server", Handler: http.HandlerFunc(s.serveMetadata)},
		{Pattern: "POST /oauth/token", Handler: http.HandlerFunc(s.serveToken)},
		{Pattern: "OPTIONS /oauth/token", Handler: http.HandlerFunc(serveTokenOptions)},
	}
}
