package mfm_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
)

// show writes nodes for people: "text", 😀, :name:, @acct, #tag, name(what it
// holds).
func show(nodes []mfm.Node) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, showNode(n))
	}
	return strings.Join(parts, " ")
}

func showNode(n mfm.Node) string {
	inside := show(mfm.Children(n))
	switch n := n.(type) {
	case mfm.Text:
		return strconv.Quote(n.Text)
	case mfm.UnicodeEmoji:
		return n.Emoji
	case mfm.EmojiCode:
		return ":" + n.Name + ":"
	case mfm.Mention:
		if want := "@" + n.Username + strings.Repeat("@", min(len(n.Host), 1)) + n.Host; want != n.Acct {
			return fmt.Sprintf("mention(%s, not %s)", n.Acct, want)
		}
		return n.Acct
	case mfm.Hashtag:
		return "#" + n.Tag
	case mfm.URL:
		if n.Brackets {
			return "url<" + n.URL + ">"
		}
		return "url(" + n.URL + ")"
	case mfm.Link:
		name := "link"
		if n.Silent {
			name = "silent"
		}
		return fmt.Sprintf("%s<%s>(%s)", name, n.URL, inside)
	case mfm.Fn:
		return fmt.Sprintf("%s%v(%s)", n.Name, n.Args, inside)
	case mfm.BlockCode:
		return fmt.Sprintf("block<%s>(%q)", n.Lang, n.Code)
	case mfm.InlineCode:
		return fmt.Sprintf("code(%q)", n.Code)
	case mfm.MathBlock:
		return fmt.Sprintf("mathBlock(%q)", n.Formula)
	case mfm.MathInline:
		return fmt.Sprintf("math(%q)", n.Formula)
	case mfm.Search:
		return fmt.Sprintf("search<%s>(%q)", n.Query, n.Content)
	case mfm.Plain:
		return fmt.Sprintf("plain(%q)", n.Text)
	}
	name := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", n), "mfm."))
	return name + "(" + inside + ")"
}

