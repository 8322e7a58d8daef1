package search

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/textindex"
)

// Terms that are no words. Nobody can type them.
const (
	termFindable = textindex.Own + "p" // by everybody: public or home, by an author who may be found
	termConsent  = textindex.Own + "i" // by an author who may be found
	termAuthor   = textindex.Own + "u" // and the account
	termFor      = textindex.Own + "r" // whom it addresses, mentions or answers
	termHost     = textindex.Own + "h" // of the author, "." for this server
	termChannel  = textindex.Own + "c"
	termTag      = textindex.Own + "#"
	termHas      = textindex.Own + "H"
	termIs       = textindex.Own + "I"
	termLang     = textindex.Own + "L"
)

// row is what is known of a note when it is indexed, and when it is looked at again.
type row struct {
	ID, UserID  string
	Host        *string
	Text        string // all of it: warning, text, choices of a poll, descriptions of files
	CW          bool
	Visibility  string
	ReplyTo     *string
	Quote       bool
	ChannelID   *string
	To          []string
	Mentions    []string
	Tags        []string
	Poll        bool
	Consent     bool
	Gone        bool // the author is, or is suspended
	Types       []string
	Sensitive   bool
	normal      string // of Text
	normalKnown bool
}

// Searched are notes that say something: not the passing on of another.
const (
	sqlRowColumns = `
SELECT n.id, n.user_id, n.user_host, concat_ws(E'\n', n.cw, n.text, p.text, f.text), n.cw IS NOT NULL, n.visibility, n.reply_user_id,
	n.renote_id IS NOT NULL, n.channel_id, n.visible_user_ids, n.mentions, n.tags, n.has_poll, u.is_indexable, u.is_suspended OR u.is_deleted,
	coalesce(f.types, '{}'), coalesce(f.sensitive, false)
FROM note n JOIN "user" u ON u.id = n.user_id
	LEFT JOIN LATERAL (SELECT array_to_string(choices, E'\n') AS text FROM poll WHERE n.has_poll AND note_id = n.id) p ON true
	LEFT JOIN LATERAL (SELECT array_agg(type) AS types, bool_or(is_sensitive) AS sensitive, string_agg(comment, E'\n') AS text FROM drive_file
		WHERE n.file_ids <> '{}' AND id = ANY(n.file_ids)) f ON true`
	sqlRowsByID   = sqlRowColumns + ` WHERE NOT n.is_pure_renote AND n.id = ANY($1)`
	sqlRowsBelow  = sqlRowColumns + ` WHERE NOT n.is_pure_renote AND n.id < $1 AND ($2 OR n.user_host IS NULL) ORDER BY n.id DESC LIMIT $3`
	sqlRowsOf     = sqlRowColumns + ` WHERE NOT n.is_pure_renote AND n.user_id = $1 AND n.id < $2 ORDER BY n.id DESC LIMIT $3`
	sqlRowsInside = sqlRowColumns + ` WHERE NOT n.is_pure_renote AND n.id < $1 AND n.id >= $2 AND ($3 OR n.user_host IS NULL) ORDER BY n.id DESC LIMIT $4`
)

func (s *Service) rows(ctx context.Context, q pg.Q, sql string, args ...any) ([]*row, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*row, error) {
		n := &row{}
		return n, r.Scan(&n.ID, &n.UserID, &n.Host, &n.Text, &n.CW, &n.Visibility, &n.ReplyTo, &n.Quote, &n.ChannelID, &n.To, &n.Mentions, &n.Tags, &n.Poll,
			&n.Consent, &n.Gone, &n.Types, &n.Sensitive)
	})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return list, nil
}

// indexed tells whether a note belongs into the index.
func (s *Service) indexed(n *row) bool { return !n.Gone && (n.Host == nil || !s.Local) }

// doc is what a note is found by.
func (n *row) doc() textindex.Doc {
	return textindex.Doc{ID: n.ID, Terms: append(n.marks(), textindex.Terms(n.Text)...)}
}

// marks are the terms that are no words.
func (n *row) marks() []string {
	out := []string{termAuthor + n.UserID}
	add := func(prefix, value string) {
		if t := prefix + value; len(t) <= textindex.MaxTerm {
			out = append(out, t)
		}
	}
	is := func(yes bool, term string) {
		if yes {
			out = append(out, term)
		}
	}
	public := n.Visibility == "public" || n.Visibility == "home"
	is(n.Consent, termConsent)
	is(n.Consent && public, termFindable)
	host := "."
	if n.Host != nil {
		host = *n.Host
	}
	add(termHost, host)
	if n.ChannelID != nil {
		add(termChannel, *n.ChannelID)
	}
	for _, list := range [][]string{n.To, n.Mentions} {
		for _, u := range list {
			add(termFor, u)
		}
	}
	if n.ReplyTo != nil {
		add(termFor, *n.ReplyTo)
	}
	for _, t := range n.Tags {
		add(termTag, textindex.Normal(t))
	}
	for _, t := range n.Types {
		kind, _, _ := strings.Cut(t, "/")
		is(true, termHas+"file")
		is(known(kind, "image", "video", "audio"), termHas+kind)
	}
	is(n.Poll, termHas+"poll")
	is(n.CW, termHas+"cw")
	is(strings.Contains(n.Text, "https://") || strings.Contains(n.Text, "http://"), termHas+"link")
	is(n.ReplyTo != nil, termIs+"reply")
	is(n.Quote, termIs+"quote")
	is(n.Sensitive, termIs+"sensitive")
	if l := written(n.Text); l != "" {
		out = append(out, termLang+l)
	}
	return out
}

// text is the note's text in the form in which queries are compared with it.
func (n *row) text() string {
	if !n.normalKnown {
		n.normal, n.normalKnown = textindex.Normal(n.Text), true
	}
	return n.normal
}
