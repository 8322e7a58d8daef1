package textindex

import (
	"encoding/base64"
	"hash/fnv"
	"strings"
)

// reduce puts in the place of every address in a normal text its host, with a blank for what follows, and gives the
// addresses that have more than a host.
func reduce(normal string) (string, []string) {
	if !strings.Contains(normal, "://") {
		return normal, nil
	}
	var b strings.Builder
	var links []string
	for rest := normal; rest != ""; {
		i := schemeAt(rest)
		if i < 0 {
			b.WriteString(rest)
			break
		}
		url := address(rest[i:])
		b.WriteString(rest[:i])
		b.WriteString(hostOf(url))
		rest = rest[i+len(url):]
		if l, more := longer(url); more {
			links = append(links, l)
			if !strings.HasPrefix(rest, " ") {
				b.WriteByte(' ')
			}
		}
	}
	return b.String(), links
}

// longer is an address as it is compared, and whether it has more than a host.
func longer(url string) (string, bool) {
	clean := strings.TrimRight(url, ".,;:!?'*)]}")
	_, after, _ := strings.Cut(clean, "://")
	return clean, strings.ContainsAny(after, "/?#")
}

// schemeAt finds where an address of the web begins.
func schemeAt(s string) int {
	for at := 0; ; {
		i := strings.Index(s[at:], "://")
		if i < 0 {
			return -1
		}
		i += at
		for _, scheme := range []string{"https", "http"} {
			if strings.HasSuffix(s[:i], scheme) && begins(s, i-len(scheme)) {
				return i - len(scheme)
			}
		}
		at = i + 3
	}
}

// address is the address that s begins with: what is visible and ASCII, up to a quotation mark or a bracket.
func address(s string) string {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '`' {
			return s[:i]
		}
	}
	return s
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(host, "/?#:"); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	return host
}

// link tells whether what was typed is one address with more than a host.
func link(normal string) (string, bool) {
	if schemeAt(normal) != 0 || len(address(normal)) != len(normal) {
		return "", false
	}
	return longer(normal)
}

func linkTerm(url string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(url))
	return "\x03" + base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}
