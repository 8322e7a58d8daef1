package meta

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Secrets are the settings that are sealed in the database and told to nobody.
func Secrets() []string { return slices.Sorted(maps.Keys((&Settings{}).secrets())) }

// secrets are where they stand.
func (set *Settings) secrets() map[string]**string {
	return map[string]**string{"smtpPass": &set.SMTPPass, "deeplAuthKey": &set.DeeplAuthKey, "libreTranslateKey": &set.LibreTranslateKey,
		"verifymailAuthKey": &set.VerifymailAuthKey, "truemailAuthKey": &set.TruemailAuthKey,
		"hcaptchaSecretKey": &set.HcaptchaSecretKey, "mcaptchaSecretKey": &set.McaptchaSecretKey, "recaptchaSecretKey": &set.RecaptchaSecretKey, "turnstileSecretKey": &set.TurnstileSecretKey}
}

// secretContext binds a sealed setting to its place.
func secretContext(key string) string { return "meta." + key }

// sealSecrets takes the settings that are secrets out of a change and puts
// them in sealed.
func (s *Service) sealSecrets(changes []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(changes, &all); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(Secrets(), func(key string) bool { _, ok := all[key]; return ok }) {
		return changes, nil
	}
	for _, key := range Secrets() {
		raw, ok := all[key]
		if !ok {
			continue
		}
		var plain *string
		if err := json.Unmarshal(raw, &plain); err != nil {
			return nil, err
		}
		if plain == nil || *plain == "" {
			all[key] = json.RawMessage("null")
		} else {
			all[key] = json.RawMessage(`"` + base64.StdEncoding.EncodeToString(s.box.Seal([]byte(*plain), secretContext(key))) + `"`)
		}
	}
	return json.Marshal(all)
}

// openSecrets makes what was sealed readable in memory.
func (s *Service) openSecrets(set *Settings) error {
	for key, value := range set.secrets() {
		if *value == nil {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(**value))
		if err != nil {
			return fmt.Errorf("settings in the database: %s: %w", key, err)
		}
		plain, err := s.box.Open(sealed, secretContext(key))
		if err != nil {
			return fmt.Errorf("settings in the database: %s: %w", key, err)
		}
		text := string(plain)
		*value = &text
	}
	return nil
}
