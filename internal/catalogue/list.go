package catalogue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

const sqlList = `SELECT ` + emoji.Columns + ` FROM emoji t`

type listReq struct {
	api.Page
	Query *string `json:"query" api:"nullable,max=256"`
	Limit int     `json:"limit" api:"min=1,max=100,default=10"`
}

// apiList gives this server's emoji whose name, words or category have the text.
func (s *Service) apiList(ctx context.Context, _ *api.Call, req listReq) ([]*emoji.Detailed, error) {
	w := &pg.Where{}
	w.And("t.host IS NULL")
	if q := some(req.Query); q != nil {
		like := has(strings.Trim(*q, ":"))
		w.And(`(t.name ILIKE ?1 OR t.category ILIKE ?1 OR EXISTS (SELECT FROM unnest(t.aliases) a WHERE a ILIKE ?1))`, like)
	}
	return s.page(ctx, w, req.Page, req.Limit)
}

type remoteReq struct {
	listReq
	Host *string `json:"host" api:"nullable,max=255"`
}

func (s *Service) apiListRemote(ctx context.Context, _ *api.Call, req remoteReq) ([]*emoji.Detailed, error) {
	w := &pg.Where{}
	w.And("t.host IS NOT NULL")
	if req.Host != nil && *req.Host != "" {
		host, err := ap.NormalizeHost(*req.Host)
		if err != nil {
			return []*emoji.Detailed{}, nil //nolint:nilerr // no server is called so
		}
		w.And("t.host = ?", host)
	}
	if q := some(req.Query); q != nil {
		w.And("t.name ILIKE ?", has(strings.Trim(*q, ":")))
	}
	return s.page(ctx, w, req.Page, req.Limit)
}

