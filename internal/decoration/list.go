package decoration

import (
	"context"
	"slices"
	"strings"

	"buttersc.one/oven/internal/socket/api"
)

// listed is a decoration as those see it who choose one.
type listed struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	URL         string   `json:"url"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisDecoration"`
	Category    *string  `json:"category"`
}

// apiList gives the catalogue, in the order in which it was made.
func (s *Service) apiList(ctx context.Context, _ *api.Call, _ struct{}) ([]listed, error) {
	all, err := s.All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]listed, 0, len(all))
	for _, d := range all {
		out = append(out, d.listed())
	}
	slices.SortFunc(out, func(a, b listed) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

func (d *Decoration) listed() listed {
	return listed{ID: d.ID, Name: d.Name, Description: d.Description, URL: d.URL, RoleIDs: d.RoleIDs, Category: d.Category}
}
