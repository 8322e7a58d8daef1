package meta

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
