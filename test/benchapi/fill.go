package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	users     = 2500 // who write
	followees = 200  // of the reader
	many      = 2000 // of the one who follows many
)

func (b *bench) notes() int { return max(1000, int(100_000*b.Scale)) }

// What a server holds after some time: notes by many people, half of them on
// thirty other servers. Who writes, what and to whom is drawn from the number
// of the note and the seed, each by a hash of its own, so that nothing goes
// hand in hand. The ids are aidx of the end of 2024, before all that the server
// makes itself.
var statements = []struct {
	sql  string
	args func(b *bench, reader string) []any // nil: none
}{
	{sql: `CREATE FUNCTION pg_temp.uid(g int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a0' || lpad(to_hex(g), 6, '0') || '00010000' $$`},
	{sql: `CREATE FUNCTION pg_temp.nid(g int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a1' || lpad(to_hex(g), 6, '0') || '00010000' $$`},
	{sql: `CREATE FUNCTION pg_temp.draw(g int, what int, seed int, below int) RETURNS int LANGUAGE sql IMMUTABLE AS
		$$ SELECT (hashint4extended(g, seed::bigint * 100 + what) & 2147483647)::int % below $$`},
	{sql: `INSERT INTO instance (id, host, software_name) SELECT 'a0i' || lpad(g::text, 13, '0'), 'h' || g || '.example', 'misskey' FROM generate_series(0, 29) g`},
	{sql: `INSERT INTO "user" (id, username, username_lower, name, host, actor_host, uri, last_fetched_at, updated_at)
		SELECT pg_temp.uid(g), 'u' || g, 'u' || g, 'Baker ' || g, h, h, 'https://' || h || '/u/' || g, now(), now()
		FROM (SELECT g, CASE WHEN g % 2 = 0 THEN 'h' || g % 30 || '.example' END AS h FROM generate_series(1, $1) g) x`,
		args: func(*bench, string) []any { return []any{users} }},
	{sql: `CREATE TEMP TABLE draft (g int PRIMARY KEY, id text, user_id text, kind int, target int, visibility text)`},
	// kind: 0 a reply, 1 a renote, 2 a renote with words, else a note.
	{sql: `INSERT INTO draft SELECT g, pg_temp.nid(g), pg_temp.uid(1 + pg_temp.draw(g, 1, $1, $3)), pg_temp.draw(g, 2, $1, 10),
			greatest(1, g - 1 - pg_temp.draw(g, 3, $1, 300)), (ARRAY['home', 'followers', 'public'])[1 + least(2, pg_temp.draw(g, 4, $1, 8))]
		FROM generate_series(1, $2) g`,
		args: func(b *bench, _ string) []any { return []any{int(b.Seed), b.notes(), users} }},
	{sql: `UPDATE draft SET kind = 9 WHERE g = target`},
	{sql: `UPDATE draft d SET kind = 9 FROM draft t WHERE t.g = d.target AND d.kind IN (1, 2) AND t.visibility = 'followers'`},
	{sql: `UPDATE draft SET kind = 2 WHERE kind = 1 AND target IN (SELECT g FROM draft WHERE kind = 1)`},
	{sql: `INSERT INTO note (id, user_id, user_host, text, visibility, uri, has_poll,
			reply_id, reply_user_id, reply_user_host, thread_id, renote_id, renote_user_id, renote_user_host)
		SELECT d.id, a.id, a.host,
			CASE WHEN d.kind <> 1 THEN (SELECT string_agg(($2::text[])[1 + pg_temp.draw(d.g * 4 + k, 5, $1, cardinality($2::text[]))], ' ' ORDER BY k)
				FROM generate_series(0, pg_temp.draw(d.g, 6, $1, 4)) k) END,
			d.visibility, 'https://' || a.host || '/n/' || d.g, d.kind > 2 AND pg_temp.draw(d.g, 7, $1, 200) = 0,
			CASE WHEN d.kind = 0 THEN t.id END, CASE WHEN d.kind = 0 THEN p.id END, CASE WHEN d.kind = 0 THEN p.host END, CASE WHEN d.kind = 0 THEN t.id END,
			CASE WHEN d.kind IN (1, 2) THEN t.id END, CASE WHEN d.kind IN (1, 2) THEN p.id END, CASE WHEN d.kind IN (1, 2) THEN p.host END
		FROM draft d JOIN draft t ON t.g = d.target JOIN "user" a ON a.id = d.user_id JOIN "user" p ON p.id = t.user_id ORDER BY d.g`,
		args: func(b *bench, _ string) []any { return []any{int(b.Seed), phrases} }},
	{sql: `INSERT INTO poll (note_id, user_id, user_host, multiple, choices, votes)
		SELECT id, user_id, user_host, false, '{"식빵","メロンパン","Rye"}', '{3,1,0}' FROM note WHERE has_poll`},
	// A twentieth of the notes has reactions, up to three.
	{sql: `INSERT INTO note_reaction (id, note_id, user_id, reaction)
		SELECT 'a2' || lpad(to_hex(d.g * 4 + k), 6, '0') || '00010000', d.id, pg_temp.uid(1 + (pg_temp.draw(d.g, 8, $1, $2) + k * 37) % $2),
			(ARRAY['❤', '🍞', '👍'])[1 + pg_temp.draw(d.g * 4 + k, 9, $1, 3)]
		FROM draft d CROSS JOIN LATERAL generate_series(0, pg_temp.draw(d.g, 10, $1, 3)) k WHERE d.kind <> 1 AND pg_temp.draw(d.g, 11, $1, 20) = 0`,
		args: func(b *bench, _ string) []any { return []any{int(b.Seed), users} }},
	{sql: `INSERT INTO note_stat (note_id, renote_count, replies_count, reactions, reaction_pairs)
		SELECT n.id, coalesce(r.renotes, 0), coalesce(r.replies, 0), coalesce(x.reactions, '{}'), coalesce(x.pairs, '{}') FROM note n
		LEFT JOIN (SELECT coalesce(renote_id, reply_id) AS id, count(renote_id) AS renotes, count(reply_id) AS replies FROM note GROUP BY 1) r ON r.id = n.id
		LEFT JOIN (SELECT note_id, jsonb_object_agg(reaction, count) AS reactions, array_agg(pair) AS pairs FROM
			(SELECT note_id, reaction, count(*), min(user_id || '/' || reaction) AS pair FROM note_reaction GROUP BY 1, 2) y GROUP BY 1) x ON x.note_id = n.id`},
	{sql: `INSERT INTO following (id, follower_id, followee_id, followee_host)
		SELECT 'a3' || substr(u.id, 3), $1, u.id, u.host FROM generate_series(1, $2) g JOIN "user" u ON u.id = pg_temp.uid(g * $3 / $2)`,
		args: func(_ *bench, reader string) []any { return []any{reader, followees, users} }},
	{sql: `INSERT INTO following (id, follower_id, followee_id, followee_host)
		SELECT 'a4' || substr(u.id, 3), m.id, u.id, u.host FROM "user" m CROSS JOIN generate_series(1, $1) g JOIN "user" u ON u.id = pg_temp.uid(g * $2 / $1) WHERE m.username = 'many'`,
		args: func(*bench, string) []any { return []any{many, users} }},
	{sql: `INSERT INTO user_profile (user_id) SELECT id FROM "user" ON CONFLICT (user_id) DO NOTHING`},
	{sql: `INSERT INTO user_stat (user_id, notes_count, followers_count, following_count)
		SELECT u.id, (SELECT count(*) FROM note WHERE user_id = u.id), (SELECT count(*) FROM following WHERE followee_id = u.id),
			(SELECT count(*) FROM following WHERE follower_id = u.id) FROM "user" u
		ON CONFLICT (user_id) DO UPDATE SET following_count = excluded.following_count`},
	{sql: `VACUUM ANALYZE`},
}

