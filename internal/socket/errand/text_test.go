package errand_test

import (
	"testing"

	"buttersc.one/oven/internal/socket/errand"
)

// A text is told in one of three languages, and in English in every other.
func TestText(t *testing.T) {
	text := errand.Say("%d of %d", "%[2]d 가운데 %[1]d", "%[2]dのうち%[1]d").With(1, 3)
	for lang, want := range map[string]string{"en": "1 of 3", "ko": "3 가운데 1", "ja": "3のうち1", "fr": "1 of 3", "": "1 of 3"} {
		if got := text.In(lang); got != want {
			t.Errorf("%q: %q", lang, got)
		}
	}
	if text.None() || !(errand.Text{}).None() {
		t.Error("what is nothing is something")
	}
	if got := errand.Refused("NO_FREE_SPACE", "Your drive is full.").In("ko"); got != "드라이브가 가득 찼어요." {
		t.Errorf("a full drive: %q", got)
	}
	if got := errand.Refused("ELSE", "Something else.").In("ko"); got != "Something else." {
		t.Errorf("an error without other words: %q", got)
	}
}
