package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// users who write.
const users = 1000

// followees of the reader.
const followees = 200

func (b *bench) notes() int { return max(1000, int(100_000*b.scale)) }

// noteID of the g-th note; all lie in the past of the server's own ids.
func noteID(g int) string { return fmt.Sprintf("at%06x00010000", g) }

// What a server holds after some time: notes by many people on thirty servers,
// a tenth of them replies, a tenth renotes, some with reactions.
const sqlFill = `
CREATE FUNCTION pg_temp.nid(g int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'at' || lpad(to_hex(g), 6, '0') || '00010000' $$;
INSERT INTO instance (id, host, software_name) SELECT 'ai' || g, 'h' || g || '.example', 'misskey' FROM generate_series(0, 29) g;
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri, last_fetched_at, updated_at)
SELECT 'au' || lpad(g::text, 6, '0') || '00010000', 'u' || g, 'u' || g, h, h, 'https://' || h || '/u/' || g, now(), now()
FROM (SELECT g, CASE WHEN g % 2 = 0 THEN 'h' || (g % 30) || '.example' END AS h FROM generate_series(1, $1) g) x;
INSERT INTO user_stat (user_id) SELECT id FROM "user" WHERE id LIKE 'au%' ON CONFLICT (user_id) DO NOTHING;
INSERT INTO user_profile (user_id) SELECT id FROM "user" WHERE id LIKE 'au%' ON CONFLICT (user_id) DO NOTHING;
CREATE TEMP TABLE draft AS SELECT g, 1 + (g * 7919 + $3) % $1 AS u FROM generate_series(1, $2) g;
INSERT INTO note (id, user_id, user_host, text, visibility, reply_id, reply_user_id, reply_user_host, renote_id, renote_user_id, renote_user_host, uri)
SELECT pg_temp.nid(d.g), a.id, a.host,
	CASE WHEN d.g % 10 <> 5 THEN (ARRAY['오늘은 식빵을 구웠어요, 아주 따끈따끈해요 ', '今日は少しだけパンを焼きました ', 'The crust is perfect today '])[1 + d.g % 3] || d.g END,
	CASE WHEN d.g % 7 = 0 THEN 'home' WHEN d.g % 11 = 0 THEN 'followers' ELSE 'public' END,
	CASE WHEN d.g % 10 = 3 THEN pg_temp.nid(d.g - 1) END, CASE WHEN d.g % 10 = 3 THEN p.id END, CASE WHEN d.g % 10 = 3 THEN p.host END,
	CASE WHEN d.g % 10 = 5 THEN pg_temp.nid(d.g - 1) END, CASE WHEN d.g % 10 = 5 THEN p.id END, CASE WHEN d.g % 10 = 5 THEN p.host END,
	'https://' || a.host || '/n/' || d.g
FROM draft d JOIN draft e ON e.g = greatest(d.g - 1, 1)
JOIN "user" a ON a.id = 'au' || lpad(d.u::text, 6, '0') || '00010000' JOIN "user" p ON p.id = 'au' || lpad(e.u::text, 6, '0') || '00010000';
INSERT INTO note_stat (note_id, reactions) SELECT id, CASE WHEN id < 'b' AND ('x' || substr(md5(id), 1, 2))::bit(8)::int < 60 THEN '{"❤": 3, "🍞": 1}'::jsonb ELSE '{}' END FROM note
ON CONFLICT (note_id) DO NOTHING;
INSERT INTO following (id, follower_id, followee_id, followee_host)
SELECT 'af' || lpad(g::text, 6, '0') || '00010000', $4, u.id, u.host
FROM generate_series(1, $5) g JOIN "user" u ON u.id = 'au' || lpad((g * 5)::text, 6, '0') || '00010000'`

func (b *bench) fill(ctx context.Context, me *account) error {
	begin := time.Now()
	cmd := exec.CommandContext(ctx, "bin/oven", "db", "url")
	cmd.Env, cmd.Stderr = b.server.env, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("oven db url: %w", err)
	}
	conn, err := pgx.Connect(ctx, strings.TrimSpace(string(out)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	sql := strings.NewReplacer("$1", fmt.Sprint(users), "$2", fmt.Sprint(b.notes()), "$3", fmt.Sprint(b.seed), "$4", "'"+me.id+"'", "$5", fmt.Sprint(followees)).Replace(sqlFill)
	for _, st := range strings.Split(sql, ";\n") {
		if _, err := conn.Exec(ctx, st); err != nil {
			return fmt.Errorf("fill: %w: %.80s", err, st)
		}
	}
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "filled with %d notes in %s\n", b.notes(), time.Since(begin).Round(time.Millisecond))
	return nil
}
