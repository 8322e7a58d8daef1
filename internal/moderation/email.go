package moderation

import (
	"context"
	"strings"

	"buttersc.one/oven/internal/lib/mail"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/mailer"
)

type sendEmailReq struct {
	To      string `json:"to" api:"required,max=1024"`
	Subject string `json:"subject" api:"required,min=1,max=256"`
	Text    string `json:"text" api:"required,max=65536"`
}

var (
	errMailOff     = api.Err("MAIL_NOT_AVAILABLE", "c5a0d1b2-6f43-4a8b-9c1d-7e2f3a4b5c01", "This server sends no mail.")
	errMailAddress = api.Err("INVALID_EMAIL_ADDRESS", "c5a0d1b2-6f43-4a8b-9c1d-7e2f3a4b5c02", "That is no mail address.")
)

// apiSendEmail writes to somebody in the server's name.
func (s *Service) apiSendEmail(ctx context.Context, _ *api.Call, req sendEmailReq) (api.None, error) {
	switch {
	case !s.Mail.Ready():
		return api.None{}, errMailOff
	case !mail.Valid(req.To):
		return api.None{}, errMailAddress
	}
	l := mailer.Letter{To: req.To, Lang: s.Auth.Language(""), Subject: strings.Join(strings.Fields(req.Subject), " "), Footer: s.Meta.Host + " " + s.Meta.Origin}
	for p := range strings.SplitSeq(strings.ReplaceAll(req.Text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			l.Paragraphs = append(l.Paragraphs, p)
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Mail.Send(ctx, tx, l) })
}
