package preview

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/summary"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/user"
)

// ownKept is how long a summary of this server's own pages is good: what was deleted
// is to be gone.
const ownKept = time.Minute

// own summarises a page of this server by what is known here, for a guest: fetching
// it would be asking oneself.
func (s *Service) own(ctx context.Context, u *url.URL) (found, error) {
	f := found{until: s.Now().Add(ownKept)}
	var err error
	switch path := u.Path; {
	case path == "" || path == "/":
		f.summary = s.ownHome()
	case strings.HasPrefix(path, "/notes/"):
		f.summary, err = s.ownNote(ctx, strings.TrimPrefix(path, "/notes/"))
	case strings.HasPrefix(path, "/@"):
		f.summary, err = s.ownAccount(ctx, strings.TrimPrefix(path, "/@"))
	default:
		err = errNothing
	}
	if errors.Is(err, note.ErrNotFound) || errors.Is(err, user.ErrNotFound) {
		err = fmt.Errorf("%w: %w", errNothing, err)
	}
	if err != nil {
		return f, err
	}
	f.summary.URL = u.String()
	set := s.Meta.Get()
	f.summary.Sitename, f.summary.Icon = &s.Meta.Host, set.IconURL
	if set.Name != nil {
		f.summary.Sitename = set.Name
	}
	if !f.summary.Clean() {
		return f, errNothing
	}
	return f, nil
}

func (s *Service) ownHome() *summary.Summary {
	set := s.Meta.Get()
	sum := &summary.Summary{Title: &s.Meta.Host, Description: set.Description, Thumbnail: set.BannerURL}
	if set.Name != nil {
		sum.Title = set.Name
	}
	return sum
}

func titleOf(u *user.Lite) *string {
	acct := "@" + u.Username
	if u.Host != nil {
		acct += "@" + *u.Host
	}
	if u.Name != nil {
		acct = *u.Name + " (" + acct + ")"
	}
	return &acct
}

func (s *Service) ownNote(ctx context.Context, id string) (*summary.Summary, error) {
	n, err := s.Notes.Seen(ctx, "", id)
	if err != nil {
		return nil, err
	}
	author, err := s.Users.ByID(ctx, n.UserID)
	if err != nil {
		return nil, err
	}
	if author.IsSuspended || author.IsDeleted {
		return nil, errNothing
	}
	packed, err := s.Notes.Pack(ctx, "", []*note.Note{n})
	if err != nil {
		return nil, err
	}
	p := packed[0]
	sum := &summary.Summary{Title: titleOf(p.User), Description: p.Text, Thumbnail: &p.User.AvatarURL}
	if n.Local() {
		uri := s.Notes.URI(n)
		sum.ActivityPub = &uri
	}
	if p.CW != nil {
		sum.Description = p.CW
		return sum, nil
	}
	for _, f := range p.Files {
		if strings.HasPrefix(f.Type, "image/") {
			sum.Thumbnail, sum.Sensitive = &f.URL, f.IsSensitive
			break
		}
	}
	return sum, nil
}

func (s *Service) ownAccount(ctx context.Context, name string) (*summary.Summary, error) {
	name, host, remote := strings.Cut(name, "@")
	var at *string
	if remote {
		at = &host
	}
	u, err := s.Users.ByAcct(ctx, s.DB, name, at)
	if err != nil {
		return nil, err
	}
	if u.IsSuspended || u.IsDeleted || u.IsSystem || u.RequireSignin {
		return nil, errNothing
	}
	packed, err := s.Users.PackDetailed(ctx, "", map[string]*user.User{u.ID: u}, false)
	if err != nil {
		return nil, err
	}
	d := packed[u.ID]
	return &summary.Summary{Title: titleOf(&d.Lite), Description: d.Description, Thumbnail: &d.AvatarURL}, nil
}
