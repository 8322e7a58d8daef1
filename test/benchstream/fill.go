package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// fill makes the accounts by hand: signing up hashes a password, ten thousand times of
// which nothing is to be learnt here. Writer g is followed by readersEach readers, so
// that each reader follows about as many writers.
func (b *bench) fill(ctx context.Context, conn *pgx.Conn) error {
	readers := max(readersEach, int(sockets/perAccount*b.Scale))
	for _, st := range []struct {
		sql  string
		args []any
	}{
		{`ALTER SYSTEM SET track_commit_timestamp = on`, nil},
		{`INSERT INTO "user" (id, username, username_lower, host, updated_at)
			SELECT 'a0' || k || lpad(to_hex(g), 5, '0') || '00010000', k || g, k || g, NULL, now()
			FROM (SELECT 'r' AS k, g FROM generate_series(1, $1) g UNION ALL SELECT 'w', g FROM generate_series(1, $2) g) x`, []any{readers, writers}},
		{`INSERT INTO user_profile (user_id) SELECT id FROM "user" WHERE username ~ '^[rw][0-9]+$' ON CONFLICT (user_id) DO NOTHING`, nil},
		{`INSERT INTO user_stat (user_id) SELECT id FROM "user" WHERE username ~ '^[rw][0-9]+$' ON CONFLICT (user_id) DO NOTHING`, nil},
		{`INSERT INTO access_token (id, user_id, token_hash, token_enc, session, name, permission)
			SELECT id, id, sha256(convert_to('token-of-' || username, 'UTF8')), '', 'bench-' || username, 'bench', '{read:account,write:notes}'
			FROM "user" WHERE username ~ '^[rw][0-9]+$'`, nil},
		{`INSERT INTO following (id, follower_id, followee_id)
			SELECT 'a1' || lpad(to_hex(w * 1000 + k), 6, '0') || '00010000', r.id, u.id
			FROM generate_series(1, $2) w CROSS JOIN generate_series(0, $3 - 1) k
			JOIN "user" r ON r.username = 'r' || 1 + (w * 7919 + k * ($1 / $3)) % $1 JOIN "user" u ON u.username = 'w' || w`, []any{readers, writers, readersEach}},
		{`VACUUM ANALYZE`, nil},
	} {
		if _, err := conn.Exec(ctx, st.sql, st.args...); err != nil {
			return fmt.Errorf("fill: %w: %.80s", err, st.sql)
		}
	}
	for g := range readers {
		b.readers = append(b.readers, fmt.Sprint("token-of-r", g+1))
	}
	for g := range writers {
		b.writers = append(b.writers, fmt.Sprint("token-of-w", g+1))
	}
	return nil
}
