package mfm

// inline finds out what stands at a place: depth constructs deep, in the label
// of a link or not.
func (p *parser) inline(at, depth int, label bool) item {
	*p.steps++
	if it := p.emoji(at); it.kind != none {
		return it
	}
	switch p.src[at] {
	case '<', '*', '~', '$', '[', '?':
		k := keyOf(at, depth, 0, label)
		it, ok := p.items[k]
		if !ok {
			it = p.construct(at, depth, label)
			if p.items == nil {
				p.items = map[key]item{}
			}
			p.items[k] = it
		}
		return it
	case '_':
		if it := p.word(at, "__", boldWord); it.kind != none {
			return it
		}
		return p.lonely(at, "_")
	case '`':
		return p.inlineCode(at)
	case '\\':
		return p.mathInline(at)
	case ':':
		return p.emojiCode(at)
	case '@':
		if !label {
			return p.mention(at)
		}
	case '#':
		if !label {
			return p.hashtag(at, depth)
		}
	case 'h':
		if !label {
			return p.url(at, depth)
		}
	}
	return item{}
}

// span is a construct with content, known by what closes it.
type span uint8

const (
	_ span = iota
	bigStars
	boldStars
	boldTag
	smallTag
	italicTag
	strikeTag
	strikeWave
	fnSpan
	labelSpan
	centerTag
)

// marks that open and close the spans that become text when they are not closed.
var spans = [...]struct {
	span        span
	kind        kind
	open, close string
}{
	{smallTag, small, "<small>", "</small>"},
	{boldTag, bold, "<b>", "</b>"},
	{italicTag, italic, "<i>", "</i>"},
	{strikeTag, strike, "<s>", "</s>"},
	{bigStars, big, "***", "***"},
	{boldStars, bold, "**", "**"},
	{strikeWave, strike, "~~", "~~"},
}

// construct finds what begins with a mark that can have content behind it.
func (p *parser) construct(at, depth int, label bool) item {
	for _, s := range spans {
		if p.has(at, s.open) {
			return p.closed(s.span, s.kind, at+len(s.open), s.close, depth, label)
		}
	}
	switch p.src[at] {
	case '*':
		return p.lonely(at, "*")
	case '<':
		if it := p.plainTag(at); it.kind != none || label {
			return it
		}
		return p.urlAlt(at)
	case '$':
		return p.fn(at, depth, label)
	case '[', '?':
		if !label {
			return p.link(at, depth)
		}
	}
	return item{}
}

// closed reads the content of a span and its closing mark. Without one, the
// opening mark and what has been read as its content are text; there is no way
// back.
func (p *parser) closed(s span, k kind, inner int, shut string, depth int, label bool) item {
	outer := p.spanEnd(s, inner, depth+1, label)
	if outer == inner || !p.has(outer, shut) {
		return item{kind: text, end: outer}
	}
	return item{k, outer + len(shut), inner, outer}
}

// spanEnd is where the content of a span ends that begins at, or goes on from,
// a place: before what closes it, or at the end of the text.
func (p *parser) spanEnd(s span, at, depth int, label bool) int {
	trail := len(p.trail)
	for at < len(p.src) && !p.closes(s, at) {
		*p.steps++
		switch p.src[at] {
		case '<', '*', '~', '$', '[', '?':
			end, ok := p.ends[keyOf(at, depth, s, label)]
			if ok {
				return p.keep(trail, end, s, depth, label)
			}
			p.trail = append(p.trail, at)
		}
		it := item{}
		if depth < p.limit {
			it = p.inline(at, depth, label)
		}
		if it.kind == none {
			it.end = at + p.width(at)
		}
		at = it.end
	}
	return p.keep(trail, at, s, depth, label)
}

// keep remembers the end for every place on the trail to it.
func (p *parser) keep(trail, end int, s span, depth int, label bool) int {
	if p.ends == nil && trail < len(p.trail) {
		p.ends = map[key]int{}
	}
	for _, at := range p.trail[trail:] {
		p.ends[keyOf(at, depth, s, label)] = end
	}
	p.trail = p.trail[:trail]
	return end
}

