// Package mfm is in charge of MFM, the markup of notes, names and profiles:
// text → nodes, nodes → text, what a text mentions, and the way to and from the
// HTML that other servers speak. It does not know who is mentioned, which
// custom emoji exist, or how a client draws a node.
//
// The grammar is that of mfm-js 0.26.0, with its habits: texts mean the same
// here and in the clients. Every parser and converter takes time nearly
// proportional to the text, whatever the text is.
package mfm

// Node is a piece of parsed MFM: one of the types of this file.
type Node interface{ node() }

// Blocks: they take whole lines.
type (
	// Quote is lines that begin with ">".
	Quote struct{ Children []Node }
	// Search is a line with a search button at its end.
	Search struct {
		Query   string
		Content string // the line as written
	}
	// BlockCode is code between fences.
	BlockCode struct {
		Code string
		Lang string // "" if not given
	}
	// MathBlock is a formula between \[ and \].
	MathBlock struct{ Formula string }
	// Center is centred text.
	Center struct{ Children []Node }
)

// Inline nodes.
type (
	// Text is characters without further meaning.
	Text struct{ Text string }
	// UnicodeEmoji is one emoji, as written.
	UnicodeEmoji struct{ Emoji string }
	// EmojiCode is a custom emoji, :name:.
	EmojiCode struct{ Name string }
	// Bold is text between ** or __ or in <b>.
	Bold struct{ Children []Node }
	// Small is text in <small>.
	Small struct{ Children []Node }
	// Italic is text between * or _ or in <i>.
	Italic struct{ Children []Node }
	// Strike is text between ~~ or in <s>.
	Strike struct{ Children []Node }
	// InlineCode is code between backticks.
	InlineCode struct{ Code string }
	// MathInline is a formula between \( and \).
	MathInline struct{ Formula string }
	// Mention names a person.
	Mention struct {
		Username string
		Host     string // as written, "" if not given
		Acct     string // @username or @username@host
	}
	// Hashtag is a tag, without its #.
	Hashtag struct{ Tag string }
	// URL is an http or https address in the text.
	URL struct {
		URL      string
		Brackets bool // written <like this>
	}
	// Link is an address with a label.
	Link struct {
		URL      string
		Silent   bool // ?[…](…): no preview wanted
		Children []Node
	}
	// Fn is $[name.args …], also with names that no client knows.
	Fn struct {
		Name     string
		Args     []Arg
		Children []Node
	}
	// Plain is text in which no markup counts.
	Plain struct{ Text string }
)

// Arg is an argument of Fn.
type Arg struct {
	Name  string
	Value string // "" if given without a value
}

func (Quote) node()        {}
func (Search) node()       {}
func (BlockCode) node()    {}
func (MathBlock) node()    {}
func (Center) node()       {}
func (Text) node()         {}
func (UnicodeEmoji) node() {}
func (EmojiCode) node()    {}
func (Bold) node()         {}
func (Small) node()        {}
func (Italic) node()       {}
func (Strike) node()       {}
func (InlineCode) node()   {}
func (MathInline) node()   {}
func (Mention) node()      {}
func (Hashtag) node()      {}
func (URL) node()          {}
func (Link) node()         {}
func (Fn) node()           {}
func (Plain) node()        {}

// Children are the nodes inside n, nil if n has no inside.
func Children(n Node) []Node {
	switch n := n.(type) {
	case Quote:
		return n.Children
	case Center:
		return n.Children
	case Bold:
		return n.Children
	case Small:
		return n.Children
	case Italic:
		return n.Children
	case Strike:
		return n.Children
	case Link:
		return n.Children
	case Fn:
		return n.Children
	}
	return nil
}

// Block tells whether n takes whole lines.
func Block(n Node) bool {
	switch n.(type) {
	case Quote, Search, BlockCode, MathBlock, Center:
		return true
	}
	return false
}
