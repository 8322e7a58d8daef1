package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

func (s *Service) userOf(r *http.Request) (*user.User, error) {
	u, err := s.Users.ByID(r.Context(), r.PathValue("id"))
	return s.local(r.Context(), u, err)
}

func (s *Service) actorByID(r *http.Request) (any, error) {
	u, err := s.userOf(r)
	if errors.Is(err, errGone) {
		return s.ended(r)
	}
	if err != nil {
		return nil, err
	}
	return s.Users.Actor(r.Context(), u)
}

// ended is what is told of an account that has ended or is suspended: its key
// alone, by which others verify that it is. errGone when there is no such account,
// or the key is kept no longer.
func (s *Service) ended(r *http.Request) (any, error) {
	u, err := s.Users.ByID(r.Context(), r.PathValue("id"))
	if errors.Is(err, user.ErrNotFound) || err == nil && (!u.Local() || !u.IsDeleted && !u.IsSuspended) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	pem, err := s.Delivery.PublicPEM(r.Context(), u.ID)
	if errors.Is(err, delivery.ErrNoKey) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	self := s.Users.LocalURI(u.ID)
	return &ap.Actor{Context: ap.Context(), Type: "Person", ID: self, Inbox: self + "/inbox", Outbox: self + "/outbox",
		Followers: self + "/followers", Following: self + "/following", PreferredUsername: u.Username, Suspended: u.IsSuspended && !u.IsDeleted,
		PublicKey: &ap.Key{ID: s.Users.KeyID(u.ID), Type: "Key", Owner: self, PublicKeyPEM: pem}}, nil
}

func (s *Service) actorByName(r *http.Request) (any, error) {
	acct, ok := strings.CutPrefix(r.PathValue("acct"), "@")
	name, host, remote := strings.Cut(acct, "@")
	if !ok || remote && host != s.Meta.Host {
		return nil, errGone
	}
	u, err := s.Users.ByAcct(r.Context(), s.DB, name, nil)
	if u, err = s.local(r.Context(), u, err); err != nil {
		return nil, err
	}
	return s.Users.Actor(r.Context(), u)
}

func (s *Service) publicKey(r *http.Request) (any, error) {
	doc, err := s.actorByID(r)
	if err != nil {
		return nil, err
	}
	a, ok := doc.(*ap.Actor)
	if !ok {
		return nil, errGone
	}
	k := *a.PublicKey
	k.Context = ap.Context()
	return k, nil
}

func (s *Service) note(r *http.Request) (any, error) {
	doc, n, err := s.Notes.Document(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		return nil, err
	case n.URI != nil:
		return nil, redirect{*n.URI}
	case doc == nil:
		return s.noteActivity(r)
	}
	doc.Context = ap.Context()
	return doc, nil
}

