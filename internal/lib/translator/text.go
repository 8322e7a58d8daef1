package translator

import (
	"regexp"
	"strings"
)

// kept is what is no language in a note: code, addresses, mentions, hashtags, custom
// emoji, what opens a function of MFM.
var kept = regexp.MustCompile("```[\\s\\S]*?```|`[^`\\n]+`" +
	`|https?://[^\s<>()\[\]"'、。「」）】]+` +
	`|(?:^|\B)@[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?(?:@[A-Za-z0-9.-]+[A-Za-z0-9])?` +
	`|:[A-Za-z0-9_+-]+(?:@[A-Za-z0-9.-]+)?:` +
	`|(?:^|\B)#[^\s.,!?'"#:/\[\]【】()「」（）<>]+` +
	`|\$\[[a-z0-9]+(?:\.[a-z0-9.,=_-]+)?`)

// part is a piece of a text.
type part struct {
	text string
	kept bool // is no language
}

// split cuts a text into what is language and what is not.
func split(text string) (out []part) {
	at := 0
	for _, m := range kept.FindAllStringIndex(text, -1) {
		if m[0] > at {
			out = append(out, part{text: text[at:m[0]]})
		}
		out = append(out, part{text: text[m[0]:m[1]], kept: true})
		at = m[1]
	}
	if at < len(text) {
		out = append(out, part{text: text[at:]})
	}
	return out
}

// Core cuts off what stands before and after the language of a text: mentions that
// begin it, addresses and hashtags that end it. The three together are the text. core
// is "" where there is nothing to be translated.
func Core(text string) (before, core, after string) {
	parts := split(text)
	first, last := 0, len(parts)
	for first < last && parts[first].blank() {
		first++
	}
	for last > first && parts[last-1].blank() {
		last--
	}
	join := func(ps []part) string {
		var b strings.Builder
		for _, p := range ps {
			b.WriteString(p.text)
		}
		return b.String()
	}
	core = join(parts[first:last])
	lead, tail := len(core)-len(strings.TrimLeft(core, " \t\r\n")), len(strings.TrimRight(core, " \t\r\n"))
	if tail < lead {
		return text, "", ""
	}
	return join(parts[:first]) + core[:lead], core[lead:tail], core[tail:] + join(parts[last:])
}

// blank tells whether a piece says nothing in any language.
func (p part) blank() bool { return p.kept || strings.TrimSpace(p.text) == "" }
