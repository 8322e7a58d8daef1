// Package translate is in charge of notes/translate: putting a note's text into the
// reader's language. Whoever may see a note may have it translated; its text is then
// told to the translator that the operator has named, whatever its visibility, and to
// nobody else. How translators are asked is package lib/translator's.
//
// Translations are kept in memory only, for a day: one of a note that was deleted or
// made private does not outlive it in a table or a backup. A translator that refuses
// is left alone for a while.
package translate

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/translator"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

// Deps are what the service stands on.
type Deps struct {
	DB    *pg.DB
	Meta  *meta.Service
	Roles *role.Service
	Notes *note.Service
	Web   http.RoundTripper // guarded, to DeepL itself
	Own   http.RoundTripper // to servers that the operator has named: often on the same machine
	Slog  *slog.Logger
	Now   func() time.Time
}

// Service translates notes.
type Service struct {
	Deps
	one   singleflight.Group
	slots chan struct{}

	mu     sync.Mutex
	kept   map[string]*entry
	oldest []string                        // keys in the order in which they came
	size   int                             // bytes of what is kept
	rest   map[translator.Translator]pause // by the translator with its key: a new key is tried at once
}

// workers is how many translations are asked for at a time.
const workers = 8

// New makes the service.
func New(d Deps) *Service {
	return &Service{Deps: d, slots: make(chan struct{}, workers), kept: map[string]*entry{}, rest: map[translator.Translator]pause{}}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/translate", s.apiTranslate, api.Scope("read:account"), api.Limit(120, 10*time.Minute), api.Errors(errUnavailable, errNoNote, errInvisible)),
	}
}

// translator is who translates at the moment; nil for nobody. DeepL comes first: who
// pays for it wants it.
func (s *Service) translator() translator.Translator {
	set := &s.Meta.Get().TranslatorSettings
	has := func(v *string) bool { return v != nil && *v != "" }
	switch {
	case set.DeeplFreeMode && has(set.DeeplFreeInstance):
		key := ""
		if set.DeeplAuthKey != nil {
			key = *set.DeeplAuthKey
		}
		return translator.DeepLAt(s.Own, *set.DeeplFreeInstance, key)
	case !set.DeeplFreeMode && has(set.DeeplAuthKey):
		return translator.DeepL(s.Web, *set.DeeplAuthKey, set.DeeplIsPro)
	case has(set.LibreTranslateURL):
		key := ""
		if set.LibreTranslateKey != nil {
			key = *set.LibreTranslateKey
		}
		return translator.LibreTranslate(s.Own, *set.LibreTranslateURL, key)
	}
	return nil
}

// Reset forgets what is kept in memory, for reset-db in test mode.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.oldest, s.size, s.rest = map[string]*entry{}, nil, 0, map[translator.Translator]pause{}
}