func (s *Service) noteActivity(r *http.Request) (any, error) {
	a, err := s.Notes.ActivityDocument(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	a.Context = ap.Context()
	return a, nil
}

func (s *Service) emoji(r *http.Request) (any, error) {
	local, err := s.Emojis.Local(r.Context())
	if err != nil {
		return nil, err
	}
	e := local[r.PathValue("name")]
	if e == nil || e.LocalOnly {
		return nil, errGone
	}
	doc := s.Emojis.AP(e)
	doc.Context = ap.Context()
	return doc, nil
}

func (s *Service) like(r *http.Request) (any, error) {
	return s.Reactions.LikeDocument(r.Context(), r.PathValue("id"))
}

func (s *Service) followRequest(r *http.Request) (any, error) {
	return s.Relations.RequestDocument(r.Context(), r.PathValue("id"))
}

func (s *Service) follow(r *http.Request) (any, error) {
	return s.Relations.FollowDocument(r.Context(), r.PathValue("follower"), r.PathValue("followee"))
}

// Sizes of pages.
const (
	outboxPage  = 20
	followsPage = 10
)

const (
	sqlOutbox = `SELECT ` + note.Columns + note.From
)

// outbox lists public and home notes, newest first; since_id and until_id are
// exclusive.
func (s *Service) outbox(r *http.Request) (any, error) {
	u, err := s.userOf(r)
	if err != nil {
		return nil, err
	}
	base, q := s.Users.LocalURI(u.ID)+"/outbox", r.URL.Query()
	if q.Get("page") != "true" {
		return ap.Collection{Context: ap.Context(), ID: base, Type: "OrderedCollection", TotalItems: u.NotesCount,
			First: base + "?page=true", Last: base + "?page=true&since_id=0"}, nil
	}
	var w pg.Where
	w.And("n.user_id = ?", u.ID)
	w.And("NOT n.local_only AND " + note.VisibleToServers)
	order := " ORDER BY n.id DESC LIMIT "
	if since := q.Get("since_id"); since != "" {
		w.And("n.id > ?", since)
		order = " ORDER BY n.id ASC LIMIT "
	}
	if until := q.Get("until_id"); until != "" {
		w.And("n.id < ?", until)
	}
	rows, err := s.DB.Query(r.Context(), sqlOutbox+w.SQL()+order+w.Arg(outboxPage), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	notes, err := pgx.CollectRows(rows, note.Scan)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	page := ap.Collection{Context: ap.Context(), ID: base + "?" + r.URL.RawQuery, Type: "OrderedCollectionPage", PartOf: base,
		TotalItems: u.NotesCount, OrderedItems: []any{}}
	for _, n := range notes {
		a, err := s.Notes.Activity(r.Context(), n)
		if err != nil {
			return nil, err
		}
		page.OrderedItems = append(page.OrderedItems, a)
	}
	if len(notes) > 0 {
		page.Prev = base + "?page=true&since_id=" + notes[0].ID
		page.Next = base + "?page=true&until_id=" + notes[len(notes)-1].ID
	}
	return page, nil
}

const (
	sqlFollowers = `SELECT t.id, u.id, u.uri FROM following t JOIN "user" u ON u.id = t.follower_id`
	sqlFollowing = `SELECT t.id, u.id, u.uri FROM following t JOIN "user" u ON u.id = t.followee_id`
)

func (s *Service) followers(r *http.Request) (any, error) {
	return s.follows(r, "/followers", sqlFollowers, "t.followee_id = ?", func(p *user.Profile) string { return p.FollowersVisibility },
		func(u *user.User) int { return u.FollowersCount })
}

func (s *Service) following(r *http.Request) (any, error) {
	return s.follows(r, "/following", sqlFollowing, "t.follower_id = ?", func(p *user.Profile) string { return p.FollowingVisibility },
		func(u *user.User) int { return u.FollowingCount })
}

// follows lists one side of an account's follows, when it shows them to
// everybody.
func (s *Service) follows(r *http.Request, path, sql, cond string, visibility func(*user.Profile) string, total func(*user.User) int) (any, error) {
	u, err := s.userOf(r)
	if err != nil {
		return nil, err
	}
	profiles, err := s.Users.Profiles(r.Context(), []string{u.ID})
	if err != nil {
		return nil, err
	}
	if p := profiles[u.ID]; p == nil || visibility(p) != "public" {
		return nil, errForbidden
	}
	base, q := s.Users.LocalURI(u.ID)+path, r.URL.Query()
	if q.Get("page") != "true" {
		return ap.Collection{Context: ap.Context(), ID: base, Type: "OrderedCollection", TotalItems: total(u), First: base + "?page=true"}, nil
	}
	var w pg.Where
	sql += " WHERE " + strings.Replace(cond, "?", w.Arg(u.ID), 1)
	if cursor := q.Get("cursor"); cursor != "" {
		sql += " AND t.id < " + w.Arg(cursor)
	}
	rows, err := s.DB.Query(r.Context(), sql+" ORDER BY t.id DESC LIMIT "+w.Arg(followsPage+1), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("follows: %w", err)
	}
	page := ap.Collection{Context: ap.Context(), ID: base + "?" + r.URL.RawQuery, Type: "OrderedCollectionPage", PartOf: base, TotalItems: total(u), OrderedItems: []any{}}
	var tie, id string
	var last string
	var uri *string
	_, err = pgx.ForEachRow(rows, []any{&tie, &id, &uri}, func() error {
		if len(page.OrderedItems) == followsPage {
			page.Next = base + "?page=true&cursor=" + last
			return nil
		}
		last = tie
		if uri == nil {
			local := s.Users.LocalURI(id)
			uri = &local
		}
		page.OrderedItems = append(page.OrderedItems, *uri)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("follows: %w", err)
	}
	return page, nil
}

const sqlFeatured = `SELECT ` + note.Columns + note.From + `JOIN user_note_pining p ON p.note_id = n.id
WHERE p.user_id = $1 AND NOT n.local_only AND ` + note.VisibleToServers + ` ORDER BY p.id DESC`

func (s *Service) featured(r *http.Request) (any, error) {
	u, err := s.userOf(r)
	if err != nil {
		return nil, err
	}
	rows, err := s.DB.Query(r.Context(), sqlFeatured, u.ID)
	if err != nil {
		return nil, fmt.Errorf("featured: %w", err)
	}
	notes, err := pgx.CollectRows(rows, note.Scan)
	if err != nil {
		return nil, fmt.Errorf("featured: %w", err)
	}
	items := []any{}
	for _, n := range notes {
		doc, _, err := s.Notes.Document(r.Context(), n.ID)
		if err != nil {
			return nil, err
		}
		items = append(items, doc)
	}
	id := s.Users.LocalURI(u.ID) + "/collections/featured"
	return ap.Collection{Context: ap.Context(), ID: id, Type: "OrderedCollection", TotalItems: len(items), OrderedItems: items}, nil
}

// lookup resolves a query that a person typed in: an acct, or an address.
func (s *Service) lookup(ctx context.Context, uri string) (*user.User, *note.Note, error) {
	if acct, ok := strings.CutPrefix(uri, "@"); ok || !strings.Contains(uri, "/") && strings.Contains(uri, "@") {
		name, host, _ := strings.Cut(acct, "@")
		u, err := s.Users.ResolveAcct(ctx, name, host)
		return u, nil, err
	}
	if u, err := s.Users.ByURI(ctx, s.DB, uri); err == nil {
		return u, nil, nil
	}
	if n, err := s.Notes.ByURI(ctx, s.DB, uri); err == nil {
		return nil, n, nil
	}
	if strings.HasPrefix(uri, s.Meta.Origin+"/") {
		return nil, nil, errGone
	}
	o, err := s.Remote.GetObject(ctx, uri)
	if err != nil {
		return nil, nil, err
	}
	if note.IsPost(o) {
		n, err := s.Notes.Fetch(ctx, o.ID())
		return nil, n, err
	}
	u, err := s.Users.Resolve(ctx, o.ID())
	return u, nil, err
}

// FetchAny makes known what an activity waits for: a note, or an actor.
func (s *Service) FetchAny(ctx context.Context, uri string) error {
	_, _, err := s.lookup(ctx, uri)
	return err
}
