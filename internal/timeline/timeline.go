// Package timeline is in charge of lists of notes by who wrote them and who
// follows whom: home, local, social and global, and an account's own. It reads
// them from PostgreSQL, and hands new notes to those who are listening.
package timeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Service lists notes.
type Service struct {
	db        *pg.DB
	ids       *id.Maker
	notes     *note.Service
	users     *user.Service
	relations *relation.Service
	roles     *role.Service
	hub       *stream.Hub
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, ns *note.Service, us *user.Service, rs *relation.Service, roles *role.Service, hub *stream.Hub) *Service {
	return &Service{db: db, ids: ids, notes: ns, users: us, relations: rs, roles: roles, hub: hub}
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/timeline", s.apiHome, api.Scope("read:account")),
		api.Post("notes/local-timeline", s.apiLocal, api.Visitors, api.Errors(errLocalDisabled, errLocalBoth)),
		api.Post("notes/hybrid-timeline", s.apiHybrid, api.Scope("read:account"), api.Errors(errHybridDisabled, errHybridBoth)),
		api.Post("notes/global-timeline", s.apiGlobal, api.Visitors, api.Errors(errGlobalDisabled)),
		api.Post("users/notes", s.apiUser, api.Visitors, api.Errors(errUserNoUser, errUserBoth)),
	}
}

// filter is what all timelines let a caller choose.
type filter struct {
	withFiles, withRenotes bool
}

func (f filter) apply(w *pg.Where) {
	if f.withFiles {
		w.And("n.file_ids <> '{}'")
	}
	if !f.withRenotes {
		w.And("NOT n.is_pure_renote")
	}
}

// window is how many of the newest notes are looked through first: where the
// followed write much, a page is found in them without asking for each.
const window = 1500

// The newest notes of everybody, cut off before they are filtered.
const sqlWindow = `SELECT n.id FROM (SELECT * FROM note w %s ORDER BY w.id %s LIMIT %s) n WHERE %s ORDER BY n.id %s LIMIT %s`

// The newest notes of each followed account.
const sqlEach = `SELECT n.id FROM (
	SELECT followee_id AS uid FROM following WHERE follower_id = %s UNION ALL SELECT %s::text
) f CROSS JOIN LATERAL (SELECT n.id FROM note n WHERE n.user_id = f.uid %s AND %s ORDER BY n.id %s LIMIT %s) n ORDER BY n.id %s LIMIT %s`

// bounds adds a page's bounds for the alias and gives the direction.
func bounds(w *pg.Where, m id.Method, p api.Page, alias string) (cond, dir string) {
	since, until, asc := p.Bounds(m)
	if since != "" {
		cond += " AND " + alias + ".id > " + w.Arg(since)
	}
	if until != "" {
		cond += " AND " + alias + ".id < " + w.Arg(until)
	}
	dir = "DESC"
	if asc {
		dir = "ASC"
	}
	return cond, dir
}

// homeSQL is the statement for a page of the home timeline: by the window of
// newest notes, or by each followed account. local adds public local notes
// (the social timeline).
func (s *Service) homeSQL(me string, p api.Page, limit int, byWindow, local bool, conds func(w *pg.Where)) (string, []any) {
	var w pg.Where
	mine := "(n.user_id = " + w.Arg(me) + " OR n.user_id IN (SELECT followee_id FROM following WHERE follower_id = $1))"
	if local {
		mine = "(" + mine + " OR (n.user_host IS NULL AND n.visibility = 'public'))"
	}
	conds(&w)
	if byWindow {
		cond, dir := bounds(&w, s.ids.Method(), p, "w")
		return fmt.Sprintf(sqlWindow, "WHERE w.channel_id IS NULL"+cond, dir, w.Arg(window), mine+" AND "+w.All(), dir, w.Arg(limit)), w.Args
	}
	cond, dir := bounds(&w, s.ids.Method(), p, "n")
	lim := w.Arg(limit)
	sql := fmt.Sprintf(sqlEach, "$1", "$1", cond, w.All(), dir, lim, dir, lim)
	if local {
		sql = "SELECT id FROM ((" + sql + ") UNION (SELECT n.id FROM note n WHERE n.user_host IS NULL AND n.visibility = 'public' AND n.channel_id IS NULL" +
			cond + " AND " + w.All() + " ORDER BY n.id " + dir + " LIMIT " + lim + ")) both_of ORDER BY id " + dir + " LIMIT " + lim
	}
	return sql, w.Args
}

