package mfm_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
)

var options = mfm.HTMLOptions{
	Origin: "https://own.example",
	ProfileURL: func(username, host string) string {
		if username == "bob" && host == "b.example" {
			return "https://b.example/@bob?a=1&b=2"
		}
		return ""
	},
}

func TestToHTML(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ``},
		{"text", `a <b & "c"`, `a &lt;b &amp; &quot;c&quot;`},
		{"lines", "가\n나\r\n다", `<span>가<br />나<br />다</span>`},
		{"lines around a node", "a\n**b**\nc", `<span>a<br /></span><b>b</b><span><br />c</span>`},
		{"marks", "**a** *b* ~~c~~ <small>d</small>", `<b>a</b> <i>b</i> <del>c</del> <small>d</small>`},
		{"nested", "**a ~~b~~**", `<b>a <del>b</del></b>`},
		{"code", "`a<b`", `<code>a&lt;b</code>`},
		{"block code", "```go\na\nb\n```", "<pre><code>a\nb</code></pre>"},
		{"formulas", "\\(a\\)\n\\[\nb\n\\]", `<code>a</code><code>b</code>`},
		{"center", "<center>a</center>", `<div>a</div>`},
		{"quote", "> a\n> b\nc", `<blockquote><span>a<br />b</span></blockquote>c`},
		{"custom emoji", ":cat:", "\u200b:cat:\u200b"},
		{"emoji", "👍🏽", `👍🏽`},
		{"hashtag", "#tag", `<a href="https://own.example/tags/tag" rel="tag">#tag</a>`},
		{"hashtag in hangul", "#가", `<a href="https://own.example/tags/%EA%B0%80" rel="tag">#가</a>`},
		{"local mention", "@alice", `<a href="https://own.example/@alice" class="u-url mention">@alice</a>`},
		{"local mention with host", "@alice@Own.example", `<a href="https://own.example/@alice" class="u-url mention">@alice@Own.example</a>`},
		{"remote mention", "@bob@b.example", `<a href="https://b.example/@bob?a=1&amp;b=2" class="u-url mention">@bob@b.example</a>`},
		{"unknown mention", "@eve@c.example", `<a href="https://own.example/@eve@c.example" class="u-url mention">@eve@c.example</a>`},
		{"url", "https://a.b/?c=d&e=f", `<a href="https://a.b/?c=d&amp;e=f">https://a.b/?c=d&amp;e=f</a>`},
		{"bracketed url", `<https://a.b/"c">`, `<a href="https://a.b/&quot;c&quot;">https://a.b/&quot;c&quot;</a>`},
		{"link", "[a **b**](https://c.d)", `<a href="https://c.d">a <b>b</b></a>`},
		{"search", "서울 & 날씨 검색\n東京 検索", `서울 &amp; 날씨 검색<a href="https://www.google.com/search?q=%E6%9D%B1%E4%BA%AC">東京 検索</a>`},
		{"fn", "$[tada a] ***b***", `<i>a</i> <i>b</i>`},
		{"unixtime", "$[unixtime 1700000000]", `<time datetime="2023-11-14T22:13:20.000Z">2023-11-14T22:13:20.000Z</time>`},
		{"unixtime of no time", "$[unixtime soon] $[unixtime 99999999999999]", `<i>soon</i> <i>99999999999999</i>`},
		{"ruby", "$[ruby 漢字 かんじ]", `<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>`},
		{"ruby over nodes", "$[ruby **漢字** かんじ]", `<ruby><b>漢字</b><rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>`},
		{"ruby without reading", "$[ruby 漢字]", `<i>漢字</i>`},
		{"plain", "<plain>**a** <b></plain>", `**a** &lt;b&gt;`},
		{"what XML cannot say", "a\x00\x1b\xffb", "a\ufffdb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := "<p>" + tt.want + "</p>"
			got := mfm.ToHTML(mfm.Parse(tt.text), options)
			if got != want {
				t.Errorf("%q\n got %s\nwant %s", tt.text, got, want)
			}
			if err := wellFormed(got); err != nil {
				t.Errorf("%q gives %s: %v", tt.text, got, err)
			}
		})
	}
}

func TestToHTMLLinksToTheWebOnly(t *testing.T) {
	nodes := []mfm.Node{
		mfm.URL{URL: "javascript:alert(1)"}, mfm.Text{Text: " "},
		mfm.Link{URL: "javascript:alert(1)", Children: []mfm.Node{mfm.Text{Text: "a"}}},
	}
	const want = "<p>javascript:alert(1) a (javascript:alert(1))</p>"
	if got := mfm.ToHTML(nodes, mfm.HTMLOptions{}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// wellFormed reads s as XML.
func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
