package summary

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/transform"
)

// ErrNoPage says that there is nothing to be summarised: no HTML, or a page
// without title.
var ErrNoPage = errors.New("no page that can be summarised")

// Input is what was fetched.
type Input struct {
	Body        []byte // the page or its beginning
	ContentType string
	Rating      string   // of the header of that name
	At          *url.URL // after redirects
}

// Page reads the head of a page. oembed is where its maker offers a player (oEmbed's
// discovery), "" for nowhere: whoever fetches that gives it to WithPlayer.
func Page(in Input) (s *Summary, oembed string, err error) {
	typ, _, _ := mime.ParseMediaType(in.ContentType)
	if typ != "text/html" && typ != "application/xhtml+xml" {
		return nil, "", ErrNoPage
	}
	h := readHead(decoded(in.Body, in.ContentType))
	base := in.At
	if at, ok := address(in.At, h.base); ok {
		if u, err := url.Parse(at); err == nil {
			base = u
		}
	}
	s = &Summary{Title: text(first(h.meta["og:title"], h.meta["twitter:title"], h.title), maxTitle), URL: in.At.String()}
	if s.Title == nil {
		return nil, "", ErrNoPage
	}
	s.Sitename = text(first(h.meta["og:site_name"], h.meta["application-name"], in.At.Host), maxSite)
	s.Title = withoutSite(s.Title, s.Sitename)
	s.Description = text(first(h.meta["og:description"], h.meta["twitter:description"], h.meta["description"]), maxDescription)
	if s.Description != nil && *s.Description == *s.Title {
		s.Description = nil
	}
	s.Thumbnail = firstOf(base, h.meta["og:image:secure_url"], h.meta["og:image"], h.meta["og:image:url"], h.meta["twitter:image"], h.meta["twitter:image:src"], h.links["image_src"], h.links["apple-touch-icon"])
	s.Icon = firstOf(base, h.links["icon"], h.links["apple-touch-icon"], "/favicon.ico")
	s.ActivityPub = resolved(base, h.activity)
	s.FediverseCreator = text(h.meta["fediverse:creator"], maxCreator)
	s.Sensitive = h.sensitive(in.Rating)
	s.Player = h.player(base)
	// What a page says of its own address is believed on its own host only: elsewhere
	// it would lend somebody's name to what is not theirs.
	if at, ok := address(base, h.links["canonical"]); ok {
		if u, err := url.Parse(at); err == nil && u.Host == in.At.Host && u.Scheme == in.At.Scheme {
			s.URL = at
		}
	}
	if at := resolved(base, h.oembed); at != nil {
		oembed = *at
	}
	return s, oembed, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

// firstOf is the first that is an address.
func firstOf(base *url.URL, refs ...string) *string {
	for _, r := range refs {
		if at := resolved(base, r); at != nil {
			return at
		}
	}
	return nil
}

// withoutSite takes the site's name off the end of a title, where pages put it for
// the sake of the browser's tab.
func withoutSite(title, site *string) *string {
	if site == nil {
		return title
	}
	for _, between := range []string{" - ", " | ", " – ", " — ", " · ", " :: ", " : "} {
		if rest, ok := strings.CutSuffix(*title, between+*site); ok && rest != "" {
			return &rest
		}
	}
	return title
}

// decoded is the page in UTF-8: by its byte order mark, its header, its <meta>
// (HTML §13.2.3), else UTF-8 where it is that, else windows-1252.
func decoded(body []byte, contentType string) []byte {
	e, name, certain := charset.DetermineEncoding(body, contentType)
	if name == "utf-8" || !certain && nearlyUTF8(body) {
		return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	}
	out, err := io.ReadAll(transform.NewReader(bytes.NewReader(body), e.NewDecoder()))
	if err != nil {
		return nil
	}
	return out
}

// nearlyUTF8 allows for a last character that was cut.
func nearlyUTF8(b []byte) bool {
	for range utf8.UTFMax {
		if utf8.Valid(b) {
			return true
		}
		b = b[:max(0, len(b)-1)]
	}
	return false
}

// head is what was found in a page's head, as it was written.
type head struct {
	title, base, activity, oembed string
	meta                          map[string]string // by name or property in lower case, the first of each
	links                         map[string]string // by relation, the first of each
	robots                        []string          // what mixi-check-robots says
}

// readHead reads up to <body>: what follows may be written by a site's users.
func readHead(page []byte) *head {
	h := &head{meta: map[string]string{}, links: map[string]string{}}
	z := html.NewTokenizer(bytes.NewReader(page))
	inTitle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			return h
		case html.TextToken:
			if inTitle {
				h.title += string(z.Text())
			}
		case html.EndTagToken:
			inTitle = false
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			switch string(name) {
			case "body", "frameset":
				return h
			case "title":
				inTitle = h.title == ""
			case "meta":
				h.takeMeta(attributes(z, more))
			case "link":
				h.takeLink(attributes(z, more))
			case "base":
				if a := attributes(z, more); h.base == "" {
					h.base = a["href"]
				}
			}
		}
	}
}

// attributes of the tag that is being read; the first of a name counts.
func attributes(z *html.Tokenizer, more bool) map[string]string {
	out := map[string]string{}
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if _, again := out[string(k)]; !again {
			out[string(k)] = string(v)
		}
	}
	return out
}

func (h *head) takeMeta(a map[string]string) {
	for _, by := range []string{"property", "name"} {
		name := strings.ToLower(strings.TrimSpace(a[by]))
		if name == "" {
			continue
		}
		if name == "mixi-check-robots" {
			h.robots = append(h.robots, strings.ToLower(a["content"]))
		}
		if h.meta[name] == "" {
			h.meta[name] = a["content"]
		}
	}
}

func (h *head) takeLink(a map[string]string) {
	rels := strings.Fields(strings.ToLower(a["rel"]))
	for _, r := range rels {
		if h.links[r] == "" {
			h.links[r] = a["href"]
		}
	}
	if !slices.Contains(rels, "alternate") {
		return
	}
	typ, _, _ := mime.ParseMediaType(a["type"])
	switch {
	case typ == "application/activity+json" && h.activity == "":
		h.activity = a["href"]
	case typ == "application/json+oembed" && h.oembed == "":
		h.oembed = a["href"]
	}
}

// rta is the label of pages for adults (rtalabel.org).
const rta = "RTA-5042-1996-1400-1577-RTA"

// sensitive tells whether the page says of itself that it is not for everybody's
// eyes.
func (h *head) sensitive(header string) bool {
	for _, r := range []string{header, h.meta["rating"]} {
		r = strings.TrimSpace(r)
		if strings.EqualFold(r, "adult") || strings.EqualFold(r, "mature") || strings.EqualFold(r, "restricted") || strings.EqualFold(r, rta) {
			return true
		}
	}
	if strings.TrimSpace(h.meta["mixi:content-rating"]) == "1" {
		return true
	}
	return slices.ContainsFunc(h.robots, func(r string) bool { return strings.Contains(r, "noimage") })
}

// number is a length in pixels; nil for what is none.
func number(s string, max int) *int {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(s), "px"))
	if err != nil || n <= 0 {
		return nil
	}
	n = min(n, max)
	return &n
}
