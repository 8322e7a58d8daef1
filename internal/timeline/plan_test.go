package timeline_test

import (
	"strings"
	"testing"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/testsrv"
)

// However much muted channels have, a page looks up what its own notes renote, by
// the id, and reads nothing else of those channels.
func TestMutedChannelsAreNotRead(t *testing.T) {
	t.Parallel()
	s := testsrv.New(t)
	a, b := s.User(t, "alice"), s.User(t, "bob")
	for _, sql := range []string{
		`INSERT INTO channel (id, user_id, name) SELECT 'ch' || i, '` + a.ID + `', 'x' FROM generate_series(1, 50) i`,
		`INSERT INTO note (id, user_id, text, visibility, channel_id, tags, renote_id) SELECT 'a' || lpad(i::text, 10, '0'), '` + a.ID + `', 'x', 'public', CASE WHEN i % 3 = 0 THEN 'ch' || (1 + i % 50) END, ARRAY['rye'],
			CASE WHEN i % 2 = 0 THEN 'a' || lpad((1 + i * 7 % (i - 1))::text, 10, '0') END FROM generate_series(1, 20000) i`,
		`INSERT INTO channel_muting (id, user_id, channel_id) SELECT i::text, '` + b.ID + `', 'ch' || i FROM generate_series(1, 10) i`, `ANALYZE`} {
		if _, err := s.DB.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var author, tag pg.Where
	author.And("n.user_id = ?", a.ID)
	tag.And("n.tags && ARRAY['rye']")
	for name, w := range map[string]*pg.Where{"author": &author, "tag": &tag} {
		note.SeeElsewhere(w, b.ID)
		rows, err := s.DB.Query(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT n.id FROM note n"+w.SQL()+" ORDER BY n.id DESC LIMIT 30", w.Args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		text := strings.Join(plan, "\n")
		if rows.Err() != nil || !strings.Contains(text, "note_pkey on note cn") || strings.Contains(text, "note_channel_idx") || strings.Contains(text, "Seq Scan on note cn") {
			t.Errorf("%s: %v\n%s", name, rows.Err(), text)
		}
	}
}
