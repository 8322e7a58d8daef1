package timeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
)

// Listeners keep the feeds of this process exact: whoever has written or
// followed sees it in the next answer.
func (s *Service) Listeners() []event.Listener {
	return []event.Listener{
		event.On("timeline.feeds", func(_ context.Context, tx *pg.Tx, e note.Created) error {
			n := e.Note
			a := arrival{id: n.ID, author: n.UserID, reply: n.ReplyID != nil, channel: n.ChannelID != nil, local: n.Local() && n.Visibility == note.Public}
			if n.ReplyUserID != nil {
				a.replyTo = *n.ReplyUserID
			}
			tx.AfterCommit(func() { s.feeds.add(a) })
			return nil
		}),
		event.On("timeline.feeds", func(_ context.Context, tx *pg.Tx, _ note.Updated) error {
			tx.AfterCommit(func() { s.feeds.drop(feedKey{kind: localFeed}) }) // who may see it may be more now
			return nil
		}),
		event.On("timeline.feeds", func(_ context.Context, tx *pg.Tx, e relation.Changed) error {
			tx.AfterCommit(func() { s.dropHomes(e.From, e.To) })
			return nil
		}),
	}
}

// forget drops all that is kept in memory.
func (s *Service) forget() {
	s.feeds.dropAll()
	s.featured.forget()
}

func (s *Service) dropHomes(userIDs ...string) {
	for _, id := range userIDs {
		s.feeds.drop(feedKey{homeFeed, id})
	}
}

// follow keeps the feeds fresh with what other processes do.
func (s *Service) follow() log.Consumer {
	return log.Consumer{
		Name: "timeline.feeds", Handle: s.onFeedChanges, Lost: s.forget,
		Kinds: []string{"note.created", "note.updated", "list.changed", "relation.followed", "relation.unfollowed", "relation.updated", "user.moved"},
	}
}

func (s *Service) onFeedChanges(_ context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		switch c.Kind {
		case "note.created":
			var d note.CreatedData
			if err := c.Into(&d); err != nil {
				return err
			}
			s.feeds.add(arrival{id: c.ObjectID, author: c.ActorID, reply: d.Reply != "", replyTo: d.ReplyTo, channel: d.Channel != "",
				local: d.Host == nil && d.Visibility == note.Public})
		case "note.updated": // its visibility may have become wider
			s.feeds.drop(feedKey{kind: localFeed})
		case "list.changed":
			s.feeds.drop(feedKey{listFeed, c.ObjectID})
			s.hub.Publish(ListTopic(c.ObjectID), membersChanged{})
		default:
			s.dropHomes(c.ActorID, c.ObjectID)
		}
	}
	return nil
}

// warm gives the line's feed, built when there is none; nil when another
// request is building it.
func (s *Service) warm(ctx context.Context, key feedKey, owner string) (*feed, error) {
	f, mine := s.feeds.get(key, owner)
	if !mine {
		return f, nil
	}
	ok, err := s.build(ctx, f)
	if err != nil || !ok {
		s.feeds.drop(key)
		return nil, err
	}
	return f, nil
}

const (
	sqlFollowees = `SELECT followee_id, with_replies FROM following WHERE follower_id = $1`
	sqlMembers   = `SELECT user_id, with_replies FROM user_list_membership WHERE list_id = $1`
)

