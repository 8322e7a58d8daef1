package timeline

import (
	"context"
	"errors"
	"slices"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

var errRoleNone = api.Err("NO_SUCH_ROLE", "eb70323a-df61-4dd4-ad90-89c83c7cf26e", "There is no such role.")

type roleReq struct {
	api.Page
	RoleID string `json:"roleId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

// apiRole gives public notes of those who have a role that may be looked at.
func (s *Service) apiRole(ctx context.Context, c *api.Call, req roleReq) ([]*note.Packed, error) {
	r, err := s.roles.ByID(ctx, req.RoleID)
	if errors.Is(err, role.ErrNotFound) || err == nil && !r.Public {
		return nil, errRoleNone
	}
	if err != nil {
		return nil, err
	}
	if !r.Explorable {
		return []*note.Packed{}, nil
	}
	if r.Conditional {
		return s.ofConditional(ctx, c, r, req)
	}
	w := ofEverybody(c.UserID)
	w.And("n.user_id IN (SELECT ra.user_id FROM role_assignment ra WHERE ra.role_id = ? AND (ra.expires_at IS NULL OR ra.expires_at > ?))", r.ID, s.now())
	return s.notes.Page(ctx, c.UserID, sqlNotes, w, req.Page, req.Limit)
}

func ofEverybody(viewerID string) *pg.Where {
	var w pg.Where
	w.And("n.visibility = 'public' AND n.channel_id IS NULL")
	note.See(&w, viewerID)
	return &w
}

// How far a page of a conditional role is looked for.
const (
	roleRounds = 5
	roleBatch  = 200
)

// ofConditional looks through everybody's notes for those of whom the
// condition holds: no statement knows it.
func (s *Service) ofConditional(ctx context.Context, c *api.Call, r *role.Role, req roleReq) ([]*note.Packed, error) {
	since, until, asc := req.Bounds(s.ids.Method())
	order := " ORDER BY n.id DESC"
	if asc {
		order = " ORDER BY n.id ASC"
	}
	var page []*note.Note
	for range roleRounds {
		w := ofEverybody(c.UserID)
		if since != "" {
			w.And("n.id > ?", since)
		}
		if until != "" {
			w.And("n.id < ?", until)
		}
		notes, err := s.notes.RowsOf(ctx, sqlNotes+w.SQL()+order+pg.Limit(roleBatch), w.Args, asc)
		if err != nil {
			return nil, err
		}
		authors := make([]string, 0, len(notes))
		for _, n := range notes {
			authors = append(authors, n.UserID)
		}
		slices.Sort(authors)
		roles, err := s.roles.RolesOf(ctx, slices.Compact(authors))
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			if len(page) < req.Limit && slices.ContainsFunc(roles[n.UserID], func(x *role.Role) bool { return x.ID == r.ID }) {
				page = append(page, n)
			}
		}
		if len(page) == req.Limit || len(notes) < roleBatch {
			break
		}
		if last := notes[len(notes)-1].ID; asc {
			since = last
		} else {
			until = last
		}
	}
	return s.notes.Pack(ctx, c.UserID, page)
}
