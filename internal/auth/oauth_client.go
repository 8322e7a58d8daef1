package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/remote"
)

// client is what the document at a client id says of the client.
type client struct {
	name      string
	icon      string   // "" for none
	redirects []string // where codes may be sent, as the client writes them
}

const (
	maxClientPage = 512 << 10
	maxRedirects  = 64
	maxClientName = 128 // code points
)

// client fetches what stands at a client id: a page that names its redirect
// addresses by links (IndieAuth), or a document (client id metadata). Errors are
// *OAuthError, or ctx's.
func (s *Service) client(ctx context.Context, clientID string) (*client, error) {
	if !s.clientID(clientID) {
		return nil, oauthErr("invalid_request", "client_id is not the address of a client")
	}
	page, err := s.door.Get(ctx, clientID, "application/json, text/html;q=0.9, application/xhtml+xml;q=0.9", maxClientPage)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, oauthErr("invalid_request", "the client's page cannot be had")
	}
	// A redirect to elsewhere would let another host speak under this one's name.
	if !ap.SameHost(page.URL, clientID) {
		return nil, oauthErr("invalid_request", "the client's page is on another host")
	}
	base, err := url.Parse(page.URL)
	if err != nil {
		return nil, oauthErr("invalid_request", "the client's page cannot be had")
	}
	c := &client{}
	mt, _, _ := mime.ParseMediaType(page.Header.Get("Content-Type"))
	switch {
	case mt == "application/json" || strings.HasSuffix(mt, "+json"):
		if page.URL != clientID || !c.readDocument(page.Body, clientID) {
			return nil, oauthErr("invalid_request", "the client's document is not one, or another's")
		}
	case mt == "text/html" || mt == "application/xhtml+xml":
		c.readPage(page, base, clientID)
	default:
		return nil, oauthErr("invalid_request", "the client's page is neither a page nor a document")
	}
	if c.name = shownName(c.name); c.name == "" {
		c.name = clientID
	}
	if u, err := url.Parse(c.icon); err != nil || u.Scheme != "https" || !ap.SameHost(c.icon, clientID) || len(c.icon) > maxAddress {
		c.icon = ""
	}
	c.redirects = c.redirects[:min(len(c.redirects), maxRedirects)]
	return c, nil
}

// clientID tells whether a text can be a client id (IndieAuth §3.2).
func (s *Service) clientID(raw string) bool {
	u, err := parseAddress(raw)
	if err != nil || !isWeb(u) || strings.Contains(raw, "#") || u.Scheme == "http" && s.meta.Mode == "production" {
		return false
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		switch strings.ToLower(strings.ReplaceAll(strings.ToLower(part), "%2e", ".")) {
		case ".", "..":
			return false
		}
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil || loopback(u)
}

// readDocument reads client id metadata; the document must name itself.
func (c *client) readDocument(body []byte, clientID string) bool {
	var doc struct {
		ClientID  string   `json:"client_id"`
		Name      string   `json:"client_name"`
		Logo      string   `json:"logo_uri"`
		Redirects []string `json:"redirect_uris"`
	}
	if json.Unmarshal(body, &doc) != nil || doc.ClientID != clientID {
		return false
	}
	c.name, c.icon, c.redirects = doc.Name, doc.Logo, doc.Redirects
	return true
}

// readPage reads a page: links of its headers and head, for what follows may be
// written by users; name and picture of its h-app, which is its own only when it
// names the client id.
func (c *client) readPage(page *remote.Page, base *url.URL, clientID string) {
	for _, link := range linkHeaders(page.Header.Values("Link")) {
		c.addRedirect(base, link)
	}
	root, err := html.Parse(bytes.NewReader(page.Body))
	if err != nil {
		return
	}
	for n := range root.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "link" && n.Parent != nil && n.Parent.Data == "head" && slices.Contains(strings.Fields(strings.ToLower(attr(n, "rel"))), "redirect_uri"):
			c.addRedirect(base, attr(n, "href"))
		case c.name == "" && (hasClass(n, "h-app") || hasClass(n, "h-x-app")):
			c.readApp(n, base, clientID)
		}
	}
}

func (c *client) readApp(app *html.Node, base *url.URL, clientID string) {
	var name, icon string
	own := false
	for n := range app.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if hasClass(n, "u-url") {
			u, err := base.Parse(attr(n, "href"))
			own = own || err == nil && sameAddress(u.String(), clientID)
		}
		if name == "" && hasClass(n, "p-name") {
			name = textOf(n)
		}
		if icon == "" && hasClass(n, "u-logo") {
			if u, err := base.Parse(attr(n, "src")); err == nil {
				icon = u.String()
			}
		}
	}
	if own {
		c.name, c.icon = name, icon
	}
}

func (c *client) addRedirect(base *url.URL, href string) {
	if u, err := base.Parse(strings.TrimSpace(href)); err == nil && href != "" {
		c.redirects = append(c.redirects, u.String())
	}
}

// sameAddress tells whether two addresses are one; no path is the path "/".
func sameAddress(a, b string) bool {
	ua, err1 := url.Parse(a)
	ub, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && ua.Scheme == ub.Scheme && ap.SameHost(a, b) && ua.RequestURI() == ub.RequestURI() && ua.Fragment == ub.Fragment
}

var (
	linkHeader = regexp.MustCompile(`<([^>]*)>((?:\s*;[^,]*)*)`)
	linkRel    = regexp.MustCompile(`(?i);\s*rel\s*=\s*(?:"([^"]*)"|([^\s;"]+))`)
)

// linkHeaders gives the targets of rel=redirect_uri (RFC 8288).
func linkHeaders(values []string) []string {
	var out []string
	for _, v := range values {
		for _, m := range linkHeader.FindAllStringSubmatch(v, -1) {
			rel := linkRel.FindStringSubmatch(m[2])
			if rel != nil && slices.Contains(strings.Fields(strings.ToLower(rel[1]+rel[2])), "redirect_uri") {
				out = append(out, m[1])
			}
		}
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, class string) bool {
	return slices.Contains(strings.Fields(attr(n, "class")), class)
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// shownName is a client's name without what makes a text look like another:
// control characters and those that change the direction of writing.
func shownName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) {
			return -1
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(name, "")))
	r := []rune(strings.Join(strings.Fields(name), " "))
	return string(r[:min(len(r), maxClientName)])
}