// closes tells whether the content of a span ends at a place.
func (p *parser) closes(s span, at int) bool {
	c := p.src[at]
	switch s {
	case bigStars:
		return p.has(at, "***")
	case boldStars:
		return p.has(at, "**")
	case boldTag:
		return p.has(at, "</b>")
	case smallTag:
		return p.has(at, "</small>")
	case italicTag:
		return p.has(at, "</i>")
	case strikeTag:
		return p.has(at, "</s>")
	case strikeWave:
		return isBreak(c) || p.has(at, "~~")
	case fnSpan:
		return c == ']'
	case labelSpan:
		return c == ']' || isBreak(c)
	case centerTag:
		return p.has(p.newline(at), "</center>")
	}
	return false
}

// word reads mark x mark, where x is letters, digits and blanks.
func (p *parser) word(at int, mark string, k kind) item {
	if !p.has(at, mark) {
		return item{}
	}
	inner := at + len(mark)
	outer := inner
	for outer < len(p.src) {
		n := p.space(outer)
		if n == 0 && isAlnum(p.src[outer]) {
			n = 1
		}
		if n == 0 {
			break
		}
		outer += n
	}
	if outer == inner || !p.has(outer, mark) {
		return item{}
	}
	return item{k, outer + len(mark), inner, outer}
}

// lonely reads *x* and _x_, which may not stand in a word.
func (p *parser) lonely(at int, mark string) item {
	if p.afterAlnum(at) {
		return item{}
	}
	return p.word(at, mark, italWord)
}

func (p *parser) inlineCode(at int) item {
	const acute = "´"
	inner := at + 1
	outer := inner
	for outer < len(p.src) && p.src[outer] != '`' && !isBreak(p.src[outer]) && !p.has(outer, acute) {
		outer++
	}
	*p.steps += outer - inner
	if outer == inner || !p.has(outer, "`") {
		return item{}
	}
	return item{code, outer + 1, inner, outer}
}

func (p *parser) mathInline(at int) item {
	if !p.has(at, `\(`) {
		return item{}
	}
	inner := at + len(`\(`)
	outer, ok := p.find(formulaClose, inner)
	if !ok || outer == inner || isBreak(p.src[outer]) {
		return item{}
	}
	return item{formula, outer + len(`\)`), inner, outer}
}

func (p *parser) plainTag(at int) item {
	const open, shut = "<plain>", "</plain>"
	if !p.has(at, open) {
		return item{}
	}
	inner := p.newline(at + len(open))
	mark, ok := p.find(plainClose, inner)
	if !ok {
		return item{}
	}
	outer := p.beforeBreak(inner, mark)
	if outer == inner {
		return item{}
	}
	return item{plain, mark + len(shut), inner, outer}
}

func (p *parser) fn(at, depth int, label bool) item {
	if !p.has(at, "$[") {
		return item{}
	}
	name, _, end := p.fnHead(at)
	if name == "" || !p.has(end, " ") {
		return item{kind: text, end: end}
	}
	return p.closed(fnSpan, fn, end+1, "]", depth, label)
}

// fnHead reads $[name.arg,arg=value as far as it goes.
func (p *parser) fnHead(at int) (name string, args []Arg, end int) {
	const word = "_"
	at += len("$[")
	end = p.run(at, word)
	name = p.src[at:end]
	if name == "" {
		return "", nil, end
	}
	for sep := "."; p.has(end, sep); sep = "," {
		from := end + 1
		to := p.run(from, word)
		if to == from {
			break
		}
		arg := Arg{Name: p.src[from:to]}
		end = to
		if p.has(end, "=") {
			if valueEnd := p.run(end+1, "_.-"); valueEnd > end+1 {
				arg.Value = p.src[end+1 : valueEnd]
				end = valueEnd
			}
		}
		args = setArg(args, arg)
	}
	return name, args, end
}

// setArg adds an argument; of two with one name the later counts.
func setArg(args []Arg, arg Arg) []Arg {
	for i := range args {
		if args[i].Name == arg.Name {
			args[i] = arg
			return args
		}
	}
	return append(args, arg)
}

func (p *parser) link(at, depth int) item {
	inner := at + 1
	if p.src[at] == '?' {
		if !p.has(inner, "[") {
			return item{}
		}
		inner++
	}
	outer := p.spanEnd(labelSpan, inner, depth+1, true)
	if outer == inner || !p.has(outer, "](") {
		return item{}
	}
	target := outer + len("](")
	it := item{}
	switch {
	case p.has(target, "<"):
		it = p.urlAlt(target)
	case p.has(target, "h"):
		it = p.url(target, depth)
	}
	if it.kind != address && it.kind != bracketed || !p.has(it.end, ")") {
		return item{}
	}
	return item{link, it.end + 1, inner, outer}
}
