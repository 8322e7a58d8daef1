package search

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The language of queries. Words stand beside each other and all are needed; one
// of a OR b is enough, which binds more closely than standing beside. "…" is a
// phrase, - in front excludes. name:value filters; what is no filter that exists,
// or has no value that it can have, is a word like others, so that nothing that
// somebody types is an error.

// Kind is what a part of a query asks of a note.
type Kind int

// Kinds of parts.
const (
	Word   Kind = iota // the text has a word that begins so; for CJK, has it
	Phrase             // the text has it as it is
	Tag                // has the hashtag
	From               // was written by the account
	To                 // answers or addresses the account
	In                 // is in a channel of the name
	Has                // has files, files of a kind, a poll …
	Is                 // is a reply, a renote with text …
	Lang               // is written in the script of a language
	Host               // is of the server, "." for this one
	Before             // was written before the moment
	After              // was written at or after it
	author             // was written by the account of this id; nobody types it
	inside             // is in the channel of this id; nobody types it
)

// Part is one condition.
type Part struct {
	Kind Kind
	Text string    // as typed, without quotes and sign; of filters the value
	At   time.Time // of Before and After
	IDs  []string  // of what Text names, once that is looked up; none when nothing is called so
	Not  bool
}

// Query is what is looked for: of every clause one part has to hold.
type Query [][]Part

// inChannel tells whether only what is in a channel is looked for: who looks there
// wants to see it, also if its notes are muted elsewhere.
func (q Query) inChannel() bool {
	return slices.ContainsFunc(q, func(any []Part) bool { return len(any) == 1 && any[0].Kind == In && !any[0].Not })
}

// maxParts of a query; what comes after is left out.
const maxParts = 40

// Parse reads a query as people type it. Days in it are of zone.
func Parse(text string, zone *time.Location) Query {
	var q Query
	or, n := false, 0
	for len(text) > 0 && n < maxParts {
		r, size := utf8.DecodeRuneInString(text)
		if unicode.IsSpace(r) {
			text = text[size:]
			continue
		}
		tok, rest := token(text)
		text = rest
		if tok.bare && tok.body == "OR" && len(q) > 0 && !or && strings.TrimSpace(text) != "" {
			or = true
			continue
		}
		parts := tok.parts(zone)
		if len(parts) == 0 {
			continue
		}
		n++
		if or {
			q[len(q)-1] = append(q[len(q)-1], parts[0])
			parts = parts[1:]
		}
		for _, p := range parts {
			q = append(q, []Part{p})
		}
		or = false
	}
	return q
}

// typed is what stands between two spaces: -name:"body".
type typed struct {
	name, body string
	not        bool
	bare       bool // neither sign, name nor quotes
	quoted     bool
}

// token takes the first thing off a text that does not begin with a space.
func token(text string) (typed, string) {
	var t typed
	at := text
	// A lone sign, or one before another, is not one.
	if next := strings.TrimPrefix(at, "-"); next != at && next != "" && next[0] != '-' && !beginsSpace(next) {
		t.not, at = true, next
	}
	if i := strings.IndexByte(at, ':'); i > 0 && isName(at[:i]) && i+1 < len(at) && !beginsSpace(at[i+1:]) {
		t.name, at = strings.ToLower(at[:i]), at[i+1:]
	}
	open, size := utf8.DecodeRuneInString(at)
	if shut, ok := quotes[open]; ok {
		if i := strings.IndexRune(at[size:], shut); i >= 0 {
			t.quoted, t.body = true, at[size:size+i]
			return t, at[size+i+utf8.RuneLen(shut):]
		}
		at = at[size:] // one that is not closed yet: somebody is still typing
	}
	end := strings.IndexFunc(at, unicode.IsSpace)
	if end < 0 {
		end = len(at)
	}
	t.body = at[:end]
	t.bare = !t.not && t.name == ""
	return t, at[end:]
}

var quotes = map[rune]rune{'"': '"', '“': '”', '「': '」', '『': '』'}

func beginsSpace(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

func isName(s string) bool {
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz") == ""
}

// parts are what a token asks; a day is two conditions.
func (t typed) parts(zone *time.Location) []Part {
	p := Part{Text: t.body, Not: t.not}
	value := strings.ToLower(t.body)
	switch t.name {
	case "from":
		p.Kind = From
	case "to":
		p.Kind = To
	case "in":
		p.Kind = In
	case "host", "server":
		p.Kind, p.Text = Host, value
	case "tag":
		p.Kind, p.Text = Tag, strings.TrimPrefix(t.body, "#")
	case "has":
		if p.Kind, p.Text = Has, value; !known(value, "file", "image", "video", "audio", "poll", "link", "cw") {
			return t.words()
		}
	case "is":
		if p.Kind, p.Text = Is, value; !known(value, "reply", "quote", "sensitive", "mine") {
			return t.words()
		}
	case "lang", "language":
		if p.Kind, p.Text = Lang, value; !known(value, languages()...) {
			return t.words()
		}
	case "before", "until", "after", "since", "during", "on":
		return t.moments(zone)
	default:
		return t.words()
	}
	if p.Text == "" {
		return t.words()
	}
	return []Part{p}
}

// words is a token that is no filter.
func (t typed) words() []Part {
	text := t.body
	if t.name != "" {
		text = t.name + ":" + text
	}
	p := Part{Kind: Word, Text: text, Not: t.not}
	switch {
	case strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsSymbol(r) }) == "":
		return nil
	case t.quoted || t.name != "":
		p.Kind = Phrase
	case len(text) > 1 && text[0] == '#':
		p.Kind, p.Text = Tag, text[1:]
	}
	return []Part{p}
}

