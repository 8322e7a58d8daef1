package mfm

import "strings"

// String writes nodes as MFM. Parsing it again gives the same nodes for what
// people write, but not for all nodes that can be made by hand.
func String(nodes []Node) string {
	var b strings.Builder
	writeNodes(&b, nodes)
	return b.String()
}

func writeNodes(b *strings.Builder, nodes []Node) {
	afterBlock := false
	for i, n := range nodes {
		if i > 0 && (afterBlock || Block(n)) {
			b.WriteByte('\n')
		}
		afterBlock = Block(n)
		writeNode(b, n)
	}
}

func writeNode(b *strings.Builder, n Node) {
	switch n := n.(type) {
	case Quote:
		b.WriteString("> ")
		b.WriteString(strings.ReplaceAll(String(n.Children), "\n", "\n> "))
	case Search:
		b.WriteString(n.Content)
	case BlockCode:
		b.WriteString("```" + n.Lang + "\n" + n.Code + "\n```")
	case MathBlock:
		b.WriteString("\\[\n" + n.Formula + "\n\\]")
	case Center:
		wrap(b, "<center>\n", n.Children, "\n</center>")
	case Text:
		b.WriteString(n.Text)
	case UnicodeEmoji:
		b.WriteString(n.Emoji)
	case EmojiCode:
		b.WriteString(":" + n.Name + ":")
	case Bold:
		wrap(b, "**", n.Children, "**")
	case Small:
		wrap(b, "<small>", n.Children, "</small>")
	case Italic:
		wrap(b, "<i>", n.Children, "</i>")
	case Strike:
		wrap(b, "~~", n.Children, "~~")
	case InlineCode:
		b.WriteString("`" + n.Code + "`")
	case MathInline:
		b.WriteString("\\(" + n.Formula + "\\)")
	case Mention:
		b.WriteString(n.Acct)
	case Hashtag:
		b.WriteString("#" + n.Tag)
	case URL:
		if n.Brackets {
			b.WriteString("<" + n.URL + ">")
		} else {
			b.WriteString(n.URL)
		}
	case Link:
		if n.Silent {
			b.WriteByte('?')
		}
		wrap(b, "[", n.Children, "]("+n.URL+")")
	case Fn:
		wrap(b, fnHead(n), n.Children, "]")
	case Plain:
		b.WriteString("<plain>\n" + n.Text + "\n</plain>")
	}
}

func wrap(b *strings.Builder, before string, children []Node, after string) {
	b.WriteString(before)
	writeNodes(b, children)
	b.WriteString(after)
}

// fnHead is "$[name.args ".
func fnHead(n Fn) string {
	var b strings.Builder
	b.WriteString("$[" + n.Name)
	for i, a := range n.Args {
		if i == 0 {
			b.WriteByte('.')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(a.Name)
		if a.Value != "" {
			b.WriteString("=" + a.Value)
		}
	}
	b.WriteByte(' ')
	return b.String()
}
