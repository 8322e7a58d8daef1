package antenna

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/log"
)

// kept is how many notes an antenna keeps.
const kept = 500

// mark tells whether antennas have changed since they were read.
type mark struct {
	n  int64
	at time.Time
}

const sqlMark = `SELECT count(*), coalesce(max(changed_at), 'epoch') FROM antenna WHERE is_active`

// antennas are those that are awake, read anew when one has changed.
func (s *Service) antennas(ctx context.Context, q pg.Q) ([]*Antenna, error) {
	var m mark
	if err := q.QueryRow(ctx, sqlMark).Scan(&m.n, &m.at); err != nil {
		return nil, fmt.Errorf("antennas: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m != s.mark {
		list, err := query(ctx, q, sqlActive)
		if err != nil {
			return nil, err
		}
		s.active, s.mark = list, m
	}
	return s.active, nil
}

// seen is a note as antennas look at it.
type seen struct {
	id, author  string
	acct        string // name, or name@host
	local, bot  bool
	reply, file bool
	sensitive   bool // of a channel that says so
	text, lower string
}

const sqlNew = `
SELECT n.id, n.user_id, u.username_lower || coalesce('@' || u.host, ''), u.host IS NULL, u.is_bot, n.reply_id IS NOT NULL, n.file_ids <> '{}', concat_ws(E'\n', n.cw, n.text),
	coalesce((SELECT c.is_sensitive FROM channel c WHERE c.id = n.channel_id), false)
FROM note n JOIN "user" u ON u.id = n.user_id
WHERE n.id = ANY($1) AND n.visibility IN ('public', 'home') AND NOT n.is_pure_renote`

// onNotes catches notes for the antennas that are awake.
func (s *Service) onNotes(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	list, err := s.antennas(ctx, tx)
	if err != nil || len(list) == 0 {
		return err
	}
	ids := make([]string, len(batch))
	for i, c := range batch {
		ids[i] = c.ObjectID
	}
	rows, err := tx.Query(ctx, sqlNew, ids)
	if err != nil {
		return fmt.Errorf("antennas: %w", err)
	}
	notes, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*seen, error) {
		n := &seen{}
		return n, r.Scan(&n.id, &n.author, &n.acct, &n.local, &n.bot, &n.reply, &n.file, &n.text, &n.sensitive)
	})
	if err != nil {
		return fmt.Errorf("antennas: %w", err)
	}
	var caught catch
	for _, n := range notes {
		n.lower = strings.ToLower(n.text)
		for _, a := range list {
			if a.wants(n, s.Meta.Host) {
				caught.add(a, n)
			}
		}
	}
	return s.keep(ctx, tx, &caught)
}

// wants tells whether a note is what an antenna looks for, but for whether its author is
// followed or on a list.
func (a *Antenna) wants(n *seen, host string) bool {
	switch {
	case a.LocalOnly && !n.local, a.ExcludeBots && n.bot, !a.WithReplies && n.reply, a.WithFile && !n.file, a.ExcludeSensitive && n.sensitive:
		return false
	}
	switch named := slices.Contains(a.Users, n.acct) || n.local && slices.Contains(a.Users, n.acct+"@"+host); a.Src {
	case "users":
		if !named {
			return false
		}
	case "users_blacklist":
		if named {
			return false
		}
	}
	return (len(a.Keywords) == 0 || a.has(n, a.Keywords)) && !a.has(n, a.Exclude)
}

// has tells whether all words of one of the groups are in the text.
func (a *Antenna) has(n *seen, groups [][]string) bool {
	return slices.ContainsFunc(groups, func(all []string) bool {
		return !slices.ContainsFunc(all, func(w string) bool {
			if a.CaseSensitive {
				return !strings.Contains(n.text, w)
			}
			return !strings.Contains(n.lower, strings.ToLower(w))
		})
	})
}

// catch is antennas and notes, pair by pair, with whom the author has to be known to.
type catch struct{ antennas, notes, authors, owners, srcs, lists []string }

func (c *catch) add(a *Antenna, n *seen) {
	list := ""
	if a.ListID != nil {
		list = *a.ListID
	}
	c.antennas, c.notes, c.authors = append(c.antennas, a.ID), append(c.notes, n.id), append(c.authors, n.author)
	c.owners, c.srcs, c.lists = append(c.owners, a.UserID), append(c.srcs, a.Src), append(c.lists, list)
}

const (
	// An antenna or a note may be gone by now.
	sqlKeep = `
INSERT INTO antenna_note (antenna_id, note_id)
SELECT a.id, n.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) c (antenna, note, author, owner, src, list)
	JOIN antenna a ON a.id = c.antenna JOIN note n ON n.id = c.note
WHERE CASE c.src WHEN 'home' THEN c.author = c.owner OR EXISTS (SELECT FROM following f WHERE f.follower_id = c.owner AND f.followee_id = c.author)
	WHEN 'list' THEN EXISTS (SELECT FROM user_list_membership m WHERE m.list_id = c.list AND m.user_id = c.author) ELSE true END
FOR KEY SHARE OF a, n
ON CONFLICT (antenna_id, note_id) DO NOTHING RETURNING antenna_id, note_id`
	sqlPrune = `
DELETE FROM antenna_note WHERE antenna_id = $1 AND note_id < (SELECT note_id FROM antenna_note WHERE antenna_id = $1 ORDER BY note_id DESC OFFSET $2 LIMIT 1)`
)

func (s *Service) keep(ctx context.Context, tx *pg.Tx, c *catch) error {
	if len(c.antennas) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sqlKeep, c.antennas, c.notes, c.authors, c.owners, c.srcs, c.lists)
	if err != nil {
		return fmt.Errorf("antennas: %w", err)
	}
	var antennas, notes []string
	var a, n string
	if _, err := pgx.ForEachRow(rows, []any{&a, &n}, func() error { antennas, notes = append(antennas, a), append(notes, n); return nil }); err != nil {
		return fmt.Errorf("antennas: %w", err)
	}
	if len(antennas) == 0 {
		return nil
	}
	full := slices.Clone(antennas)
	slices.Sort(full)
	for _, id := range slices.Compact(full) {
		if _, err := tx.Exec(ctx, sqlPrune, id, kept-1); err != nil {
			return fmt.Errorf("antennas: %w", err)
		}
	}
	return s.Log.AppendEach(ctx, tx, "antenna.caught", antennas, notes, nil)
}

const (
	sqlOwnerOf = `SELECT user_id FROM antenna WHERE id = $1`
	sqlMaySee  = `SELECT n.id FROM note n`
)

// onCaught brings what was caught to the owner who listens.
func (s *Service) onCaught(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		if !s.Hub.Heard(topic(c.ObjectID)) {
			continue
		}
		var owner string
		err := s.DB.QueryRow(ctx, sqlOwnerOf, c.ObjectID).Scan(&owner)
		if pg.NoRows(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("antenna: %w", err)
		}
		var w pg.Where
		w.And("n.id = ?", c.ActorID)
		note.SeeElsewhere(&w, owner)
		var id string
		if err := s.DB.QueryRow(ctx, sqlMaySee+w.SQL(), w.Args...).Scan(&id); err != nil {
			if pg.NoRows(err) {
				continue
			}
			return fmt.Errorf("antenna: %w", err)
		}
		list, err := s.Notes.PackIDs(ctx, owner, []string{id})
		if err != nil {
			return err
		}
		for _, n := range list {
			s.Hub.Publish(topic(c.ObjectID), n)
		}
	}
	return nil
}
