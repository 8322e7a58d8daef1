package mfm_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
)

// leaves is all text that nodes show, without marks.
func leaves(nodes []mfm.Node) string {
	var b strings.Builder
	for _, n := range nodes {
		switch n := n.(type) {
		case mfm.Text:
			b.WriteString(n.Text)
		case mfm.Plain:
			b.WriteString(n.Text)
		case mfm.BlockCode:
			b.WriteString(n.Code)
		case mfm.InlineCode:
			b.WriteString(n.Code)
		case mfm.MathBlock:
			b.WriteString(n.Formula)
		case mfm.MathInline:
			b.WriteString(n.Formula)
		case mfm.UnicodeEmoji, mfm.EmojiCode, mfm.Mention, mfm.Hashtag, mfm.URL, mfm.Search:
			b.WriteString(mfm.String([]mfm.Node{n}))
		}
		b.WriteString(leaves(mfm.Children(n)))
	}
	return b.String()
}

// within tells whether the bytes of part stand in whole, in order.
func within(part, whole string) bool {
	for i := range len(part) {
		at := strings.IndexByte(whole, part[i])
		if at < 0 {
			return false
		}
		whole = whole[at+1:]
	}
	return true
}

func FuzzParse(f *testing.F) {
	for _, piece := range hostile {
		f.Add(piece + piece + "a" + piece)
	}
	f.Add("**a** [b](https://c.d) $[x.y=z @e@f.g #h] :i: 😀\n> j\n\n```k\nl\n```\n<center>m</center>\nn 検索")
	f.Fuzz(func(t *testing.T, text string) {
		nodes := mfm.Parse(text)
		if got := leaves(nodes); !within(strings.ReplaceAll(got, "\r", ""), strings.ReplaceAll(text, "\r\n", "\n")) &&
			!within(strings.ReplaceAll(got, "\n", ""), text) {
			t.Errorf("%q: %q is not in the text", text, got)
		}
		for _, n := range nodes {
			if n == (mfm.Node)(mfm.Text{}) {
				t.Errorf("%q gives an empty text", text)
			}
		}
		mfm.Parse(mfm.String(nodes))
		if got := mfm.String(mfm.ParseSimple(text)); !within(text, got) && !within(strings.ReplaceAll(text, "\r", ""), got) {
			t.Errorf("%q: simple nodes lose text: %q", text, got)
		}
		html := mfm.ToHTML(nodes, options)
		if err := wellFormed(html); err != nil {
			t.Errorf("%q gives %s: %v", text, html, err)
		}
		mfm.FromHTML(html, mfm.FromHTMLOptions{})
	})
}

func FuzzFromHTML(f *testing.F) {
	f.Add(`<p>a<br><b>b</b> <a href="https://c.d/@e">@e</a></p><blockquote><ul><li>f</ul></blockquote><pre><code>g</code></pre>`)
	f.Add(`<ruby>a<rp>(<rt>b</ruby><h1>c</h1><svg><rt></b></a><p class="quote-inline">`)
	f.Fuzz(func(t *testing.T, source string) {
		text := mfm.FromHTML(source, mfm.FromHTMLOptions{Hashtags: []string{"a"}})
		mfm.Parse(text)
	})
}
