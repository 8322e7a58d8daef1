package translator_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/translator"
)

// said is what a translator was asked.
type said struct {
	host, path, auth string
	body             map[string]any
}

// listen runs a server that answers all the same, and a door that leads every name to
// it.
func listen(t *testing.T, status int, answer string) (http.RoundTripper, *said) {
	t.Helper()
	got := &said{}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.host, got.path, got.auth, got.body = r.Host, r.URL.Path, r.Header.Get("Authorization"), nil
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &got.body)
		if status == http.StatusFound {
			w.Header().Set("Location", "https://elsewhere.example/")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(srv.Close)
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}}, got
}

func TestDeepL(t *testing.T) {
	door, got := listen(t, 200, `{"translations":[{"detected_source_language":"EN","text":"안녕\n하세요"}]}`)
	r, err := translator.DeepL(door, "k:fx", false).Translate(t.Context(), "Hello\nworld", "ko-KR")
	if err != nil || r.Text != "안녕\n하세요" || r.SourceLang != "EN" {
		t.Errorf("%+v %v", r, err)
	}
	if got.host != "api-free.deepl.com" || got.path != "/v2/translate" || got.auth != "DeepL-Auth-Key k:fx" || fmt.Sprint(got.body) != "map[target_lang:KO text:[Hello\nworld]]" {
		t.Errorf("%+v", got)
	}
	if _, err := translator.DeepL(door, "k", true).Translate(t.Context(), "x", "ja"); err != nil || got.host != "api.deepl.com" {
		t.Errorf("%+v %v", got, err)
	}
}

// What is inside a text and is no language comes back as it was.
func TestDeepLKeeps(t *testing.T) {
	door, got := listen(t, 200, `{"translations":[{"detected_source_language":"EN","text":"&lt;빵&gt; &amp; <x>@bob@b.example</x> \n<x>:bread:</x> <x>https://a.example/?a=1&amp;b=2</x>"}]}`)
	r, err := translator.DeepL(door, "k", true).Translate(t.Context(), "<bread> & @bob@b.example \n:bread: https://a.example/?a=1&b=2", "ko")
	if err != nil || r.Text != "<빵> & @bob@b.example \n:bread: https://a.example/?a=1&b=2" {
		t.Errorf("%q %v", r.Text, err)
	}
	if fmt.Sprint(got.body) != "map[ignore_tags:[x] tag_handling:xml target_lang:KO text:[&lt;bread&gt; &amp; <x>@bob@b.example</x> \n<x>:bread:</x> <x>https://a.example/?a=1&amp;b=2</x>]]" {
		t.Errorf("%v", got.body)
	}
}

func TestDeepLX(t *testing.T) {
	door, got := listen(t, 200, `{"code":200,"data":"빵","source_lang":"EN","target_lang":"KO","alternatives":[]}`)
	r, err := translator.DeepLAt(door, "https://x.example", "").Translate(t.Context(), "bread", "ko")
	if err != nil || r.Text != "빵" || r.SourceLang != "EN" || got.path != "/translate" || got.auth != "" || fmt.Sprint(got.body) != "map[source_lang:auto target_lang:KO text:bread]" {
		t.Errorf("%+v %v %+v", r, err, got)
	}
	door, _ = listen(t, 200, `{"code":429,"message":"too many"}`)
	if _, err := translator.DeepLAt(door, "https://x.example/translate?token=a", "").Translate(t.Context(), "bread", "ko"); !errors.Is(err, translator.ErrBusy) {
		t.Error(err)
	}
	door, got = listen(t, 200, `{"translations":[{"detected_source_language":"EN","text":"x"}]}`)
	if _, err := translator.DeepLAt(door, "https://x.example/", "key").Translate(t.Context(), "bread", "ko"); err != nil || got.path != "/v2/translate" || got.auth != "DeepL-Auth-Key key" {
		t.Errorf("%v %+v", err, got)
	}
}

func TestLibre(t *testing.T) {
	door, got := listen(t, 200, `{"translatedText":"빵","detectedLanguage":{"language":"en","confidence":90}}`)
	for at, path := range map[string]string{"https://l.example": "/translate", "https://l.example/lt/": "/lt/translate", "https://l.example/translate": "/translate"} {
		r, err := translator.LibreTranslate(door, at, "key").Translate(t.Context(), "bread", "ko-KR")
		if err != nil || r.Text != "빵" || r.SourceLang != "en" || got.path != path || fmt.Sprint(got.body) != "map[api_key:key format:text q:bread source:auto target:ko]" {
			t.Errorf("%s: %+v %v %+v", at, r, err, got)
		}
	}
	if _, err := translator.LibreTranslate(door, "https://l.example", "").Translate(t.Context(), "bread", "ko"); err != nil || got.body["api_key"] != nil {
		t.Errorf("%v %+v", err, got)
	}
}

