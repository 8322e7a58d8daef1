package catalogue

import (
	"context"
	"slices"
	"strings"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// some is a text that says something.
func some(t *string) *string {
	if t == nil || strings.TrimSpace(*t) == "" {
		return nil
	}
	return t
}

// tidy leaves out empty words and those that come again.
func tidy(words []string) []string {
	out := []string{}
	for _, w := range words {
		if w = strings.TrimSpace(w); w != "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// each changes the emoji one by one, in one transaction.
func (s *Service) each(ctx context.Context, c *api.Call, ids []string, change func(e *emoji.Emoji)) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		list, err := s.Emojis.Lock(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, was := range list {
			e := *was
			e.Aliases = slices.Clone(was.Aliases)
			change(&e)
			if err := s.Emojis.Change(ctx, tx, was, &e); err != nil {
				return err
			}
			if err := s.acted(ctx, tx, c, "updateCustomEmoji", &e, map[string]any{"before": emoji.Pack(was), "after": emoji.Pack(&e)}); err != nil {
				return err
			}
		}
		return nil
	})
}

type aliasesReq struct {
	IDs     []string `json:"ids" api:"required,max=1000,items-id"`
	Aliases []string `json:"aliases" api:"required,max=256,items-max=128"`
}

func (s *Service) apiAddAliases(ctx context.Context, c *api.Call, req aliasesReq) (api.None, error) {
	return s.each(ctx, c, req.IDs, func(e *emoji.Emoji) { e.Aliases = tidy(append(e.Aliases, req.Aliases...)) })
}

func (s *Service) apiRemoveAliases(ctx context.Context, c *api.Call, req aliasesReq) (api.None, error) {
	return s.each(ctx, c, req.IDs, func(e *emoji.Emoji) {
		e.Aliases = slices.DeleteFunc(e.Aliases, func(a string) bool { return slices.Contains(req.Aliases, a) })
	})
}

func (s *Service) apiSetAliases(ctx context.Context, c *api.Call, req aliasesReq) (api.None, error) {
	return s.each(ctx, c, req.IDs, func(e *emoji.Emoji) { e.Aliases = tidy(req.Aliases) })
}

type categoryReq struct {
	IDs      []string `json:"ids" api:"required,max=1000,items-id"`
	Category *string  `json:"category" api:"nullable,max=128"`
}

func (s *Service) apiSetCategory(ctx context.Context, c *api.Call, req categoryReq) (api.None, error) {
	return s.each(ctx, c, req.IDs, func(e *emoji.Emoji) { e.Category = some(req.Category) })
}

type licenseReq struct {
	IDs     []string `json:"ids" api:"required,max=1000,items-id"`
	License *string  `json:"license" api:"nullable,max=1024"`
}

func (s *Service) apiSetLicense(ctx context.Context, c *api.Call, req licenseReq) (api.None, error) {
	return s.each(ctx, c, req.IDs, func(e *emoji.Emoji) { e.License = some(req.License) })
}
