package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/user"
)

// feedNotes are in a feed.
const feedNotes = 20

// feedOf tells whether a path is that of an account's feed: /@name.rss, .atom or .json.
func feedOf(path string) (name, kind string, ok bool) {
	name, ok = strings.CutPrefix(path, "/@")
	if !ok || strings.ContainsAny(name, "@/") {
		return "", "", false
	}
	for _, kind := range []string{"rss", "atom", "json"} {
		if name, ok := strings.CutSuffix(name, "."+kind); ok && name != "" {
			return name, kind, true
		}
	}
	return "", "", false
}

// feed answers with what an account here has written for everybody; false when there is
// no such account.
func (s *Service) feed(w http.ResponseWriter, r *http.Request, name, kind string) bool {
	u, err := s.users.ByAcct(r.Context(), s.db, name, nil)
	if errors.Is(err, user.ErrNotFound) || err == nil && (u.IsSuspended || u.IsDeleted || u.IsSystem || u.RequireSignin) {
		return false
	}
	var list []*note.Packed
	if err == nil {
		list, err = s.lines.WrittenForGuests(r.Context(), u.ID, feedNotes)
	}
	var body []byte
	if err == nil {
		body, err = s.formed(u, list, kind)
	}
	if err != nil {
		s.slog.Error("feed", "path", r.URL.Path, "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return true
	}
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", map[string]string{"rss": "application/rss+xml", "atom": "application/atom+xml", "json": "application/feed+json"}[kind]+"; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=180")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	_, _ = w.Write(body)
	return true
}

// feedEntry is a note in a feed.
type feedEntry struct {
	link, html string
	at         time.Time
	files      []fileView
	types      []string
	sizes      []int64
}

// formed writes a feed in one of its three forms.
func (s *Service) formed(u *user.User, list []*note.Packed, kind string) ([]byte, error) {
	title := "@" + u.Username
	if u.Name != nil {
		title = *u.Name + " (@" + u.Username + ")"
	}
	f := feedView{title: title, name: u.Username, link: s.meta.Origin + "/@" + u.Username, self: s.meta.Origin + "/@" + u.Username + "." + kind}
	for _, p := range list {
		v := s.noteView(p)
		e := feedEntry{link: s.meta.Origin + v.Link, html: string(v.HTML), at: time.Time(p.CreatedAt).UTC()}
		if v.CW != "" { // what is under a warning is read where it can be opened
			e.html = "<p>" + escape(v.CW) + "</p>"
		} else {
			e.files = v.Files
			for _, file := range p.Files {
				e.types, e.sizes = append(e.types, file.Type), append(e.sizes, file.Size)
			}
		}
		f.entries = append(f.entries, e)
	}
	switch kind {
	case "rss":
		return f.rss()
	case "atom":
		return f.atom()
	}
	return f.json()
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

type feedView struct {
	title, name, link, self string
	entries                 []feedEntry
}

// updated is when the newest entry was written; 1970 when there is none.
func (f *feedView) updated() time.Time {
	if len(f.entries) == 0 {
		return time.Unix(0, 0).UTC()
	}
	return f.entries[0].at
}

type rssEnclosure struct {
	URL    string `xml:"url,attr"`
	Type   string `xml:"type,attr"`
	Length int64  `xml:"length,attr"`
}

type rssItem struct {
	Title       string         `xml:"title"`
	Link        string         `xml:"link"`
	GUID        string         `xml:"guid"`
	PubDate     string         `xml:"pubDate"`
	Description string         `xml:"description"`
	Enclosures  []rssEnclosure `xml:"enclosure"`
}

// rss is RSS 2.0.
func (f *feedView) rss() ([]byte, error) {
	type channel struct {
		Title         string    `xml:"title"`
		Link          string    `xml:"link"`
		Description   string    `xml:"description"`
		LastBuildDate string    `xml:"lastBuildDate"`
		Items         []rssItem `xml:"item"`
	}
	c := channel{Title: f.title, Link: f.link, Description: f.title, LastBuildDate: f.updated().Format(time.RFC1123Z)}
	for _, e := range f.entries {
		i := rssItem{Title: f.title, Link: e.link, GUID: e.link, PubDate: e.at.Format(time.RFC1123Z), Description: e.html}
		for k, file := range e.files {
			i.Enclosures = append(i.Enclosures, rssEnclosure{file.URL, e.types[k], e.sizes[k]})
			break // RSS has room for one
		}
		c.Items = append(c.Items, i)
	}
	return document(struct {
		XMLName xml.Name `xml:"rss"`
		Version string   `xml:"version,attr"`
		Channel channel  `xml:"channel"`
	}{Version: "2.0", Channel: c})
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type atomEntry struct {
	ID      string     `xml:"id"`
	Title   string     `xml:"title"`
	Updated string     `xml:"updated"`
	Links   []atomLink `xml:"link"`
	Content atomText   `xml:"content"`
}

// atom is RFC 4287.
func (f *feedView) atom() ([]byte, error) {
	type author struct {
		Name string `xml:"name"`
		URI  string `xml:"uri"`
	}
	out := struct {
		XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
		ID      string      `xml:"id"`
		Title   string      `xml:"title"`
		Updated string      `xml:"updated"`
		Author  author      `xml:"author"`
		Links   []atomLink  `xml:"link"`
		Entries []atomEntry `xml:"entry"`
	}{ID: f.link, Title: f.title, Updated: f.updated().Format(time.RFC3339), Author: author{"@" + f.name, f.link},
		Links: []atomLink{{"self", "application/atom+xml", f.self}, {"alternate", "text/html", f.link}}}
	for _, e := range f.entries {
		a := atomEntry{ID: e.link, Title: f.title, Updated: e.at.Format(time.RFC3339), Links: []atomLink{{"alternate", "text/html", e.link}}, Content: atomText{"html", e.html}}
		for k, file := range e.files {
			a.Links = append(a.Links, atomLink{"enclosure", e.types[k], file.URL})
		}
		out.Entries = append(out.Entries, a)
	}
	return document(out)
}

func document(v any) ([]byte, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return append([]byte(xml.Header), b...), nil
}

// json is JSON Feed 1.1.
func (f *feedView) json() ([]byte, error) {
	type attachment struct {
		URL  string `json:"url"`
		Type string `json:"mime_type"`     //nolint:tagliatelle // JSON Feed's name
		Size int64  `json:"size_in_bytes"` //nolint:tagliatelle // JSON Feed's name
	}
	type item struct {
		ID          string       `json:"id"`
		URL         string       `json:"url"`
		HTML        string       `json:"content_html"`   //nolint:tagliatelle // JSON Feed's name
		At          string       `json:"date_published"` //nolint:tagliatelle // JSON Feed's name
		Attachments []attachment `json:"attachments,omitempty"`
	}
	items := []item{}
	for _, e := range f.entries {
		i := item{ID: e.link, URL: e.link, HTML: e.html, At: e.at.Format(time.RFC3339)}
		for k, file := range e.files {
			i.Attachments = append(i.Attachments, attachment{file.URL, e.types[k], e.sizes[k]})
		}
		items = append(items, i)
	}
	return json.Marshal(map[string]any{"version": "https://jsonfeed.org/version/1.1", "title": f.title, "home_page_url": f.link, "feed_url": f.self,
		"authors": []map[string]string{{"name": "@" + f.name, "url": f.link}}, "items": items})
}
