package summary

import (
	"strings"
	"unicode"
)

// text is a text on one line, without what turns or hides its neighbours, of up to
// max characters; nil when nothing is left.
func text(s string, max int) *string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range strings.ToValidUTF8(s, "") {
		switch {
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			space = n > 0
			continue
		case hidden(r):
			continue
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		if n >= max {
			return clipped(b.String(), max)
		}
		b.WriteRune(r)
		n++
	}
	if n == 0 {
		return nil
	}
	out := b.String()
	return &out
}

// clipped ends a text of max characters or one more with an ellipsis.
func clipped(s string, max int) *string {
	r := []rune(s)
	if len(r) >= max {
		r = r[:max-1]
	}
	out := strings.TrimRight(string(r), " ") + "…"
	return &out
}

// hidden are characters that no title needs: controls, embeddings, overrides and
// isolates of direction, which would turn around what stands beside the text
// (UAX #9 §2), and what has no width. Joiners stay: scripts and emoji need them.
func hidden(r rune) bool {
	switch {
	case unicode.IsControl(r), r == unicode.ReplacementChar:
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u206f':
		return true
	case r == '\u200b', r == '\u2060', r == '\ufeff', r == '\u00ad', r == '\u061c', r == '\u200e', r == '\u200f':
		return true
	case r >= '\ufff9' && r <= '\ufffb', unicode.Is(unicode.Co, r):
		return true
	}
	return false
}
