package textindex

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNormal(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "  a  b\n\nc ": "a b c", "ＡＢＣ１２３": "abc123", "ㅋㅋㅋ ㅠㅠ": "ㅋㅋㅋ ㅠㅠ", "ﾊﾝｶｸ": "ハンカク", "ﾡ": "ㄱ", "Café ÉCOLE": "cafe ecole",
		"cafe\u0301": "cafe", "が": "が", "か\u3099": "が", "й Й": "й й", "㈜빵": "(주)빵", "İstanbul": "istanbul", "ΟΔΟΣ οδός": "οδοσ οδόσ", "👩🏽‍🍳": "👩🍳", "❤️": "❤",
		"a\u200bb": "ab", "\u1112\u1161\u11ab": "한", "ﬁ": "fi", "①": "1",
	} {
		if got := Normal(in); got != want {
			t.Errorf("Normal(%q) is %q, not %q", in, got, want)
		}
	}
}

func TestTerms(t *testing.T) {
	for in, want := range map[string]string{
		"버터":                                   "버터 터␁",
		"빵":                                    "빵␁",
		"iPhone케이스":                            "iphone 스␁ 이스 케이",
		"ㅋㅋㅋ":                                  "ㅋㅋ ㅋ␁",
		"don't stop":                           "don stop t",
		"snake_case :blob_cat:":                "blob_cat snake_case",
		"新しい店":                                 "しい 店␁ 新し い店",
		"빵🍞🍞!":                                 "빵␁ 🍞",
		"see https://Example.com/Path?q=1, ok": "com example ok see ␃",
		"https://example.com":                  "com example",
		"カレー":                                  "カレ レー ー␁",
	} {
		var got []string
		for _, term := range Terms(in) {
			if strings.HasPrefix(term, "\x03") {
				term = "\x03"
			}
			got = append(got, strings.Map(shown, term))
		}
		expect := strings.Fields(want)
		slices.Sort(expect)
		slices.Sort(got)
		if !slices.Equal(got, expect) {
			t.Errorf("Terms(%q) are %q, not %q", in, got, expect)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text, word  string
		holds, sure bool
	}{
		{"버터롤을 샀다", "버터", true, true}, {"버터롤을 샀다", "터롤", true, true}, {"버터롤을 샀다", "버", true, true}, {"버터롤을 샀다", "을", true, true},
		{"버터롤을 샀다", "버터롤", true, false}, {"터버 버터", "버터버", false, false}, {"ㅋㅋㅋ", "ㅋㅋ", true, true},
		{"Hello world", "hel", true, true}, {"Hello world", "ello", false, true}, {"Hello world", "o w", false, false}, {"Hello world", "hello w", true, false},
		{"a cat", "a", true, true}, {"apple", "a", false, true}, {"iPhone케이스", "phone케이스", false, false}, {"iPhone케이스", "iphone케", true, false},
		{"빵🍞", "🍞", true, true}, {"新しい店", "しい店", true, false}, {"C++ and c#", "c++", true, false},
		{"at https://example.com/a/b.", "https://example.com/a/b", true, false}, {"at https://example.com/a/b", "https://example.com/a", false, false},
		{"at https://example.com/a/b", "example.com", true, false}, {"at https://example.com", "https://exam", true, true},
		{"@alice@far.example hi", "@alice", true, false}, {":bread_cat:", ":bread_cat:", true, false},
	} {
		if got := Holds(Normal(c.text), c.word); got != c.holds {
			t.Errorf("Holds(%q, %q) is %v", c.text, c.word, got)
		}
		if e, exact := Word(c.word); exact != c.sure || c.holds && !fits(Terms(c.text), e) {
			t.Errorf("Word(%q) is %s, exact %v; fits %v", c.word, e, exact, fits(Terms(c.text), e))
		}
	}
	if !Contains(Normal("the Butter roll!"), "butter ROLL") || Contains(Normal("the butter rolls"), "butter roll") || !Contains(Normal("버터롤들"), "터롤") {
		t.Error("phrases")
	}
}

// corpus is made of few letters, so that much is found, and of all kinds.
func randomText(r *rand.Rand, n int) string {
	letters := []rune("ab버터롤ㅋ新しカー ,.é1_🍞🏽İﾊ゙ิก'#@:\u0301\u200d㈜가\u1100\u1161/")
	pieces := []string{"https://ab.c/", "http://a", "https://ab.c", ":a_b:", "@a@b.c ", "#버터 ", "://"}
	var b strings.Builder
	for range r.IntN(n) {
		if r.IntN(12) == 0 {
			b.WriteString(pieces[r.IntN(len(pieces))])
		} else {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
	}
	return b.String()
}

// What a text holds it is found by, and what is said to be exact is.
func TestWordsAgainstTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	held, exacts := 0, 0
	for range 60_000 {
		text, word := randomText(r, 30), randomText(r, 5)
		if n := []rune(text); len(n) > 3 && r.IntN(2) == 0 { // something out of it
			i := r.IntN(len(n) - 2)
			word = string(n[i : i+1+r.IntN(min(6, len(n)-i-1))])
		}
		h, e := checkWord(t, text, word)
		held, exacts = held+h, exacts+e
	}
	if held < 5000 || exacts < 5000 {
		t.Errorf("hardly anything was found: %d, %d", held, exacts)
	}
}

func checkWord(t *testing.T, text, word string) (held, exacts int) {
	t.Helper()
	normal, terms := Normal(text), Terms(text)
	if again := Normal(normal); again != normal {
		t.Fatalf("Normal(%q) is %q, and of that %q", text, normal, again)
	}
	e, exact := Word(word)
	holds, fit := Holds(normal, word), fits(terms, e)
	if holds && !fit || exact && holds != fit {
		t.Fatalf("%q in %q: holds %v, fits %v, exact %v: %s in %q", word, text, holds, fit, exact, e, terms)
	}
	if contains := Contains(normal, word); contains && !fits(terms, Phrase(word)) {
		t.Fatalf("phrase %q in %q: %s in %q", word, text, Phrase(word), terms)
	}
	for _, term := range terms {
		if term == "" || len(term) > MaxTerm || strings.HasPrefix(term, Own) {
			t.Fatalf("term %q of %q", term, text)
		}
	}
	if holds {
		held = 1
	}
	if exact {
		exacts = 1
	}
	return held, exacts
}

func FuzzTerms(f *testing.F) {
	f.Add("버터롤 https://example.com/빵 ㅋㅋ", "터롤")
	f.Add("İ ß ﷺ ½ e\u0301", "ss")
	f.Fuzz(func(t *testing.T, text, word string) { checkWord(t, text, word) })
}
