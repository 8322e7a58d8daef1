package errand

import (
	"strings"
)

// Reported is emitted, in the transaction that ends an errand, when there is
// something to be said of it to whoever asked.
type Reported struct {
	UserID, Header, Body string
}

// Bounds of what is told.
const (
	MaxRemarks  = 100 // are kept of an errand
	maxReport   = 4000
	maxReported = 60 // characters of a name that is none
	maxWhy      = 160
	maxFailed   = 500
)

// Remark is why something was left out, in a few words.
func Remark(name, why string) string { return Bounded(name, maxReported) + ": " + Bounded(why, maxWhy) }

// Failed is why the whole could not be done, as it is told.
func Failed(why string) string { return Bounded(why, maxFailed) }

var andMore = Say("… and %d more.", "… 그 밖에 %d개가 더 있어요.", "… ほかに%d件あります。")

// Listing is a text of bounded length in a language: lines, and as many of the
// remarks as there is room for; all is how many there would be.
func Listing(lang string, lines, remarks []string, all int) string {
	text, shown := strings.Join(lines, "\n"), 0
	for _, m := range remarks {
		if len([]rune(text))+len([]rune(m)) > maxReport-40 {
			break
		}
		text += "\n" + m
		shown++
	}
	if more := all - shown; more > 0 {
		text += "\n" + andMore.With(more).In(lang)
	}
	return text
}

// Bounded is a text of at most so many characters, without what PostgreSQL keeps
// no text with.
func Bounded(text string, max int) string {
	r := []rune(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), ""))
	return string(r[:min(len(r), max)])
}
