package notification

import (
	"context"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// reacted is one reaction of a group.
type reacted struct {
	User     *user.Lite `json:"user"`
	Reaction string     `json:"reaction"`
}

// groupAhead is how many more notifications than asked for are read: as many
// may go into groups.
const groupAhead = 100

// apiGrouped gives notifications with reactions to one note, and renotes of
// one note, put together where they follow each other.
func (s *Service) apiGrouped(ctx context.Context, c *api.Call, req listReq) ([]*Packed, error) {
	include := req.IncludeTypes
	for i, t := range include { // the names of groups mean what is in them
		switch t {
		case "reaction:grouped":
			include[i] = "reaction"
		case "renote:grouped":
			include[i] = "renote"
		}
	}
	list, err := s.list(ctx, c, &req, req.Limit+groupAhead)
	if err != nil {
		return nil, err
	}
	out := make([]*Packed, 0, req.Limit)
	for _, p := range list {
		if len(out) > 0 && join(out[len(out)-1], p) {
			continue
		}
		if len(out) == req.Limit {
			break
		}
		one := *p
		out = append(out, &one)
	}
	if req.MarkAsRead {
		err = s.markRead(ctx, c.UserID)
	}
	return out, err
}

// join puts a notification into the group before it, if it belongs there. A
// group has the id of its oldest member, so that the next page begins below.
func join(g, p *Packed) bool {
	switch {
	case p.Type == "reaction" && (g.Type == "reaction" || g.Type == "reaction:grouped") && g.Note.ID == p.Note.ID:
		if g.Type == "reaction" {
			g.Reactions = []reacted{{User: g.User, Reaction: *g.Reaction}}
			g.Type, g.User, g.UserID, g.Reaction = "reaction:grouped", nil, nil, nil
		}
		g.Reactions = append(g.Reactions, reacted{User: p.User, Reaction: *p.Reaction})
	case p.Type == "renote" && g.Type == "renote" && target(g) != "" && target(g) == target(p):
		g.Users = []*user.Lite{g.User, p.User}
		g.Type, g.Note, g.User, g.UserID = "renote:grouped", g.Note.Renote, nil, nil
	case p.Type == "renote" && g.Type == "renote:grouped" && g.Note.ID == target(p):
		g.Users = append(g.Users, p.User)
	default:
		return false
	}
	g.ID, g.IsRead = p.ID, g.IsRead && p.IsRead
	return true
}

func target(p *Packed) string {
	if p.Note == nil || p.Note.Renote == nil {
		return ""
	}
	return p.Note.Renote.ID
}
