package meta

import "buttersc.one/oven/internal/lib/captcha"

// CaptchaSettings are who tells people from programs when they sign up, and when they
// sign in with nothing but a password. The keys are Misskey's.
type CaptchaSettings struct {
	EnableHcaptcha      bool    `json:"enableHcaptcha"`
	HcaptchaSiteKey     *string `json:"hcaptchaSiteKey"`
	HcaptchaSecretKey   *string `json:"hcaptchaSecretKey"` // sealed in the database, as the others
	EnableMcaptcha      bool    `json:"enableMcaptcha"`
	McaptchaSiteKey     *string `json:"mcaptchaSiteKey"`
	McaptchaSecretKey   *string `json:"mcaptchaSecretKey"`
	McaptchaInstanceURL *string `json:"mcaptchaInstanceUrl"`
	EnableRecaptcha     bool    `json:"enableRecaptcha"`
	RecaptchaSiteKey    *string `json:"recaptchaSiteKey"`
	RecaptchaSecretKey  *string `json:"recaptchaSecretKey"`
	EnableTurnstile     bool    `json:"enableTurnstile"`
	TurnstileSiteKey    *string `json:"turnstileSiteKey"`
	TurnstileSecretKey  *string `json:"turnstileSecretKey"`
	EnableTestcaptcha   bool    `json:"enableTestcaptcha"` // Misskey's test, which stops nobody
}

// Captchas are those whose answers are asked for: who is switched on, and has keys.
func (c *CaptchaSettings) Captchas() []captcha.Asker {
	var out []captcha.Asker
	add := func(on bool, name string, site, secret, server *string) {
		if on && filled(site) && filled(secret) && (name != captcha.Mcaptcha || filled(server)) {
			out = append(out, captcha.Asker{Name: name, SiteKey: *site, Secret: *secret, Server: text(server)})
		}
	}
	add(c.EnableHcaptcha, captcha.Hcaptcha, c.HcaptchaSiteKey, c.HcaptchaSecretKey, nil)
	add(c.EnableMcaptcha, captcha.Mcaptcha, c.McaptchaSiteKey, c.McaptchaSecretKey, c.McaptchaInstanceURL)
	add(c.EnableRecaptcha, captcha.Recaptcha, c.RecaptchaSiteKey, c.RecaptchaSecretKey, nil)
	add(c.EnableTurnstile, captcha.Turnstile, c.TurnstileSiteKey, c.TurnstileSecretKey, nil)
	if c.EnableTestcaptcha {
		out = append(out, captcha.Asker{Name: captcha.Test})
	}
	return out
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
