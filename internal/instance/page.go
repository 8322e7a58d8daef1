package instance

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// look is how a server shows itself on its front page and in its manifest.
type look struct {
	icon, favicon string // addresses
	themeColor    string
	name          string
	manifest      string // address
}

const (
	maxPage     = 1 << 20
	maxManifest = 256 << 10
	maxIconURL  = 256
)

// look reads the front page and the manifest that it names. What is not there, or
// is not an address, is empty; an error: there is no page.
func (s *Service) look(ctx context.Context, host string) (*look, error) {
	p, err := s.fetch.Get(ctx, s.fetch.OriginOf(host)+"/", "text/html, application/xhtml+xml", maxPage)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	l := readHead(p.Body, base)
	if l.manifest != "" {
		// A page without one that can be read is no worse for it.
		if b, err := s.fetch.GetJSON(ctx, l.manifest, maxManifest); err == nil {
			l.add(b)
		}
	}
	return l, nil
}

// readHead reads the head of a page; what follows may be written by users.
func readHead(page []byte, base *url.URL) *look {
	l := &look{}
	touch, icon := "", ""
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		t := z.Token()
		if t.Data == "body" {
			break
		}
		attr := map[string]string{}
		for _, a := range t.Attr {
			attr[a.Key] = a.Val
		}
		if t.Data == "meta" && strings.EqualFold(attr["name"], "theme-color") && l.themeColor == "" {
			l.themeColor = attr["content"]
		}
		if t.Data != "link" {
			continue
		}
		rel := strings.Fields(strings.ToLower(attr["rel"]))
		href := iconAddress(base, attr["href"])
		switch {
		case slices.Contains(rel, "manifest"):
			l.manifest = href
		case slices.Contains(rel, "apple-touch-icon") || slices.Contains(rel, "apple-touch-icon-precomposed"):
			touch = href
		case slices.Contains(rel, "icon") && icon == "":
			icon = href
		}
	}
	l.favicon, l.icon = icon, touch
	if l.icon == "" {
		l.icon = icon
	}
	return l
}

// add takes what a manifest has that is better than the page's.
func (l *look) add(manifest []byte) {
	var m struct {
		Name       string `json:"name"`
		ShortName  string `json:"short_name"`
		ThemeColor string `json:"theme_color"`
		Icons      []struct {
			Src string `json:"src"`
		} `json:"icons"`
	}
	base, err := url.Parse(l.manifest)
	if err != nil || json.Unmarshal(manifest, &m) != nil {
		return
	}
	if l.name = m.Name; l.name == "" {
		l.name = m.ShortName
	}
	if l.themeColor == "" {
		l.themeColor = m.ThemeColor
	}
	for _, i := range m.Icons {
		if a := iconAddress(base, i.Src); a != "" {
			l.icon = a
			return
		}
	}
}

// iconAddress is an address that browsers may fetch; "" for anything else.
func iconAddress(base *url.URL, href string) string {
	if href == "" {
		return ""
	}
	u, err := base.Parse(href)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(u.String()) > maxIconURL {
		return ""
	}
	return u.String()
}
