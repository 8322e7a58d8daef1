package testsrv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mailbox is an SMTP server that keeps what is handed in.
type Mailbox struct {
	t    testing.TB
	port int

	mu      sync.Mutex
	refuse  string // what it says to recipients, "" to take them
	letters []Letter
	refused chan struct{}
}

// Letter is a mail as its reader sees it.
type Letter struct {
	From, To, Subject, Text, HTML string
}

// Mailbox runs an SMTP server on loopback and has this server send its mail
// there.
func (s *Server) Mailbox(t testing.TB) *Mailbox {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &Mailbox{t: t, port: l.Addr().(*net.TCPAddr).Port, refused: make(chan struct{}, 1000)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
	s.Set(t, M{"enableEmail": true, "email": "oven@oven.example", "smtpHost": "127.0.0.1", "smtpPort": m.port})
	return m
}

// Refuse has the server answer so to every recipient, as "550 no such user".
func (m *Mailbox) Refuse(answer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = answer
}

// Refused waits for a recipient that is refused.
func (m *Mailbox) Refused() {
	m.t.Helper()
	select {
	case <-m.refused:
	case <-time.After(patience):
		m.t.Fatal("nobody was refused")
	}
}

// Letters is what has come so far.
func (m *Mailbox) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter{}, m.letters...)
}

// To is what has come for an address.
func (m *Mailbox) To(address string) (out []Letter) {
	for _, l := range m.Letters() {
		if l.To == address {
			out = append(out, l)
		}
	}
	return out
}

var link = regexp.MustCompile(`https?://\S+`)

// Link is the last part of the address in the newest letter to somebody.
func (m *Mailbox) Link(to string) string {
	m.t.Helper()
	l := m.To(to)
	if len(l) == 0 {
		m.t.Fatalf("no letter to %s", to)
	}
	at := link.FindString(l[len(l)-1].Text)
	return at[strings.LastIndexByte(at, '/')+1:]
}

func (m *Mailbox) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	say("220 mail.example ESMTP")
	var to string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.example")
			say("250 8BITMIME")
		case "RCPT":
			m.mu.Lock()
			refuse := m.refuse
			m.mu.Unlock()
			if refuse != "" {
				say(refuse)
				m.refused <- struct{}{}
				continue
			}
			a := rest[strings.IndexByte(rest, '<')+1:]
			to, _, _ = strings.Cut(a, ">")
			say("250 ok")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			m.keep(to, b.String())
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (m *Mailbox) keep(to, raw string) {
	l, err := parse(raw)
	if err != nil {
		m.t.Errorf("a letter that cannot be read: %v\n%s", err, raw)
		return
	}
	l.To = to
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
}

func parse(raw string) (Letter, error) {
	msg, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return Letter{}, err
	}
	l := Letter{From: msg.Header.Get("From")}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return l, err
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return l, err
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return l, err
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			l.HTML = string(b)
		} else {
			l.Text = string(b)
		}
	}
}
