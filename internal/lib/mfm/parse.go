package mfm

import (
	"sort"
	"strings"
	"unicode/utf8"

	"buttersc.one/oven/internal/lib/emojidata"
)

// NestLimit is how deep constructs may stand in one another. Deeper ones are
// text.
const NestLimit = 20

// Parse reads MFM. Every text is MFM, so there is no error.
func Parse(text string) []Node { return ParseNested(text, NestLimit) }

// ParseNested is Parse with a nesting limit other than [NestLimit]. The limit
// bounds recursion, and time grows with it; it is at most 1000.
func ParseNested(text string, limit int) []Node {
	return newParser(text, 0, min(limit, 1000), new(int)).full()
}

// ParseSimple reads the small MFM of names and profile fields: emoji, <plain>
// and text.
func ParseSimple(text string) []Node {
	return newParser(text, 0, NestLimit, new(int)).simple()
}

// parser reads one text: the whole, or the content of a quote.
//
// It works in two steps: find out what stands at a place and where it ends
// (item), and make nodes of what has been found (build). Only links and
// <center> can fail after their content has been read, which would be read
// again and again by texts made for it; so the first step remembers the items
// that have content, and where content ends, and makes nothing.
type parser struct {
	src   string
	base  int // nesting of this text itself
	limit int
	steps *int // work done, for the test of it

	items  map[key]item // nil until there is one, as most texts have none
	ends   map[key]int  // likewise
	trail  []int        // stack of places whose content end is being looked for
	places [finders][]int
}

// key is a place and how it is reached, packed: maps of numbers are quick.
type key uint64

// keyOf makes the key of a place: depth constructs deep, in the content of s (0 for
// an item), in the label of a link or not.
func keyOf(at, depth int, s span, label bool) key {
	k := key(at)<<24 | key(depth)<<8 | key(s)<<1
	if label {
		k |= 1
	}
	return k
}

func newParser(src string, base, limit int, steps *int) *parser {
	return &parser{src: src, base: base, limit: limit, steps: steps}
}

// kind is what an item is.
type kind uint8

const (
	none      kind = iota // nothing: one character of text
	text                  // marks that open nothing: text as a whole
	emoji                 // 😀
	code                  // `x`
	formula               // \(x\)
	plain                 // <plain>x</plain>
	boldWord              // __x__
	italWord              // *x*, _x_
	mention               // @x
	hashtag               // #x
	custom                // :x:
	address               // https://x
	bracketed             // <https://x>
	big                   // ***x***
	bold                  // **x**, <b>x</b>
	small                 // <small>x</small>
	italic                // <i>x</i>
	strike                // ~~x~~, <s>x</s>
	fn                    // $[name x]
	link                  // [x](https://x)
)

// item is what has been found at a place.
type item struct {
	kind  kind
	end   int // where the next item begins
	inner int // where the content begins
	outer int // where the content ends
}

// full reads all of the text, blocks included.
func (p *parser) full() []Node {
	out := builder{src: p.src}
	for at := 0; at < len(p.src); {
		*p.steps++
		if n, end := p.block(at); n != nil {
			out.add(n, at, end)
			at = end
			continue
		}
		if it := p.inline(at, p.base, false); it.kind != none {
			p.build(&out, it, at, p.base, false)
			at = it.end
			continue
		}
		if n, end := p.search(at); n != nil {
			out.add(n, at, end)
			at = end
			continue
		}
		at += p.width(at)
	}
	return out.done(len(p.src))
}

func (p *parser) simple() []Node {
	out := builder{src: p.src}
	for at := 0; at < len(p.src); {
		it := p.emoji(at)
		switch {
		case it.kind != none:
		case p.src[at] == ':':
			it = p.emojiCode(at)
		case p.src[at] == '<':
			it = p.plainTag(at)
		}
		if it.kind == none {
			it.end = at + p.width(at)
		}
		p.build(&out, it, at, 0, false)
		at = it.end
	}
	return out.done(len(p.src))
}

// builder collects nodes; what lies between them is text.
type builder struct {
	src   string
	from  int // where the text not yet in a node begins
	nodes []Node
}

func (b *builder) add(n Node, at, end int) {
	b.text(at)
	b.nodes = append(b.nodes, n)
	b.from = end
}

func (b *builder) text(to int) {
	if b.from < to {
		b.nodes = append(b.nodes, Text{b.src[b.from:to]})
		b.from = to
	}
}

func (b *builder) done(end int) []Node {
	b.text(end)
	return b.nodes
}

// content makes the nodes of the content from..to, which is at depth.
func (p *parser) content(from, to, depth int, label bool) []Node {
	out := builder{src: p.src, from: from}
	if depth < p.limit {
		for at := from; at < to; {
			it := p.inline(at, depth, label)
			if it.kind == none {
				at += p.width(at)
				continue
			}
			p.build(&out, it, at, depth, label)
			at = it.end
		}
	}
	return out.done(to)
}

