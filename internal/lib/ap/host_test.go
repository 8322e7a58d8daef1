package ap_test

import (
	"errors"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/ap"
)

func TestHost(t *testing.T) {
	for uri, want := range map[string]string{
		"https://b.example/users/1":                         "b.example",
		"https://B.Example:443/":                            "b.example",
		"http://b.example:80":                               "b.example",
		"https://b.example:80/":                             "b.example:80",
		"http://b.example:443/":                             "b.example:443",
		"http://localhost:3000/x":                           "localhost:3000",
		"https://b.example:03000/":                          "b.example:3000",
		"https://b.example./":                               "b.example",
		"https://bücher.example/":                           "xn--bcher-kva.example",
		"https://BÜCHER.example/":                           "xn--bcher-kva.example",
		"https://xn--bcher-kva.example/":                    "xn--bcher-kva.example",
		"https://빵.한국/":                                     "xn--oy3b.xn--3e0b707e",
		"https://b.example/@c.example":                      "b.example",
		"https://b.example?c.example":                       "b.example",
		"https://b.example#@c.example":                      "b.example",
		"https://under_score.example/":                      "under_score.example",
		"https://127.0.0.1:8080/":                           "127.0.0.1:8080",
		"https://[2001:DB8::0:1]/":                          "[2001:db8::1]",
		"https://[2001:db8::443]:443/":                      "[2001:db8::443]",
		"HTTPS://b.example/":                                "b.example",
		"":                                                  "",
		"b.example":                                         "",
		"/users/1":                                          "",
		"//b.example/users/1":                               "",
		"https://":                                          "",
		"https:///path":                                     "",
		"https://:443/":                                     "",
		"https:b.example":                                   "",
		"ftp://b.example/":                                  "",
		"acct:a@b.example":                                  "",
		"javascript://b.example/%0aalert":                   "",
		"https://u@b.example/":                              "",
		"https://u:p@b.example/":                            "",
		"https://b.example@c.example/":                      "",
		"https://b.example\\@c.example/":                    "",
		"https://b.example:0/":                              "",
		"https://b.example:65536/":                          "",
		"https://b.example:x/":                              "",
		"https://b..example/":                               "",
		"https://b.example../":                              "",
		"https://b<c>.example/":                             "",
		"https://b.example%2fc.example/":                    "",
		"https://b c/":                                      "",
		"https://[fe80::1%25eth0]/":                         "",
		"https://" + strings.Repeat("a", 64) + ".example/":  "",
		"https://" + strings.Repeat("a.", 130) + "example/": "",
	} {
		got, err := ap.Host(uri)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ap.ErrHost) {
			t.Errorf("Host(%q) = %q, %v; want %q", uri, got, err, want)
		}
		if want == "" {
			continue
		}
		if again, err := ap.Host("https://" + got); err != nil || again != got && !strings.HasSuffix(got, ":443") {
			t.Errorf("Host is not stable for %q: %q, %v", got, again, err)
		}
	}
}

func TestNormalizeHost(t *testing.T) {
	for host, want := range map[string]string{
		"B.example": "b.example", "b.example:443": "b.example", "b.example:3000": "b.example:3000", "빵.한국": "xn--oy3b.xn--3e0b707e",
		"": "", "b.example/x": "", "a@b.example": "", "b.example?x": "", "b.example#x": "", "https://b.example": "", "b example": "",
	} {
		got, err := ap.NormalizeHost(host)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("NormalizeHost(%q) = %q, %v; want %q", host, got, err, want)
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://b.example/1", "https://B.example:443/2", true},
		{"https://b.example/1", "https://c.example/1", false},
		{"https://b.example/1", "https://x.b.example/1", false},
		{"https://b.example/1", "https://b.example:3000/1", false},
		{"https://bücher.example/1", "https://xn--bcher-kva.example/2", true},
		{"", "", false},
		{"acct:a@b.example", "acct:a@b.example", false},
	} {
		if ap.SameHost(c.a, c.b) != c.same {
			t.Errorf("%q, %q", c.a, c.b)
		}
	}
}
