package mfm

import "strings"

// Mentions are the persons mentioned anywhere in nodes, each once, in order.
func Mentions(nodes []Node) []Mention {
	return collect(nodes, func(n Node) (Mention, string, bool) {
		m, ok := n.(Mention)
		return m, strings.ToLower(m.Acct), ok
	})
}

// Hashtags are the tags anywhere in nodes as written, without #, each once, in
// order.
func Hashtags(nodes []Node) []string {
	return collect(nodes, func(n Node) (string, string, bool) {
		h, ok := n.(Hashtag)
		return h.Tag, h.Tag, ok
	})
}

// Emojis are the names of the custom emoji anywhere in nodes, each once, in
// order.
func Emojis(nodes []Node) []string {
	return collect(nodes, func(n Node) (string, string, bool) {
		e, ok := n.(EmojiCode)
		return e.Name, e.Name, ok
	})
}

// NeedsSource tells whether nodes hold more than HTML says without loss, so that
// the MFM must be sent along with it.
func NeedsSource(nodes []Node) bool {
	for _, n := range nodes {
		switch n.(type) {
		case Text, UnicodeEmoji, EmojiCode, Mention, Hashtag, URL:
		default:
			return true
		}
	}
	return false
}

// collect gathers what pick takes of nodes and what is in them, one per key.
func collect[T any](nodes []Node, pick func(Node) (value T, key string, ok bool)) []T {
	var found []T
	seen := map[string]bool{}
	var walk func([]Node)
	walk = func(nodes []Node) {
		for _, n := range nodes {
			if value, key, ok := pick(n); ok && !seen[key] {
				seen[key] = true
				found = append(found, value)
			}
			walk(Children(n))
		}
	}
	walk(nodes)
	return found
}
