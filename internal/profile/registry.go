package profile

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
)

// The registry keeps what clients want to find again on every device: JSON by
// scope and key. An app's items are its own: its token is their domain.

func (s *Service) registryEndpoints() []api.Endpoint {
	read, write := api.Scope("read:account"), api.Scope("write:account")
	return []api.Endpoint{
		api.Post("i/registry/get", s.apiRegistryGet, read, api.Errors(errRegistryGet)),
		api.Post("i/registry/get-all", s.apiRegistryAll, read),
		api.Post("i/registry/get-detail", s.apiRegistryDetail, read, api.Errors(errRegistryDetail)),
		api.Post("i/registry/keys", s.apiRegistryKeys, read),
		api.Post("i/registry/keys-with-type", s.apiRegistryTypes, read),
		api.Post("i/registry/remove", s.apiRegistryRemove, write, api.Errors(errRegistryRemove)),
		api.Post("i/registry/scopes-with-domain", s.apiRegistryScopes, api.Secure),
		api.Post("i/registry/set", s.apiRegistrySet, write),
	}
}

var (
	errRegistryGet    = api.Err("NO_SUCH_KEY", "ac3ed68a-62f0-422b-a7bc-d5e09e8f6a6a", "There is nothing under that key.")
	errRegistryDetail = api.Err("NO_SUCH_KEY", "97a1e8e7-c0f7-47d2-957a-92e61256e01a", "There is nothing under that key.")
	errRegistryRemove = api.Err("NO_SUCH_KEY", "1fac4e8a-a6cd-4e39-a4a5-3a7e11f1b019", "There is nothing under that key.")
)

// registryScope is where a call looks.
type registryScope struct {
	Scope  []string `json:"scope" api:"required,max=32,items-pattern=^[a-zA-Z0-9_]+$"`
	Domain *string  `json:"domain" api:"nullable,max=512"`
}

// domain of a call: apps see their own only.
func (r *registryScope) domain(c *api.Call) *string {
	if !c.Native() {
		return &c.TokenID
	}
	return r.Domain
}

type registryKey struct {
	registryScope
	Key string `json:"key" api:"required,min=1,max=1024"`
}

const (
	registryOf      = `FROM registry_item WHERE user_id = $1 AND domain IS NOT DISTINCT FROM $2 AND scope = $3`
	sqlRegistryGet  = `SELECT value, updated_at ` + registryOf + ` AND key = $4`
	sqlRegistryAll  = `SELECT key, value ` + registryOf + ` ORDER BY key`
	sqlRegistryDrop = `DELETE ` + registryOf + ` AND key = $4`
	sqlRegistrySet  = `
INSERT INTO registry_item (id, user_id, domain, scope, key, value, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, domain, scope, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`
	sqlRegistryScopes = `SELECT DISTINCT domain, scope FROM registry_item WHERE user_id = $1 ORDER BY domain NULLS FIRST, scope`
)

func (s *Service) registryItem(ctx context.Context, c *api.Call, req *registryKey, missing *api.Error) (value json.RawMessage, at time.Time, err error) {
	err = s.db.QueryRow(ctx, sqlRegistryGet, c.UserID, req.domain(c), req.Scope, req.Key).Scan(&value, &at)
	if pg.NoRows(err) {
		return nil, at, missing
	}
	if err != nil {
		return nil, at, fmt.Errorf("registry: %w", err)
	}
	return value, at, nil
}

func (s *Service) apiRegistryGet(ctx context.Context, c *api.Call, req registryKey) (json.RawMessage, error) {
	v, _, err := s.registryItem(ctx, c, &req, errRegistryGet)
	return v, err
}

type registryDetail struct {
	UpdatedAt api.Time        `json:"updatedAt"`
	Value     json.RawMessage `json:"value"`
}

func (s *Service) apiRegistryDetail(ctx context.Context, c *api.Call, req registryKey) (*registryDetail, error) {
	v, at, err := s.registryItem(ctx, c, &req, errRegistryDetail)
	if err != nil {
		return nil, err
	}
	return &registryDetail{UpdatedAt: api.Time(at), Value: v}, nil
}

func (s *Service) registryItems(ctx context.Context, c *api.Call, req *registryScope) (keys []string, values map[string]json.RawMessage, err error) {
	rows, err := s.db.Query(ctx, sqlRegistryAll, c.UserID, req.domain(c), req.Scope)
	if err != nil {
		return nil, nil, fmt.Errorf("registry: %w", err)
	}
	keys, values = []string{}, map[string]json.RawMessage{}
	var key string
	var value json.RawMessage
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		keys = append(keys, key)
		values[key] = append(json.RawMessage{}, value...)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("registry: %w", err)
	}
	return keys, values, nil
}

func (s *Service) apiRegistryAll(ctx context.Context, c *api.Call, req registryScope) (map[string]json.RawMessage, error) {
	_, values, err := s.registryItems(ctx, c, &req)
	return values, err
}

func (s *Service) apiRegistryKeys(ctx context.Context, c *api.Call, req registryScope) ([]string, error) {
	keys, _, err := s.registryItems(ctx, c, &req)
	return keys, err
}

func (s *Service) apiRegistryTypes(ctx context.Context, c *api.Call, req registryScope) (map[string]string, error) {
	_, values, err := s.registryItems(ctx, c, &req)
	types := make(map[string]string, len(values))
	for k, v := range values {
		types[k] = typeOf(v)
	}
	return types, err
}

func typeOf(v json.RawMessage) string {
	switch v[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

func (s *Service) apiRegistryRemove(ctx context.Context, c *api.Call, req registryKey) (api.None, error) {
	tag, err := s.db.Exec(ctx, sqlRegistryDrop, c.UserID, req.domain(c), req.Scope, req.Key)
	if err != nil {
		return api.None{}, fmt.Errorf("registry: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errRegistryRemove
	}
	return api.None{}, nil
}

type registrySetReq struct {
	registryKey
	Value json.RawMessage `json:"value" api:"required,any"`
}

// registryUpdated is the event that tells other devices.
type registryUpdated struct {
	Scope []string        `json:"scope"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func (s *Service) apiRegistrySet(ctx context.Context, c *api.Call, req registrySetReq) (api.None, error) {
	domain := req.domain(c)
	_, err := s.db.Exec(ctx, sqlRegistrySet, s.ids.Now(), c.UserID, domain, req.Scope, req.Key, req.Value, s.now())
	if err != nil {
		return api.None{}, fmt.Errorf("registry: %w", err)
	}
	if domain == nil {
		s.hub.Publish(stream.MainTopic(c.UserID), stream.Event{Type: "registryUpdated", Body: registryUpdated{Scope: req.Scope, Key: req.Key, Value: req.Value}})
	}
	return api.None{}, nil
}

type registryScopes struct {
	Scopes [][]string `json:"scopes"`
	Domain *string    `json:"domain"`
}

func (s *Service) apiRegistryScopes(ctx context.Context, c *api.Call, _ struct{}) ([]*registryScopes, error) {
	rows, err := s.db.Query(ctx, sqlRegistryScopes, c.UserID)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	out := []*registryScopes{}
	var domain *string
	var scope []string
	_, err = pgx.ForEachRow(rows, []any{&domain, &scope}, func() error {
		last := len(out) - 1
		if last < 0 || (out[last].Domain == nil) != (domain == nil) || domain != nil && *out[last].Domain != *domain {
			out = append(out, &registryScopes{Domain: domain, Scopes: [][]string{}})
			last++
		}
		out[last].Scopes = append(out[last].Scopes, scope)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return out, nil
}
