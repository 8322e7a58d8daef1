package mfm_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
)

func TestFromHTML(t *testing.T) {
	tests := []struct{ name, html, want string }{
		{"empty", "", ""},
		{"text", "안녕 &lt;b&gt; &amp; &#x1F600;", "안녕 <b> & 😀"},
		{"paragraphs", "<p>가</p><p>나</p>", "가\n\n나"},
		{"paragraphs not closed", "<p>a<p>b", "a\n\nb"},
		{"text after a paragraph", "<p>a</p>b", "a\n\nb"},
		{"white space between paragraphs", "<p>a</p>\n\n  <p>b</p>\n", "a\n\nb"},
		{"lines", "a<br>b<br/>c<br />\nd", "a\nb\nc\nd"},
		{"two lines", "a<br><br>b", "a\n\nb"},
		{"blocks", "<div>a</div><div>b<div>c</div></div>d", "a\nb\nc\nd"},
		{"marks", "<b>a</b> <strong>b</strong> <i>c</i> <em>d</em> <s>e</s> <del>f</del> <small>g</small>",
			"**a** **b** <i>c</i> <i>d</i> ~~e~~ ~~f~~ <small>g</small>"},
		{"marks of nothing", "a<b></b><i> </i>b", "a b"},
		{"mark twice", "<b>a <strong>b</strong></b>", "**a b**"},
		{"mark around blanks", "a<b> b </b>c", "a **b** c"},
		{"strike over lines", "<s>a<br>b</s>", "<s>a\nb</s>"},
		{"marks closed crosswise", "<b>a<i>b</b>c</i>", "**a<i>b</i>**c"},
		{"headings", "<h1>a</h1>b<h2>c</h2><p>d</p>", "【a】\n\nb\n\nc\n\nd"},
		{"code", "<code>a<b>c</b></code>", "`ac`"},
		{"code in lines", "x<code>a<br>b</code>", "x\n```\na\nb\n```"},
		{"code with backticks", "<code>a`b</code>", "a`b"},
		{"block code", "<p>x</p><pre><code class=\"language-go\">a &lt; b\n\n  c\n</code></pre><p>y</p>", "x\n\n```go\na < b\n\n  c\n```\n\ny"},
		{"block without code", "<pre>a\n  b</pre>c", "a\n  b\nc"},
		{"quote", "a<blockquote><p>b</p><p>c</p></blockquote>d", "a\n> b\n> \n> c\nd"},
		{"quote in quote", "<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n> > b"},
		{"empty quote", "a<blockquote></blockquote>b", "a\nb"},
		{"list", "<p>a</p><ul><li>b</li><li><p>c</p></li></ul>d", "a\n\n• b\n• c\n\nd"},
		{"list in list", "<ol><li>a<ul><li>b</ul><li>c</ol>", "1. a\n• b\n2. c"},
		{"table", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		{"ruby", "<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>です", "$[ruby 漢字 かんじ]です"},
		{"ruby of parts", "<ruby>漢<rt>かん<rp>,<rt></rt>字<rt>じ</ruby>", "$[ruby 漢 かん]$[ruby 字 じ]"},
		{"ruby with blanks", "<ruby>a b<rt>c d</rt></ruby>", "a b(c d)"},
		{"dropped", "a<script>b</script><style>c</style><svg><title>d</title></svg><!-- e --><iframe>f</iframe>g", "ag"},
		{"custom emoji as picture", `<img src="x" class="custom-emoji" alt=":cat:"><img src="y" alt="z">`, ":cat:"},
		{"inline quote", `<p class="quote-inline">RE: <a href="https://a.b/c">https://a.b/c</a></p><p>d</p>`, "d"},
		{"inline quote in a span", `<p>a<span class="quote-inline"><br><br>RE: <span>x</span></span></p>`, "a"},
		{"inline quote not closed", `<p class="quote-inline">RE: x<p>d</p>`, "d"},
		{"broken text", "a\xffb\x00c", "a\ufffdbc"},
		{"tag not finished", "a <b", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mfm.FromHTML(tt.html, mfm.FromHTMLOptions{}); got != tt.want {
				t.Errorf("%s\n got %q\nwant %q", tt.html, got, tt.want)
			}
		})
	}
}

