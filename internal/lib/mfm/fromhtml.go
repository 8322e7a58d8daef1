package mfm

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// FromHTMLOptions says what is known of the HTML besides it.
type FromHTMLOptions struct {
	Hashtags []string // names of the tags the object carries, with or without #
}

// FromHTML writes as MFM what other servers send as HTML. It keeps the meaning,
// not the looks: scripts, styles, pictures and the like are dropped, and so are
// the "RE:" lines that stand for a quote (class quote-inline). HTML need not be
// well-formed.
func FromHTML(source string, opt FromHTMLOptions) string {
	c := &converter{tags: map[string]bool{}}
	for _, t := range opt.Hashtags {
		c.tags["#"+strings.TrimPrefix(foldTag(t), "#")] = true
	}
	z := html.NewTokenizer(strings.NewReader(strings.ToValidUTF8(source, "\ufffd")))
	for {
		switch z.Next() {
		case html.ErrorToken: // the end; a string gives no other error
			c.popTo(0)
			return strings.TrimSpace(string(c.out))
		case html.TextToken:
			c.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			c.start(t.Data, attributes(t.Attr))
		case html.EndTagToken:
			name, _ := z.TagName()
			c.end(string(name))
		}
	}
}

// maxOpen is how many elements that matter may be open at once. Deeper ones
// count for their text only.
const maxOpen = 64

// converter turns a stream of tags and text into MFM. It keeps no tree: out
// holds what is written, and an open element knows where its part begins.
type converter struct {
	tags map[string]bool // folded, with #
	out  []byte
	open []element
	over int // elements opened beyond maxOpen

	want    int  // line breaks due before the next text
	afterBr bool // a line break in the source now would be a second one
	literal int  // open elements in which no marks are written
	verbose int  // open elements in which white space counts

	skip      string // element that is being dropped with all in it
	skipDepth int
}

type element struct {
	name  string
	from  int // where its content begins in out
	floor int // where its first line begins: no line breaks are due there
	attr  attributeMap
	count int  // li seen in a list
	code  bool // a pre that holds code
	short bool // an a whose text is a shortened address
	lang  string
}

type attributeMap map[string]string

func attributes(list []html.Attribute) attributeMap {
	m := attributeMap{}
	for _, a := range list {
		if _, ok := m[a.Key]; !ok {
			m[a.Key] = a.Val
		}
	}
	return m
}

func (m attributeMap) has(key, word string) bool {
	return slices.Contains(strings.Fields(m[key]), word)
}

// Elements by what they do to the lines around them.
func breaks(name string) int {
	switch name {
	case "p", "h1", "h2", "h3", "h4", "h5", "h6", "hr":
		return 2
	case "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt",
		"fieldset", "figcaption", "figure", "footer", "form", "header", "li", "main", "nav", "ol", "pre",
		"section", "summary", "table", "tr", "ul":
		return 1
	}
	return 0
}

func dropped(name string) bool {
	switch name {
	case "audio", "canvas", "head", "iframe", "noembed", "noframes", "noscript", "object", "rp", "script",
		"select", "style", "svg", "template", "title", "video":
		return true
	}
	return false
}

// mark is the MFM around the content of an element.
func mark(name, content string) (before, after string) {
	switch name {
	case "b", "strong":
		return "**", "**"
	case "i", "em":
		return "<i>", "</i>"
	case "small":
		return "<small>", "</small>"
	case "s", "del", "strike":
		if strings.Contains(content, "\n") {
			return "<s>", "</s>"
		}
		return "~~", "~~"
	}
	return "", ""
}

// kin are the names that mean the same mark.
func kin(name string) string {
	before, _ := mark(name, "")
	return before
}

func (c *converter) start(name string, attr attributeMap) {
	if c.skip != "" {
		switch {
		case c.skip == "p" && breaks(name) > 0, c.skip == "rp" && name == "rt", c.skip == "head" && name == "body":
			c.skip = ""
		case c.skip == name:
			c.skipDepth++
			return
		default:
			return
		}
	}
	if dropped(name) || attr.has("class", "quote-inline") {
		if void(name) {
			return
		}
		c.skip, c.skipDepth = name, 1
		return
	}
	c.want = max(c.want, breaks(name))
	switch name {
	case "br":
		c.write("\n")
		c.afterBr = true
	case "img":
		if attr.has("class", "emoji") || attr.has("class", "custom-emoji") {
			c.write(attr["alt"])
		}
	case "td", "th":
		if c.want == 0 && !c.atLineStart() {
			c.write(" ")
		}
	case "span":
		if attr.has("class", "invisible") || attr.has("class", "ellipsis") {
			if i := c.find("a", ""); i >= 0 {
				c.open[i].short = true
			}
		}
	case "a":
		if i := c.find("a", ""); i >= 0 {
			c.popTo(i)
		}
		if c.push(name, attr) {
			c.literal++
		}
	case "code":
		if i := c.find("pre", ""); i >= 0 {
			c.open[i].code = true
			if c.open[i].lang == "" {
				c.open[i].lang = language(attr["class"])
			}
		}
		if c.push(name, attr) {
			c.literal++
		}
	case "pre":
		if c.literal > 0 {
			return
		}
		c.flush()
		if c.push(name, attr) {
			c.open[len(c.open)-1].floor = len(c.out)
			c.verbose++
			c.afterBr = true
		}
	case "blockquote":
		if c.literal > 0 || c.countOpen(name) >= NestLimit {
			return
		}
		c.flush()
		if c.push(name, attr) {
			c.open[len(c.open)-1].floor = len(c.out)
		}
	case "h1":
		c.push(name, attr)
	case "ruby", "ul", "ol":
		c.push(name, attr)
	case "li":
		c.item(attr)
	case "rt":
		if i := c.find("rt", "ruby"); i >= 0 {
			c.popTo(i)
		}
		if c.find("ruby", "") >= 0 {
			c.push(name, attr)
		}
	default:
		if kin(name) != "" {
			c.push(name, attr)
		}
	}
}

