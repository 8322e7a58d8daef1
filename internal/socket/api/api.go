// Package api is in charge of Misskey's HTTP API: a table of typed endpoints,
// their credentials, limits and parameters, and the shape of every error. It
// knows no noun of the domain; slices plug endpoints into it, and what it
// needs to know of callers it asks Authenticator and Policies.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"sort"
	"time"
)

// Identity is who calls, as the Authenticator found it.
type Identity struct {
	UserID    string
	TokenID   string   // "" for the native token
	Scopes    []string // of an access token; unused for the native one
	Suspended bool
	Moved     bool // the account has moved elsewhere
	Moderator bool // also true for administrators
	Admin     bool
	Root      bool
}

// Native tells whether the caller uses the account's own token, which may do
// all that the account may.
func (i *Identity) Native() bool { return i.TokenID == "" }

// Authenticator turns a token into its owner.
type Authenticator interface {
	// Authenticate gives ErrNoToken when the token is nobody's.
	Authenticate(ctx context.Context, token string) (*Identity, error)
}

// Policies answers what an account's roles allow.
type Policies interface {
	// Allows tells whether the boolean policy is on for the user; userID "" asks
	// for visitors.
	Allows(ctx context.Context, userID, policy string) (bool, error)
	// RateFactor multiplies the windows of rate limits; ≤ 0 switches them off.
	RateFactor(ctx context.Context, userID string) (float64, error)
}

// Call is one call of an endpoint.
type Call struct {
	*Identity            // nil for visitors
	IP        netip.Addr // of the client, proxies resolved
	Header    http.Header
	File      *File // of a multipart call
	respond   http.Header
}

// ID is the caller's user id, "" for visitors.
func (c *Call) ID() string {
	if c.Identity == nil {
		return ""
	}
	return c.UserID
}

// Is tells whether the caller is that user.
func (c *Call) Is(userID string) bool { return c.Identity != nil && c.UserID == userID }

// IsModerator tells whether the caller may moderate; false for visitors.
func (c *Call) IsModerator() bool { return c.Identity != nil && c.Moderator }

// SetHeader adds a header to the answer.
func (c *Call) SetHeader(key, value string) { c.respond.Set(key, value) }

// File is the one file of a multipart call, on disk until the call returns.
type File struct {
	Name string // as the client named it; never a path to be trusted
	Path string // of the temporary file
	Size int64
}

// None is the response of an endpoint that answers 204.
type None struct{}

// Endpoint is one name of the API.
type Endpoint struct {
	Name   string
	Meta   Meta
	Params *Schema
	Result *Schema // nil: 204

	call func(ctx context.Context, c *Call, body []byte, values map[string]any) (any, error)
	at   string // file:line of the handler
}

// Meta is what is declared about an endpoint.
type Meta struct {
	Credential bool   // refuse visitors
	Scope      string // an access token must hold it
	Secure     bool   // refuse access tokens
	Moderator  bool
	Admin      bool
	Policy     string // boolean role policy the caller needs
	NotMoved   bool   // refuse accounts that have moved
	TestOnly   bool   // exists in test mode only
	Hidden     bool   // answered but not listed: calls outside Misskey's registry
	File       bool   // multipart, one file
	Get        bool   // GET is allowed
	CacheSec   int    // of a GET without token
	Max        int    // calls per Window, 0: no limit
	Window     time.Duration
	Gap        time.Duration // least time between two calls
	LimitKey   string        // shared limit; "" = the endpoint's name
	Errors     []*Error
	Tags       []string
}

// Option declares one thing about an endpoint.
type Option func(*Meta)

// Scope requires a login, and of an access token this permission.
func Scope(s string) Option { return func(m *Meta) { m.Credential, m.Scope = true, s } }

// MayScope lets visitors in; an access token is the caller only with this
// permission.
func MayScope(s string) Option { return func(m *Meta) { m.Scope = s } }

// Secure requires the native token.
func Secure(m *Meta) { m.Credential, m.Secure = true, true }

// Visitors lets everybody in. It declares what is otherwise the default, so
// that the table says it.
func Visitors(*Meta) {}

// Moderator requires a moderator with this scope.
func Moderator(scope string) Option {
	return func(m *Meta) { m.Credential, m.Moderator, m.Scope = true, true, scope }
}

// Admin requires an administrator with this scope.
func Admin(scope string) Option {
	return func(m *Meta) { m.Credential, m.Admin, m.Scope = true, true, scope }
}

