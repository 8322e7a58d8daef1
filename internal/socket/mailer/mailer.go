// Package mailer is in charge of letters that a slice writes in a transaction
// and that leave after it: one job each, whose arguments are sealed. Nothing of
// a letter can be read in the database or in a log.
package mailer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/mail"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/job"
)

// Letter is what somebody is told.
type Letter struct {
	To         string
	Lang       string // of the texts
	Subject    string
	Paragraphs []string
	Link       string // "": none
	LinkText   string
	Footer     string
	Until      time.Time // when it is of no use any more; zero: never
}

// Service sends letters.
type Service struct {
	box    *secret.Box
	queue  *job.Queue
	server func() (mail.Server, bool)
	now    func() time.Time
}

// New makes the service. server gives where mail is handed in, false when this
// server sends none.
func New(box *secret.Box, queue *job.Queue, server func() (mail.Server, bool), now func() time.Time) *Service {
	return &Service{box: box, queue: queue, server: server, now: now}
}

// Ready tells whether mail is sent at all.
func (s *Service) Ready() bool {
	_, ok := s.server()
	return ok
}

// args of the job: the letter, sealed for this id.
type args struct {
	ID     string `json:"id"`
	Sealed []byte `json:"sealed"`
}

// Kind implements job.Args.
func (args) Kind() string { return "mailer.send" }

// Send has the letter leave once tx is committed. A server that sends no mail
// drops it.
func (s *Service) Send(ctx context.Context, tx *pg.Tx, l Letter) error {
	if !s.Ready() {
		return nil
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	a := args{ID: id.Random(16)}
	a.Sealed = s.box.Seal(b, "mailer:"+a.ID)
	return s.queue.Insert(ctx, tx, a, time.Time{})
}

// Jobs hand letters in.
func (s *Service) Jobs() []job.Worker { return []job.Worker{job.Work(s.work)} }

var (
	errOff  = errors.New("mail is switched off")
	errLate = errors.New("the letter is of no use any more")
)

func (s *Service) work(ctx context.Context, a args) error {
	b, err := s.box.Open(a.Sealed, "mailer:"+a.ID)
	if err != nil {
		return job.Cancel(err)
	}
	var l Letter
	if err := json.Unmarshal(b, &l); err != nil {
		return job.Cancel(errors.New("a letter that cannot be read"))
	}
	server, ok := s.server()
	switch {
	case !ok:
		return job.Cancel(errOff)
	case !l.Until.IsZero() && s.now().After(l.Until):
		return job.Cancel(errLate)
	}
	html, err := l.html()
	if err != nil {
		return job.Cancel(fmt.Errorf("letter: %w", err))
	}
	err = mail.Send(ctx, server, mail.Message{To: l.To, Subject: l.Subject, Text: l.text(), HTML: html})
	var e *mail.Error
	if errors.As(err, &e) && !e.Temporary {
		return job.Cancel(err)
	}
	return err
}

func (l *Letter) text() string {
	parts := append([]string{}, l.Paragraphs...)
	if l.Link != "" {
		parts = append(parts, l.Link)
	}
	if l.Footer != "" {
		parts = append(parts, "-- \n"+l.Footer)
	}
	return strings.Join(parts, "\n\n") + "\n"
}

// page is plain: readers of mail know little of styles.
var page = template.Must(template.New("letter").Parse(`<!doctype html>
<html lang="{{.Lang}}"><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body style="font-family:sans-serif;line-height:1.6;color:#222;max-width:36em;margin:0 auto;padding:24px">
<h1 style="font-size:1.25em">{{.Subject}}</h1>
{{range .Paragraphs}}<p style="white-space:pre-line">{{.}}</p>
{{end}}{{if .Link}}<p><a href="{{.Link}}" style="display:inline-block;padding:10px 20px;border-radius:8px;background:#8a4b14;color:#fff;text-decoration:none">{{.LinkText}}</a></p>
<p style="font-size:.875em;color:#666;word-break:break-all">{{.Link}}</p>
{{end}}{{if .Footer}}<hr style="border:0;border-top:1px solid #ddd"><p style="font-size:.875em;color:#666">{{.Footer}}</p>
{{end}}</body></html>
`))

func (l *Letter) html() (string, error) {
	var b strings.Builder
	err := page.Execute(&b, l)
	return b.String(), err
}