func (s *Service) authors(ctx context.Context, f *feed) (map[string]bool, error) {
	out := map[string]bool{}
	sql := sqlFollowees
	switch f.key.kind {
	case localFeed:
		return out, nil
	case homeFeed:
		out[f.owner] = true
	case listFeed:
		sql = sqlMembers
	}
	rows, err := s.db.Query(ctx, sql, f.key.id)
	if err != nil {
		return nil, fmt.Errorf("authors of a feed: %w", err)
	}
	var id string
	var replies bool
	_, err = pgx.ForEachRow(rows, []any{&id, &replies}, func() error {
		out[id] = replies || out[id]
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("authors of a feed: %w", err)
	}
	return out, nil
}

// What belongs into a feed: notes of the authors ($1), replies to others only
// of those of them that are followed with replies ($2); $3 is the reader. $5 is
// how many at most, $4 out of how many, or of each author.
const (
	sqlBuildWindow = `
WITH w AS MATERIALIZED (SELECT id, user_id, channel_id, reply_id, reply_user_id FROM note ORDER BY id DESC LIMIT $4),
	author AS MATERIALIZED (SELECT unnest($1::text[]) AS id), open AS MATERIALIZED (SELECT unnest($2::text[]) AS id)
SELECT coalesce(n.id, ''), b.low, b.total FROM (SELECT coalesce(min(id), '') AS low, count(*) AS total FROM w) b LEFT JOIN LATERAL (
	SELECT n.id FROM w n WHERE n.channel_id IS NULL AND n.user_id IN (SELECT id FROM author)
		AND (n.reply_id IS NULL OR n.user_id = $3 OR n.reply_user_id IN (n.user_id, $3) OR n.user_id IN (SELECT id FROM open))
	ORDER BY n.id DESC LIMIT $5) n ON true`
	sqlBuildEach = `
SELECT n.id, n.user_id FROM unnest($1::text[]) f(id) CROSS JOIN LATERAL (
	SELECT n.id, n.user_id FROM note n WHERE n.user_id = f.id AND n.channel_id IS NULL
		AND (n.reply_id IS NULL OR n.user_id = $3 OR n.reply_user_id IN (n.user_id, $3) OR n.user_id = ANY($2))
	ORDER BY n.id DESC LIMIT $4) n
ORDER BY n.id DESC LIMIT $5`
	sqlBuildLocal = `SELECT n.id FROM note n WHERE n.user_host IS NULL AND n.visibility = 'public' AND n.channel_id IS NULL ORDER BY n.id DESC LIMIT $1`
)

// build fills a new feed. It hears of new notes before it looks for old ones,
// so none falls between.
func (s *Service) build(ctx context.Context, f *feed) (bool, error) {
	authors, err := s.authors(ctx, f)
	if err != nil {
		return false, err
	}
	s.feeds.hear(f, authors)
	if f.key.kind == localFeed {
		ids, err := s.noteIDs(ctx, sqlBuildLocal, s.feeds.limits.size)
		if err != nil {
			return false, err
		}
		low := ""
		if len(ids) == s.feeds.limits.size {
			low = ids[len(ids)-1]
		}
		return s.feeds.fill(f, ids, low), nil
	}
	all, open := []string{}, []string{}
	for id, replies := range authors {
		all = append(all, id)
		if replies {
			open = append(open, id)
		}
	}
	ids, low, err := s.fromWindow(ctx, all, open, f.owner)
	if err == nil && low != "" && len(ids) < s.feeds.limits.enough {
		ids, low, err = s.fromEach(ctx, all, open, f.owner)
	}
	if err != nil {
		return false, err
	}
	return s.feeds.fill(f, ids, low), nil
}

func (s *Service) fromWindow(ctx context.Context, all, open []string, owner string) (ids []string, low string, err error) {
	rows, err := s.db.Query(ctx, sqlBuildWindow, all, open, owner, s.feeds.limits.window, s.feeds.limits.size)
	if err != nil {
		return nil, "", fmt.Errorf("build feed: %w", err)
	}
	var id string
	var total int
	_, err = pgx.ForEachRow(rows, []any{&id, &low, &total}, func() error {
		if id != "" {
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("build feed: %w", err)
	}
	switch {
	case len(ids) == s.feeds.limits.size:
		low = ids[len(ids)-1]
	case total < s.feeds.limits.window:
		low = "" // that was all there is
	}
	return ids, low, nil
}

// fromEach takes the newest of each author. Below the last one taken of an
// author who has written more, something may be missing: the tail lies there.
func (s *Service) fromEach(ctx context.Context, all, open []string, owner string) (ids []string, low string, err error) {
	rows, err := s.db.Query(ctx, sqlBuildEach, all, open, owner, s.feeds.limits.each, s.feeds.limits.size)
	if err != nil {
		return nil, "", fmt.Errorf("build feed: %w", err)
	}
	count := map[string]int{}
	var id, author string
	_, err = pgx.ForEachRow(rows, []any{&id, &author}, func() error {
		ids = append(ids, id)
		if count[author]++; count[author] == s.feeds.limits.each && low == "" {
			low = id
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("build feed: %w", err)
	}
	if len(ids) == s.feeds.limits.size && low == "" {
		low = ids[len(ids)-1]
	}
	return ids, low, nil
}

func (s *Service) noteIDs(ctx context.Context, sql string, args ...any) ([]string, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("timeline: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("timeline: %w", err)
	}
	return ids, nil
}

// rounds is how often a page is refilled from memory before the database is
// asked for the rest.
const rounds = 5

// fromFeeds gives what the feeds have of a page, newest first or, ascending,
// oldest first, and the span that is left to ask the database for; more is
// false when nothing is.
func (s *Service) fromFeeds(ctx context.Context, l *line, sp span, limit int) (got []*note.Note, rest span, more bool, err error) {
	var open []*feed
	for _, k := range l.feeds {
		f, err := s.warm(ctx, k, l.me)
		if err != nil || f == nil {
			return nil, sp, true, err
		}
		open = append(open, f)
	}
	rest = sp
	for range rounds {
		want := 2 * (limit - len(got))
		ids, low := []string{}, ""
		for _, f := range open {
			some, tail, ok := s.feeds.read(f, rest, want)
			if !ok {
				return got, rest, true, nil
			}
			ids, low = append(ids, some...), max(low, tail)
		}
		if len(open) > 1 {
			ids = merged(ids, rest.asc)
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return id < low })
		full := len(ids) >= want
		if full {
			ids = ids[:want]
		}
		found, err := s.recheck(ctx, l, ids, limit-len(got), rest.asc)
		if err != nil {
			return nil, rest, false, err
		}
		got = append(got, found...)
		switch {
		case len(got) >= limit:
			return got, rest, false, nil
		case full && rest.asc:
			rest.since = ids[len(ids)-1]
		case full:
			rest.until = ids[len(ids)-1]
		case low == "":
			return got, rest, false, nil // the feeds had all of it
		default:
			rest.until = low
			return got, rest, true, nil
		}
	}
	return got, rest, true, nil
}

func merged(ids []string, asc bool) []string {
	slices.SortFunc(ids, func(a, b string) int {
		if asc {
			return compare(a, b)
		}
		return compare(b, a)
	})
	return slices.Compact(ids)
}

// recheck reads those of the notes that belong into the line now, in order.
func (s *Service) recheck(ctx context.Context, l *line, ids []string, limit int, asc bool) ([]*note.Note, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var w pg.Where
	w.And("n.id = ANY(?)", ids)
	l.conds(&w)
	return s.notes.Rows(ctx, "SELECT "+note.Columns+note.From+w.SQL()+order(asc)+pg.Limit(limit), w.Args...)
}

func order(asc bool) string {
	if asc {
		return " ORDER BY n.id ASC"
	}
	return " ORDER BY n.id DESC"
}
