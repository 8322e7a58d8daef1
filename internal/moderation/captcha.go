package moderation

import (
	"context"
	"errors"
	"net/http"

	"buttersc.one/oven/internal/lib/captcha"
	"buttersc.one/oven/internal/socket/api"
)

// captchaEndpoints show and change who tells people from programs.
func (s *Service) captchaEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("admin/captcha/current", s.apiCaptcha, api.Admin("read:admin:meta")),
		api.Post("admin/captcha/save", s.apiSaveCaptcha, api.Admin("write:admin:meta"), api.Errors(errCaptchaParams, errCaptchaNone, errCaptchaDown, errCaptchaWrong)),
	}
}

var (
	errCaptchaParams = api.Err("INVALID_PARAMETERS", "26654194-410e-44e2-b42e-460ff6f92476", "The keys, or for mCaptcha the server's address, are missing.")
	errCaptchaNone   = api.Err("NO_RESPONSE_PROVIDED", "40acbba8-0937-41fb-bb3f-474514d40afe", "Answer it once, to show that the keys are right.")
	errCaptchaDown   = api.Err("REQUEST_FAILED", "0f4fe2f1-2c15-4d6e-b714-efbfcde231cd", "It does not say whether the answer holds.").WithStatus(http.StatusInternalServerError)
	errCaptchaWrong  = api.Err("VERIFICATION_FAILED", "c41c067f-24f3-4150-84b2-b5a3ae8c2214", "The answer does not hold with these keys.")
)

// nobodyAsks is the provider when nobody is asked to show that he is a person.
const nobodyAsks = "none"

// captchaKeys are what an asker knows this server by. The secret is kept.
type captchaKeys struct {
	SiteKey   *string `json:"siteKey"`
	SecretKey *string `json:"secretKey"`
}

type captchaAt struct {
	captchaKeys
	InstanceURL *string `json:"instanceUrl"`
}

type captchaRes struct {
	Provider  string      `json:"provider"` // the first of them that asks
	Hcaptcha  captchaKeys `json:"hcaptcha"`
	Mcaptcha  captchaAt   `json:"mcaptcha"`
	Recaptcha captchaKeys `json:"recaptcha"`
	Turnstile captchaKeys `json:"turnstile"`
}

func (s *Service) apiCaptcha(_ context.Context, _ *api.Call, _ struct{}) (*captchaRes, error) {
	set := s.Meta.Get()
	res := &captchaRes{Provider: nobodyAsks, Hcaptcha: captchaKeys{set.HcaptchaSiteKey, hidden(set.HcaptchaSecretKey)},
		Mcaptcha:  captchaAt{captchaKeys{set.McaptchaSiteKey, hidden(set.McaptchaSecretKey)}, set.McaptchaInstanceURL},
		Recaptcha: captchaKeys{set.RecaptchaSiteKey, hidden(set.RecaptchaSecretKey)}, Turnstile: captchaKeys{set.TurnstileSiteKey, hidden(set.TurnstileSecretKey)}}
	if on := set.Captchas(); len(on) > 0 {
		res.Provider = on[0].Name
	}
	return res, nil
}

type saveCaptchaReq struct {
	Provider string  `json:"provider" api:"required,enum=none|hcaptcha|mcaptcha|recaptcha|turnstile|testcaptcha"`
	Result   *string `json:"captchaResult" api:"nullable,max=8192"`
	SiteKey  *string `json:"sitekey" api:"nullable,max=1024"`
	Secret   *string `json:"secret" api:"nullable,max=1024"`
	Server   *string `json:"instanceUrl" api:"nullable,max=1024"`
}

// apiSaveCaptcha has one of them asked from now on, or nobody. With its keys comes an
// answer, which has to hold: keys that are not right would let nobody in any more.
func (s *Service) apiSaveCaptcha(ctx context.Context, c *api.Call, req saveCaptchaReq) (api.None, error) {
	set := s.Meta.Get()
	a := captcha.Asker{Name: req.Provider, SiteKey: deref(req.SiteKey), Secret: deref(req.Secret), Server: deref(req.Server)}
	keys := map[string]any{}
	secrets := map[string]*string{captcha.Hcaptcha: set.HcaptchaSecretKey, captcha.Mcaptcha: set.McaptchaSecretKey, captcha.Recaptcha: set.RecaptchaSecretKey, captcha.Turnstile: set.TurnstileSecretKey}
	if is, ok := secrets[a.Name]; ok {
		keys[a.Name+"SiteKey"] = a.SiteKey
		if a.Secret == kept {
			a.Secret = deref(is)
		} else {
			keys[a.Name+"SecretKey"] = a.Secret
		}
		if a.SiteKey == "" || a.Secret == "" {
			return api.None{}, errCaptchaParams
		}
	}
	if a.Name == captcha.Mcaptcha {
		keys["mcaptchaInstanceUrl"] = a.Server
		if _, err := place(a.Server, nil); err != nil {
			return api.None{}, errCaptchaParams
		}
	}
	if a.Name != nobodyAsks {
		switch err := s.Auth.Captcha(ctx, a, deref(req.Result)); {
		case errors.Is(err, captcha.ErrNone):
			return api.None{}, errCaptchaNone
		case errors.Is(err, captcha.ErrWrong):
			return api.None{}, errCaptchaWrong
		case err != nil:
			return api.None{}, errCaptchaDown.WithInfo(map[string]any{"message": err.Error()})
		}
	}
	for _, name := range []string{captcha.Hcaptcha, captcha.Mcaptcha, captcha.Recaptcha, captcha.Turnstile, captcha.Test} {
		keys["enable"+string(name[0]-'a'+'A')+name[1:]] = name == a.Name
	}
	now, err := s.inForce(ctx, c)
	if err != nil {
		return api.None{}, err
	}
	changes, before := map[string]any{}, map[string]any{}
	for key, value := range keys {
		if now[key] != value {
			changes[key], before[key] = value, now[key]
		}
	}
	return api.None{}, s.change(ctx, c, changes, before)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