var phrases = []string{
	"오늘은 식빵을 구웠어요, 아주 따끈따끈해요.", "버터가 다 떨어져서 시장에 다녀왔습니다 🧈", "내일은 크루아상에 다시 도전!", "반죽이 밤새 두 배로 부풀었다.",
	"今日は少しだけパンを焼きました。", "発酵の時間が足りなかったみたい…", "焼きたての匂いが一番好き🍞", "週末はメロンパンの予定です。",
	"The crust is perfect today.", "Anyone with a good sourdough starter to share?", "New oven, same old burnt edges.", "Rye takes patience.",
}

func (b *bench) fill(ctx context.Context, reader string) error {
	begin := time.Now()
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, st := range statements {
		var args []any
		if st.args != nil {
			args = st.args(b, reader)
		}
		if _, err := conn.Exec(ctx, st.sql, args...); err != nil {
			return fmt.Errorf("fill: %w: %.80s", err, st.sql)
		}
	}
	rows, err := conn.Query(ctx, `SELECT id FROM note WHERE visibility = 'public' ORDER BY md5(id || $1) LIMIT 2000`, strconv.Itoa(int(b.Seed)))
	if err != nil {
		return err
	}
	if b.public, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "filled with %d notes in %s\n", b.notes(), time.Since(begin).Round(time.Millisecond))
	return nil
}

// connect opens the measured server's database.
func (b *bench) connect(ctx context.Context) (*pgx.Conn, error) {
	dsn, err := b.server.Run(ctx, "", "db", "url")
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, dsn)
}