// Policy requires a boolean role policy.
func Policy(name string) Option { return func(m *Meta) { m.Policy = name } }

// Upload makes the call a multipart one, with a file.
func Upload(m *Meta) { m.File = true }

// NotMoved refuses accounts that have moved.
func NotMoved(m *Meta) { m.NotMoved = true }

// TestOnly makes the endpoint exist in test mode only.
func TestOnly(m *Meta) { m.TestOnly = true }

// Hidden keeps a call out of the list of endpoints.
func Hidden(m *Meta) { m.Hidden = true }

// Get allows GET besides POST; answers to visitors may be cached for sec.
func Get(sec int) Option { return func(m *Meta) { m.Get, m.CacheSec = true, sec } }

// Limit allows max calls in any window.
func Limit(max int, window time.Duration) Option {
	return func(m *Meta) { m.Max, m.Window = max, window }
}

// Gap is the least time between two calls.
func Gap(d time.Duration) Option { return func(m *Meta) { m.Gap = d } }

// Errors declares the endpoint's own errors, for its documentation.
func Errors(errs ...*Error) Option {
	return func(m *Meta) { m.Errors = append(m.Errors, errs...) }
}

// Post makes an endpoint of a handler. Parameters and result are described by
// the types: see Schema for the tags.
func Post[Req, Res any](name string, h func(ctx context.Context, c *Call, req Req) (Res, error), opts ...Option) Endpoint {
	params := SchemaOf(reflect.TypeFor[Req]())
	e := Endpoint{Name: name, Params: params, at: location(h)}
	if t := reflect.TypeFor[Res](); t != reflect.TypeFor[None]() {
		e.Result = SchemaOf(t)
	}
	for _, o := range opts {
		o(&e.Meta)
	}
	e.call = func(ctx context.Context, c *Call, body []byte, values map[string]any) (any, error) {
		var req Req
		if err := decode(body, values, &req); err != nil {
			return nil, InvalidParam("#", err.Error())
		}
		params.fillDefaults(reflect.ValueOf(&req).Elem(), values)
		res, err := h(ctx, c, req)
		if err != nil {
			return nil, err
		}
		if _, none := any(res).(None); none {
			return nil, nil
		}
		return res, nil
	}
	return e
}

// decode reads checked parameters. What JSON Schema takes and Go does not, such
// as 2.0 for an integer, is read from the values in their plainest form.
func decode(body []byte, values map[string]any, into any) error {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	plain, merr := json.Marshal(values)
	if merr != nil {
		return err
	}
	return json.Unmarshal(plain, into)
}

// Where is the source position of the handler, as "slice/file.go:line".
func (e *Endpoint) Where() string { return e.at }

// Config of a Server.
type Config struct {
	Mode           string // production, development, test
	Version        string
	Origin         string
	TrustedProxies []netip.Prefix
	Log            *slog.Logger
	TempDir        string // for uploads in flight
	MaxFileSize    int64
}

// Server serves the endpoints that were plugged.
type Server struct {
	cfg       Config
	auth      Authenticator
	policies  Policies
	endpoints map[string]*Endpoint
	limits    *Limiter
	stats     *stats
}

// New makes a server without endpoints.
func New(cfg Config, auth Authenticator, policies Policies) *Server {
	return &Server{
		cfg: cfg, auth: auth, policies: policies,
		endpoints: map[string]*Endpoint{},
		limits:    NewLimiter(time.Now),
		stats:     &stats{},
	}
}

// Plug adds endpoints. A name that exists already is a mistake of the program.
func (s *Server) Plug(es ...Endpoint) {
	for _, e := range es {
		if _, dup := s.endpoints[e.Name]; dup {
			panic("api: endpoint " + e.Name + " is plugged twice")
		}
		if e.Meta.TestOnly && s.cfg.Mode != "test" {
			continue
		}
		s.endpoints[e.Name] = &e
	}
}

// Endpoints is all that is plugged and listed, by name.
func (s *Server) Endpoints() []*Endpoint {
	out := make([]*Endpoint, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		if !e.Meta.Hidden {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Limits is the limiter, for the few plain routes (sign-in, sign-up) that count
// calls of their own and for reset-db.
func (s *Server) Limits() *Limiter { return s.limits }

// Route is plain HTTP that a slice serves: files, pictures, consent pages.
type Route struct {
	Pattern string // as of http.ServeMux
	Handler http.Handler
}
