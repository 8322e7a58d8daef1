package auth

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// app is an app of the older kind: registered once, with a secret, it asks for
// people's tokens through sessions (session.go).
type app struct {
	ID          string
	UserID      *string // who registered it; nil: a guest
	Name        string
	Description string
	Permission  []string
	CallbackURL *string
	secretEnc   []byte
}

// PackedApp is an app as clients see it.
type PackedApp struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	CallbackURL  *string  `json:"callbackUrl"`
	Permission   []string `json:"permission"`
	Secret       string   `json:"secret,omitempty"`
	IsAuthorized *bool    `json:"isAuthorized,omitempty"` // by who asks; nil for visitors
}

const secretLength = 32

var errAppNone = api.Err("NO_SUCH_APP", "dce83913-2dc6-4093-8a7b-71dbb11718a3", "There is no such app.")

type appCreateReq struct {
	Name        string   `json:"name" api:"required,max=128"`
	Description string   `json:"description" api:"required,max=512"`
	Permission  []string `json:"permission" api:"required,unique,max=256,items-max=64"`
	CallbackURL *string  `json:"callbackUrl" api:"max=512"`
}

// Older apps name permissions "x-read", "x/read" and so on.
var oldPermission = regexp.MustCompile(`^([a-z:-]+)[-/](read|write)$`)

// permissionsOf brings the permissions an app names into today's form.
func permissionsOf(names []string) []string {
	out := []string{}
	for _, n := range names {
		if m := oldPermission.FindStringSubmatch(n); m != nil {
			n = m[2] + ":" + m[1]
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

const sqlAppInsert = `INSERT INTO app (id, user_id, name, description, permission, callback_url, secret_hash, secret_enc)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// apiAppCreate registers an app, also for guests. Permissions that do not exist
// are kept: they grant nothing.
func (s *Service) apiAppCreate(ctx context.Context, c *api.Call, req appCreateReq) (*PackedApp, error) {
	a := &app{ID: s.ids.Now(), Name: req.Name, Description: req.Description, Permission: permissionsOf(req.Permission), CallbackURL: req.CallbackURL}
	if c.Identity != nil {
		a.UserID = &c.UserID
	}
	secret := id.RandomMixed(secretLength)
	a.secretEnc = s.box.Seal([]byte(secret), "app.secret:"+a.ID)
	if _, err := s.db.Exec(ctx, sqlAppInsert, a.ID, a.UserID, a.Name, a.Description, a.Permission, a.CallbackURL, hashToken(secret), a.secretEnc); err != nil {
		return nil, fmt.Errorf("create app: %w", err)
	}
	return &PackedApp{ID: a.ID, Name: a.Name, CallbackURL: a.CallbackURL, Permission: a.Permission, Secret: secret}, nil
}

const (
	appCols       = `id, user_id, name, description, permission, callback_url, secret_enc`
	sqlApp        = `SELECT ` + appCols + ` FROM app WHERE id = $1`
	sqlAppSecret  = `SELECT ` + appCols + ` FROM app WHERE secret_hash = $1`
	sqlAppsOf     = `SELECT ` + appCols + ` FROM app WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3`
	sqlAuthorized = `SELECT app_id FROM access_token WHERE user_id = $1 AND app_id = ANY($2)`
)

func scanApp(r pgx.CollectableRow) (*app, error) {
	a := &app{}
	return a, r.Scan(&a.ID, &a.UserID, &a.Name, &a.Description, &a.Permission, &a.CallbackURL, &a.secretEnc)
}

// findApp gives an app, or missing.
func (s *Service) findApp(ctx context.Context, q pg.Q, missing error, sql string, key any) (*app, error) {
	rows, err := q.Query(ctx, sql, key)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanApp)
	if pg.NoRows(err) {
		return nil, missing
	}
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return a, nil
}

// packApps packs apps for who asks, "" for a visitor.
func (s *Service) packApps(ctx context.Context, viewer string, apps []*app) ([]*PackedApp, error) {
	out := make([]*PackedApp, 0, len(apps))
	ids := make([]string, 0, len(apps))
	for _, a := range apps {
		ids = append(ids, a.ID)
		out = append(out, &PackedApp{ID: a.ID, Name: a.Name, CallbackURL: a.CallbackURL, Permission: a.Permission})
	}
	if viewer == "" || len(apps) == 0 {
		return out, nil
	}
	rows, err := s.db.Query(ctx, sqlAuthorized, viewer, ids)
	if err != nil {
		return nil, fmt.Errorf("authorized apps: %w", err)
	}
	allowed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("authorized apps: %w", err)
	}
	for _, p := range out {
		yes := slices.Contains(allowed, p.ID)
		p.IsAuthorized = &yes
	}
	return out, nil
}

type appShowReq struct {
	AppID string `json:"appId" api:"required,id"`
}

// apiAppShow gives the secret to nobody but who registered the app, with the
// native token.
func (s *Service) apiAppShow(ctx context.Context, c *api.Call, req appShowReq) (*PackedApp, error) {
	a, err := s.findApp(ctx, s.db, errAppNone, sqlApp, req.AppID)
	if err != nil {
		return nil, err
	}
	packed, err := s.packApps(ctx, c.ID(), []*app{a})
	if err != nil {
		return nil, err
	}
	if a.UserID != nil && c.Is(*a.UserID) && c.Native() {
		secret, err := s.box.Open(a.secretEnc, "app.secret:"+a.ID)
		if err != nil {
			return nil, fmt.Errorf("secret of app %s: %w", a.ID, err)
		}
		packed[0].Secret = string(secret)
	}
	return packed[0], nil
}

type myAppsReq struct {
	Limit  int `json:"limit" api:"min=1,max=100,default=10"`
	Offset int `json:"offset" api:"min=0,default=0"`
}

func (s *Service) apiMyApps(ctx context.Context, c *api.Call, req myAppsReq) ([]*PackedApp, error) {
	rows, err := s.db.Query(ctx, sqlAppsOf, c.UserID, req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("own apps: %w", err)
	}
	apps, err := pgx.CollectRows(rows, scanApp)
	if err != nil {
		return nil, fmt.Errorf("own apps: %w", err)
	}
	return s.packApps(ctx, c.UserID, apps)
}
