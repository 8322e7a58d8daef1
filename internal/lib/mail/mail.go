// Package mail is in charge of handing one letter to an SMTP server. It keeps
// nothing, tries nothing twice, and its errors tell neither the address nor
// the text: they may be written down.
package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Server is where mail is handed in, and whom it comes from.
type Server struct {
	Host     string
	Port     int    // 0: 465 when Secure, else 587
	User     string // "": no authentication
	Pass     string
	Secure   bool // TLS from the first byte; else STARTTLS where it is offered
	From     string
	FromName string
	Domain   string // that greets the server and makes message ids
}

// Message is one letter.
type Message struct {
	To      string
	Subject string
	Text    string
	HTML    string // "": text only
}

// Error says that a letter was not handed in.
type Error struct {
	What      string // connect, sender, recipient, message, send
	Code      int    // of SMTP; 0: the server did not answer
	Temporary bool   // worth another try
}

func (e *Error) Error() string { return fmt.Sprintf("mail: %s: code %d", e.What, e.Code) }

// within is how long a hand-in may take.
const within = 30 * time.Second

// Send hands the letter in. The error is an *Error.
func Send(ctx context.Context, s Server, m Message) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.FromFormat(s.FromName, s.From); err != nil {
		return &Error{What: "sender", Temporary: true} // an administrator may mend it
	}
	if err := msg.AddTo(m.To); err != nil {
		return &Error{What: "recipient"}
	}
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(rand.Text() + "@" + s.Domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no replies by machines
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	client, err := gomail.NewClient(s.Host, s.options()...)
	if err != nil {
		return &Error{What: "connect", Temporary: true}
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := client.DialWithContext(ctx); err != nil {
		return &Error{What: "connect", Temporary: true}
	}
	defer func() { _ = client.Close() }()
	if err := client.Send(msg); err != nil {
		e := &Error{What: "send", Temporary: true}
		var se *gomail.SendError
		if errors.As(err, &se) {
			e.Code, e.Temporary = se.ErrorCode(), se.IsTemp() || se.ErrorCode() < 500
		}
		return e
	}
	return nil
}

func (s Server) options() []gomail.Option {
	port := s.Port
	opts := []gomail.Option{gomail.WithTimeout(within), gomail.WithHELO(s.Domain)}
	if s.Secure {
		if port == 0 {
			port = gomail.DefaultPortSSL
		}
		opts = append(opts, gomail.WithSSL())
	} else {
		if port == 0 {
			port = gomail.DefaultPortTLS
		}
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	opts = append(opts, gomail.WithPort(port))
	if s.User != "" {
		// A password crosses an unencrypted connection to this machine only.
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(s.Pass))
	}
	return opts
}

// maxAddress is the longest address that SMTP can carry.
const maxAddress = 254

// Valid tells whether s is one plain address, "name@domain.tld".
func Valid(s string) bool {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > maxAddress || strings.ContainsAny(s, "\r\n\x00 \"") {
		return false
	}
	domain := s[strings.LastIndexByte(s, '@')+1:]
	return strings.Contains(domain, ".") && !strings.HasPrefix(domain, "[") && !strings.HasSuffix(domain, ".")
}
