package mfm_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
)

// hostile are texts that a backtracking parser reads again and again.
var hostile = []string{
	"$[x ", "$[", "$[x.a=b,", "**", "***", "*", "* ", "*a", "<b>", "<i>", "<s>", "<small>", "<center>", "\n<center>",
	"<center>\n[", "[", "?[", "[[", "](", "[a](", "[a](https://", "((((", "https://a(", "https://a[(", "#(", "#((a", "#a「（", ">", "> ", ">\n", "\n>", "> >\n",
	":a", ":a:a:a", "___", "_a", "__a", "~~", "~~a\n", "`", "`a´", "```", "\n```", "\n```a\nb", "```\n```a", "\\(", "\\[", "\n\\[", "\n\\[\\]a",
	"<plain>", "<plain>\n", "<https://", "<https://x<b>", "[<https://x<b>", "[<b>", "[**a", "[$[x ", "<b>[", "[<s>[<i>[~~",
	"\n<center>[<b>", "\n<center><https://x<b>[", "@a", "@a@", "@a.", "@a@b-", "\r", "\n", "\r\n", "a search", "\nsearch ", " search\n",
	"1", "#1", "👨\u200d", "❤\ufe0e", "\ufe0f", "1\u20e3", "안녕 [", "検索[ ", "\xff[", "> [<center>\n> ", "~~[~~\n[",
	"[<https://x<b><i><s><small>**a~~b$[x ",
}

// TestWorkIsLinear compares the work for a text with that for one four times as
// long: about four times, where quadratic parsing takes sixteen.
func TestWorkIsLinear(t *testing.T) {
	const size = 4000
	for _, piece := range hostile {
		n := size / len(piece)
		short := mfm.Steps(strings.Repeat(piece, n))
		long := mfm.Steps(strings.Repeat(piece, 4*n))
		if long > 5*short+1000 {
			t.Errorf("%q: %d steps, but %d for four times the text", piece, short, long)
		}
		if perByte := long / (4 * size); perByte > 200 {
			t.Errorf("%q: %d steps a byte", piece, perByte)
		}
	}
}

// TestLongHostile parses 100 kB of each; work that the counter does not see
// would show as a test that does not end.
func TestLongHostile(t *testing.T) {
	for _, piece := range hostile {
		text := strings.Repeat(piece, 100_000/len(piece))
		mfm.ToHTML(mfm.Parse(text), mfm.HTMLOptions{Origin: "https://own.example"})
		mfm.ParseSimple(text)
	}
}
