package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"buttersc.one/oven/internal/socket/api"
)

type item struct {
	Name string `json:"name" api:"required,min=1,max=3"`
}

type request struct {
	ID      string                `json:"id" api:"required,id"`
	Limit   int                   `json:"limit" api:"min=1,max=100,default=10"`
	Flag    bool                  `json:"flag" api:"default=true"`
	Kind    string                `json:"kind" api:"enum=a|b,default=a"`
	Text    *string               `json:"text" api:"nullable,max=3"`
	Opt     api.Opt[string]       `json:"opt" api:"max=2"`
	IDs     []string              `json:"ids" api:"unique,max=2,items-id"`
	Items   []item                `json:"items" api:"optional"`
	Many    api.OneOrMany[string] `json:"many" api:"optional"`
	Pattern string                `json:"pattern" api:"pattern=^[a-z]{1\\,3}$"`
}

// fake is everybody's authenticator: no token is anybody's but "good".
type fake struct{}

func (fake) Authenticate(_ context.Context, token string) (*api.Identity, error) {
	switch token {
	case "good":
		return &api.Identity{UserID: "u1"}, nil
	case "app":
		return &api.Identity{UserID: "u1", TokenID: "t1", Scopes: []string{"read:account"}}, nil
	case "suspended":
		return &api.Identity{UserID: "u2", Suspended: true}, nil
	case "moved":
		return &api.Identity{UserID: "u3", Moved: true}, nil
	case "root":
		return &api.Identity{UserID: "u4", Root: true, Admin: true, Moderator: true}, nil
	}
	return nil, api.ErrNoToken
}
func (fake) Allows(context.Context, string, string) (bool, error) { return false, nil }
func (fake) RateFactor(context.Context, string) (float64, error)  { return 1, nil }

func server(mode string) (*api.Server, *request) {
	got := &request{}
	s := api.New(api.Config{Mode: mode, Log: slog.New(slog.DiscardHandler), MaxFileSize: 1 << 20}, fake{}, fake{})
	s.Plug(
		api.Post("echo", func(_ context.Context, _ *api.Call, r request) (api.None, error) { *got = r; return api.None{}, nil }, api.Get(60)),
		api.Post("mine", func(_ context.Context, c *api.Call, _ struct{}) (map[string]string, error) {
			return map[string]string{"id": c.UserID}, nil
		}, api.Scope("write:notes"), api.NotMoved),
		api.Post("native", func(context.Context, *api.Call, struct{}) (api.None, error) { return api.None{}, nil }, api.Secure),
		api.Post("admin", func(context.Context, *api.Call, struct{}) (api.None, error) { return api.None{}, nil }, api.Admin("read:admin")),
		api.Post("policy", func(context.Context, *api.Call, struct{}) (api.None, error) { return api.None{}, nil }, api.Policy("canDo")),
		api.Post("often", func(context.Context, *api.Call, struct{}) (api.None, error) { return api.None{}, nil }, api.Limit(2, time.Hour)),
		api.Post("panic", func(context.Context, *api.Call, struct{}) (api.None, error) { panic("boom") }),
		api.Post("secret", func(context.Context, *api.Call, struct{}) (api.None, error) { return api.None{}, nil }, api.TestOnly),
	)
	return s, got
}

type answer struct {
	status int
	code   string
	param  string
	header http.Header
}