func TestParse(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ``},
		{"text", "안녕하세요 world", `"안녕하세요 world"`},
		{"broken text", "a\xffb", `"a\xffb"`},

		// Marks.
		{"bold", "a **b** c", `"a " bold("b") " c"`},
		{"bold over lines", "**a\nb**", `bold("a\nb")`},
		{"bold tag", "<b>굵게</b>", `bold("굵게")`},
		{"bold word", "__abc 1__", `bold("abc 1")`},
		{"bold word knows ASCII only", "__굵게__", `"__굵게__"`},
		{"bold of nothing", "****", `"****"`},
		{"big", "***abc***", `tada[]("abc")`},
		{"italic star", "*abc*", `italic("abc")`},
		{"italic star in a word", "a*b*c", `"a*b*c"`},
		{"italic star after hangul", "가*b*", `"가" italic("b")`},
		{"italic underscore", "_a b_", `italic("a b")`},
		{"italic underscore with ideographic space", "_a\u3000b_", `italic("a\u3000b")`},
		{"snake case", "snake_case_name", `"snake_case_name"`},
		{"italic tag", "<i>あ **い**</i>", `italic("あ " bold("い"))`},
		{"strike", "~~취소~~", `strike("취소")`},
		{"strike stays in its line", "~~a\nb~~", `"~~a\nb~~"`},
		{"strike tag over lines", "<s>a\nb</s>", `strike("a\nb")`},
		{"small", "<small>작게 :x:</small>", `small("작게 " :x:)`},
		{"nested", "**a ~~b <i>c</i>~~**", `bold("a " strike("b " italic("c")))`},
		{"unclosed mark eats what follows", "**a @b #c :d: 😀", `"**a @b #c :d: 😀"`},
		{"unclosed inside closed", "<b>**a</b>", `"<b>**a</b>"`},
		{"unclosed strike eats its line", "~~@a\n@b", `"~~@a\n" @b`},

		// Code and formulas.
		{"inline code", "`**x**`", "code(\"**x**\")"},
		{"inline code with acute", "`x´`", "\"`x´`\""},
		{"inline code of nothing", "``", "\"``\""},
		{"block code", "a\n```go\nx := 1\n```\nb", `"a" block<go>("x := 1") "b"`},
		{"block code without language", "```\na\n\nb\n```", `block<>("a\n\nb")`},
		{"block code with CRLF", "```js\r\na\r\n```\r\nb", `block<js>("a") "b"`},
		{"block code not closed", "```\na", "\"```\\na\""},
		{"block code of nothing", "```\n\n```", "\"```\\n\\n```\""},
		{"fence needs the line's end", "```\na\n```b\n```", "block<>(\"a\\n```b\")"},
		{"inline formula", `\(x = 1\) y`, `math("x = 1") " y"`},
		{"inline formula stays in its line", "\\(x\n\\)", `"\\(x\n\\)"`},
		{"formula", "\\[\nx^2\n\\]", `mathBlock("x^2")`},
		{"formula in a line", "a \\[x\\]", `"a \\[x\\]"`},

		// Blocks.
		{"quote", "> 인용\n> **b**", `quote("인용\n" bold("b"))`},
		{"quote swallows line breaks", "a\n\n> b\n\nc", `"a" quote("b") "c"`},
		{"quote keeps the third line break", "a\n\n\n> b\n\n\nc", `"a\n" quote("b") "\nc"`},
		{"quote in quote", "> a\n> > b", `quote("a" quote("b"))`},
		{"quote of one empty line", "> ", `"> "`},
		{"quote of two empty lines", ">\n>", `quote("\n")`},
		{"quote with ideographic space", ">\u3000引用", `quote("引用")`},
		{"greater sign in a line", "a > b", `"a > b"`},
		{"center", "a\n<center>가운데 #b</center>\nc", `"a" center("가운데 " #b) "c"`},
		{"center in a line", "a <center>b</center>", `"a <center>b</center>"`},
		{"center not closed", "<center>@a **b**", `"<center>" @a " " bold("b")`},
		{"search", "東京 天気 検索", `search<東京 天気>("東京 天気 検索")`},
		{"search button", "서울 날씨 [Search]\nx", `search<서울 날씨>("서울 날씨 [Search]") "x"`},
		{"search without query", " search", `" search"`},
		{"search inside the line", "a search b", `"a search b"`},
		{"search after a mention", "@a search", `@a " search"`},

		// Words.
		{"mention", "hi @user", `"hi " @user`},
		{"mention of a remote", "@user@example.com!", `@user@example.com "!"`},
		{"mention after hangul", "안녕@user", `"안녕" @user`},
		{"address of a mail", "me@example.com", `"me@example.com"`},
		{"mention with dot", "@bsky.brid.gy@bsky.brid.gy.", `@bsky.brid.gy@bsky.brid.gy "."`},
		{"mention before a dash", "@user- x", `@user "- x"`},
		{"mention that begins with a dash", "@-user", `"@-user"`},
		{"mention with a bad host", "@a@-b.c", `"@a@-b.c"`},
		{"mention knows no port", "@bob@localhost:4001", `@bob@localhost ":4001"`},
		{"hashtag", "#태그 #タグ #tag_1", `#태그 " " #タグ " " #tag_1`},
		{"hashtag in brackets", "(#a) #b(c) #d「e」", `"(" #a ") " #b(c) " " #d「e」`},
		{"hashtag with an open bracket", "#a(b", `#a "(b"`},
		{"hashtag of digits", "#123 #123가", `"#123 " #123가`},
		{"hashtag ends at punctuation", "#a, #b! #c.d", `#a ", " #b "! " #c ".d"`},
		{"hashtag in a word", "a#b", `"a#b"`},
		{"keycap is no hashtag", "#\ufe0f\u20e3", "#\ufe0f\u20e3"},
		{"url", "see https://example.com/a?b=c#d.", `"see " url(https://example.com/a?b=c#d) "."`},
		{"url in brackets", "(https://example.com/a_(b))", `"(" url(https://example.com/a_(b)) ")"`},
		{"url before hangul", "https://example.com/가", `url(https://example.com/) "가"`},
		{"url of dots", "https://...", `"https://..."`},
		{"other schemes", "ftp://a.b HTTPS://a.b", `"ftp://a.b HTTPS://a.b"`},
		{"bracketed url", "<https://example.com/日本>", `url<https://example.com/日本>`},
		{"bracketed url with space", "<https://a b>", `"<" url(https://a) " b>"`},
		{"emoji code", ":blob_cat: 1:a+b:", `:blob_cat: " 1" :a+b:`},
		{"emoji code before a letter", ":a:b", `":a:b"`},
		{"emoji code with hangul", ":고양이:", `":고양이:"`},
		{"emoji", "좋아 👍🏽❤\ufe0f ❤\ufe0e 1\ufe0f", "\"좋아 \" 👍🏽 ❤\ufe0f \" ❤\ufe0e 1\ufe0f\""},
		{"signs that are no emoji", "1 # * © ™", `"1 # * © ™"`},

		// Links.
		{"link", "[가 **b**](https://a.b/c)", `link<https://a.b/c>("가 " bold("b"))`},
		{"silent link", "?[a](<https://a.b/c d>)", `"?[a](<" url(https://a.b/c) " d>)"`},
		{"silent link with bracketed url", "?[a](<https://日本.jp>)", `silent<https://日本.jp>("a")`},
		{"label without words", "[@a #b https://c.d](https://e.f)", `link<https://e.f>("@a #b https://c.d")`},
		{"link without target", "[a](b) [c]", `"[a](b) [c]"`},
		{"label over lines", "[a\nb](https://c.d)", "\"[a\\nb](\" url(https://c.d) \")\""},
		{"link in label", "[[a](https://b.c)](https://d.e)", `link<https://b.c>("[a") "](" url(https://d.e) ")"`},
		{"target ends in a dot", "[a](https://b.c.)", `"[a](" url(https://b.c) ".)"`},

		// Functions.
		{"fn", "$[x2 가]", `x2[]("가")`},
		{"fn with arguments", "$[spin.speed=1.5s,left a $[y b]]", `spin[{speed 1.5s} {left }]("a " y[]("b"))`},
		{"fn with an argument twice", "$[a.b=1,c,b=2 x]", `a[{b 2} {c }]("x")`},
		{"fn that nobody knows", "$[no_such x]", `no_such[]("x")`},
		{"fn without name", "$[] @a", `"$[] " @a`},
		{"fn without content", "$[x ]", `"$[x ]"`},
		{"fn not closed", "$[x @a", `"$[x @a"`},

		{"plain", "<plain>**a** @b</plain> @c", `plain("**a** @b") " " @c`},
		{"plain over lines", "<plain>\na\n</plain>", `plain("a")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := show(mfm.Parse(tt.text)); got != tt.want {
				t.Errorf("Parse(%q)\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestNesting(t *testing.T) {
	deepest := func(text string, limit int) int {
		depth := 0
		for nodes := mfm.ParseNested(text, limit); len(nodes) > 0; depth++ {
			nodes = mfm.Children(nodes[0])
		}
		return depth - 1 // the text inside
	}
	tests := []struct {
		name, open, shut string
		limit, want      int
	}{
		{"within the limit", "<b>", "</b>", 20, 10},
		{"tags", "<b>", "</b>", 5, 5},
		{"functions", "$[x ", "]", 5, 5},
		{"quotes", ">", "", 5, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Repeat(tt.open, 10) + "a" + strings.Repeat(tt.shut, 10)
			if got := deepest(text, tt.limit); got != tt.want {
				t.Errorf("%d deep, want %d", got, tt.want)
			}
		})
	}
}

func TestParseSimple(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"name", "고양이 :cat:😺", `"고양이 " :cat: 😺`},
		{"nothing else", "**a** @b #c https://d.e $[x f]", `"**a** @b #c https://d.e $[x f]"`},
		{"plain", "<plain>:a:</plain>", `plain(":a:")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := show(mfm.ParseSimple(tt.text)); got != tt.want {
				t.Errorf("ParseSimple(%q)\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestString(t *testing.T) {
	// Texts in the form that String writes.
	texts := []string{
		"", "안녕 @a@b.c #タグ :x: 😀 https://a.b/ <https://日本.jp>",
		"**a** <small>b</small> <i>c</i> ~~d~~ `e` \\(f\\)",
		"?[a **b**](https://c.d) [e](https://f.g)",
		"$[spin.speed=1s,left a $[x2 b]]",
		"a\n> b\n> > c\nd",
		"a\n```go\nb\n```\nc", "\\[\na\n\\]", "<center>\na\n</center>",
		"東京 検索", "<plain>\n**a**\n</plain>",
	}
	for _, text := range texts {
		nodes := mfm.Parse(text)
		if got := mfm.String(nodes); got != text {
			t.Errorf("String of %q\n got %q", text, got)
		}
	}
}
