package timeline

import (
	"context"
	"fmt"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

const (
	// The newest notes of everybody, cut off before they are filtered: where the
	// authors write much, a page is found in them without asking for each.
	sqlWindow = `SELECT n.id FROM (SELECT * FROM note w WHERE w.channel_id IS NULL%s ORDER BY w.id %s LIMIT 1500) n%s ORDER BY n.id %s%s`
	// The newest notes of each author.
	sqlEach = `SELECT n.id FROM (%s) f CROSS JOIN LATERAL (SELECT n.id FROM note n%s AND n.user_id = f.uid ORDER BY n.id %s%s) n ORDER BY n.id %s%s`
	// With those of everybody here.
	sqlEachAndLocal = `SELECT n.id FROM ((%s) UNION (SELECT n.id FROM note n%s AND n.user_host IS NULL AND n.visibility = 'public' ORDER BY n.id %s%s)) n ORDER BY n.id %s%s`
)

// line is a timeline of chosen authors as one reader wants it: home, social, a
// list.
type line struct {
	me    string
	feeds []feedKey // that hold its candidates; none: memory cannot answer
	local bool      // all of the local timeline belongs to it, too
	// inChannels are the rules on notes of channels that the reader follows; nil:
	// they do not belong to it.
	inChannels func(w *pg.Where)
	// authors is a statement for their ids as uid; arg is its argument $1.
	authors string
	arg     string
	// conds are all the rules of the line, the authors included.
	conds func(w *pg.Where)
}

// page gives a page of the line, packed for its reader: from memory what
// memory has, the rest from the database.
func (s *Service) page(ctx context.Context, l *line, p api.Page, limit int) ([]*note.Packed, error) {
	var sp span
	sp.since, sp.until, sp.asc = p.Bounds(s.ids.Method())
	ties, err := s.channels.Of(ctx, l.me)
	if err != nil {
		return nil, err
	}
	if own := l.conds; len(ties.Mutes) > 0 {
		l.conds = func(w *pg.Where) {
			own(w)
			withoutChannels(w, ties.Mutes)
		}
	}
	whole := sp
	var notes []*note.Note
	more := true
	if len(l.feeds) > 0 {
		if notes, sp, more, err = s.fromFeeds(ctx, l, sp, limit); err != nil {
			return nil, err
		}
	}
	if more {
		rest, err := s.fromDatabase(ctx, l, sp, limit-len(notes))
		if err != nil {
			return nil, err
		}
		notes = append(notes, rest...)
	}
	if l.inChannels != nil && len(ties.Follows) > 0 {
		if notes, err = s.withChannels(ctx, l, ties, whole, notes, limit); err != nil {
			return nil, err
		}
	}
	return s.notes.Pack(ctx, l.me, notes)
}

// fromDatabase looks through the newest notes, and where those do not fill the
// page asks for each author's.
func (s *Service) fromDatabase(ctx context.Context, l *line, sp span, limit int) ([]*note.Note, error) {
	sql, args := l.windowSQL(sp, limit)
	notes, err := s.notes.RowsOf(ctx, sql, args, sp.asc)
	if err != nil || len(notes) == limit {
		return notes, err
	}
	sql, args = l.eachSQL(sp, limit)
	return s.notes.RowsOf(ctx, sql, args, sp.asc)
}

func (l *line) windowSQL(sp span, limit int) (string, []any) {
	var w pg.Where
	l.conds(&w)
	conds := w.SQL()
	dir := sp.dir()
	return fmt.Sprintf(sqlWindow, sp.bounds(&w, "w"), dir, conds, dir, pg.Limit(limit)), w.Args
}

func (l *line) eachSQL(sp span, limit int) (string, []any) {
	var w pg.Where
	w.Arg(l.arg) // $1 of authors
	l.conds(&w)
	conds := w.SQL() + sp.bounds(&w, "n")
	dir, lim := sp.dir(), pg.Limit(limit)
	sql := fmt.Sprintf(sqlEach, l.authors, conds, dir, lim, dir, lim)
	if l.local {
		sql = fmt.Sprintf(sqlEachAndLocal, sql, conds, dir, lim, dir, lim)
	}
	return sql, w.Args
}

func (sp span) dir() string {
	if sp.asc {
		return "ASC"
	}
	return "DESC"
}

// bounds are the span's conditions on the id of the alias.
func (sp span) bounds(w *pg.Where, alias string) (cond string) {
	if sp.since != "" {
		cond += " AND " + alias + ".id > " + w.Arg(sp.since)
	}
	if sp.until != "" {
		cond += " AND " + alias + ".id < " + w.Arg(sp.until)
	}
	return cond
}

// lineReq is what personal timelines let a reader choose.
type lineReq struct {
	api.Page
	Limit                 int  `json:"limit" api:"min=1,max=100,default=10"`
	AllowPartial          bool `json:"allowPartial" api:"default=false"`
	IncludeMyRenotes      bool `json:"includeMyRenotes" api:"default=true"`
	IncludeRenotedMyNotes bool `json:"includeRenotedMyNotes" api:"default=true"`
	IncludeLocalRenotes   bool `json:"includeLocalRenotes" api:"default=true"`
	WithFiles             bool `json:"withFiles" api:"default=false"`
	WithRenotes           bool `json:"withRenotes" api:"default=true"`
}

// common are the rules of every personal timeline: what may be seen and is
// wanted; direct notes only for their addressees; nothing that answers a
// followers-only note of somebody not followed.
func (req *lineReq) common(w *pg.Where, me string) {
	req.anywhere(w, me)
	w.And("n.channel_id IS NULL")
	w.And("(n.visibility <> 'specified' OR n.user_id = ?1 OR ?1 = ANY(n.visible_user_ids))", me)
	w.And(`(n.reply_id IS NULL OR n.user_id = ?1 OR n.reply_user_id IN (?1, n.user_id) OR coalesce((
		SELECT rn.visibility <> 'followers' OR EXISTS (SELECT FROM following rf WHERE rf.follower_id = ?1 AND rf.followee_id = rn.user_id)
		FROM note rn WHERE rn.id = n.reply_id), true))`, me)
}

// anywhere are the rules that hold in channels, too.
func (req *lineReq) anywhere(w *pg.Where, me string) {
	note.See(w, me)
	filter{withFiles: req.WithFiles, withRenotes: req.WithRenotes}.apply(w)
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
