package auth

import (
	"context"
	"errors"
	"net/http"

	"buttersc.one/oven/internal/lib/captcha"
	"buttersc.one/oven/internal/socket/api"
)

// captchaReq are answers of whoever is to show that he is no program, as Misskey's
// clients name them.
type captchaReq struct {
	Hcaptcha  *string `json:"hcaptcha-response" api:"nullable,max=8192"`    //nolint:tagliatelle // Misskey's name
	Recaptcha *string `json:"g-recaptcha-response" api:"nullable,max=8192"` //nolint:tagliatelle // Misskey's name
	Turnstile *string `json:"turnstile-response" api:"nullable,max=8192"`   //nolint:tagliatelle // Misskey's name
	Mcaptcha  *string `json:"m-captcha-response" api:"nullable,max=8192"`   //nolint:tagliatelle // Misskey's name
	Test      *string `json:"testcaptcha-response" api:"nullable,max=8192"` //nolint:tagliatelle // Misskey's name
}

func (r *captchaReq) answers() map[string]string {
	return map[string]string{captcha.Hcaptcha: deref(r.Hcaptcha), captcha.Recaptcha: deref(r.Recaptcha), captcha.Turnstile: deref(r.Turnstile),
		captcha.Mcaptcha: deref(r.Mcaptcha), captcha.Test: deref(r.Test)}
}

var (
	errCaptcha     = api.Err("CAPTCHA_FAILED", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f12", "Show once more that you are a person.")
	errCaptchaDown = api.Err("CAPTCHA_UNAVAILABLE", "5a1e9b1c-5d1e-4b5a-9d1f-6a6c2f6e4f13", "Whoever tells people from programs does not answer. Try again later.").WithStatus(http.StatusServiceUnavailable)
)

// checkCaptcha asks all who are switched on whether their answer holds; answers are by
// captcha.Asker.Name. Not in test mode.
func (s *Service) checkCaptcha(ctx context.Context, answers map[string]string) error {
	if s.meta.Test() {
		return nil
	}
	for _, a := range s.meta.Get().Captchas() {
		switch err := s.Captcha(ctx, a, answers[a.Name]); {
		case errors.Is(err, captcha.ErrDown):
			s.slog.Error("captcha", "of", a.Name, "err", err)
			return errCaptchaDown
		case err != nil:
			return errCaptcha
		}
	}
	return nil
}

// Captcha asks one of them whether an answer holds. Errors are captcha.Asker.Check's.
func (s *Service) Captcha(ctx context.Context, a captcha.Asker, answer string) error {
	door := s.web
	if a.Name == captcha.Mcaptcha {
		door = s.own
	}
	return a.Check(ctx, door, answer)
}
