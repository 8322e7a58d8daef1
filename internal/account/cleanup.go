package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/pg"
)

// Plan is what of an account is to be cleared.
type Plan struct {
	Notes, Files  bool
	KeepFavorited bool // notes of one's own that one has among one's favourites stay
	// Before: only what is older. Zero: everything up to now; what is written while
	// the clearing runs always stays.
	Before time.Time
	In     time.Duration // until it starts
}

// ErrRunning says that a clearing of the account is under way.
var ErrRunning = errors.New("a clearing of the account is under way")

// errNoRun says that there is none to be ruled.
var errNoRun = errors.New("no clearing of the account is under way")

const (
	sqlBegin = `
INSERT INTO cleanup (user_id, state, due_at, notes, files, keep_favorited, before_id)
VALUES ($1, 'running', $2, $3, $4, $5, $6)
ON CONFLICT (user_id) DO UPDATE SET state = 'running', phase = 'keep', due_at = excluded.due_at, notes = excluded.notes, files = excluded.files,
	keep_favorited = excluded.keep_favorited, before_id = excluded.before_id, after_id = '', stream_id = NULL, notes_total = 0, notes_done = 0,
	files_total = 0, files_done = 0, last_error = '', requested_at = now(), updated_at = now(), finished_at = NULL
WHERE cleanup.state IN ('done', 'cancelled')
RETURNING user_id`
)

// Clear begins the clearing of a local account: a row that Run works at, so that
// it survives everything. One at a time: ErrRunning.
func (s *Service) Clear(ctx context.Context, userID string, p Plan) error {
	before := s.IDs.Now()
	if !p.Before.IsZero() && p.Before.Before(s.Now()) {
		before = s.IDs.At(p.Before)
	}
	var id string
	err := s.DB.QueryRow(ctx, sqlBegin, userID, s.Now().Add(p.In), p.Notes, p.Files, p.KeepFavorited, before).Scan(&id)
	if pg.NoRows(err) {
		return ErrRunning
	}
	if err != nil {
		return fmt.Errorf("begin clearing: %w", err)
	}
	s.poke()
	return nil
}

// What stays: pinned and direct notes (and favourites, if wished), what they
// answer or quote, and what hangs below them, wherever others' notes lie between.
// $1 the account, $2 whether favourites stay.
const sqlKept = `
WITH RECURSIVE seed AS (
	SELECT n.id FROM note n WHERE n.user_id = $1 AND n.visibility = 'specified'
	UNION SELECT p.note_id FROM user_note_pining p WHERE p.user_id = $1
	UNION SELECT f.note_id FROM note_favorite f WHERE f.user_id = $1 AND $2::bool
), down AS (
	SELECT id FROM seed
	UNION
	SELECT c.id FROM down d, LATERAL (
		SELECT n.id FROM note n WHERE n.reply_id = d.id
		UNION ALL SELECT n.id FROM note n WHERE n.renote_id = d.id AND NOT n.is_pure_renote) c
), up AS (
	SELECT id FROM seed
	UNION
	SELECT p.id FROM up u JOIN note n ON n.id = u.id, LATERAL (SELECT n.reply_id AS id UNION ALL SELECT n.renote_id) p WHERE p.id IS NOT NULL
)
SELECT n.id FROM (SELECT id FROM down UNION SELECT id FROM up) k JOIN note n ON n.id = k.id WHERE n.user_id = $1`

