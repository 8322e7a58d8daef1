// Package feed reads feeds that others write: RSS 2.0 and its elders, RSS 1.0 (RDF),
// and Atom (RFC 4287). It is pure, and trusts nothing: addresses are http(s) or left
// out, lists and texts are cut. The HTML of an entry is handed on as it was written;
// who shows it has to clean it.
package feed

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

const (
	maxItems      = 100
	maxCategories = 20
	maxLine       = 1000  // characters of a title and such
	maxText       = 50000 // characters of a description or a content
	maxSnippet    = 2000  // characters
	maxDepth      = 30    // of elements
)

// ErrNoFeed says that it is none of the kinds that are read.
var ErrNoFeed = errors.New("no feed")

// Feed has the shape in which Misskey's fetch-rss answers.
type Feed struct {
	Title       string            `json:"title,omitempty"`
	Link        string            `json:"link,omitempty"`
	Description string            `json:"description,omitempty"`
	FeedURL     string            `json:"feedUrl,omitempty"`
	Image       *Image            `json:"image,omitempty"`
	Pagination  map[string]string `json:"paginationLinks,omitempty"` // self, first, next, last, prev
	Items       []Item            `json:"items"`                     // newest first, as the feed has them
}

// Image is a feed's own picture.
type Image struct {
	Link  string `json:"link,omitempty"`
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
}

// Item is an entry of a feed.
type Item struct {
	Link       string     `json:"link,omitempty"`
	GUID       string     `json:"guid,omitempty"`
	Title      string     `json:"title,omitempty"`
	PubDate    string     `json:"pubDate,omitempty"` // as the feed writes it
	Creator    string     `json:"creator,omitempty"`
	Summary    string     `json:"summary,omitempty"`
	Content    string     `json:"content,omitempty"`        // HTML, as it was written
	ISODate    string     `json:"isoDate,omitempty"`        // pubDate, where it can be read
	Categories []string   `json:"categories,omitempty"`     //
	Snippet    string     `json:"contentSnippet,omitempty"` // content without HTML
	Enclosure  *Enclosure `json:"enclosure,omitempty"`
}

// Enclosure is a file that belongs to an entry.
type Enclosure struct {
	URL    string `json:"url"`
	Length int64  `json:"length,omitempty"` // bytes
	Type   string `json:"type,omitempty"`
}

// node is an element of the document.
type node struct {
	name string // without its prefix
	attr map[string]string
	text strings.Builder
	kids []*node
}

// Parse reads a feed that was fetched at an address.
func Parse(body []byte, at *url.URL) (*Feed, error) {
	root, err := tree(body)
	if err != nil {
		return nil, err
	}
	r := reader{at}
	switch root.name {
	case "rss":
		if c := root.kid("channel"); c != nil {
			return r.rss(c, c.all("item")), nil
		}
	case "RDF":
		if c := root.kid("channel"); c != nil {
			return r.rss(c, root.all("item")), nil
		}
	case "feed":
		return r.atom(root), nil
	}
	return nil, ErrNoFeed
}

// tree reads XML as feeds write it, which is not always XML. No entity is defined by
// a document, and none is fetched.
func tree(body []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimLeft(body, "\xef\xbb\xbf \t\r\n")))
	d.Strict, d.Entity, d.CharsetReader = false, xml.HTMLEntity, charset.NewReaderLabel
	stack := []*node{{}}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoFeed, err)
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			if len(stack) > maxDepth {
				return nil, fmt.Errorf("%w: too deep", ErrNoFeed)
			}
			n := &node{name: t.Name.Local, attr: map[string]string{}}
			for _, a := range t.Attr {
				n.attr[a.Name.Local] = a.Value
			}
			top.kids = append(top.kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case xml.CharData:
			top.text.Write(t)
		}
	}
	if kids := stack[0].kids; len(kids) == 1 {
		return kids[0], nil
	}
	return nil, ErrNoFeed
}

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (n *node) all(name string) (out []*node) {
	for _, k := range n.kids {
		if k.name == name {
			out = append(out, k)
		}
	}
	return out
}

// of is the text of the first of the names that has one.
func (n *node) of(names ...string) string {
	for _, name := range names {
		for _, k := range n.all(name) {
			if t := strings.TrimSpace(k.text.String()); t != "" {
				return t
			}
		}
	}
	return ""
}

// reader knows where a feed was read.
type reader struct{ at *url.URL }

// address is an http(s) address of a feed; "" for none.
func (r reader) address(ref string) string {
	if ref = strings.TrimSpace(ref); ref == "" || len(ref) > 2048 {
		return ""
	}
	u, err := r.at.Parse(ref)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	return u.String()
}

