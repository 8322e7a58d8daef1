package note

import (
	"regexp"
	"strings"
)

var regexpLine = regexp.MustCompile(`^/(.+)/([a-z]*)$`)

// matchesWords tells whether a text falls under one of the lines of a word
// filter: words of a line are all needed; /expression/flags is RE2. A line
// that is no valid expression matches nothing.
func matchesWords(text string, lines []string) bool {
	if text == "" {
		return false
	}
	for _, line := range lines {
		if m := regexpLine.FindStringSubmatch(line); m != nil {
			flags := ""
			if strings.Contains(m[2], "i") {
				flags = "(?i)"
			}
			if re, err := regexp.Compile(flags + m[1]); err == nil && re.MatchString(text) {
				return true
			}
			continue
		}
		words := strings.Fields(line)
		all := len(words) > 0
		for _, w := range words {
			all = all && strings.Contains(text, w)
		}
		if all {
			return true
		}
	}
	return false
}
