package translator

import (
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// Addresses of DeepL's API, of the paid plan and of the free one.
const (
	deeplPro  = "https://api.deepl.com/v2/translate"
	deeplFree = "https://api-free.deepl.com/v2/translate"
)

// DeepL is DeepL itself, or a server that speaks as it does (API v2). With a key of
// the free plan, which ends in ":fx", pro must be false.
func DeepL(door http.RoundTripper, key string, pro bool) Translator {
	at := deeplFree
	if pro {
		at = deeplPro
	}
	return deepl{door, at, key}
}

// DeepLAt is DeepL at another address. Without a key it is spoken to as DeepLX.
func DeepLAt(door http.RoundTripper, at, key string) Translator {
	if key != "" {
		return deepl{door, withPath(at, "/v2/translate"), key}
	}
	return deeplx{door, withPath(at, "/translate")}
}

// withPath adds the path where an address has none.
func withPath(at, path string) string {
	if u, err := url.Parse(at); err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = path
		return u.String()
	}
	return at
}

// deeplTarget is how DeepL calls a language that it translates into.
func deeplTarget(tag string) string {
	base, region, _ := strings.Cut(strings.ToLower(tag), "-")
	switch base {
	case "en":
		if region == "gb" {
			return "EN-GB"
		}
		return "EN-US"
	case "pt":
		if region == "pt" {
			return "PT-PT"
		}
		return "PT-BR"
	case "zh":
		if traditional(region) {
			return "ZH-HANT"
		}
		return "ZH-HANS"
	case "no", "nn":
		return "NB"
	}
	return strings.ToUpper(base)
}

// traditional tells of what is behind zh- whether it is written in traditional
// characters.
func traditional(region string) bool {
	return strings.Contains(region, "hant") || strings.Contains(region, "tw") || strings.Contains(region, "hk") || strings.Contains(region, "mo")
}

type deepl struct {
	door    http.RoundTripper
	at, key string
}

func (d deepl) Name() string { return "deepl " + d.at }

type deeplAsk struct {
	Text       []string `json:"text"`
	Target     string   `json:"target_lang"`            //nolint:tagliatelle // DeepL's name
	Tags       string   `json:"tag_handling,omitempty"` //nolint:tagliatelle // DeepL's name
	IgnoreTags []string `json:"ignore_tags,omitempty"`  //nolint:tagliatelle // DeepL's name
}

// Translate implements Translator. Where there is something inside the text that is
// no language, the text is sent as XML in which that is marked as not to be touched;
// else as it is, since only then its lines are sure to stay.
func (d deepl) Translate(ctx context.Context, text, target string) (Result, error) {
	parts := split(text)
	ask := deeplAsk{Text: []string{text}, Target: deeplTarget(target)}
	if len(parts) > 1 {
		var b strings.Builder
		for _, p := range parts {
			if p.kept {
				b.WriteString("<x>" + escape(p.text) + "</x>")
			} else {
				b.WriteString(escape(p.text))
			}
		}
		ask.Text[0], ask.Tags, ask.IgnoreTags = b.String(), "xml", []string{"x"}
	}
	var answer struct {
		Translations []struct {
			Source string `json:"detected_source_language"` //nolint:tagliatelle // DeepL's name
			Text   string `json:"text"`
		} `json:"translations"`
	}
	if err := post(ctx, d.door, d.at, http.Header{"Authorization": {"DeepL-Auth-Key " + d.key}}, ask, &answer); err != nil {
		return Result{}, err
	}
	if len(answer.Translations) != 1 {
		return Result{}, fmt.Errorf("%w: %d translations", ErrDown, len(answer.Translations))
	}
	r := Result{SourceLang: answer.Translations[0].Source, Text: answer.Translations[0].Text}
	if ask.Tags != "" {
		r.Text = html.UnescapeString(strings.NewReplacer("<x>", "", "</x>", "").Replace(r.Text))
	}
	return r, nil
}

// escape makes a text one of XML; lines stay as they are.
func escape(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		_ = xml.EscapeText(&b, []byte(line)) // a Builder takes all
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// deeplx is a server of that name, or one that speaks as it does.
type deeplx struct {
	door http.RoundTripper
	at   string
}

func (d deeplx) Name() string { return "deeplx " + d.at }

// Translate implements Translator.
func (d deeplx) Translate(ctx context.Context, text, target string) (Result, error) {
	var answer struct {
		Code   int    `json:"code"`
		Data   string `json:"data"`
		Source string `json:"source_lang"` //nolint:tagliatelle // DeepLX's name
	}
	ask := map[string]string{"text": text, "source_lang": "auto", "target_lang": deeplTarget(target)}
	if err := post(ctx, d.door, d.at, nil, ask, &answer); err != nil {
		return Result{}, err
	}
	if answer.Code != 0 {
		if err := statusError(answer.Code, nil); err != nil {
			return Result{}, fmt.Errorf("%w: its code is %d", err, answer.Code)
		}
	}
	if answer.Data == "" {
		return Result{}, fmt.Errorf("%w: no text", ErrDown)
	}
	return Result{SourceLang: answer.Source, Text: answer.Data}, nil
}
