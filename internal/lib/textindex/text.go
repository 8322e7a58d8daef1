package textindex

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

const (
	// last stands behind the last character of a run: a character alone is then found by the terms that begin with it.
	last = "\x01"
	// Own begins the terms of the caller's own, such as filters; no text has one.
	Own = "\x02"
	// maxWord is how many characters of a word are kept.
	maxWord = 40
)

// Normal is the form in which texts and queries are compared: NFKC, but for the letters of ㅋㅋ and ㅠㅠ, which NFKC
// would take for parts of syllables; lower case; Latin letters without accents; one blank for any white space; no skin
// tones, variation selectors or characters of no width. Normal(Normal(s)) is Normal(s).
func Normal(text string) string {
	if plainASCII(text) {
		return text
	}
	text = strings.Map(seen, text)
	var b strings.Builder
	b.Grow(len(text))
	for rest := text; rest != ""; {
		i := strings.IndexFunc(rest, isJamo)
		if i < 0 {
			i = len(rest)
		}
		lower(&b, norm.NFKC.String(rest[:i]))
		for rest = rest[i:]; rest != ""; {
			r, n := utf8.DecodeRuneInString(rest)
			if !isJamo(r) {
				break
			}
			if r >= 0xffa0 {
				b.WriteString(width.Widen.String(rest[:n]))
			} else {
				b.WriteString(rest[:n])
			}
			rest = rest[n:]
		}
	}
	out := squeeze(b.String())
	if !norm.NFKC.IsNormalString(out) && !strings.ContainsFunc(out, isJamo) { // what was taken out stood between two that compose
		return squeeze(norm.NFKC.String(out))
	}
	return out
}

// plainASCII tells whether a text is in its normal form, as most short queries are.
func plainASCII(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || c < ' ' || c == 0x7f || c >= 'A' && c <= 'Z' || c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' ') {
			return false
		}
	}
	return true
}

// isJamo are the letters of Hangul that stand alone, of both widths.
func isJamo(r rune) bool { return r >= 0x3131 && r <= 0x318e || r >= 0xffa1 && r <= 0xffdc }

// lower writes s in lower case, without accents of Latin letters.
func lower(b *strings.Builder, s string) {
	latin := false // the letter before
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			latin = r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
			b.WriteRune(unicode.ToLower(r))
			continue
		case latin && unicode.Is(unicode.Mn, r):
			continue
		}
		r = unicode.ToLower(r)
		if r == 'ς' {
			r = 'σ'
		}
		latin = unicode.Is(unicode.Latin, r)
		if latin {
			if base, _ := utf8.DecodeRuneInString(norm.NFD.String(string(r))); unicode.Is(unicode.Latin, base) {
				r = base
			}
		}
		b.WriteRune(r)
	}
}

