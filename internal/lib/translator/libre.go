package translator

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// LibreTranslate is a server of that name. at is its address, with or without
// /translate; key may be "".
func LibreTranslate(door http.RoundTripper, at, key string) Translator {
	if u, err := url.Parse(at); err == nil && !strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/translate") {
		at = u.JoinPath("translate").String()
	}
	return libre{door, at, key}
}

// libreTarget is how LibreTranslate calls a language: the names of its models, which
// servers of all versions take.
func libreTarget(tag string) string {
	base, region, _ := strings.Cut(strings.ToLower(tag), "-")
	switch base {
	case "zh":
		if traditional(region) {
			return "zt"
		}
	case "pt":
		if region == "br" {
			return "pb"
		}
	case "no", "nn":
		return "nb"
	}
	return base
}

type libre struct {
	door    http.RoundTripper
	at, key string
}

func (l libre) Name() string { return "libre " + l.at }

// Translate implements Translator.
func (l libre) Translate(ctx context.Context, text, target string) (Result, error) {
	ask := map[string]string{"q": text, "source": "auto", "target": libreTarget(target), "format": "text"}
	if l.key != "" {
		ask["api_key"] = l.key
	}
	var answer struct {
		Text     string `json:"translatedText"`
		Detected struct {
			Language string `json:"language"`
		} `json:"detectedLanguage"`
	}
	if err := post(ctx, l.door, l.at, nil, ask, &answer); err != nil {
		return Result{}, err
	}
	if answer.Text == "" {
		return Result{}, fmt.Errorf("%w: no text", ErrDown)
	}
	return Result{SourceLang: answer.Detected.Language, Text: answer.Text}, nil
}
