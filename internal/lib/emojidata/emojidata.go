// Package emojidata is in charge of telling what an emoji is: which texts the
// clients draw as one Unicode emoji, and the form in which a reaction keeps it.
// It knows neither names nor pictures, and nothing of custom emoji.
//
// The table (Unicode 17) is derived from @misskey-dev/emoji-data 17.0.0
// (MIT, CC-BY-4.0 and Unicode-3.0; see NOTICE) by gen.mjs, so that server and
// clients agree to the code point.
package emojidata

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:embed sequences.txt
var sequences string

const (
	textStyle  = "\ufe0e" // variation selector: draw as text
	emojiStyle = "\ufe0f" // variation selector: draw as emoji
	joiner     = "\u200d"
)

// table holds the sequences for look-up of the longest at a place.
type table struct {
	lengths map[rune][]int  // of the sequences that begin with the rune, in bytes, longest first
	guarded map[string]bool // every sequence; true if text style may not follow
	pages   [0x200]bool     // which blocks of 256 code points have a first rune
}

var load = sync.OnceValue(func() *table {
	t := &table{lengths: map[rune][]int{}, guarded: map[string]bool{}}
	for line := range strings.Lines(sequences) {
		seq, guarded := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "!")
		t.guarded[seq] = guarded
		first, _ := utf8.DecodeRuneInString(seq)
		t.pages[first>>8] = true
		if !slices.Contains(t.lengths[first], len(seq)) {
			t.lengths[first] = append(t.lengths[first], len(seq))
		}
	}
	for _, lengths := range t.lengths {
		slices.Sort(lengths)
		slices.Reverse(lengths)
	}
	return t
})

// Match is the length in bytes of the emoji at the beginning of s, 0 if there
// is none. The longest sequence wins. Digits, #, *, ©, ® and ™ are emoji only
// with what makes them one (a keycap, U+FE0F); a symbol followed by U+FE0E and
// U+FE0F alone are not.
func Match(s string) int {
	if s == "" || s[0] < utf8.RuneSelf && (len(s) < 4 || s[1] < utf8.RuneSelf) {
		return 0
	}
	first, _ := utf8.DecodeRuneInString(s)
	t := load()
	if int(first>>8) >= len(t.pages) || !t.pages[first>>8] {
		return 0
	}
	for _, n := range t.lengths[first] {
		if n > len(s) {
			continue
		}
		guarded, ok := t.guarded[s[:n]]
		if ok && !(guarded && strings.HasPrefix(s[n:], textStyle)) {
			return n
		}
	}
	return 0
}

// First is the first emoji in s.
func First(s string) (string, bool) {
	for i := range s {
		if n := Match(s[i:]); n > 0 {
			return s[i : i+n], true
		}
	}
	return "", false
}

// Normalize gives the form in which a reaction keeps the emoji e: without
// U+FE0F, unless e is joined of several emoji.
func Normalize(e string) string {
	if strings.Contains(e, joiner) {
		return e
	}
	return strings.ReplaceAll(e, emojiStyle, "")
}