// home gives a page of the home or social timeline.
func (s *Service) home(ctx context.Context, me string, p api.Page, limit int, local bool, conds func(w *pg.Where)) ([]*note.Packed, error) {
	for _, byWindow := range []bool{true, false} {
		sql, args := s.homeSQL(me, p, limit, byWindow, local, conds)
		rows, err := s.db.Query(ctx, sql, args...)
		if err != nil {
			return nil, fmt.Errorf("home timeline: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("home timeline: %w", err)
		}
		if len(ids) == limit || !byWindow {
			return s.notes.PackIDs(ctx, me, ids)
		}
	}
	return nil, nil
}

type homeReq struct {
	api.Page
	Limit                 int  `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial          bool `json:"allowPartial" api:"default=false"`
	IncludeMyRenotes      bool `json:"includeMyRenotes" api:"default=true"`
	IncludeRenotedMyNotes bool `json:"includeRenotedMyNotes" api:"default=true"`
	IncludeLocalRenotes   bool `json:"includeLocalRenotes" api:"default=true"`
	WithFiles             bool `json:"withFiles" api:"default=false"`
	WithRenotes           bool `json:"withRenotes" api:"default=true"`
}

// homeConds are the rules of the home timeline: direct notes only for their
// addressees; replies to others only when the reader follows with replies;
// what answers a followers-only note of somebody not followed is left out.
func homeConds(w *pg.Where, me string, req homeReq, withReplies bool) {
	note.See(w, me)
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(w)
	w.And("n.channel_id IS NULL")
	w.And("(n.visibility <> 'specified' OR n.user_id = ? OR ? = ANY(n.visible_user_ids))", me, me)
	if !withReplies {
		w.And(`(n.reply_id IS NULL OR n.user_id = ? OR n.reply_user_id IN (?, n.user_id)
			OR EXISTS (SELECT FROM following wr WHERE wr.follower_id = ? AND wr.followee_id = n.user_id AND wr.with_replies))`, me, me, me)
	}
	w.And(`(n.reply_id IS NULL OR n.user_id = ? OR n.reply_user_id IN (?, n.user_id) OR NOT EXISTS (
		SELECT FROM note rn WHERE rn.id = n.reply_id AND rn.visibility = 'followers'
			AND NOT EXISTS (SELECT FROM following rf WHERE rf.follower_id = ? AND rf.followee_id = rn.user_id)))`, me, me, me)
	if !req.IncludeMyRenotes {
		w.And("NOT (n.is_pure_renote AND n.user_id = ?)", me)
	}
	if !req.IncludeRenotedMyNotes {
		w.And("NOT (n.is_pure_renote AND n.renote_user_id = ?)", me)
	}
	if !req.IncludeLocalRenotes {
		w.And("NOT (n.is_pure_renote AND n.renote_user_host IS NULL)")
	}
}

func (s *Service) apiHome(ctx context.Context, c *api.Call, req homeReq) ([]*note.Packed, error) {
	return s.home(ctx, c.UserID, req.Page, req.Limit, false, func(w *pg.Where) { homeConds(w, c.UserID, req, false) })
}

type hybridReq struct {
	homeReq
	WithReplies bool `json:"withReplies" api:"default=false"`
}

var (
	errHybridDisabled = api.Err("STL_DISABLED", "620763f4-f621-4533-ab33-0577a1a3c342", "The social timeline is switched off.")
	errHybridBoth     = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "dfaa3eb7-8002-4cb7-bcc4-1095df46656f", "Replies and files cannot both be asked for.")
	errLocalDisabled  = api.Err("LTL_DISABLED", "45a6eb02-7695-4393-b023-dd3be9aaaefd", "The local timeline is switched off.")
	errLocalBoth      = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "dd9c8400-1cb5-4eef-8a31-200c5f933793", "Replies and files cannot both be asked for.")
	errGlobalDisabled = api.Err("GTL_DISABLED", "0332fc13-6ab2-4427-ae80-a9fadffd1a6b", "The global timeline is switched off.")
	errUserNoUser     = api.Err("NO_SUCH_USER", "27e494ba-2ac2-48e8-893b-10d4d8c2387b", "There is no such account.")
	errUserBoth       = api.Err("BOTH_WITH_REPLIES_AND_WITH_FILES", "91c8cb9f-36ed-46e7-9ca2-7df96ed6e222", "Replies and files cannot both be asked for.")
)

func (s *Service) apiHybrid(ctx context.Context, c *api.Call, req hybridReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if !policies.LtlAvailable {
		return nil, errHybridDisabled
	}
	if req.WithReplies && req.WithFiles {
		return nil, errHybridBoth
	}
	return s.home(ctx, c.UserID, req.Page, req.Limit, true, func(w *pg.Where) { homeConds(w, c.UserID, req.homeReq, req.WithReplies) })
}

type localReq struct {
	api.Page
	Limit        int  `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial bool `json:"allowPartial" api:"default=false"`
	WithFiles    bool `json:"withFiles" api:"default=false"`
	WithRenotes  bool `json:"withRenotes" api:"default=true"`
	WithReplies  bool `json:"withReplies" api:"default=false"`
}

const sqlNotes = `SELECT n.id FROM note n`

func (s *Service) apiLocal(ctx context.Context, c *api.Call, req localReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	if !policies.LtlAvailable {
		return nil, errLocalDisabled
	}
	if req.WithReplies && req.WithFiles {
		return nil, errLocalBoth
	}
	var w pg.Where
	w.And("n.user_host IS NULL AND n.visibility = 'public' AND n.channel_id IS NULL")
	note.See(&w, c.ID())
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	if !req.WithReplies {
		w.And("(n.reply_id IS NULL OR n.user_id = ? OR n.reply_user_id IN (n.user_id, ?))", c.ID(), c.ID())
	}
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

type globalReq struct {
	api.Page
	Limit       int  `json:"limit" api:"min=1,max=100,default=10"`
	WithFiles   bool `json:"withFiles" api:"default=false"`
	WithRenotes bool `json:"withRenotes" api:"default=true"`
}

func (s *Service) apiGlobal(ctx context.Context, c *api.Call, req globalReq) ([]*note.Packed, error) {
	policies, err := s.roles.Of(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	if !policies.GtlAvailable {
		return nil, errGlobalDisabled
	}
	var w pg.Where
	w.And("n.visibility = 'public' AND n.channel_id IS NULL")
	note.See(&w, c.ID())
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

type userReq struct {
	api.Page
	UserID           string `json:"userId" api:"required,id"`
	Limit            int    `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial     bool   `json:"allowPartial" api:"default=false"`
	WithReplies      bool   `json:"withReplies" api:"default=false"`
	WithRenotes      bool   `json:"withRenotes" api:"default=true"`
	WithChannelNotes bool   `json:"withChannelNotes" api:"default=false"`
	WithFiles        bool   `json:"withFiles" api:"default=false"`
}

// apiUser lists an account's own notes. Who looks at somebody's page wants to
// see him: a mute of the account itself does not hide here.
func (s *Service) apiUser(ctx context.Context, c *api.Call, req userReq) ([]*note.Packed, error) {
	if req.WithReplies && req.WithFiles {
		return nil, errUserBoth
	}
	u, err := s.users.ByID(ctx, req.UserID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, errUserNoUser
	}
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("n.user_id = ?", u.ID)
	w.And(note.AuthorActive)
	if me := c.ID(); me == "" {
		w.And("n.visibility IN ('public', 'home')")
	} else {
		w.And(note.Visible, me, me, me, me)
		w.And("NOT EXISTS (SELECT FROM blocking b WHERE b.blocker_id = n.user_id AND b.blockee_id = ?)", me)
	}
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(&w)
	if !req.WithReplies {
		w.And("(n.reply_id IS NULL OR n.reply_user_id = n.user_id)")
	}
	if !req.WithChannelNotes {
		w.And("n.channel_id IS NULL")
	}
	return s.notes.Page(ctx, c.ID(), sqlNotes, &w, req.Page, req.Limit)
}

// LocalForGuests is the newest of the local timeline, for the front page.
func (s *Service) LocalForGuests(ctx context.Context, limit int) ([]*note.Packed, error) {
	list, err := s.apiLocal(ctx, &api.Call{}, localReq{Limit: limit, WithRenotes: true})
	if errors.Is(err, errLocalDisabled) {
		return nil, nil
	}
	return list, err
}

// OfUserForGuests is the newest of an account's notes, for its page.
func (s *Service) OfUserForGuests(ctx context.Context, userID string, limit int) ([]*note.Packed, error) {
	return s.apiUser(ctx, &api.Call{}, userReq{UserID: userID, Limit: limit, WithRenotes: true})
}

// TaggedForGuests is the newest of public notes with a hashtag, for its page.
func (s *Service) TaggedForGuests(ctx context.Context, tag string, limit int) ([]*note.Packed, error) {
	var w pg.Where
	w.And("n.tags @> ARRAY[?::text]", strings.ToLower(norm.NFKC.String(tag)))
	w.And("n.visibility = 'public'")
	note.See(&w, "")
	return s.notes.Page(ctx, "", sqlNotes, &w, api.Page{}, limit)
}
