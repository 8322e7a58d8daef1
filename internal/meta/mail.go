package meta

import (
	"slices"
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

// AddressSettings are which addresses people may have, under Misskey's keys.
type AddressSettings struct {
	BannedEmailDomains    []string `json:"bannedEmailDomains"` // these and what is below them
	ActiveEmailValidation bool     `json:"enableActiveEmailValidation"`
	EnableVerifymailAPI   bool     `json:"enableVerifymailApi"` // verifymail.io is asked
	VerifymailAuthKey     *string  `json:"verifymailAuthKey"`   // sealed in the database
	EnableTruemailAPI     bool     `json:"enableTruemailApi"`   // a server of truemail is asked
	TruemailInstance      *string  `json:"truemailInstance"`
	TruemailAuthKey       *string  `json:"truemailAuthKey"` // sealed in the database
}

// BansAddress tells whether an address is of a domain that is not wanted.
func (a *AddressSettings) BansAddress(address string) bool {
	domain := "." + strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	return slices.ContainsFunc(a.BannedEmailDomains, func(banned string) bool { return strings.HasSuffix(domain, "."+banned) })
}

// SendsMail tells whether mail is switched on and everything it needs is set.
func (m *MailSettings) SendsMail() bool {
	return m.EnableEmail && m.Email != nil && *m.Email != "" && m.SMTPHost != nil && *m.SMTPHost != ""
}