// squeeze leaves one blank between words, and drops what is not seen.
func squeeze(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	blank := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || r < ' ' || r == 0x7f:
			blank = b.Len() > 0
			continue
		case unseen(r):
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

func seen(r rune) rune {
	if unseen(r) {
		return -1
	}
	return r
}

func unseen(r rune) bool {
	return r >= 0x80 && (unicode.Is(unicode.Cf, r) || r >= 0xfe00 && r <= 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff || r == utf8.RuneError)
}

// class is how a character is indexed.
type class uint8

const (
	gap    class = iota // it parts words
	letter              // of words that are parted by something
	wide                // of scripts that do not part words
	sign                // an emoji or another symbol: a word by itself
)

var unparted = []*unicode.RangeTable{unicode.Hangul, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

func classOf(r rune, before class) class {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r >= 'A' && r <= 'Z' {
			return letter
		}
		return gap
	case r == 'ー' || r == '々' || r == '〆' || r == 'ゝ' || r == 'ゞ' || r == 'ヽ' || r == 'ヾ' || unicode.In(r, unparted...):
		return wide
	case unicode.Is(unicode.M, r):
		if before == gap || before == sign {
			return gap
		}
		return before // a mark goes with its letter
	case unicode.IsLetter(r) || unicode.IsNumber(r):
		return letter
	case unicode.Is(unicode.So, r) || r >= 0x1f000 && r <= 0x1faff:
		return sign
	}
	return gap
}

// run is a stretch of characters of one class, in a normal text.
type run struct {
	class class
	text  string
	end   int // in the text
}

// runs calls f for the words of a normal text.
func runs(s string, f func(run)) {
	at, before := 0, gap
	flush := func(end int) {
		if before != gap && end > at {
			f(run{before, s[at:end], end})
		}
		at = end
	}
	for i, r := range s {
		c := classOf(r, before)
		if c != before || c == sign {
			flush(i)
			before = c
		}
	}
	flush(len(s))
}

// Terms are what a text is found by, sorted, each once: words; pairs of characters in scripts that do not part words;
// symbols. Of addresses there are the words of the host, and one term for the whole.
func Terms(text string) []string {
	normal, links := reduce(Normal(text))
	out := make([]string, 0, len(normal)/3+len(links)+4)
	runs(normal, func(r run) {
		switch r.class {
		case wide:
			out = pairs(out, r.text, true)
		case letter:
			out = append(out, cut(r.text))
		default:
			out = append(out, r.text)
		}
	})
	for _, l := range links {
		out = append(out, linkTerm(l))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// pairs are the pairs of characters of a run, and what its last one is alone.
func pairs(out []string, s string, ends bool) []string {
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		n := i + size
		if n == len(s) {
			if ends {
				out = append(out, s[i:]+last)
			}
			break
		}
		_, next := utf8.DecodeRuneInString(s[n:])
		out = append(out, s[i:n+next])
		i = n
	}
	return out
}

func cut(word string) string {
	if len(word) <= maxWord {
		return word
	}
	n := 0
	for i := range word {
		if n == maxWord {
			return word[:i]
		}
		n++
	}
	return word
}

// Word is the condition for a text having the word, in the sense of Holds. exact says that nothing else has the terms,
// so that no text has to be looked at.
func Word(word string) (e Expr, exact bool) {
	normal := Normal(word)
	if l, ok := link(normal); ok {
		return Term(linkTerm(l)), false
	}
	normal, _ = reduce(normal)
	return compile(normal, true)
}

// Phrase is a condition that every text fulfils that has the phrase, in the sense of Contains. Others may, too.
func Phrase(phrase string) Expr {
	normal := Normal(phrase)
	if l, ok := link(normal); ok {
		return Term(linkTerm(l))
	}
	normal, _ = reduce(normal)
	e, _ := compile(normal, false)
	return e
}

// compile turns what was typed into the terms that a text with it has. open: its last word may go on.
func compile(s string, open bool) (Expr, bool) {
	var all []Expr
	exact := true
	covered := 0
	runs(s, func(r run) {
		covered += len(r.text)
		ends := r.end == len(s)
		switch r.class {
		case letter:
			short := cut(r.text)
			switch {
			case !ends || !open:
				all = append(all, Term(short))
				exact = exact && len(short) == len(r.text)
			case len(r.text) > 1:
				all = append(all, Prefix(short))
				exact = exact && len(short) == len(r.text)
			case len(s) == 1: // a word of its own, or half of all words would have to be looked at
				all = append(all, Term(r.text))
			default:
				exact = false
			}
		case wide:
			_, size := utf8.DecodeRuneInString(r.text)
			switch {
			case size < len(r.text):
				for _, p := range pairs(nil, r.text, false) {
					all = append(all, Term(p))
				}
				exact = exact && len(all) == 1
			case ends:
				all = append(all, Prefix(r.text))
			default:
				all = append(all, Term(r.text+last))
			}
		default:
			all = append(all, Term(r.text))
		}
	})
	return And(all...), exact && open && len(all) == 1 && covered == len(s)
}

// Holds tells whether a normal text has a word: the typed characters, beginning where a word begins if the script
// parts words. A single Latin letter is a word of its own. Of an address typed as a whole, the same address.
func Holds(normal, word string) bool {
	word = Normal(word)
	text, links := reduce(normal)
	if l, ok := link(word); ok {
		return slices.Contains(links, l)
	}
	word, _ = reduce(word)
	alone := len(word) == 1 && classOf(rune(word[0]), gap) == letter
	return found(text, word, alone)
}

// Contains tells whether a normal text has a phrase, and not as a part of longer words.
func Contains(normal, phrase string) bool {
	phrase = Normal(phrase)
	text, links := reduce(normal)
	if l, ok := link(phrase); ok {
		return slices.Contains(links, l)
	}
	phrase, _ = reduce(phrase)
	return found(text, phrase, true)
}

// found looks for s where a word begins and, if closed, where one ends.
func found(text, s string, closed bool) bool {
	if s == "" {
		return true
	}
	for at := 0; ; {
		i := strings.Index(text[at:], s)
		if i < 0 {
			return false
		}
		i += at
		if begins(text, i) && (!closed || begins(text, i+len(s))) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		at = i + size
	}
}

// begins tells whether position i does not lie inside of a word, as runs see them.
func begins(text string, i int) bool {
	if i == 0 || i >= len(text) {
		return true
	}
	// Marks take the class of what is before them: begin at a character that is none.
	from := i
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(text[:from])
		from -= size
		if !unicode.Is(unicode.M, r) {
			break
		}
	}
	before := gap
	for _, r := range text[from:i] {
		before = classOf(r, before)
	}
	r, _ := utf8.DecodeRuneInString(text[i:])
	return before != letter || classOf(r, before) != letter
}
