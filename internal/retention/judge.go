package retention

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// inThread is why a note stays that nobody here has touched but that hangs
// together with what stays: it answers a note of this server, directly or further
// up; or something that stays, or is not old enough, answers or quotes it.
const inThread = "thread"

// inNote is why a link stays: a note has it.
const inNote = "inNote"

// judged is an old note and why it stays.
type judged struct {
	id                string
	replyID, renoteID *string
	why               string // "": nothing was found
	held              bool   // what will certainly stay hangs on it
}

const sqlPage = `SELECT n.id FROM note n WHERE n.id < $1 AND n.user_host IS NOT NULL ORDER BY n.id DESC LIMIT $2`

// page gives the next old notes of other servers, the newest first: what answers
// a note has mostly been written after it, and is looked at before.
func (s *Service) page(ctx context.Context, q pg.Q, before string, limit int) ([]string, error) {
	rows, err := q.Query(ctx, sqlPage, before, limit)
	if err != nil {
		return nil, fmt.Errorf("old notes: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("old notes: %w", err)
	}
	return ids, nil
}

// What accounts of this server did with a note, and what it has to do with them.
// Every part is a look into an index; $1 are all the notes that are judged.
const (
	keptWhy = `
CASE WHEN n.visibility = 'specified' AND EXISTS (SELECT FROM "user" u WHERE u.id = ANY(n.visible_user_ids) AND u.host IS NULL) THEN 'direct'
	WHEN EXISTS (SELECT FROM "user" u WHERE u.id = ANY(n.mentions) AND u.host IS NULL) THEN 'mentioned'
	WHEN EXISTS (SELECT FROM note c WHERE c.reply_id = n.id AND c.user_host IS NULL) THEN 'replied'
	WHEN EXISTS (SELECT FROM note c WHERE c.renote_id = n.id AND c.user_host IS NULL AND NOT c.is_pure_renote) THEN 'quoted'
	WHEN EXISTS (SELECT FROM note c WHERE c.renote_id = n.id AND c.user_host IS NULL) THEN 'renoted'
	WHEN EXISTS (SELECT FROM note_reaction r JOIN "user" u ON u.id = r.user_id AND u.host IS NULL WHERE r.note_id = n.id) THEN 'reacted'
	WHEN EXISTS (SELECT FROM poll_vote v JOIN "user" u ON u.id = v.user_id AND u.host IS NULL WHERE v.note_id = n.id) THEN 'voted'
	WHEN EXISTS (SELECT FROM note_favorite f WHERE f.note_id = n.id) THEN 'favorited'
	WHEN EXISTS (SELECT FROM clip_note c WHERE c.note_id = n.id) THEN 'clipped'
	WHEN EXISTS (SELECT FROM user_note_pining p WHERE p.note_id = n.id) THEN 'pinned'
	WHEN n.id IN (SELECT unnest(r.note_ids) FROM abuse_report r WHERE r.note_ids && $1::text[] AND r.note_ids <> '{}') THEN 'reported'
	WHEN EXISTS (SELECT FROM notification o WHERE o.note_id = n.id) THEN 'notified'
	WHEN n.reply_id IS NOT NULL AND n.reply_user_host IS NULL OR n.renote_id IS NOT NULL AND n.renote_user_host IS NULL THEN 'thread'
	WHEN n.reply_id IS NOT NULL AND EXISTS (
		WITH RECURSIVE up AS (
			SELECT n.reply_id AS id
			UNION SELECT p.reply_id FROM up JOIN note p ON p.id = up.id WHERE p.reply_id IS NOT NULL
		) SELECT FROM up JOIN note a ON a.id = up.id WHERE a.user_host IS NULL) THEN 'thread'
	ELSE '' END`
	// $2: what is not older stays. What hangs on a note and has a lesser id is looked
	// at after it, and so is held to stay.
	sqlJudge = `
SELECT n.id, n.reply_id, n.renote_id, ` + keptWhy + `,
	EXISTS (SELECT FROM note c WHERE c.reply_id = n.id AND (c.id >= $2 OR c.id < n.id)) OR EXISTS (SELECT FROM note c WHERE c.renote_id = n.id AND (c.id >= $2 OR c.id < n.id))
FROM note n WHERE n.id = ANY($1) ORDER BY n.id DESC`
)

// judge tells which of the notes stay for their own sake.
func (s *Service) judge(ctx context.Context, q pg.Q, ids []string, cutoff string) ([]judged, error) {
	rows, err := q.Query(ctx, sqlJudge, ids, cutoff)
	if err != nil {
		return nil, fmt.Errorf("judge notes: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (judged, error) {
		var n judged
		err := r.Scan(&n.id, &n.replyID, &n.renoteID, &n.why, &n.held)
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("judge notes: %w", err)
	}
	return out, nil
}

// What hangs on a note. Of one on which more hangs than a batch holds it is enough
// to know so much: not all of it goes now.
const sqlHanging = `
SELECT p.id, c.id FROM unnest($1::text[]) p (id), LATERAL (
	(SELECT n.id FROM note n WHERE n.reply_id = p.id LIMIT $2) UNION ALL (SELECT n.id FROM note n WHERE n.renote_id = p.id LIMIT $2)) c`

// goes tells which of the notes go: those that nothing keeps, and on which nothing
// hangs but what goes with them.
func (s *Service) goes(ctx context.Context, q pg.Q, notes []judged) (ids []string, kept map[string]int64, err error) {
	kept = map[string]int64{}
	going := map[string]bool{}
	for _, n := range notes {
		if n.why != "" {
			kept[n.why]++
			continue
		}
		going[n.id] = true
		ids = append(ids, n.id)
	}
	if len(ids) == 0 {
		return nil, kept, nil
	}
	rows, err := q.Query(ctx, sqlHanging, ids, batch+1)
	if err != nil {
		return nil, nil, fmt.Errorf("what hangs on notes: %w", err)
	}
	type edge struct{ On, Hangs string }
	edges, err := pgx.CollectRows(rows, pgx.RowToStructByPos[edge])
	if err != nil {
		return nil, nil, fmt.Errorf("what hangs on notes: %w", err)
	}
	for again := true; again; {
		again = false
		for _, e := range edges {
			if going[e.On] && !going[e.Hangs] {
				delete(going, e.On)
				kept[inThread]++
				again = true
			}
		}
	}
	out := ids[:0]
	for _, id := range ids {
		if going[id] {
			out = append(out, id)
		}
	}
	return out, kept, nil
}