func TestFromHTMLLinks(t *testing.T) {
	tests := []struct{ name, html, want string }{
		{"address", `<a href="https://a.b/c">https://a.b/c</a>`, "https://a.b/c"},
		{"address with slash", `<a href="https://a.b/">https://a.b</a>`, "https://a.b/"},
		{"address without text", `<a href="https://a.b/c"></a>`, "https://a.b/c"},
		{"address that MFM cannot read bare", `<a href="https://a.b/가">https://a.b/가</a>`, "<https://a.b/가>"},
		{"address with a blank", `<a href="https://a.b/c d"></a>`, "https://a.b/c%20d"},
		{"shortened by Mastodon", `<a href="https://a.b/c/d?e=f" rel="nofollow"><span class="invisible">https://</span><span class="ellipsis">a.b/c</span><span class="invisible">/d?e=f</span></a>`, "https://a.b/c/d?e=f"},
		{"link", `a <a href="https://a.b/c">d <b>e</b></a>`, "a [d e](https://a.b/c)"},
		{"link to hangul", `<a href="https://a.b/가">d</a>`, "[d](<https://a.b/가>)"},
		{"link over lines", `<a href="https://a.b">c<br>d</a>`, "[c d](https://a.b)"},
		{"label that MFM cannot read", `<a href="https://a.b">c]d</a>`, "c]d https://a.b"},
		{"link in bold", `<b><a href="https://a.b">c</a></b>`, "**[c](https://a.b)**"},
		{"no address", `<a>b</a>`, "b"},
		{"script", `<a href="javascript:alert(1)">b</a>`, "b"},
		{"relative", `<a href="/c">b</a>`, "b"},
		{"mention", `<span class="h-card"><a href="https://a.b/@user" class="u-url mention">@<span>user</span></a></span> hi`, "@user@a.b hi"},
		{"mention with host", `<a href="https://social.a.b/@user">@user@a.b</a>`, "@user@a.b"},
		{"mention of an international host", `<a href="https://한국.kr/@user">@user</a>`, "@user@xn--3e0b707e.kr"},
		{"mention of a port", `<a href="https://a.b:8443/@user">@user</a>`, "@user@a.b"},
		{"own profile", `<a href="https://a.b/@user" rel="me nofollow">@user</a>`, "[@user](https://a.b/@user)"},
		{"no mention", `<a href="https://a.b/c">@ home</a>`, "[@ home](https://a.b/c)"},
		{"hashtag", `<a href="https://a.b/tags/x" rel="tag">#<span>Tag</span></a>`, "#Tag"},
		{"hashtag in hangul", `<a href="https://a.b/tags/x">#태그</a>`, "#태그"},
		{"hashtag not in the list", `<a href="https://a.b/tags/x">#other</a>`, "[#other](https://a.b/tags/x)"},
		{"links not closed", `<a href="https://a.b/c">d<a href="https://a.b/e">f`, "[d](https://a.b/c)[f](https://a.b/e)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opt := mfm.FromHTMLOptions{Hashtags: []string{"#tag", "태그"}}
			if got := mfm.FromHTML(tt.html, opt); got != tt.want {
				t.Errorf("%s\n got %q\nwant %q", tt.html, got, tt.want)
			}
		})
	}
}

// What is sent comes back, where HTML can say it.
func TestThereAndBack(t *testing.T) {
	texts := []string{
		"안녕하세요\n두 번째 줄", "**a** <i>b</i> ~~c~~ <small>d</small> `e`",
		"a\n> b\n> c\nd", "https://a.b/c <https://日本.jp> [d](https://e.f)",
		"@alice@own.example", "$[ruby 漢字 かんじ]", "a\n```\nb\n  c\n```\nd",
	}
	for _, text := range texts {
		html := mfm.ToHTML(mfm.Parse(text), options)
		if got := mfm.FromHTML(html, mfm.FromHTMLOptions{}); got != text {
			t.Errorf("%q came back as %q by way of %s", text, got, html)
		}
	}
}

// Deep and endless HTML must neither overflow the stack nor take quadratic time.
func TestFromHTMLHostile(t *testing.T) {
	pieces := []string{
		"<b>", "<b><i>", "<blockquote>", "<blockquote>a<br>", "<div>", "<p>", "<ul><li>", "<li>a", "<pre>", "<pre><code>", "<code>",
		"<a href=https://a.b/c>", "<a href=https://a.b>[", "<ruby>a<rt>b", "<ruby>", "<rt>a", "<span class=invisible>", "<svg>", "<rp>",
		"<p class=quote-inline>", "</b>", "</p>", "<", "<!--", "<a ", "&", "<script>", "<b><blockquote><ruby>", "<br>", "<h1>", "<table><td>",
	}
	for _, piece := range pieces {
		source := strings.Repeat(piece, 50_000)
		got := mfm.FromHTML(source+"end", mfm.FromHTMLOptions{})
		if len(got) > 20*len(source) {
			t.Errorf("%d × %s: %d bytes came out", 50_000, piece, len(got))
		}
	}
}