func (r reader) rss(c *node, items []*node) *Feed {
	f := &Feed{Title: line(c.of("title")), Link: r.address(c.of("link")), Description: cut(c.of("description"), maxText), Items: []Item{}}
	for _, l := range c.all("link") { // Atom's, for where the feed itself is
		if l.attr["rel"] == "self" {
			f.FeedURL = r.address(l.attr["href"])
		}
	}
	f.Pagination = r.pages(c)
	if i := c.kid("image"); i != nil {
		if at := r.address(first(i.of("url"), i.attr["href"])); at != "" {
			f.Image = &Image{URL: at, Link: r.address(i.of("link")), Title: line(i.of("title"))}
		}
	}
	for _, i := range items[:min(len(items), maxItems)] {
		it := Item{Title: line(plain(i.of("title"))), Link: r.address(i.of("link")), GUID: line(i.of("guid")), PubDate: line(i.of("pubDate", "date")), Creator: line(i.of("creator", "author")),
			Content: cut(i.of("encoded", "description"), maxText)}
		if i.of("encoded") != "" {
			it.Summary = cut(i.of("description"), maxText)
		}
		for _, e := range i.all("enclosure") {
			if at := r.address(e.attr["url"]); at != "" {
				length, _ := strconv.ParseInt(e.attr["length"], 10, 64)
				it.Enclosure = &Enclosure{URL: at, Length: max(0, length), Type: line(e.attr["type"])}
				break
			}
		}
		for _, k := range i.all("category") {
			it.category(k.text.String())
		}
		f.Items = append(f.Items, it.finished())
	}
	return f
}

func (r reader) atom(n *node) *Feed {
	f := &Feed{Title: line(text(n, "title")), Link: r.link(n, "alternate"), Description: cut(text(n, "subtitle"), maxText), FeedURL: r.link(n, "self"), Pagination: r.pages(n), Items: []Item{}}
	if at := r.address(first(n.of("logo"), n.of("icon"))); at != "" {
		f.Image = &Image{URL: at}
	}
	entries := n.all("entry")
	for _, e := range entries[:min(len(entries), maxItems)] {
		it := Item{Title: line(plain(text(e, "title"))), Link: r.link(e, "alternate"), GUID: line(e.of("id")), PubDate: line(e.of("published", "updated")),
			Summary: cut(text(e, "summary"), maxText), Content: cut(first(text(e, "content"), text(e, "summary")), maxText)}
		if a := e.kid("author"); a != nil {
			it.Creator = line(a.of("name"))
		}
		for _, l := range e.all("link") {
			if at := r.address(l.attr["href"]); l.attr["rel"] == "enclosure" && at != "" {
				length, _ := strconv.ParseInt(l.attr["length"], 10, 64)
				it.Enclosure = &Enclosure{URL: at, Length: max(0, length), Type: line(l.attr["type"])}
				break
			}
		}
		for _, k := range e.all("category") {
			it.category(first(k.attr["label"], k.attr["term"]))
		}
		f.Items = append(f.Items, it.finished())
	}
	return f
}

// text of an Atom construct; of XHTML only the words.
func text(n *node, name string) string {
	k := n.kid(name)
	if k == nil {
		return ""
	}
	if k.attr["type"] != "xhtml" {
		return strings.TrimSpace(k.text.String())
	}
	var b strings.Builder
	var walk func(n *node)
	walk = func(n *node) {
		b.WriteString(n.text.String())
		for _, k := range n.kids {
			b.WriteByte(' ')
			walk(k)
		}
	}
	walk(k)
	return html.EscapeString(strings.Join(strings.Fields(b.String()), " "))
}

// link is the address of an Atom link; one without a relation is an alternate.
func (r reader) link(n *node, rel string) string {
	for _, l := range n.all("link") {
		if first(l.attr["rel"], "alternate") == rel {
			if at := r.address(l.attr["href"]); at != "" {
				return at
			}
		}
	}
	return ""
}

// pages are RFC 5005's links.
func (r reader) pages(n *node) map[string]string {
	out := map[string]string{}
	for key, rel := range map[string]string{"self": "self", "first": "first", "next": "next", "last": "last", "prev": "previous"} {
		for _, l := range n.all("link") {
			if at := r.address(l.attr["href"]); (l.attr["rel"] == rel || l.attr["rel"] == key) && at != "" && out[key] == "" {
				out[key] = at
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (i *Item) category(name string) {
	if name = line(name); name != "" && len(i.Categories) < maxCategories {
		i.Categories = append(i.Categories, name)
	}
}

// finished fills in what follows from the rest.
func (i Item) finished() Item {
	i.Snippet = cut(plain(i.Content), maxSnippet)
	if t, ok := date(i.PubDate); ok {
		i.ISODate = t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return i
}

// date reads what feeds write: RFC 822 in its variants, or RFC 3339.
func date(s string) (time.Time, bool) {
	if t, err := mail.ParseDate(s); err == nil {
		return t, true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// plain is HTML without its tags.
func plain(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	skip := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.TrimSpace(b.String())
		case html.TextToken:
			if skip == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "script", "style":
				skip++
			case "br", "p", "div", "li":
				b.WriteByte('\n')
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "script" || string(name) == "style" {
				skip = max(0, skip-1)
			}
		}
	}
}

func line(s string) string { return cut(strings.Join(strings.Fields(s), " "), maxLine) }

func cut(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if utf8.RuneCountInString(s) > max {
		s = string([]rune(s)[:max-1]) + "…"
	}
	return s
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
