// Package summary makes of a web page what is shown beside a link to it: title,
// description, picture, player. It is pure: bytes and an address in, a Summary
// out. It fetches nothing, and trusts nothing of what it reads: texts are cut and
// cleaned, addresses are http(s) or left out.
package summary

import (
	"net/url"
	"strings"
)

// Lengths in characters; addresses in bytes.
const (
	maxTitle       = 100
	maxSite        = 100
	maxDescription = 300
	maxCreator     = 256
	maxURL         = 2048
	maxHeight      = 1024 // of a player in pixels
	maxWidth       = 4096
)

// Summary has the shape in which Summaly answers, and so Misskey's /url.
type Summary struct {
	Title            *string `json:"title"`
	Icon             *string `json:"icon"`
	Description      *string `json:"description"` // nil also where it only repeats the title
	Thumbnail        *string `json:"thumbnail"`
	Player           Player  `json:"player"`
	Sitename         *string `json:"sitename"` // the host where the page does not say
	Sensitive        bool    `json:"sensitive"`
	ActivityPub      *string `json:"activityPub"`      // address of the page as an ActivityPub document
	FediverseCreator *string `json:"fediverseCreator"` // "@user@host"
	URL              string  `json:"url"`              // of the page, after redirects
}

// Player is what can be put into a frame in the page's place.
type Player struct {
	URL    *string  `json:"url"`    // https; nil: there is none
	Width  *int     `json:"width"`  // nil: as wide as there is room
	Height *int     `json:"height"` // nil: by the width, 16:9
	Allow  []string `json:"allow"`  // permissions of the frame, of Features only
}

// Features are the permissions that a player may be given (names of the
// Permissions Policy). None of them tells of the viewer or the device.
func Features() []string {
	return []string{"autoplay", "clipboard-write", "encrypted-media", "fullscreen", "picture-in-picture", "web-share"}
}

// Clean makes a summary that another program made one that this package could
// have made. It gives false for one that cannot be shown: without title or without
// an address.
func (s *Summary) Clean() bool {
	at, ok := address(nil, s.URL)
	s.Title = text(deref(s.Title), maxTitle)
	if !ok || s.Title == nil {
		return false
	}
	s.URL = at
	s.Description, s.Sitename, s.FediverseCreator = text(deref(s.Description), maxDescription), text(deref(s.Sitename), maxSite), text(deref(s.FediverseCreator), maxCreator)
	for _, p := range []**string{&s.Icon, &s.Thumbnail, &s.ActivityPub} {
		if *p != nil {
			*p = resolved(nil, **p)
		}
	}
	s.Player = s.Player.clean(nil)
	return true
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// resolved is address for a field that may be empty.
func resolved(base *url.URL, ref string) *string {
	if at, ok := address(base, ref); ok {
		return &at
	}
	return nil
}

// address is the http(s) address that ref is on a page at base; nil for none.
func address(base *url.URL, ref string) (string, bool) {
	ref = strings.TrimSpace(ref)
	if ref == "" || len(ref) > maxURL {
		return "", false
	}
	u, err := url.Parse(ref)
	if err == nil && base != nil {
		u = base.ResolveReference(u)
	}
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	out := u.String()
	return out, len(out) <= maxURL
}