// has is a pattern for LIKE of texts that have the other in them.
func has(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

func (s *Service) page(ctx context.Context, w *pg.Where, p api.Page, limit int) ([]*emoji.Detailed, error) {
	order := p.Apply(w, s.IDs.Method(), limit)
	list, err := emoji.Query(ctx, s.DB, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	out := make([]*emoji.Detailed, 0, len(list))
	for _, e := range list {
		out = append(out, emoji.Pack(e))
	}
	return out, nil
}

// filters of the table of emoji. Texts are words, any of which the value has in
// it; one in quotation marks must be the whole value.
type filters struct {
	UpdatedAtFrom *string   `json:"updatedAtFrom" api:"optional"`
	UpdatedAtTo   *string   `json:"updatedAtTo" api:"optional"`
	Name          *string   `json:"name" api:"optional,max=1024"`
	Host          *string   `json:"host" api:"optional,max=1024"`
	URI           *string   `json:"uri" api:"optional,max=1024"`
	PublicURL     *string   `json:"publicUrl" api:"optional,max=1024"`
	OriginalURL   *string   `json:"originalUrl" api:"optional,max=1024"`
	Type          *string   `json:"type" api:"optional,max=1024"`
	Aliases       *string   `json:"aliases" api:"optional,max=1024"`
	Category      *string   `json:"category" api:"optional,max=1024"`
	License       *string   `json:"license" api:"optional,max=1024"`
	IsSensitive   *bool     `json:"isSensitive" api:"optional"`
	LocalOnly     *bool     `json:"localOnly" api:"optional"`
	HostType      *string   `json:"hostType" api:"optional,enum=local|remote|all"`
	RoleIDs       *[]string `json:"roleIds" api:"optional,max=128"`
}

type tableReq struct {
	api.Page
	Query    *filters `json:"query" api:"nullable"`
	Limit    int      `json:"limit" api:"min=1,max=100,default=10"`
	PageNo   *int     `json:"page" api:"optional,min=1,max=1000000"`
	SortKeys []string `json:"sortKeys" api:"optional,max=16,items-enum=+id|-id|+updatedAt|-updatedAt|+name|-name|+host|-host|+uri|-uri|+publicUrl|-publicUrl|+type|-type|+aliases|-aliases|+category|-category|+license|-license|+isSensitive|-isSensitive|+localOnly|-localOnly|+roleIdsThatCanBeUsedThisEmojiAsReaction|-roleIdsThatCanBeUsedThisEmojiAsReaction"`
}

type roleRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type tableRow struct {
	ID          string    `json:"id"`
	UpdatedAt   *api.Time `json:"updatedAt"`
	Name        string    `json:"name"`
	Host        *string   `json:"host"`
	PublicURL   string    `json:"publicUrl"`
	OriginalURL string    `json:"originalUrl"`
	URI         *string   `json:"uri"`
	Type        *string   `json:"type"`
	Aliases     []string  `json:"aliases"`
	Category    *string   `json:"category"`
	License     *string   `json:"license"`
	LocalOnly   bool      `json:"localOnly"`
	IsSensitive bool      `json:"isSensitive"`
	Roles       []roleRef `json:"roleIdsThatCanBeUsedThisEmojiAsReaction"`
}

type tableRes struct {
	Emojis   []tableRow `json:"emojis"`
	Count    int        `json:"count"`
	AllCount int        `json:"allCount"`
	AllPages int        `json:"allPages"`
}

const sqlCount = `SELECT count(*) FROM emoji t`

// apiTable gives a page of the table of all emoji, with how many there are.
func (s *Service) apiTable(ctx context.Context, _ *api.Call, req tableReq) (*tableRes, error) {
	w := &pg.Where{}
	if req.Query != nil {
		if err := req.Query.apply(w); err != nil {
			return nil, err
		}
	}
	res := &tableRes{Emojis: []tableRow{}}
	if err := s.DB.QueryRow(ctx, sqlCount+w.SQL(), w.Args...).Scan(&res.AllCount); err != nil {
		return nil, fmt.Errorf("count emoji: %w", err)
	}
	res.AllPages = (res.AllCount + req.Limit - 1) / req.Limit
	since, until, _ := req.Bounds(s.IDs.Method())
	if since != "" {
		w.And("t.id > ?", since)
	}
	if until != "" {
		w.And("t.id < ?", until)
	}
	order := sorting(req.SortKeys) + pg.Limit(req.Limit)
	if req.PageNo != nil {
		order += pg.Offset((*req.PageNo - 1) * req.Limit)
	}
	list, err := emoji.Query(ctx, s.DB, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, err
	}
	names, err := s.roleNames(ctx, list)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		r := tableRow{ID: e.ID, UpdatedAt: api.TimePtr(e.UpdatedAt), Name: e.Name, Host: e.Host, PublicURL: e.PublicURL, OriginalURL: e.OriginalURL, URI: e.URI, Type: e.Type,
			Aliases: e.Aliases, Category: e.Category, License: e.License, LocalOnly: e.LocalOnly, IsSensitive: e.IsSensitive, Roles: []roleRef{}}
		for _, id := range e.RoleIDs {
			if name, ok := names[id]; ok {
				r.Roles = append(r.Roles, roleRef{ID: id, Name: name})
			}
		}
		res.Emojis = append(res.Emojis, r)
	}
	res.Count = len(res.Emojis)
	return res, nil
}

const sqlRoleNames = `SELECT id, name FROM role WHERE id = ANY($1)`

func (s *Service) roleNames(ctx context.Context, list []*emoji.Emoji) (map[string]string, error) {
	var ids []string
	for _, e := range list {
		ids = append(ids, e.RoleIDs...)
	}
	out := map[string]string{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := s.DB.Query(ctx, sqlRoleNames, ids)
	if err != nil {
		return nil, fmt.Errorf("roles of emoji: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, fmt.Errorf("roles of emoji: %w", err)
		}
		out[id] = name
	}
	return out, rows.Err()
}

// apply adds the filters to the conditions.
func (f *filters) apply(w *pg.Where) error {
	for _, t := range []struct {
		text *string
		add  func(patterns []any)
	}{
		{f.Name, func(p []any) { w.Any("t.name ILIKE ?", p) }}, {f.Host, func(p []any) { w.Any("t.host ILIKE ?", p) }}, {f.URI, func(p []any) { w.Any("t.uri ILIKE ?", p) }},
		{f.PublicURL, func(p []any) { w.Any("t.public_url ILIKE ?", p) }}, {f.OriginalURL, func(p []any) { w.Any("t.original_url ILIKE ?", p) }},
		{f.Type, func(p []any) { w.Any("t.type ILIKE ?", p) }}, {f.Category, func(p []any) { w.Any("t.category ILIKE ?", p) }}, {f.License, func(p []any) { w.Any("t.license ILIKE ?", p) }},
		{f.Aliases, func(p []any) { w.Any("EXISTS (SELECT FROM unnest(t.aliases) a WHERE a ILIKE ?)", p) }},
	} {
		if p := patterns(t.text); len(p) > 0 {
			t.add(p)
		}
	}
	for _, t := range []struct {
		at   *string
		name string
		add  func(time.Time)
	}{{f.UpdatedAtFrom, "updatedAtFrom", func(at time.Time) { w.And("t.updated_at >= ?", at) }}, {f.UpdatedAtTo, "updatedAtTo", func(at time.Time) { w.And("t.updated_at <= ?", at) }}} {
		if t.at == nil || *t.at == "" {
			continue
		}
		at, err := readTime(*t.at)
		if err != nil {
			return api.InvalidParam("#/properties/query/properties/"+t.name, "must be a date")
		}
		t.add(at)
	}
	if f.IsSensitive != nil {
		w.And("t.is_sensitive = ?", *f.IsSensitive)
	}
	if f.LocalOnly != nil {
		w.And("t.local_only = ?", *f.LocalOnly)
	}
	if f.RoleIDs != nil && len(*f.RoleIDs) > 0 {
		w.And("t.role_ids && ?::text[]", *f.RoleIDs)
	}
	switch {
	case f.HostType == nil || *f.HostType == "all":
	case *f.HostType == "local":
		w.And("t.host IS NULL")
	default:
		w.And("t.host IS NOT NULL")
	}
	return nil
}

func readTime(text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("no date: %.40q", text)
}

// patterns for LIKE of the words of a filter.
func patterns(text *string) (out []any) {
	if text == nil {
		return nil
	}
	for _, word := range strings.Fields(*text) {
		if len(word) > 2 && word[0] == '"' && word[len(word)-1] == '"' {
			out = append(out, strings.Trim(has(word[1:len(word)-1]), "%"))
		} else {
			out = append(out, has(word))
		}
	}
	return out
}

// sorting is the order that the keys ask for, which are checked before.
func sorting(keys []string) string {
	columns := map[string]string{"id": "t.id", "updatedAt": "t.updated_at", "name": "t.name", "host": "t.host", "uri": "t.uri", "publicUrl": "t.public_url", "type": "t.type",
		"aliases": "t.aliases", "category": "t.category", "license": "t.license", "isSensitive": "t.is_sensitive", "localOnly": "t.local_only", "roleIdsThatCanBeUsedThisEmojiAsReaction": "t.role_ids"}
	order := " ORDER BY "
	for _, key := range keys {
		if column := columns[key[1:]]; column != "" {
			order += column + map[byte]string{'+': " ASC NULLS LAST, ", '-': " DESC NULLS LAST, "}[key[0]]
		}
	}
	return order + "t.id DESC"
}