func call(s *api.Server, method, path, body string) answer {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/api/"+path, strings.NewReader(body))
	s.ServeHTTP(w, r)
	var out struct {
		Error struct {
			Code string `json:"code"`
			Info struct {
				Param string `json:"param"`
			} `json:"info"`
		} `json:"error"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return answer{w.Code, out.Error.Code, out.Error.Info.Param, w.Header()}
}

func TestParams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, param string }{
		{`{"id":"a1"}`, ""},
		{`{}`, "#/required"},
		{`{"id":5}`, "#/properties/id/type"},
		{`{"id":"a-b"}`, "#/properties/id/format"},
		{`{"id":"a","limit":0}`, "#/properties/limit/minimum"},
		{`{"id":"a","limit":101}`, "#/properties/limit/maximum"},
		{`{"id":"a","limit":1.5}`, "#/properties/limit/type"},
		{`{"id":"a","limit":2.0}`, ""},
		{`{"id":"a","limit":"5"}`, "#/properties/limit/type"},
		{`{"id":"a","limit":null}`, "#/properties/limit/type"},
		{`{"id":"a","flag":"true"}`, "#/properties/flag/type"},
		{`{"id":"a","kind":"c"}`, "#/properties/kind/enum"},
		{`{"id":"a","text":null}`, ""},
		{`{"id":"a","text":"가나다라"}`, "#/properties/text/maxLength"},
		{`{"id":"a","text":"👩‍👩‍👧"}`, "#/properties/text/maxLength"}, // five code points
		{`{"id":"a","opt":null}`, ""},
		{`{"id":"a","opt":"abc"}`, "#/properties/opt/maxLength"},
		{`{"id":"a","ids":["a","a"]}`, "#/properties/ids/uniqueItems"},
		{`{"id":"a","ids":["a","b","c"]}`, "#/properties/ids/maxItems"},
		{`{"id":"a","ids":["!"]}`, "#/properties/ids/items/format"},
		{`{"id":"a","ids":"a"}`, "#/properties/ids/type"},
		{`{"id":"a","items":[{}]}`, "#/properties/items/items/required"},
		{`{"id":"a","items":[{"name":"long"}]}`, "#/properties/items/items/properties/name/maxLength"},
		{`{"id":"a","many":"x"}`, ""},
		{`{"id":"a","many":["x","y"]}`, ""},
		{`{"id":"a","many":[1]}`, "#/properties/many/anyOf"},
		{`{"id":"a","pattern":"abcd"}`, "#/properties/pattern/pattern"},
		{`{"id":"a","pattern":"abc"}`, ""},
		{`{"id":"a","unknown":1}`, ""},
	} {
		s, _ := server("test")
		got := call(s, "POST", "echo", c.body)
		wantStatus := 204
		if c.param != "" {
			wantStatus = 400
		}
		if got.status != wantStatus || got.param != c.param {
			t.Errorf("%s: %d %s, want %d %s", c.body, got.status, got.param, wantStatus, c.param)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s, got := server("test")
	call(s, "POST", "echo", `{"id":"a","flag":false}`)
	if got.Limit != 10 || got.Flag || got.Kind != "a" || got.Text != nil || got.Opt.Set {
		t.Errorf("%+v", got)
	}
	call(s, "POST", "echo", `{"id":"a","opt":null}`)
	if !got.Opt.Set || !got.Opt.Null {
		t.Errorf("%+v", got.Opt)
	}
	// A GET's parameters are texts that are cast.
	if a := call(s, "GET", "echo?id=a&limit=7&flag=false", ""); a.status != 204 || got.Limit != 7 || got.Flag {
		t.Errorf("%d %+v", a.status, got)
	}
	if a := call(s, "GET", "echo?id=a&limit=x", ""); a.param != "#/properties/limit/type" {
		t.Errorf("%+v", a)
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"unknown", "POST", "nothing", "{}", 404, "UNKNOWN_API_ENDPOINT"},
		{"unknown by GET", "GET", "nothing", "", 404, "UNKNOWN_API_ENDPOINT"},
		{"GET of a POST", "GET", "mine", "", 405, ""},
		{"not JSON", "POST", "echo", "{", 400, "INVALID_JSON"},
		{"a list", "POST", "echo", "[]", 400, "INVALID_JSON"},
		{"null", "POST", "echo", "null", 400, "INVALID_JSON"},
		{"too large", "POST", "echo", `{"id":"` + strings.Repeat("a", 1<<20) + `"}`, 413, "REQUEST_ENTITY_TOO_LARGE"},
		{"a BOM", "POST", "echo", "\xef\xbb\xbf{\"id\":\"a\"}", 204, ""},
		{"no token", "POST", "mine", "{}", 401, "CREDENTIAL_REQUIRED"},
		{"nobody's token", "POST", "mine", `{"i":"bad"}`, 401, "AUTHENTICATION_FAILED"},
		{"a token that is no text", "POST", "mine", `{"i":5}`, 400, ""},
		{"native", "POST", "mine", `{"i":"good"}`, 200, ""},
		{"app without the scope", "POST", "mine", `{"i":"app"}`, 403, "PERMISSION_DENIED"},
		{"suspended", "POST", "mine", `{"i":"suspended"}`, 403, "YOUR_ACCOUNT_SUSPENDED"},
		{"moved", "POST", "mine", `{"i":"moved"}`, 403, "YOUR_ACCOUNT_MOVED"},
		{"secure by an app", "POST", "native", `{"i":"app"}`, 403, "ACCESS_DENIED"},
		{"admin by anybody", "POST", "admin", `{"i":"good"}`, 403, "ROLE_PERMISSION_DENIED"},
		{"admin by root", "POST", "admin", `{"i":"root"}`, 204, ""},
		{"policy", "POST", "policy", `{"i":"good"}`, 403, "ROLE_PERMISSION_DENIED"},
		{"policy by root", "POST", "policy", `{"i":"root"}`, 204, ""},
		{"panic", "POST", "panic", "{}", 500, "INTERNAL_ERROR"},
		{"test only", "POST", "secret", "{}", 204, ""},
	} {
		s, _ := server("test")
		if got := call(s, c.method, c.path, c.body); got.status != c.status || got.code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, got.status, got.code, c.status, c.code)
		}
	}
	s, _ := server("production")
	if got := call(s, "POST", "secret", "{}"); got.status != 404 || got.code != "UNKNOWN_API_ENDPOINT" {
		t.Errorf("test only in production: %+v", got)
	}
}

// Limits hold outside test mode, and a call without rights burns them too.
func TestLimit(t *testing.T) {
	t.Parallel()
	s, _ := server("production")
	for range 2 {
		if got := call(s, "POST", "often", `{"i":"good"}`); got.status != 204 {
			t.Fatalf("%+v", got)
		}
	}
	got := call(s, "POST", "often", `{"i":"good"}`)
	if got.status != 429 || got.code != "RATE_LIMIT_EXCEEDED" || got.header.Get("Retry-After") == "" {
		t.Errorf("%+v", got)
	}
	if got := call(s, "POST", "often", `{}`); got.status != 204 {
		t.Errorf("another caller: %+v", got)
	}
	test, _ := server("test")
	for range 5 {
		if got := call(test, "POST", "often", `{}`); got.status != 204 {
			t.Errorf("in test mode: %+v", got)
		}
	}
}

func TestLimiterWindowSlides(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := api.NewLimiter(func() time.Time { return now })
	take := func() bool { _, ok := l.Take("k", 2, time.Minute, time.Second); return ok }
	if !take() {
		t.Fatal("first")
	}
	if take() {
		t.Error("within the gap")
	}
	now = now.Add(time.Second)
	if !take() {
		t.Error("second")
	}
	now = now.Add(30 * time.Second)
	if wait, ok := l.Take("k", 2, time.Minute, 0); ok || wait != 29*time.Second {
		t.Errorf("third after %s, %v", wait, ok)
	}
	now = now.Add(29 * time.Second)
	if !take() {
		t.Error("the first has left the window")
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s, _ := server("test")
	b, err := json.Marshal(s.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Paths["/echo"]["get"] == nil || doc.Paths["/mine"]["get"] != nil || doc.Paths["/mine"]["post"] == nil {
		t.Errorf("%v", doc.Paths)
	}
	schema := api.SchemaOf(reflect.TypeFor[request]()).JSON(nil)
	if req := schema["required"]; !reflect.DeepEqual(req, []string{"id"}) {
		t.Errorf("required %v", req)
	}
}
