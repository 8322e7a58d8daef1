package profile

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/job"
	"buttersc.one/oven/internal/user"
)

// verifyArgs is a job that asks which links of a profile link back.
type verifyArgs struct {
	UserID string `json:"userId"`
}

// Kind implements job.Args.
func (verifyArgs) Kind() string { return "profile.verify" }

// Jobs of this slice.
func (s *Service) Jobs() []job.Worker { return []job.Worker{job.Work(s.workVerify)} }

// verifyLater has the links of a profile looked at after tx.
func (s *Service) verifyLater(ctx context.Context, tx *pg.Tx, userID string) error {
	return s.queue.Insert(ctx, tx, verifyArgs{UserID: userID}, time.Time{})
}

// keepVerified lets go of verified links that are not in the profile any more.
func (s *Service) keepVerified(ctx context.Context, tx *pg.Tx, userID string) error {
	profiles, err := s.users.ProfilesIn(ctx, tx, []string{userID})
	if err != nil || profiles[userID] == nil {
		return err
	}
	return s.users.Verified(ctx, tx, userID, profiles[userID].VerifiedLinks)
}

const maxLinkedPage = 1 << 20

// workVerify fetches what the lines of a profile lead to. A link is verified
// when its page says with rel=me that it is the account's. One that cannot be
// had is not; it is asked again when the profile changes.
func (s *Service) workVerify(ctx context.Context, args verifyArgs) error {
	u, err := s.users.ByID(ctx, args.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsDeleted || !u.Local()) {
		return nil
	}
	if err != nil {
		return err
	}
	profiles, err := s.users.Profiles(ctx, []string{u.ID})
	if err != nil {
		return err
	}
	p := profiles[u.ID]
	if p == nil {
		return nil
	}
	own := []string{s.meta.Origin + "/@" + u.Username, s.users.LocalURI(u.ID)}
	links := []string{}
	for _, f := range p.Fields {
		if s.linkable(f.Value) && !slices.Contains(links, f.Value) && s.linksBack(ctx, f.Value, own) {
			links = append(links, f.Value)
		}
	}
	return s.db.Tx(ctx, func(tx *pg.Tx) error { return s.users.Verified(ctx, tx, u.ID, links) })
}

// linkable tells whether a line of a profile is a link that can be verified.
func (s *Service) linkable(value string) bool {
	return strings.HasPrefix(value, "https://") || s.meta.Mode != "production" && strings.HasPrefix(value, "http://")
}

func (s *Service) linksBack(ctx context.Context, link string, own []string) bool {
	page, err := s.remote.Get(ctx, link, "text/html, application/xhtml+xml", maxLinkedPage)
	// A page elsewhere proves nothing about this one's host: many lead anywhere.
	if err != nil || !ap.SameHost(page.URL, link) {
		return false
	}
	base, err := url.Parse(page.URL)
	if err != nil {
		return false
	}
	z := html.NewTokenizer(bytes.NewReader(page.Body))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			if t := z.Token(); (t.Data == "a" || t.Data == "link") && isMe(t, base, own) {
				return true
			}
		}
	}
}

// isMe tells whether an element says that the page is also one of these.
func isMe(t html.Token, base *url.URL, own []string) bool {
	var rel, href string
	for _, a := range t.Attr {
		switch a.Key {
		case "rel":
			rel = strings.ToLower(a.Val)
		case "href":
			href = a.Val
		}
	}
	u, err := base.Parse(href)
	return err == nil && slices.Contains(strings.Fields(rel), "me") && slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, u.String()) })
}
