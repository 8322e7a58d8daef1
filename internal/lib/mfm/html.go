package mfm

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HTMLOptions says whose HTML it is.
type HTMLOptions struct {
	// Origin of this server: scheme and host, without a slash at the end.
	Origin string
	// ProfileURL is the address of a mentioned person's page or, if there is
	// none, of the actor; "" if the person is not known. host is "" if the
	// mention has none. May be nil.
	ProfileURL func(username, host string) string
}

// ToHTML writes nodes as the content of an ActivityPub object: one paragraph of
// well-formed XHTML. What cannot stand in XML is left out.
func ToHTML(nodes []Node, opt HTMLOptions) string {
	w := &htmlWriter{opt: opt}
	w.WriteString("<p>")
	w.nodes(nodes)
	w.WriteString("</p>")
	return w.String()
}

type htmlWriter struct {
	strings.Builder
	opt HTMLOptions
}

func (w *htmlWriter) nodes(nodes []Node) {
	for _, n := range nodes {
		w.node(n)
	}
}

func (w *htmlWriter) node(n Node) {
	switch n := n.(type) {
	case Quote:
		w.element("blockquote", n.Children)
	case Search:
		w.anchor("https://www.google.com/search?q="+url.QueryEscape(n.Query), "", n.Content)
	case BlockCode:
		w.WriteString("<pre><code>" + escape(n.Code) + "</code></pre>")
	case MathBlock:
		w.WriteString("<code>" + escape(n.Formula) + "</code>")
	case Center:
		w.element("div", n.Children)
	case Text:
		w.text(n.Text)
	case UnicodeEmoji:
		w.WriteString(escape(n.Emoji))
	case EmojiCode:
		w.WriteString("\u200b:" + escape(n.Name) + ":\u200b")
	case Bold:
		w.element("b", n.Children)
	case Small:
		w.element("small", n.Children)
	case Italic:
		w.element("i", n.Children)
	case Strike:
		w.element("del", n.Children)
	case InlineCode:
		w.WriteString("<code>" + escape(n.Code) + "</code>")
	case MathInline:
		w.WriteString("<code>" + escape(n.Formula) + "</code>")
	case Mention:
		w.anchor(w.profile(n), ` class="u-url mention"`, n.Acct)
	case Hashtag:
		w.anchor(w.opt.Origin+"/tags/"+url.PathEscape(n.Tag), ` rel="tag"`, "#"+n.Tag)
	case URL:
		if isWeb(n.URL) {
			w.anchor(n.URL, "", n.URL)
		} else {
			w.text(n.URL)
		}
	case Link:
		w.link(n)
	case Fn:
		w.fn(n)
	case Plain:
		w.text(n.Text)
	}
}

func (w *htmlWriter) element(name string, children []Node) {
	w.WriteString("<" + name + ">")
	w.nodes(children)
	w.WriteString("</" + name + ">")
}

// anchor writes a link; attributes are markup.
func (w *htmlWriter) anchor(href, attributes, label string) {
	w.WriteString(`<a href="` + escape(href) + `"` + attributes + `>` + escape(label) + "</a>")
}

// text writes text; line breaks, if it has any, in a span.
func (w *htmlWriter) text(s string) {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	if !strings.Contains(s, "\n") {
		w.WriteString(escape(s))
		return
	}
	w.WriteString("<span>" + strings.ReplaceAll(escape(s), "\n", "<br />") + "</span>")
}

func (w *htmlWriter) link(n Link) {
	if !isWeb(n.URL) {
		w.nodes(n.Children)
		w.text(" (" + n.URL + ")")
		return
	}
	w.WriteString(`<a href="` + escape(n.URL) + `">`)
	w.nodes(n.Children)
	w.WriteString("</a>")
}

// profile is the address that a mention leads to. A mention with this server's
// host is one of a local person.
func (w *htmlWriter) profile(m Mention) string {
	_, own, _ := strings.Cut(w.opt.Origin, "://")
	if m.Host != "" && strings.EqualFold(m.Host, own) {
		return w.opt.Origin + "/@" + m.Username
	}
	if w.opt.ProfileURL != nil {
		if u := w.opt.ProfileURL(m.Username, m.Host); isWeb(u) {
			return u
		}
	}
	return w.opt.Origin + "/" + m.Acct
}

func (w *htmlWriter) fn(n Fn) {
	switch {
	case n.Name == "unixtime" && w.unixtime(n):
	case n.Name == "ruby" && w.ruby(n):
	default:
		w.element("i", n.Children)
	}
}

// unixtime writes $[unixtime 1700000000]; false if there is no such time.
func (w *htmlWriter) unixtime(n Fn) bool {
	if len(n.Children) == 0 {
		return false
	}
	t, _ := n.Children[0].(Text)
	seconds, err := strconv.ParseInt(strings.TrimSpace(t.Text), 10, 64)
	const maximum = 253402300799 // the last second of the year 9999
	if err != nil || seconds < 0 || seconds > maximum {
		return false
	}
	at := time.Unix(seconds, 0).UTC().Format("2006-01-02T15:04:05.000Z")
	w.WriteString(`<time datetime="` + at + `">` + at + "</time>")
	return true
}

// ruby writes $[ruby base reading]; false if it has no reading.
func (w *htmlWriter) ruby(n Fn) bool {
	if len(n.Children) == 0 {
		return false
	}
	last := len(n.Children) - 1
	base := n.Children[:last]
	t, _ := n.Children[last].(Text)
	reading := strings.TrimSpace(t.Text)
	if last == 0 {
		var word string
		word, reading, _ = strings.Cut(t.Text, " ")
		reading, _, _ = strings.Cut(reading, " ")
		base = []Node{Text{word}}
	}
	if reading == "" {
		return false
	}
	w.WriteString("<ruby>")
	w.nodes(base)
	w.WriteString("<rp>(</rp><rt>" + escape(reading) + "</rt><rp>)</rp></ruby>")
	return true
}

// isWeb tells whether an address may be linked to.
func isWeb(address string) bool {
	scheme, rest, ok := strings.Cut(address, "://")
	return ok && rest != "" && (strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http"))
}

// escape makes s fit for XML text and attributes.
func escape(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' && r != '\n' && r != '\t' && r != '\r', r == '\ufffe', r == '\uffff':
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