// build adds the node of the item that has been found at a place.
func (p *parser) build(out *builder, it item, at, depth int, label bool) {
	inside := func() []Node { return p.content(it.inner, it.outer, depth+1, label || it.kind == link) }
	inner, whole := p.src[it.inner:it.outer], p.src[at:it.end]
	var n Node
	switch it.kind {
	case none, text:
		return
	case emoji:
		n = UnicodeEmoji{whole}
	case code:
		n = InlineCode{inner}
	case formula:
		n = MathInline{inner}
	case plain:
		n = Plain{inner}
	case boldWord:
		n = Bold{[]Node{Text{inner}}}
	case italWord:
		n = Italic{[]Node{Text{inner}}}
	case mention:
		name, host, _ := strings.Cut(whole[1:], "@")
		n = Mention{name, host, whole}
	case hashtag:
		n = Hashtag{whole[1:]}
	case custom:
		n = EmojiCode{inner}
	case address:
		n = URL{whole, false}
	case bracketed:
		n = URL{inner, true}
	case big:
		n = Fn{"tada", nil, inside()}
	case bold:
		n = Bold{inside()}
	case small:
		n = Small{inside()}
	case italic:
		n = Italic{inside()}
	case strike:
		n = Strike{inside()}
	case fn:
		name, args, _ := p.fnHead(at)
		n = Fn{name, args, inside()}
	case link:
		target := strings.TrimSuffix(strings.TrimPrefix(p.src[it.outer+2:it.end-1], "<"), ">")
		n = Link{target, p.src[at] == '?', inside()}
	}
	out.add(n, at, it.end)
}

// width is the length of the character at a place.
func (p *parser) width(at int) int {
	if p.src[at] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(p.src[at:])
	return n
}

func (p *parser) has(at int, s string) bool { return strings.HasPrefix(p.src[at:], s) }

func (p *parser) emoji(at int) item {
	if p.src[at] < utf8.RuneSelf && (at+1 == len(p.src) || p.src[at+1] < utf8.RuneSelf) {
		return item{}
	}
	if n := emojidata.Match(p.src[at:]); n > 0 {
		return item{kind: emoji, end: at + n}
	}
	const selector = "\ufe0f"
	if p.has(at, selector) {
		return item{kind: text, end: at + len(selector)}
	}
	return item{}
}

// newline is the place after the line break at a place, or the place itself.
func (p *parser) newline(at int) int {
	switch {
	case p.has(at, "\r\n"):
		return at + 2
	case p.has(at, "\n"), p.has(at, "\r"):
		return at + 1
	}
	return at
}

func (p *parser) lineBegins(at int) bool { return at == 0 || isBreak(p.src[at-1]) }
func (p *parser) lineEnds(at int) bool   { return at == len(p.src) || isBreak(p.src[at]) }

// restOfLine is where the line of a place ends.
func (p *parser) restOfLine(at int) int {
	if i := strings.IndexAny(p.src[at:], "\r\n"); i >= 0 {
		return at + i
	}
	return len(p.src)
}

// space is the length of the blank at a place, 0 if there is none.
func (p *parser) space(at int) int {
	switch {
	case at == len(p.src):
		return 0
	case p.src[at] == ' ', p.src[at] == '\t':
		return 1
	case p.has(at, ideographicSpace):
		return len(ideographicSpace)
	}
	return 0
}

const ideographicSpace = "\u3000"

func isBreak(c byte) bool { return c == '\n' || c == '\r' }

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// afterAlnum tells whether the character before a place is an ASCII letter or digit.
func (p *parser) afterAlnum(at int) bool { return at > 0 && isAlnum(p.src[at-1]) }

// run is the end of the longest run of letters, digits and extra at a place.
func (p *parser) run(at int, extra string) int {
	for at < len(p.src) && (isAlnum(p.src[at]) || strings.IndexByte(extra, p.src[at]) >= 0) {
		at++
	}
	return at
}

// finder names a kind of place that is looked for from far away.
type finder int

const (
	plainClose   finder = iota // </plain>
	mathClose                  // \]
	formulaClose               // \) or a line break
	fenceClose                 // the line break before a closing fence
	urlClose                   // > or a blank
	finders
)

// find is the first place of a kind at or after a place. All places of a kind
// are listed at the first question: looking again from every opening mark would
// be quadratic.
func (p *parser) find(f finder, from int) (int, bool) {
	if p.places[f] == nil {
		p.places[f] = []int{}
		for at := range len(p.src) {
			*p.steps++
			if p.isPlace(f, at) {
				p.places[f] = append(p.places[f], at)
			}
		}
	}
	list := p.places[f]
	i := sort.SearchInts(list, from)
	if i == len(list) {
		return 0, false
	}
	return list[i], true
}

func (p *parser) isPlace(f finder, at int) bool {
	c := p.src[at]
	switch f {
	case plainClose:
		return p.has(at, "</plain>")
	case mathClose:
		return p.has(at, `\]`)
	case formulaClose:
		return isBreak(c) || p.has(at, `\)`)
	case fenceClose:
		if !isBreak(c) {
			return false
		}
		mark := p.newline(at)
		return p.has(mark, "```") && p.lineEnds(mark+3)
	case urlClose:
		return c == '>' || p.space(at) > 0
	}
	return false
}

// beforeBreak moves the end of a content that begins at from to before the one
// line break that may precede its closing mark.
func (p *parser) beforeBreak(from, mark int) int {
	switch {
	case mark-2 >= from && p.src[mark-2:mark] == "\r\n":
		return mark - 2
	case mark-1 >= from && isBreak(p.src[mark-1]):
		return mark - 1
	}
	return mark
}
