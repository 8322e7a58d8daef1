package emoji

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/api"
)

// Simple is an emoji as the catalogue lists it.
type Simple struct {
	Aliases     []string `json:"aliases"`
	Name        string   `json:"name"`
	Category    *string  `json:"category"`
	URL         string   `json:"url"`
	LocalOnly   bool     `json:"localOnly,omitempty"`
	IsSensitive bool     `json:"isSensitive,omitempty"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisEmojiAsReaction,omitempty"`
}

// Detailed is an emoji with all that is told of it.
type Detailed struct {
	ID          string   `json:"id"`
	Aliases     []string `json:"aliases"`
	Name        string   `json:"name"`
	Category    *string  `json:"category"`
	Host        *string  `json:"host"`
	URL         string   `json:"url"`
	License     *string  `json:"license"`
	IsSensitive bool     `json:"isSensitive"`
	LocalOnly   bool     `json:"localOnly"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisEmojiAsReaction"`
}

var errNoSuchEmoji = api.Err("NO_SUCH_EMOJI", "e2785b66-dca3-4087-9cac-b93c541cc425", "There is no such emoji.").WithStatus(http.StatusNotFound)

type listRes struct {
	Emojis []Simple `json:"emojis"`
}

// apiList gives the catalogue: every visitor asks for it, so it is encoded once.
func (s *Service) apiList(ctx context.Context, _ *api.Call, _ struct{}) (*api.Encoded[listRes], error) {
	s.mu.Lock()
	made, turn := s.listed, s.turn
	s.mu.Unlock()
	if made != nil {
		return made, nil
	}
	local, err := s.Local(ctx)
	if err != nil {
		return nil, err
	}
	if made, err = api.Encode(*listOf(local)); err != nil {
		return nil, fmt.Errorf("catalogue of emoji: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn == s.turn {
		s.listed = made
	}
	return made, nil
}

func listOf(local map[string]*Emoji) *listRes {
	res := &listRes{Emojis: make([]Simple, 0, len(local))}
	for _, e := range local {
		res.Emojis = append(res.Emojis, Simple{Aliases: e.Aliases, Name: e.Name, Category: e.Category, URL: e.URL(),
			LocalOnly: e.LocalOnly, IsSensitive: e.IsSensitive, RoleIDs: e.RoleIDs})
	}
	slices.SortFunc(res.Emojis, func(a, b Simple) int {
		return cmp.Or(strings.Compare(category(a), category(b)), strings.Compare(a.Name, b.Name))
	})
	return res
}

func category(e Simple) string {
	if e.Category == nil {
		return ""
	}
	return *e.Category
}

type showReq struct {
	Name string `json:"name" api:"required"`
}

func (s *Service) apiShow(ctx context.Context, _ *api.Call, req showReq) (*Detailed, error) {
	local, err := s.Local(ctx)
	if err != nil {
		return nil, err
	}
	e := local[req.Name]
	if e == nil {
		return nil, errNoSuchEmoji
	}
	return Pack(e), nil
}

// serveImage redirects /emoji/<name>[@host].webp to the picture.
func (s *Service) serveImage(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("name"), ".webp")
	if !ok {
		http.NotFound(w, r)
		return
	}
	name, host, _ := strings.Cut(name, "@")
	var e *Emoji
	if host == "" || host == "." {
		local, err := s.Local(r.Context())
		if err != nil {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		e = local[name]
	} else {
		known, err := s.Remote(r.Context(), s.db, host, []string{name})
		if err != nil {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		e = known[name]
	}
	if e == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("Location", e.URL())
	w.WriteHeader(http.StatusMovedPermanently)
}

// AP renders a local emoji as the tag that documents carry.
func (s *Service) AP(e *Emoji) *ap.Emoji {
	t := &ap.Emoji{ID: s.meta.Origin + "/emojis/" + e.Name, Type: "Emoji", Name: ":" + e.Name + ":", Sensitive: e.IsSensitive,
		Icon: ap.Image{Type: "Image", URL: e.URL()}}
	if e.Type != nil {
		t.Icon.MediaType = *e.Type
	}
	if e.UpdatedAt != nil {
		t.Updated = e.UpdatedAt.UTC()
	}
	return t
}

// Tags renders those of the names that are local emoji and may leave the house.
func (s *Service) Tags(ctx context.Context, names []string) ([]any, error) {
	local, err := s.Local(ctx)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, n := range names {
		if e := local[n]; e != nil && !e.LocalOnly {
			out = append(out, s.AP(e))
		}
	}
	return out, nil
}
