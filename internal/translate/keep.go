package translate

import (
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/translator"
)

const (
	keptFor   = 24 * time.Hour
	keptBytes = 8 << 20 // of all texts

	restQuota   = 30 * time.Minute // until it may have been paid for
	restRefused = 5 * time.Minute  // until the key may have been put right
	restBusy    = 20 * time.Second
)

// entry is a translation that is kept.
type entry struct {
	result translator.Result
	till   time.Time
}

// pause is why, and how long, a translator is left alone.
type pause struct {
	err  error
	till time.Time
}

// keyOf names a translation: an edited note is another one.
func keyOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return string(sum[:])
}

func (s *Service) get(key string) (translator.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.kept[key]
	if e == nil || !s.Now().Before(e.till) {
		return translator.Result{}, false
	}
	return e.result, true
}

// weight is what an entry takes in memory, about.
func weight(e *entry) int { return len(e.result.Text) + 300 }

func (s *Service) put(key string, r translator.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.kept[key]; old != nil { // which is over
		s.size -= weight(old)
	} else {
		s.oldest = append(s.oldest, key)
	}
	s.kept[key] = &entry{result: r, till: s.Now().Add(keptFor)}
	s.size += weight(s.kept[key])
	for s.size > keptBytes && len(s.oldest) > 1 {
		s.size -= weight(s.kept[s.oldest[0]])
		delete(s.kept, s.oldest[0])
		s.oldest = s.oldest[1:]
	}
}

// resting gives the error for which a translator is left alone; nil when it is not.
func (s *Service) resting(t translator.Translator) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.rest[t]; ok && s.Now().Before(p.till) {
		return p.err
	}
	delete(s.rest, t)
	return nil
}

// learn leaves a translator alone that does not want to, and tells the operator.
func (s *Service) learn(t translator.Translator, err error) {
	if err == nil || errors.Is(err, translator.ErrLanguage) {
		return
	}
	s.Slog.Warn("translate", "translator", t.Name(), "err", err)
	var d time.Duration
	switch {
	case errors.Is(err, translator.ErrQuota):
		d = restQuota
	case errors.Is(err, translator.ErrRefused):
		d = restRefused
	case errors.Is(err, translator.ErrBusy):
		d = restBusy
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest[t] = pause{err: err, till: s.Now().Add(d)}
}
