package mfm

import (
	"strings"
	"unicode"
)

// block reads the block at a place, which may begin with the line break before
// it. The node is nil if there is none.
func (p *parser) block(at int) (Node, int) {
	switch p.src[at] {
	case '\n', '\r':
		for _, read := range []func(int) (Node, int){p.center, p.blockCode, p.quote, p.mathBlock} {
			if n, end := read(at); n != nil {
				return n, end
			}
		}
	case '<':
		return p.center(at)
	case '`':
		return p.blockCode(at)
	case '>':
		return p.quote(at)
	case '\\':
		return p.mathBlock(at)
	}
	return nil, 0
}

func (p *parser) center(at int) (Node, int) {
	const open, shut = "<center>", "</center>"
	at = p.newline(at)
	if !p.lineBegins(at) || !p.has(at, open) {
		return nil, 0
	}
	from := p.newline(at + len(open))
	to := p.spanEnd(centerTag, from, p.base+1, false)
	mark := p.newline(to)
	if to == from || !p.has(mark, shut) || !p.lineEnds(mark+len(shut)) {
		return nil, 0
	}
	return Center{p.content(from, to, p.base+1, false)}, p.newline(mark + len(shut))
}

func (p *parser) blockCode(at int) (Node, int) {
	const fence = "```"
	at = p.newline(at)
	if !p.lineBegins(at) || !p.has(at, fence) {
		return nil, 0
	}
	head := at + len(fence)
	headEnd := p.restOfLine(head)
	from := p.newline(headEnd)
	to, ok := p.find(fenceClose, from)
	if from == headEnd || !ok || to == from {
		return nil, 0
	}
	lang := strings.TrimFunc(p.src[head:headEnd], func(r rune) bool {
		return r == '\ufeff' || unicode.IsSpace(r) && r != '\u0085'
	})
	return BlockCode{p.src[from:to], lang}, p.newline(p.newline(to) + len(fence))
}

func (p *parser) mathBlock(at int) (Node, int) {
	at = p.newline(at)
	if !p.lineBegins(at) || !p.has(at, `\[`) {
		return nil, 0
	}
	from := p.newline(at + len(`\[`))
	mark, ok := p.find(mathClose, from)
	if !ok {
		return nil, 0
	}
	to, end := p.beforeBreak(from, mark), mark+len(`\]`)
	if to == from || !p.lineEnds(end) {
		return nil, 0
	}
	return MathBlock{p.src[from:to]}, p.newline(end)
}

// quote takes up to two line breaks before and after it. Its lines, without
// their marks, are a text of their own.
func (p *parser) quote(at int) (Node, int) {
	at = p.newline(p.newline(at))
	if !p.lineBegins(at) || !p.has(at, ">") {
		return nil, 0
	}
	var lines []string
	var end int
	for {
		from := at + 1
		from += p.space(from)
		end = p.restOfLine(from)
		lines = append(lines, p.src[from:end])
		*p.steps += end - at
		at = p.newline(end)
		if at == end || !p.has(at, ">") {
			break
		}
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil, 0
	}
	end = p.newline(p.newline(end))
	inside := strings.Join(lines, "\n")
	if p.base+1 >= p.limit {
		return Quote{[]Node{Text{inside}}}, end
	}
	return Quote{newParser(inside, p.base+1, p.limit, p.steps).full()}, end
}

// search reads a line that ends in a search button. It comes after everything
// else that could begin at the place.
func (p *parser) search(at int) (Node, int) {
	from := p.newline(at)
	if !p.lineBegins(from) {
		return nil, 0
	}
	end := p.restOfLine(from)
	*p.steps += end - from
	line := p.src[from:end]
	for _, button := range [...]string{"[検索]", "[search]", "検索", "search"} {
		cut := len(line) - len(button)
		if cut < 0 || !strings.EqualFold(line[cut:], button) {
			continue
		}
		query := strings.TrimSuffix(line[:cut], ideographicSpace)
		if len(query) == cut && cut > 0 && (line[cut-1] == ' ' || line[cut-1] == '\t') {
			query = line[:cut-1]
		}
		if query == "" || len(query) == cut {
			return nil, 0
		}
		return Search{query, line}, p.newline(end)
	}
	return nil, 0
}
