package translate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"buttersc.one/oven/internal/lib/translator"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errUnavailable = api.Err("UNAVAILABLE", "50a70314-2d8a-431b-b433-efa5cc56444c", "Notes cannot be translated at the moment.")
	errNoNote      = api.Err("NO_SUCH_NOTE", "bea9b03f-36e0-49c5-a4db-627a029f8971", "There is no such note.")
	errInvisible   = api.Err("CANNOT_TRANSLATE_INVISIBLE_NOTE", "ea29f2ca-c368-43b3-aaf1-5ac3e74bbe5d", "You cannot see this note.")
)

// patience is how long a translator may think.
const patience = 20 * time.Second

var langTag = regexp.MustCompile(`^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}$`)

type translateReq struct {
	NoteID     string `json:"noteId" api:"required,id"`
	TargetLang string `json:"targetLang" api:"required"` // BCP 47, as "ja-JP"
}

type translateRes struct {
	SourceLang string `json:"sourceLang"` // as the translator calls it, "" where it does not say
	Text       string `json:"text"`
}

// apiTranslate answers 204 for a note without words. What the translator's trouble is
// stands in the error's info: quota, busy, refused, language, down.
func (s *Service) apiTranslate(ctx context.Context, c *api.Call, req translateReq) (*translateRes, error) {
	p, err := s.Roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if !p.CanUseTranslator {
		return nil, errUnavailable
	}
	if !langTag.MatchString(req.TargetLang) {
		return nil, api.InvalidParam("#/properties/targetLang", "must be the tag of a language")
	}
	n, err := s.Notes.Seen(ctx, c.UserID, req.NoteID)
	if errors.Is(err, note.ErrNotFound) {
		if _, err := s.Notes.ByID(ctx, s.DB, req.NoteID); err == nil {
			return nil, errInvisible
		} else if !errors.Is(err, note.ErrNotFound) {
			return nil, err
		}
		return nil, errNoNote
	}
	if err != nil {
		return nil, err
	}
	t := s.translator()
	if t == nil {
		return nil, errUnavailable
	}
	if n.Text == nil {
		return nil, nil //nolint:nilnil // 204
	}
	before, core, after := translator.Core(*n.Text)
	if core == "" {
		return nil, nil //nolint:nilnil // 204
	}
	r, err := s.translate(ctx, t, n.ID, core, req.TargetLang)
	if reason := reasonOf(err); reason != "" {
		return nil, errUnavailable.WithInfo(map[string]string{"reason": reason})
	}
	if err != nil {
		return nil, err
	}
	return &translateRes{SourceLang: r.SourceLang, Text: before + r.Text + after}, nil
}

// reasonOf is what an error of a translator is called to clients; "" for others.
func reasonOf(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{{translator.ErrQuota, "quota"}, {translator.ErrBusy, "busy"}, {translator.ErrRefused, "refused"}, {translator.ErrLanguage, "language"}, {translator.ErrDown, "down"}} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return ""
}

// translate asks for a text once, however many want it, and not again while it is
// kept.
func (s *Service) translate(ctx context.Context, t translator.Translator, noteID, text, target string) (translator.Result, error) {
	key := keyOf(t.Name(), noteID, text, target)
	if r, ok := s.get(key); ok {
		return r, nil
	}
	if err := s.resting(t); err != nil {
		return translator.Result{}, err
	}
	done := s.one.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, translator.ErrBusy
		}
		defer func() { <-s.slots }()
		r, err := t.Translate(ctx, text, target)
		s.learn(t, err)
		if err == nil {
			s.put(key, r)
		}
		return r, err
	})
	select {
	case res := <-done:
		if res.Err != nil {
			return translator.Result{}, res.Err
		}
		r, ok := res.Val.(translator.Result)
		if !ok {
			return r, fmt.Errorf("translate: %T came", res.Val)
		}
		return r, nil
	case <-ctx.Done():
		return translator.Result{}, context.Cause(ctx)
	}
}
