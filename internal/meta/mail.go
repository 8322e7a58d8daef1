package meta

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// MailSettings are how this server sends mail, under Misskey's keys.
type MailSettings struct {
	EnableEmail bool    `json:"enableEmail"`
	Email       *string `json:"email"` // that mail comes from
	SMTPHost    *string `json:"smtpHost"`
	SMTPPort    *int    `json:"smtpPort"`
	SMTPUser    *string `json:"smtpUser"`
	SMTPPass    *string `json:"smtpPass"`   // sealed in the database
	SMTPSecure  bool    `json:"smtpSecure"` // TLS from the first byte; else STARTTLS where the server offers it
}

// SendsMail tells whether mail is switched on and everything it needs is set.
func (m *MailSettings) SendsMail() bool {
	return m.EnableEmail && m.Email != nil && *m.Email != "" && m.SMTPHost != nil && *m.SMTPHost != ""
}

// passContext binds the sealed password to its place.
const passContext = "meta.smtpPass"

// sealSecrets takes the settings that are secrets out of a change and puts
// them in sealed.
func (s *Service) sealSecrets(changes []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(changes, &all); err != nil {
		return nil, err
	}
	raw, ok := all["smtpPass"]
	if !ok {
		return changes, nil
	}
	var pass *string
	if err := json.Unmarshal(raw, &pass); err != nil {
		return nil, err
	}
	if pass == nil || *pass == "" {
		all["smtpPass"] = json.RawMessage("null")
	} else {
		all["smtpPass"] = json.RawMessage(`"` + base64.StdEncoding.EncodeToString(s.box.Seal([]byte(*pass), passContext)) + `"`)
	}
	return json.Marshal(all)
}

// openSecrets makes what was sealed readable in memory.
func (s *Service) openSecrets(set *Settings) error {
	if set.SMTPPass == nil {
		return nil
	}
	sealed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(*set.SMTPPass))
	if err != nil {
		return fmt.Errorf("settings in the database: smtpPass: %w", err)
	}
	plain, err := s.box.Open(sealed, passContext)
	if err != nil {
		return fmt.Errorf("settings in the database: smtpPass: %w", err)
	}
	pass := string(plain)
	set.SMTPPass = &pass
	return nil
}
