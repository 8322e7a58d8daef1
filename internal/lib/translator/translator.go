// Package translator asks translators: DeepL, servers that speak as it does, DeepLX,
// and LibreTranslate. It knows how each is asked and what its answers mean, and keeps
// out of its reach what is no language: mentions, addresses, emoji, code. It keeps
// nothing and tries nothing twice.
package translator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// What can become of a request. Errors of Translate wrap one of them.
var (
	ErrQuota    = errors.New("what was paid for is used up")              // DeepL's 456
	ErrBusy     = errors.New("asked too often")                           // 429, 529
	ErrRefused  = errors.New("the key is not taken")                      // 401, 403
	ErrLanguage = errors.New("the translator does not know the language") // 400 that says so
	ErrDown     = errors.New("the translator does not answer as it should")
)

// maxAnswer of a translator in bytes: some times what a note can have.
const maxAnswer = 256 << 10

// Result is a translation.
type Result struct {
	SourceLang string // as the translator calls it, "EN" or "en"; "" where it does not say
	Text       string
}

// Translator is somebody who translates. Two that ask the same server with the same
// key are equal.
type Translator interface {
	// Translate puts a text into a language, named as in BCP 47 ("ja", "zh-TW").
	Translate(ctx context.Context, text, target string) (Result, error)
	// Name tells translators apart.
	Name() string
}

// post sends JSON and reads the answer's.
func post(ctx context.Context, rt http.RoundTripper, at string, header http.Header, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("translate: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := (&http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	if err := statusError(res.StatusCode, answer); err != nil {
		return fmt.Errorf("%w: it answers %d", err, res.StatusCode)
	}
	if len(answer) > maxAnswer {
		return fmt.Errorf("%w: its answer is too long", ErrDown)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	return nil
}

func statusError(status int, answer []byte) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == 456:
		return ErrQuota
	case status == http.StatusTooManyRequests, status == 529:
		return ErrBusy
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrRefused
	case status == http.StatusBadRequest && languageIsMeant(answer):
		return ErrLanguage
	}
	return ErrDown
}

// languageIsMeant tells whether a refusal is about a language: "Value for
// 'target_lang' not supported." of DeepL, "xx is not supported" of LibreTranslate.
func languageIsMeant(answer []byte) bool {
	text := strings.ToLower(string(answer))
	return strings.Contains(text, "target_lang") || strings.Contains(text, "not supported") || strings.Contains(text, "language")
}
