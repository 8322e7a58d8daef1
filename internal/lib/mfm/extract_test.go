package mfm_test

import (
	"testing"

	"buttersc.one/oven/internal/lib/mfm"
	"github.com/google/go-cmp/cmp"
)

func TestExtract(t *testing.T) {
	nodes := mfm.Parse("@a #가 :x:\n> **@b@c.d #나 ** $[x2 :y: @A]\n#가 :x: [:z: @no](https://e.f) `@no #no :no:` **@b@c.D **")
	mentions := []mfm.Mention{{Username: "a", Acct: "@a"}, {Username: "b", Host: "c.d", Acct: "@b@c.d"}}
	if diff := cmp.Diff(mentions, mfm.Mentions(nodes)); diff != "" {
		t.Errorf("mentions: %s", diff)
	}
	if diff := cmp.Diff([]string{"가", "나"}, mfm.Hashtags(nodes)); diff != "" {
		t.Errorf("hashtags: %s", diff)
	}
	if diff := cmp.Diff([]string{"x", "y", "z"}, mfm.Emojis(nodes)); diff != "" {
		t.Errorf("emojis: %s", diff)
	}
}

func TestNeedsSource(t *testing.T) {
	tests := []struct {
		text string
		want bool
	}{
		{"", false},
		{"안녕 @a #b :c: 😀\nhttps://d.e <https://f.g>", false},
		{"**a**", true},
		{"a `b`", true},
		{"> a", true},
		{"[a](https://b.c)", true},
		{"東京 検索", true},
		{"<plain>a</plain>", true},
	}
	for _, tt := range tests {
		if got := mfm.NeedsSource(mfm.Parse(tt.text)); got != tt.want {
			t.Errorf("NeedsSource(%q) = %t", tt.text, got)
		}
	}
}
