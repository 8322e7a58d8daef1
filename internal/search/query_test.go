package search

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*3600)
	for text, want := range map[string]string{
		"":                              "",
		"  \n ":                         "",
		"버터 빵":                          "버터 빵",
		"버터　빵":                          "버터 빵", // an ideographic space
		`"버터 빵" cake`:                   `"버터 빵" cake`,
		"「버터 빵」":                        `"버터 빵"`,
		`“smart quotes”`:                `"smart quotes"`,
		`"not closed yet`:               "not closed yet",
		"-butter cake":                  "-butter cake",
		`-"salt bread"`:                 `-"salt bread"`,
		"- a":                           "a",
		"--a":                           "--a",
		"a-b":                           "a-b",
		"a OR b c":                      "a OR b c",
		"a b OR c":                      "a b OR c",
		"OR a":                          "OR a",
		"a OR":                          "a OR",
		"a OR OR b":                     "a OR OR b",
		"a or b":                        "a or b",
		"from:@alice@b.example x":       "from:@alice@b.example x",
		"FROM:me":                       "from:me",
		"-from:alice":                   "-from:alice",
		"to:@bob":                       "to:@bob",
		"in:bread":                      "in:bread",
		`in:"salt bread"`:               "in:salt bread",
		"has:image has:Poll":            "has:image has:poll",
		"has:wings":                     `"has:wings"`,
		"is:reply -is:quote":            "is:reply -is:quote",
		"lang:KO":                       "lang:ko",
		"lang:xx":                       `"lang:xx"`,
		"host:B.example":                "host:b.example",
		"#빵 tag:#Cake":                  "tag:빵 tag:Cake",
		"#":                             "",
		"... !?":                        "",
		"https://a.example/x":           `"https://a.example/x"`,
		"time: now":                     "time: now",
		"before:tomorrow":               `"before:tomorrow"`,
		"a OR from:bob OR has:file end": "a OR from:bob OR has:file end",
	} {
		if got := Parse(text, seoul).String(); got != want {
			t.Errorf("%q is read as %q, not %q", text, got, want)
		}
	}
	many := ""
	for range 100 {
		many += "x "
	}
	if n := len(Parse(many, seoul)); n != maxParts {
		t.Errorf("%d parts of a long query", n)
	}
}

func TestParseDays(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*3600)
	at := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for text, want := range map[string][]Part{
		"before:2026-11-26":          {{Kind: Before, At: at("2026-11-26T00:00:00+09:00")}},
		"after:2026-11-26":           {{Kind: After, At: at("2026-11-27T00:00:00+09:00")}},
		"since:2026-11-26":           {{Kind: After, At: at("2026-11-26T00:00:00+09:00")}},
		"during:2026-11":             {{Kind: After, At: at("2026-11-01T00:00:00+09:00")}, {Kind: Before, At: at("2026-12-01T00:00:00+09:00")}},
		"on:2026":                    {{Kind: After, At: at("2026-01-01T00:00:00+09:00")}, {Kind: Before, At: at("2027-01-01T00:00:00+09:00")}},
		"after:2026-11-26T10:00:00Z": {{Kind: After, At: at("2026-11-26T10:00:00Z")}},
		"-before:2026/11/26":         {{Kind: Before, At: at("2026-11-26T00:00:00+09:00"), Not: true}},
	} {
		q := Parse(text, seoul)
		if len(q) != len(want) {
			t.Errorf("%q is read as %v", text, q)
			continue
		}
		for i, w := range want {
			if p := q[i][0]; p.Kind != w.Kind || !p.At.Equal(w.At) || p.Not != w.Not {
				t.Errorf("%q is read as %+v, not %+v", text, p, w)
			}
		}
	}
}

func TestWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"버터 빵 cake": "ko", "パンを焼く": "ja", "麵包": "zh", "bread": "en", "хлеб": "ru", "🍞 123": "", "": "",
		"https://a.example 빵": "ko", "@alice @bob": "", ":bread: :salt:": "", "パン 빵": "ko",
	} {
		if got := written(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`-from:@a "b OR c" #d after:2026 「e」`)
	f.Fuzz(func(t *testing.T, text string) {
		q := Parse(text, time.UTC)
		for _, clause := range q {
			if len(clause) == 0 {
				t.Errorf("%q has a clause without parts", text)
			}
		}
	})
}
