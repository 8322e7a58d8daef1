package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// What guests may begin in an hour. Misskey sets no limits here, but these fill
// tables.
const (
	appsMax     = 100
	sessionsMax = 1000
)

// appsEndpoints are apps of the older kind, and what was let in by any way.
func (s *Service) appsEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("app/create", s.apiAppCreate, api.Visitors, api.Limit(appsMax, time.Hour)),
		api.Post("app/show", s.apiAppShow, api.Visitors, api.Errors(errAppNone)),
		api.Post("my/apps", s.apiMyApps, api.Scope("read:account")),
		api.Post("auth/session/generate", s.apiSessionGenerate, api.Visitors, api.Limit(sessionsMax, time.Hour), api.Errors(errGenerateNoApp)),
		api.Post("auth/session/show", s.apiSessionShow, api.Visitors, api.Errors(errSessionNone)),
		api.Post("auth/session/userkey", s.apiUserkey, api.Visitors, api.Errors(errUserkeyNoApp, errUserkeyNone, errUserkeyPending)),
		api.Post("auth/accept", s.apiAccept, api.Secure, api.Errors(errAcceptNone)),
		api.Post("i/apps", s.apiTokens, api.Secure),
		api.Post("i/authorized-apps", s.apiAuthorized, api.Secure),
		api.Post("i/revoke-token", s.apiRevoke, api.Secure),
	}
}

type tokensReq struct {
	Sort string `json:"sort" api:"enum=+createdAt|-createdAt|+lastUsedAt|-lastUsedAt"`
}

// PackedToken is an access token as its owner sees it, without the token.
type PackedToken struct {
	ID          string    `json:"id"`
	Name        *string   `json:"name,omitempty"`
	CreatedAt   api.Time  `json:"createdAt"`
	LastUsedAt  *api.Time `json:"lastUsedAt,omitempty"`
	Permission  []string  `json:"permission"`
	IconURL     *string   `json:"iconUrl"`
	Description *string   `json:"description"`
}

const sqlTokens = `
SELECT t.id, coalesce(t.name, a.name), t.last_used_at, coalesce(a.permission, t.permission), t.icon_url, coalesce(t.description, a.description)
FROM access_token t LEFT JOIN app a ON a.id = t.app_id WHERE t.user_id = $1`

// apiTokens lists everything that may act for the account.
func (s *Service) apiTokens(ctx context.Context, c *api.Call, req tokensReq) ([]*PackedToken, error) {
	order := " ORDER BY t.id ASC"
	switch req.Sort {
	case "+createdAt":
		order = " ORDER BY t.id DESC"
	case "+lastUsedAt":
		order = " ORDER BY t.last_used_at DESC NULLS LAST, t.id DESC"
	case "-lastUsedAt":
		order = " ORDER BY t.last_used_at ASC NULLS FIRST, t.id ASC"
	}
	rows, err := s.db.Query(ctx, sqlTokens+order, c.UserID)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*PackedToken, error) {
		p := &PackedToken{}
		var used *time.Time
		if err := r.Scan(&p.ID, &p.Name, &used, &p.Permission, &p.IconURL, &p.Description); err != nil {
			return nil, err
		}
		created, err := s.ids.Method().Time(p.ID)
		p.CreatedAt, p.LastUsedAt = api.Time(created), api.TimePtr(used)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	return list, nil
}

type authorizedReq struct {
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
	Offset int    `json:"offset" api:"min=0,default=0"`
	Sort   string `json:"sort" api:"enum=desc|asc,default=desc"`
}

const (
	sqlLetIn = `SELECT a.id, a.user_id, a.name, a.description, a.permission, a.callback_url, a.secret_enc
FROM access_token t JOIN app a ON a.id = t.app_id WHERE t.user_id = $1 ORDER BY t.id `
	sqlLetInNewest = sqlLetIn + `DESC LIMIT $2 OFFSET $3`
	sqlLetInOldest = sqlLetIn + `ASC LIMIT $2 OFFSET $3`
)

// apiAuthorized lists the apps of the older kind that the account let in.
func (s *Service) apiAuthorized(ctx context.Context, c *api.Call, req authorizedReq) ([]*PackedApp, error) {
	sql := sqlLetInNewest
	if req.Sort == "asc" {
		sql = sqlLetInOldest
	}
	rows, err := s.db.Query(ctx, sql, c.UserID, req.Limit, req.Offset)
	if err != nil {
		return nil, fmt.Errorf("authorized apps: %w", err)
	}
	apps, err := pgx.CollectRows(rows, scanApp)
	if err != nil {
		return nil, fmt.Errorf("authorized apps: %w", err)
	}
	return s.packApps(ctx, c.UserID, apps)
}

type revokeReq struct {
	TokenID *string `json:"tokenId" api:"optional,id"`
	Token   *string `json:"token" api:"max=256"`
}

const sqlRevoke = `DELETE FROM access_token WHERE user_id = $1 AND (id = $2 OR token_hash = $3) RETURNING id`

// apiRevoke takes one of the account's access tokens back; its connections end.
// What is not the account's is passed over in silence: nobody learns whether it
// exists.
func (s *Service) apiRevoke(ctx context.Context, c *api.Call, req revokeReq) (api.None, error) {
	var hash []byte
	switch {
	case req.TokenID != nil:
	case req.Token != nil:
		hash = hashToken(*req.Token)
	default:
		return api.None{}, api.InvalidParam("#/anyOf", "must have required property 'tokenId' or 'token'")
	}
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		var tokenID string
		err := tx.QueryRow(ctx, sqlRevoke, c.UserID, req.TokenID, hash).Scan(&tokenID)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		return s.revoked(ctx, tx, c.UserID, tokenID)
	})
	return api.None{}, err
}

// revoked tells every node that a token is gone.
func (s *Service) revoked(ctx context.Context, tx *pg.Tx, userID, tokenID string) error {
	tx.AfterCommit(s.cache.drop)
	return s.log.Append(ctx, tx, "auth.revoked", tokenID, userID, revokedData{TokenID: tokenID})
}
