package note

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Who may see a note is said twice, and nowhere else: here as SQL, for what is
// looked for, and below in Go, for what is in memory.

// An author may withdraw notes later: from guests, and when they are old from
// all but followers, or from everybody. These are the conditions on the author
// au of note n; most authors do not guard theirs, which the index knows.
const (
	guarding      = `SELECT FROM "user" au WHERE au.id = n.user_id AND au.is_guarded AND `
	isHidden      = `n.id < id_bound(au.hidden_before)`
	isNarrowed    = `n.id < id_bound(au.followers_only_before)`
	followsAuthor = `EXISTS (SELECT FROM following vf WHERE vf.follower_id = ?1 AND vf.followee_id = n.user_id)`
	addressed     = `?1 = ANY(n.visible_user_ids) OR ?1 = ANY(n.mentions)`
)

const (
	// Visible is the condition under which the viewer may see note n; its
	// argument is the viewer's id, not "".
	Visible = `(n.user_id = ?1 OR (n.visibility IN ('public', 'home') OR ` + addressed + ` OR (n.visibility = 'followers' AND ` + followsAuthor + `))
	AND NOT EXISTS (` + guarding + `(` + isHidden + ` OR (` + isNarrowed + ` AND n.visibility IN ('public', 'home') AND NOT (` + addressed + ` OR ` + followsAuthor + `)))))`
	// VisibleToGuests is the condition under which everybody may see note n.
	VisibleToGuests = `(n.visibility IN ('public', 'home') AND NOT EXISTS (` + guarding + `(au.require_signin OR ` + isHidden + ` OR ` + isNarrowed + `)))`
	// VisibleToServers is the condition under which other servers may fetch note
	// n. They are told which authors want no guests, and keep those out
	// themselves.
	VisibleToServers = `(n.visibility IN ('public', 'home') AND NOT EXISTS (` + guarding + `(` + isHidden + ` OR ` + isNarrowed + `)))`
)

// see adds the condition under which the viewer, "" for guests, may see note n.
func see(w *pg.Where, viewerID string) {
	if viewerID == "" {
		w.And(VisibleToGuests)
	} else {
		w.And(Visible, viewerID)
	}
}

// Sight is what decides in memory about who may see a note.
type Sight struct {
	ID, Author, Visibility string
	To, Mentions           []string // account ids
	RequireSignin          bool     // of the author, as the next two
	FollowersOnlyBefore    *int64
	HiddenBefore           *int64
}

// Sight is what decides about who may see the note.
func (p *Packed) Sight() Sight {
	return Sight{ID: p.ID, Author: p.UserID, Visibility: p.Visibility, To: p.VisibleUserIDs, Mentions: p.Mentions,
		RequireSignin: p.User.RequireSignin, FollowersOnlyBefore: p.User.FollowersBefore, HiddenBefore: p.User.HiddenBefore}
}

// SeenBy tells whether the viewer, "" for guests, may see the note: Visible and
// VisibleToGuests in memory. follows tells whether the viewer follows the
// author.
func (s *Service) SeenBy(n Sight, viewer string, follows func(author string) bool) bool {
	switch {
	case viewer != "" && viewer == n.Author:
		return true
	case s.older(n.ID, n.HiddenBefore), viewer == "" && n.RequireSignin:
		return false
	}
	switch s.VisibilityOf(n) {
	case Public, Home:
		return true
	case Followers:
		if viewer != "" && follows(n.Author) {
			return true
		}
	}
	return viewer != "" && (slices.Contains(n.To, viewer) || slices.Contains(n.Mentions, viewer))
}

// VisibilityOf is the visibility that a note has by now.
func (s *Service) VisibilityOf(n Sight) string {
	if (n.Visibility == Public || n.Visibility == Home) && s.older(n.ID, n.FollowersOnlyBefore) {
		return Followers
	}
	return n.Visibility
}

// latest is the last time that ids of every form can say, as in id_bound.
const latest = 3_700_000_000 // s since 1970

// older tells whether a note was written before a time that an author set; nil
// is none. It is the comparison with id_bound in SQL.
func (s *Service) older(noteID string, before *int64) bool {
	if before == nil {
		return false
	}
	t := time.Unix(min(*before, latest), 0)
	if *before <= 0 {
		t = time.Now().Add(time.Duration(max(*before, -latest)) * time.Second)
	}
	return noteID < s.IDs.Method().Before(t)
}

// Wanted is the condition under which the viewer wants to see note n: neither
// the author nor whom it replies to or renotes is muted, blocked or on a muted
// instance; a mute of somebody who replies to himself still hides. What the
// viewer wrote himself he always wants to see. Its argument is the viewer's
// id. The lists do not depend on n, so they are gathered once a statement.
const Wanted = `(n.user_id = ?1 OR NOT coalesce(` +
	`n.user_id IN ` + hidden + ` OR n.reply_user_id IN ` + hidden + ` OR n.renote_user_id IN ` + hidden +
	` OR (n.is_pure_renote AND n.user_id IN (SELECT mutee_id FROM renote_muting WHERE muter_id = ?1))` +
	` OR n.user_host IN ` + mutedHosts + ` OR n.reply_user_host IN ` + mutedHosts + ` OR n.renote_user_host IN ` + mutedHosts + `, false))`