func void(name string) bool {
	switch name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr":
		return true
	}
	return false
}

func (c *converter) end(name string) {
	switch {
	case c.skip == "":
	case c.skip == name:
		if c.skipDepth--; c.skipDepth == 0 {
			c.skip = ""
		}
		return
	case c.skip == "p" && breaks(name) > 0, c.skip == "rp" && name == "ruby":
		c.skip = ""
	default:
		return
	}
	c.afterBr = false
	if i := c.find(name, ""); i >= 0 {
		if c.over > 0 {
			c.over--
		} else {
			c.popTo(i)
		}
	}
	c.want = max(c.want, breaks(name))
}

func (c *converter) text(s string) {
	if c.skip != "" {
		return
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(s)
	if c.afterBr {
		s = strings.TrimPrefix(s, "\n")
		c.afterBr = false
	}
	if c.verbose == 0 && (c.want > 0 || c.atLineStart()) {
		// White space in front of a line is that of the source.
		rest := strings.TrimLeft(s, " \t\n")
		if rest == "" || strings.Contains(s[:len(s)-len(rest)], "\n") {
			s = rest
		}
	}
	c.write(s)
}

// write adds s after the line breaks that are due.
func (c *converter) write(s string) {
	if s == "" {
		return
	}
	c.flush()
	c.out = append(c.out, s...)
}

func (c *converter) flush() {
	floor := 0
	if len(c.open) > 0 {
		floor = c.open[len(c.open)-1].floor
	}
	for have := c.newlines(floor); len(c.out) > floor && have < c.want; have++ {
		c.out = append(c.out, '\n')
	}
	c.want = 0
}

// newlines counts the line breaks at the end of out, above floor, as far as
// they are wanted.
func (c *converter) newlines(floor int) int {
	n := 0
	for n < c.want && len(c.out)-n > floor && c.out[len(c.out)-n-1] == '\n' {
		n++
	}
	return n
}

func (c *converter) atLineStart() bool {
	return len(c.out) == 0 || c.out[len(c.out)-1] == '\n'
}

// push opens an element. It says no when too many are open.
func (c *converter) push(name string, attr attributeMap) bool {
	if len(c.open) == maxOpen {
		c.over++
		return false
	}
	floor := 0
	if len(c.open) > 0 {
		floor = c.open[len(c.open)-1].floor
	}
	c.open = append(c.open, element{name: name, from: len(c.out), floor: floor, attr: attr})
	return true
}

// find is the index of the innermost open element of a name, -1 if there is
// none inside the innermost one named within.
func (c *converter) find(name, within string) int {
	for i := len(c.open) - 1; i >= 0; i-- {
		switch c.open[i].name {
		case name:
			return i
		case within:
			return -1
		}
	}
	return -1
}

func (c *converter) countOpen(name string) int {
	n := 0
	for _, e := range c.open {
		if e.name == name {
			n++
		}
	}
	return n
}

// item begins an item of a list, and ends the one before it.
func (c *converter) item(attr attributeMap) {
	list := max(c.find("ul", ""), c.find("ol", ""))
	if i := c.find("li", ""); i > list {
		c.popTo(i)
	}
	bullet := "• "
	if list >= 0 && c.open[list].name == "ol" {
		c.open[list].count++
		bullet = strconv.Itoa(c.open[list].count) + ". "
	}
	if c.literal == 0 {
		c.write(bullet)
	}
	if c.push("li", attr) {
		c.open[len(c.open)-1].floor = len(c.out)
	}
}

// popTo closes the open elements from index i on.
func (c *converter) popTo(i int) {
	for len(c.open) > i {
		last := len(c.open) - 1
		e := c.open[last]
		c.open = c.open[:last]
		c.close(e)
	}
}

// close gives the content of an element its marks.
func (c *converter) close(e element) {
	whole := string(c.out[e.from:])
	content := strings.Trim(whole, " \t\n")
	at := strings.Index(whole, content)
	before, after := whole[:at], whole[at+len(content):]
	set := func(s string) { c.out = append(append(append(c.out[:e.from], before...), s...), after...) }
	switch e.name {
	case "a":
		c.literal--
		if content = c.anchor(e, content); c.literal == 0 {
			set(content)
		}
	case "code":
		c.literal--
		if c.literal == 0 && content != "" && c.find("pre", "") < 0 {
			set(codeMark(content))
		}
	case "pre":
		c.verbose--
		code := strings.Trim(whole, "\n")
		if e.code && code != "" {
			c.out = append(c.out[:e.from], "```"+e.lang+"\n"+code+"\n```"...)
		}
		c.want = 1
	case "blockquote":
		c.out = c.out[:e.from]
		if content != "" {
			c.out = append(c.out, "> "+strings.ReplaceAll(content, "\n", "\n> ")...)
		}
		c.want = 1
	case "h1":
		if content != "" && c.literal == 0 {
			set("【" + content + "】")
		}
	case "rt":
		c.reading(e, content)
	default:
		open, shut := mark(e.name, content)
		if open == "" || content == "" || c.literal > 0 || c.marked(open) {
			return
		}
		set(open + content + shut)
	}
}

// marked tells whether an element with the mark is still open.
func (c *converter) marked(open string) bool {
	return slices.ContainsFunc(c.open, func(e element) bool { return kin(e.name) == open })
}

// codeMark is code as MFM. Inline code knows no line breaks and no backticks.
func codeMark(s string) string {
	switch {
	case strings.Contains(s, "\n"):
		return "\n```\n" + s + "\n```\n"
	case strings.ContainsAny(s, "`´"):
		return s
	}
	return "`" + s + "`"
}

// language is the name of a language in the class of a code element.
func language(class string) string {
	for _, word := range strings.Fields(class) {
		if lang, ok := strings.CutPrefix(word, "language-"); ok && !strings.Contains(lang, "`") {
			return lang
		}
	}
	return ""
}

// reading joins the text before an rt, which ends with it, to the rt's text.
func (c *converter) reading(rt element, reading string) {
	i := c.find("ruby", "")
	if i < 0 {
		return
	}
	whole := string(c.out[c.open[i].from:rt.from])
	base := strings.TrimLeft(whole, " \t\n")
	c.out = append(c.out[:c.open[i].from], whole[:len(whole)-len(base)]...)
	base = strings.TrimSpace(base)
	made := base + reading
	if base != "" && reading != "" {
		made = base + "(" + reading + ")"
		if c.literal == 0 && !strings.ContainsAny(made, " \t\n[]") {
			made = "$[ruby " + base + " " + reading + "]"
		}
	}
	c.out = append(c.out, made...)
	c.open[i].from = len(c.out)
}

// anchor is an a as MFM: a hashtag, a mention, an address, a link, or its text.
func (c *converter) anchor(e element, label string) string {
	href := strings.TrimSpace(e.attr["href"])
	target, err := url.Parse(href)
	if err != nil || !isWeb(href) || target.Hostname() == "" {
		return label
	}
	if c.tags[foldTag(label)] {
		return label
	}
	if strings.HasPrefix(label, "@") && !e.attr.has("rel", "me") {
		if m, ok := mentionOf(label, target.Hostname()); ok {
			return m
		}
	}
	address := addressOf(href, target)
	if label == "" || e.short || label == href || label+"/" == href {
		return address
	}
	label = strings.ReplaceAll(label, "\n", " ")
	bare := strings.TrimSuffix(strings.TrimPrefix(address, "<"), ">")
	for _, made := range []string{"[" + label + "](" + bare + ")", "[" + label + "](<" + bare + ">)"} {
		if nodes := Parse(made); len(nodes) == 1 {
			if l, ok := nodes[0].(Link); ok && l.URL == bare {
				return made
			}
		}
	}
	return label + " " + address
}

// mentionOf is the mention that a label stands for, with the host of the page it
// leads to if it has none itself.
func mentionOf(label, host string) (string, bool) {
	if strings.Count(label, "@") == 1 {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		label += "@" + ascii
	}
	nodes := Parse(label)
	if len(nodes) != 1 {
		return "", false
	}
	_, ok := nodes[0].(Mention)
	return label, ok
}

// addressOf is an address as MFM: bare, or in brackets if it needs them.
func addressOf(href string, target *url.URL) string {
	encoded := target.String()
	for _, made := range []string{href, "<" + href + ">", encoded} {
		if nodes := Parse(made); len(nodes) == 1 {
			if _, ok := nodes[0].(URL); ok {
				return made
			}
		}
	}
	return "<" + encoded + ">"
}

// foldTag makes hashtags comparable.
func foldTag(s string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(s)))
}
