package emojidata_test

import (
	"testing"

	"buttersc.one/oven/internal/lib/emojidata"
)

func TestMatch(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ""},
		{"letter", "a", ""},
		{"hangul", "안녕", ""},
		{"kana", "こんにちは", ""},
		{"plain", "😀 hi", "😀"},
		{"digit alone", "1", ""},
		{"digit and text", "1안녕", ""},
		{"digit with selector only", "1\ufe0f", ""},
		{"keycap", "1\u20e3x", "1\u20e3"},
		{"keycap with selector", "1\ufe0f\u20e3x", "1\ufe0f\u20e3"},
		{"number sign", "#", ""},
		{"number sign keycap", "#\ufe0f\u20e3", "#\ufe0f\u20e3"},
		{"asterisk keycap", "*\u20e3", "*\u20e3"},
		{"copyright alone", "©", ""},
		{"copyright with selector", "©\ufe0f", "©\ufe0f"},
		{"trade mark alone", "™ x", ""},
		{"trade mark with selector", "™\ufe0f", "™\ufe0f"},
		{"heart alone", "❤", "❤"},
		{"heart with selector", "❤\ufe0f!", "❤\ufe0f"},
		{"heart in text style", "❤\ufe0e", ""},
		{"selector alone", "\ufe0f", ""},
		{"selector after emoji stays", "😀\ufe0f", "😀"},
		{"skin tone", "👍🏽x", "👍🏽"},
		{"tone alone", "🏽", "🏽"},
		{"tone on what has none", "😀🏽", "😀"},
		{"symbol with tone", "☝🏽", "☝🏽"},
		{"symbol, selector, tone", "☝\ufe0f🏽", "☝\ufe0f🏽"},
		{"flag", "🇰🇷🇯🇵", "🇰🇷"},
		{"flag that is none", "🇰🇰", "🇰"},
		{"flag of tags", "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F"},
		{"family", "👨‍👩‍👧‍👦👨", "👨‍👩‍👧‍👦"},
		{"job with tone", "👩🏻‍💻", "👩🏻‍💻"},
		{"joined with heart", "👩‍❤️‍💋‍👨", "👩‍❤️‍💋‍👨"},
		{"dangling joiner", "👩\u200dx", "👩"},
		{"broken text", "\xff\xfe\xfd\xfc", ""},
		{"beyond Unicode's planes", "\U0010ffff", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.text[:emojidata.Match(tt.text)]; got != tt.want {
				t.Errorf("Match(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestFirst(t *testing.T) {
	tests := []struct {
		text, want string
		ok         bool
	}{
		{"", "", false},
		{"no emoji 1 #", "", false},
		{"👍", "👍", true},
		{"좋아요 ❤️👍", "❤️", true},
		{"\xff🦊", "🦊", true},
	}
	for _, tt := range tests {
		if got, ok := emojidata.First(tt.text); got != tt.want || ok != tt.ok {
			t.Errorf("First(%q) = %q, %t; want %q, %t", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestNormalize(t *testing.T) {
	tests := []struct{ name, emoji, want string }{
		{"without selector", "👍", "👍"},
		{"with selector", "❤\ufe0f", "❤"},
		{"keycap", "1\ufe0f\u20e3", "1\u20e3"},
		{"joined keeps it", "❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := emojidata.Normalize(tt.emoji); got != tt.want {
				t.Errorf("Normalize(%q) = %q, want %q", tt.emoji, got, tt.want)
			}
		})
	}
}