// moments are the conditions of a day or a moment.
func (t typed) moments(zone *time.Location) []Part {
	begin, end, ok := moment(t.body, zone)
	if !ok {
		return t.words()
	}
	switch t.name {
	case "before", "until":
		return []Part{{Kind: Before, Text: t.body, At: begin, Not: t.not}}
	case "after", "since":
		// After a day is from the day that follows; after a moment is from it on.
		if t.name == "since" {
			end = begin
		}
		return []Part{{Kind: After, Text: t.body, At: end, Not: t.not}}
	}
	if t.not { // outside of a day has no clause of its own
		return nil
	}
	return []Part{{Kind: After, Text: t.body, At: begin}, {Kind: Before, Text: t.body, At: end}}
}

// moment reads 2026, 2026-11, 2026-11-26 or a time with its zone, and tells when
// what it names begins and ends.
func moment(s string, zone *time.Location) (begin, end time.Time, ok bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, at, true
	}
	for _, f := range []struct {
		layout           string
		year, month, day int
	}{{"2006-01-02", 0, 0, 1}, {"2006/01/02", 0, 0, 1}, {"2006-01", 0, 1, 0}, {"2006", 1, 0, 0}} {
		if at, err := time.ParseInLocation(f.layout, s, zone); err == nil && at.Year() > 1970 && at.Year() < 3000 {
			return at, at.AddDate(f.year, f.month, f.day), true
		}
	}
	return begin, end, false
}

func known(value string, list ...string) bool {
	for _, v := range list {
		if v == value {
			return true
		}
	}
	return false
}

// scripts are the languages that a note's letters tell, in the order in which
// they are looked for: kana make a text with Han Japanese.
var scripts = []struct {
	name  string
	table []*unicode.RangeTable
}{
	{"ko", []*unicode.RangeTable{unicode.Hangul}},
	{"ja", []*unicode.RangeTable{unicode.Hiragana, unicode.Katakana}},
	{"zh", []*unicode.RangeTable{unicode.Han}},
	{"th", []*unicode.RangeTable{unicode.Thai}},
	{"ru", []*unicode.RangeTable{unicode.Cyrillic}},
	{"ar", []*unicode.RangeTable{unicode.Arabic}},
	{"he", []*unicode.RangeTable{unicode.Hebrew}},
	{"el", []*unicode.RangeTable{unicode.Greek}},
	{"en", []*unicode.RangeTable{unicode.Latin}}, // all that is written in Latin letters
}

func languages() []string {
	out := make([]string, len(scripts))
	for i, s := range scripts {
		out[i] = s.name
	}
	return out
}

// written tells the language of a text by its letters, addresses and names left
// out; "" when it has none.
func written(text string) string {
	seen := map[string]bool{}
	for _, w := range strings.Fields(text) {
		if strings.Contains(w, "://") || w[0] == '@' || w[0] == ':' {
			continue
		}
		for _, r := range w {
			for _, s := range scripts {
				if unicode.In(r, s.table...) {
					seen[s.name] = true
					break
				}
			}
		}
	}
	for _, s := range scripts {
		if seen[s.name] {
			return s.name
		}
	}
	return ""
}

// String is the query in the form in which it would be typed, for tests and logs
// of them; nothing else prints queries.
func (q Query) String() string {
	var out []string
	for _, clause := range q {
		var any []string
		for _, p := range clause {
			s := p.Text
			if name := names[p.Kind]; name != "" {
				s = name + ":" + s
			} else if p.Kind == Phrase {
				s = strconv.Quote(s)
			}
			if p.Not {
				s = "-" + s
			}
			any = append(any, s)
		}
		out = append(out, strings.Join(any, " OR "))
	}
	return strings.Join(out, " ")
}

var kinds = map[Kind]string{Word: "word", Phrase: "phrase", Tag: "tag", From: "from", To: "to", In: "in", Has: "has", Is: "is", Lang: "lang", Host: "host", Before: "before", After: "after", author: "from", inside: "in"}

var names = map[Kind]string{Tag: "tag", From: "from", To: "to", In: "in", Has: "has", Is: "is", Lang: "lang", Host: "host", Before: "before", After: "after"}