const (
	sqlKeep      = `INSERT INTO cleanup_keep (user_id, note_id) SELECT $1, k.id FROM (` + sqlKept + `) k`
	sqlKeepClear = `DELETE FROM cleanup_keep WHERE user_id = $1`
	// A note that was pinned, or is direct, is never taken, whatever was kept when.
	notesGo = `
FROM note n WHERE n.user_id = $1 AND n.id < $2 AND n.visibility <> 'specified'
	AND NOT EXISTS (SELECT FROM cleanup_keep k WHERE k.user_id = $1 AND k.note_id = n.id)
	AND NOT EXISTS (SELECT FROM user_note_pining p WHERE p.user_id = $1 AND p.note_id = n.id)`
	// A file stays that a note has that stays, and one that something else shows. The
	// notes are counted: where one is enough, the planner reads all of them instead
	// of looking into the index.
	filesGo = `
FROM drive_file f WHERE f.user_id = $1 AND f.id < $2
	AND (SELECT count(*) FROM note n WHERE n.file_ids @> ARRAY[f.id] AND n.file_ids <> '{}') = 0
	AND NOT EXISTS (SELECT FROM "user" u WHERE u.id = $1 AND (u.avatar_id = f.id OR u.banner_id = f.id))
	AND NOT EXISTS (SELECT FROM emoji e WHERE e.host IS NULL AND (e.original_url = f.url OR e.public_url = f.url))`
	sqlCountNotes = `SELECT count(*) ` + notesGo
	sqlCountFiles = `SELECT count(*) ` + filesGo
	sqlNextNotes  = `SELECT n.id ` + notesGo + ` AND n.id > $3 ORDER BY n.id LIMIT $4`
	sqlNextFiles  = `SELECT f.id ` + filesGo + ` AND f.id > $3 ORDER BY f.id LIMIT $4`

	// What a clearing of the notes would leave, and which files the notes that go
	// have to themselves.
	sqlPreview = `
WITH kept AS MATERIALIZED (` + sqlKept + `), goes AS MATERIALIZED (
	SELECT n.id, n.file_ids FROM note n WHERE n.user_id = $1 AND n.id < $3 AND NOT EXISTS (SELECT FROM kept k WHERE k.id = n.id) AND $4::bool
)
SELECT (SELECT count(*) FROM goes), (SELECT count(*) FROM note n WHERE n.user_id = $1) - (SELECT count(*) FROM goes),
	(SELECT count(*) FROM drive_file f WHERE f.user_id = $1 AND f.id < $3 AND $5::bool
		AND (SELECT count(*) FROM note n WHERE n.file_ids @> ARRAY[f.id] AND n.file_ids <> '{}' AND NOT EXISTS (SELECT FROM goes g WHERE g.id = n.id)) = 0
		AND NOT EXISTS (SELECT FROM "user" u WHERE u.id = $1 AND (u.avatar_id = f.id OR u.banner_id = f.id))
		AND NOT EXISTS (SELECT FROM emoji e WHERE e.host IS NULL AND (e.original_url = f.url OR e.public_url = f.url))),
	(SELECT count(*) FROM drive_file f WHERE f.user_id = $1),
	(SELECT count(DISTINCT e) FROM note n JOIN fed_audience a ON a.audience_id = n.audience_id, unnest(a.endpoints) e WHERE n.id IN (SELECT id FROM goes))`
)

// Preview is what a clearing would do.
type Preview struct {
	Notes     int64 `json:"notes"`     // that would go
	NotesKept int64 `json:"notesKept"` // that would stay
	Files     int64 `json:"files"`
	FilesKept int64 `json:"filesKept"`
	// Servers are inboxes of others that would be told.
	Servers int64 `json:"servers"`
	// Seconds are until it is done here, at the pace of a server that is not busy;
	// DeliverySeconds until every server that is there has been told.
	Seconds         int64 `json:"seconds"`
	DeliverySeconds int64 `json:"deliverySeconds"`
}

// Preview tells what a clearing would take and leave, and changes nothing.
func (s *Service) Preview(ctx context.Context, userID string, p Plan) (*Preview, error) {
	before := s.IDs.Now()
	if !p.Before.IsZero() && p.Before.Before(s.Now()) {
		before = s.IDs.At(p.Before)
	}
	out := &Preview{}
	var files int64
	err := s.DB.QueryRow(ctx, sqlPreview, userID, p.KeepFavorited, before, p.Notes, p.Files).Scan(&out.Notes, &out.NotesKept, &out.Files, &files, &out.Servers)
	if err != nil {
		return nil, fmt.Errorf("preview clearing: %w", err)
	}
	out.FilesKept = files - out.Files
	out.Seconds = (out.Notes+batch-1)/batch*int64(pace/time.Millisecond)/1000 + (out.Files+batch-1)/batch*int64(pace/time.Millisecond)/1000
	if out.Servers > 0 {
		out.DeliverySeconds = out.Notes / s.Delivery.BulkPerSecond()
	}
	return out, nil
}