func TestLanguages(t *testing.T) {
	for tag, want := range map[string][2]string{"ja-JP": {"JA", "ja"}, "ko": {"KO", "ko"}, "en": {"EN-US", "en"}, "en-US": {"EN-US", "en"}, "en-GB": {"EN-GB", "en"}, "zh-CN": {"ZH-HANS", "zh"}, "zh-TW": {"ZH-HANT", "zt"},
		"zh": {"ZH-HANS", "zh"}, "zh-Hant-HK": {"ZH-HANT", "zt"}, "pt-BR": {"PT-BR", "pb"}, "pt-PT": {"PT-PT", "pt"}, "no-NO": {"NB", "nb"}, "DE": {"DE", "de"}} {
		door, got := listen(t, 200, `{"translations":[{"text":"x"}],"translatedText":"x"}`)
		_, err := translator.DeepL(door, "k", true).Translate(t.Context(), "x", tag)
		if err != nil || got.body["target_lang"] != want[0] {
			t.Errorf("%s: %v %v", tag, got.body, err)
		}
		_, err = translator.LibreTranslate(door, "https://l.example", "").Translate(t.Context(), "x", tag)
		if err != nil || got.body["target"] != want[1] {
			t.Errorf("%s: %v %v", tag, got.body, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		status int
		answer string
		want   error
	}{
		{456, `{"message":"Quota exceeded"}`, translator.ErrQuota}, {429, "", translator.ErrBusy}, {529, "", translator.ErrBusy}, {403, "", translator.ErrRefused}, {401, "", translator.ErrRefused},
		{400, `{"message":"Value for 'target_lang' not supported."}`, translator.ErrLanguage}, {400, `{"error":"xx is not supported"}`, translator.ErrLanguage}, {400, `{"message":"Bad request"}`, translator.ErrDown},
		{500, "", translator.ErrDown}, {302, "", translator.ErrDown}, {200, "<html>", translator.ErrDown}, {200, "{}", translator.ErrDown}, {200, `{"translatedText":"` + strings.Repeat("x", 300<<10) + `"}`, translator.ErrDown},
	} {
		door, got := listen(t, tc.status, tc.answer)
		for name, tr := range map[string]translator.Translator{"deepl": translator.DeepL(door, "k", true), "deeplx": translator.DeepLAt(door, "https://x.example", ""), "libre": translator.LibreTranslate(door, "https://l.example", "")} {
			if _, err := tr.Translate(t.Context(), "x", "ko"); !errors.Is(err, tc.want) || strings.Contains(got.host, "elsewhere") {
				t.Errorf("%s %d %.50s: %v", name, tc.status, tc.answer, err)
			}
		}
	}
	closed := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }}
	if _, err := translator.DeepL(closed, "k", true).Translate(t.Context(), "x", "ko"); !errors.Is(err, translator.ErrDown) {
		t.Error(err)
	}
}

func TestCore(t *testing.T) {
	for text, want := range map[string][3]string{
		"hello": {"", "hello", ""},
		"@bob @kim@b.example  hello there \nhttps://a.example/x #tag :bread:\n": {"@bob @kim@b.example  ", "hello there", " \nhttps://a.example/x #tag :bread:\n"},
		"mail me@example.com now":             {"", "mail me@example.com now", ""},
		"see https://a.example (good)":        {"", "see https://a.example (good)", ""},
		"https://a.example/ :bread: `x := 1`": {"https://a.example/ :bread: `x := 1`", "", ""},
		"  \n":                                {"  \n", "", ""},
		"":                                    {"", "", ""},
		"$[x2 big] news":                      {"$[x2 ", "big] news", ""},
		"```\ncode\n```\nwhat is this":        {"```\ncode\n```\n", "what is this", ""},
	} {
		b, c, a := translator.Core(text)
		if [3]string{b, c, a} != want || b+c+a != text {
			t.Errorf("%q: %q %q %q", text, b, c, a)
		}
	}
}

// Whatever a text is, its parts are the text.
func FuzzCore(f *testing.F) {
	for _, s := range []string{"@a hello :b: #c", "```x", "$[x2 a]", "https://a b", "안녕 @bob"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if b, c, a := translator.Core(text); b+c+a != text || strings.TrimSpace(c) != c && strings.Trim(c, " \t\r\n") != c {
			t.Errorf("%q: %q %q %q", text, b, c, a)
		}
	})
}
