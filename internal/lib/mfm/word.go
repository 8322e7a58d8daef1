package mfm

import (
	"strings"
	"unicode/utf8"
)

func (p *parser) emojiCode(at int) item {
	inner := at + 1
	outer := p.run(inner, "_+-")
	*p.steps += outer - inner
	end := outer + 1
	if outer == inner || !p.has(outer, ":") || end < len(p.src) && isAlnum(p.src[end]) {
		return item{}
	}
	return item{custom, end, inner, outer}
}

func (p *parser) mention(at int) item {
	const extra = "_.-"
	if p.afterAlnum(at) {
		return item{}
	}
	nameEnd := p.run(at+1, extra)
	if nameEnd == at+1 {
		return item{}
	}
	name, host, end := p.src[at+1:nameEnd], "", nameEnd
	if p.has(nameEnd, "@") {
		if hostEnd := p.run(nameEnd+1, extra); hostEnd > nameEnd+1 {
			host, end = p.src[nameEnd+1:hostEnd], hostEnd
		}
	}
	*p.steps += end - at
	invalid := item{kind: text, end: end}
	it := item{kind: mention, end: nameEnd}
	trimmed := strings.TrimRight(name, ".-")
	if host != "" {
		keep := strings.TrimRight(host, ".-")
		if keep == "" || trimmed != name || isEdge(keep[0]) {
			return invalid
		}
		it.end = nameEnd + 1 + len(keep)
	} else {
		it.end = at + 1 + len(trimmed)
	}
	if trimmed == "" || isEdge(name[0]) {
		return invalid
	}
	return it
}

func isEdge(c byte) bool { return c == '.' || c == '-' }

func (p *parser) hashtag(at, depth int) item {
	if p.afterAlnum(at) {
		return item{}
	}
	end := at + 1
	for end < len(p.src) {
		next := p.tagPart(end, depth)
		if next < 0 {
			break
		}
		end = next
	}
	if strings.Trim(p.src[at+1:end], "0123456789") == "" {
		return item{}
	}
	return item{kind: hashtag, end: end}
}

// tagPart is the end of the character, or of the text in brackets, of a hashtag
// at a place; -1 if there is none.
func (p *parser) tagPart(at, depth int) int {
	*p.steps++
	r, n := utf8.DecodeRuneInString(p.src[at:])
	var shut string
	switch r {
	case '(':
		shut = ")"
	case '[':
		shut = "]"
	case '「':
		shut = "」"
	case '（':
		shut = "）"
	default:
		if strings.ContainsRune(" \u3000\t\r\n.,!?'\"#:/[]【】()「」（）<>", r) {
			return -1
		}
		return at + n
	}
	if depth >= p.limit {
		return -1
	}
	for at += n; at < len(p.src); {
		next := p.tagPart(at, depth+1)
		if next < 0 {
			break
		}
		at = next
	}
	if !p.has(at, shut) {
		return -1
	}
	return at + len(shut)
}

func (p *parser) url(at, depth int) item {
	from := p.scheme(at)
	if from < 0 {
		return item{}
	}
	end := from
	for end < len(p.src) {
		next := p.urlPart(end, depth)
		if next < 0 {
			break
		}
		end = next
	}
	if end == from {
		return item{}
	}
	content := strings.TrimRight(p.src[from:end], ".,")
	if content == "" {
		return item{kind: text, end: end}
	}
	return item{kind: address, end: from + len(content)}
}

// scheme is the place after http:// or https:// at a place, or -1.
func (p *parser) scheme(at int) int {
	for _, s := range [...]string{"https://", "http://"} {
		if p.has(at, s) {
			return at + len(s)
		}
	}
	return -1
}

// urlPart is the end of the character, or of the text in brackets, of an
// address at a place; -1 if there is none.
func (p *parser) urlPart(at, depth int) int {
	*p.steps++
	var shut string
	switch c := p.src[at]; {
	case c == '(':
		shut = ")"
	case c == '[':
		shut = "]"
	case isAlnum(c), strings.IndexByte(".,_/:%#@$&?!~=+-", c) >= 0:
		return at + 1
	default:
		return -1
	}
	if depth >= p.limit {
		return -1
	}
	for at++; at < len(p.src); {
		next := p.urlPart(at, depth+1)
		if next < 0 {
			break
		}
		at = next
	}
	if !p.has(at, shut) {
		return -1
	}
	return at + 1
}

func (p *parser) urlAlt(at int) item {
	inner := at + 1
	from := p.scheme(inner)
	if from < 0 {
		return item{}
	}
	outer, ok := p.find(urlClose, from)
	if !ok || outer == from || p.src[outer] != '>' {
		return item{}
	}
	return item{bracketed, outer + 1, inner, outer}
}