const (
	hidden = `(SELECT mutee_id FROM muting WHERE muter_id = ?1 AND (expires_at IS NULL OR expires_at > now())
	UNION ALL SELECT blocker_id FROM blocking WHERE blockee_id = ?1 UNION ALL SELECT blockee_id FROM blocking WHERE blocker_id = ?1)`
	mutedHosts = `(SELECT unnest(muted_instances) FROM user_profile WHERE user_id = ?1)`
)

// Unmuted is the condition that neither note n nor what it renotes is of a channel
// that the viewer mutes; it is for lists that a channel's notes come into by the
// way, not for the channel's own. What the viewer wrote himself stays. Its argument
// is the viewer's id. What is renoted is looked up by its id: of EXISTS the planner
// would make a list of all that muted channels have.
const Unmuted = `(n.user_id = ?1 OR (n.channel_id IS NULL OR n.channel_id NOT IN ` + mutedChannels + `)
	AND (n.renote_id IS NULL OR coalesce((SELECT cn.channel_id FROM note cn WHERE cn.id = n.renote_id) NOT IN ` + mutedChannels + `, true)))`

const mutedChannels = `(SELECT cm.channel_id FROM channel_muting cm WHERE cm.user_id = ?1 AND (cm.expires_at IS NULL OR cm.expires_at > now()))`

// SeeElsewhere is See, and Unmuted for a viewer.
func SeeElsewhere(w *pg.Where, viewerID string) {
	See(w, viewerID)
	if viewerID != "" {
		w.And(Unmuted, viewerID)
	}
}

// AuthorActive is the condition that the author is neither suspended nor gone.
const AuthorActive = `EXISTS (SELECT FROM "user" au WHERE au.id = n.user_id AND NOT au.is_suspended AND NOT au.is_deleted)`

// See adds the conditions of what may be seen, Wanted and AuthorActive for a
// viewer, "" for guests.
func See(w *pg.Where, viewerID string) {
	w.And(AuthorActive)
	see(w, viewerID)
	if viewerID != "" {
		w.And(Wanted, viewerID)
	}
}

const (
	sqlSeenIDs = `SELECT n.id FROM note n`
	// With the visibility that the note has by now.
	sqlSeenNow = `SELECT EXISTS (` + guarding + isNarrowed + `) AND n.visibility IN ('public', 'home') FROM note n`
	sqlServers = `SELECT EXISTS (SELECT FROM note n WHERE n.id = $1 AND NOT n.local_only AND ` + VisibleToServers + ` AND ` + AuthorActive + `)`
)

// CanCapture implements stream.Capturer.
func (s *Service) CanCapture(ctx context.Context, viewerID, noteID string) (bool, error) {
	ids, err := s.StillSeen(ctx, viewerID, []string{noteID})
	return len(ids) > 0, err
}

// StillSeen implements stream.Capturer.
func (s *Service) StillSeen(ctx context.Context, viewerID string, noteIDs []string) ([]string, error) {
	var w pg.Where
	w.And("n.id = ANY(?)", noteIDs)
	see(&w, viewerID)
	rows, err := s.DB.Query(ctx, sqlSeenIDs+w.SQL(), w.Args...)
	if err != nil {
		return nil, fmt.Errorf("visibility: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("visibility: %w", err)
	}
	return ids, nil
}

// Seen reads a note that the viewer may see, with the visibility that it has by
// now; ErrNotFound otherwise.
func (s *Service) Seen(ctx context.Context, viewerID, noteID string) (*Note, error) {
	var w pg.Where
	w.And("n.id = ?", noteID)
	see(&w, viewerID)
	var narrowed bool
	err := s.DB.QueryRow(ctx, sqlSeenNow+w.SQL(), w.Args...).Scan(&narrowed)
	if pg.NoRows(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("visibility: %w", err)
	}
	n, err := s.ByID(ctx, s.DB, noteID)
	if err == nil && narrowed {
		n.Visibility = Followers
	}
	return n, err
}

// Fetchable reads a note that other servers may fetch; ErrNotFound otherwise.
func (s *Service) Fetchable(ctx context.Context, noteID string) (*Note, error) {
	var ok bool
	if err := s.DB.QueryRow(ctx, sqlServers, noteID).Scan(&ok); err != nil {
		return nil, fmt.Errorf("visibility: %w", err)
	}
	if !ok {
		return nil, ErrNotFound
	}
	return s.ByID(ctx, s.DB, noteID)
}
