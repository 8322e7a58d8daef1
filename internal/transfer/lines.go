package transfer

import (
	"bytes"
	"encoding/csv"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/errand"
)

// maxLine is how long a line may be, in bytes.
const maxLine = 8 << 10

// line is one account of a file.
type line struct {
	next       int64       // where the file goes on
	text       string      // as it stands there
	list       string      // of user lists
	name, host string      // of the account
	replies    *bool       // nil: it says nothing
	why        errand.Text // it is left out, or none
}

// firstLine of a file may say what its columns are, as Mastodon's does.
var firstLine = map[string]bool{"account address": true, "account": true, "acct": true}

// readLine gives the line at a place of a file, or nil at its end. Empty lines and
// one that names the columns are passed over. A quote that does not end, ends with
// its line: a broken line spoils no other.
func readLine(file []byte, at int64, lists bool) *line {
	for at < int64(len(file)) {
		rest := file[at:]
		end := bytes.IndexByte(rest, '\n')
		next := at + int64(end) + 1
		if end < 0 {
			end, next = len(rest), int64(len(file))
		}
		text := rest[:end]
		first := at == 0
		if first {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		at = next
		l := &line{next: next, text: strings.TrimSpace(string(text[:min(len(text), maxLine)]))}
		if l.text == "" {
			continue
		}
		if len(text) > maxLine {
			l.why = longLine
			return l
		}
		if header := l.read(lists); header && first {
			continue
		}
		return l
	}
	return nil
}

// read finds out what a line says; it tells whether it may name the columns.
func (l *line) read(lists bool) (header bool) {
	r := csv.NewReader(strings.NewReader(l.text))
	r.LazyQuotes, r.TrimLeadingSpace = true, true
	fields, err := r.Read()
	if err != nil {
		fields = strings.Split(l.text, ",")
	}
	if lists {
		if len(fields) < 2 {
			l.why = halfLine
			return false
		}
		if l.list, fields = strings.TrimSpace(fields[0]), fields[1:]; l.list == "" {
			l.why = namelessList
			return false
		}
	}
	acct := strings.TrimSpace(fields[0])
	if firstLine[strings.ToLower(acct)] {
		header = true
	}
	for _, o := range fields[1:] {
		if v, ok := strings.CutPrefix(strings.TrimSpace(o), "withReplies="); ok {
			yes := v == "true"
			l.replies = &yes
		}
	}
	l.name, l.host, l.why = account(acct)
	return header
}

// account reads "@name@host", or says why it is none. An account without a host would be of the server that
// wrote the file, which the file does not name.
func account(acct string) (name, host string, why errand.Text) {
	name, host, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(acct, "acct:"), "@"), "@")
	if name == "" || strings.ContainsAny(name, " \t/:\"") {
		return "", "", noAcct
	}
	if host == "" {
		return "", "", noServerNamed
	}
	host, err := ap.NormalizeHost(host)
	if err != nil {
		return "", "", noServer
	}
	return name, host, errand.Text{}
}
