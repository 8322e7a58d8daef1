package main

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/textindex"
)

// peerLive is how many notes are put live into the peers: they write so much more that
// this tells enough.
const peerLive = 20_000

// words are terms as FTS5 takes them: letters and digits only, each term one token.
func token(term string) string { return fmt.Sprintf("t%x", term) }

func (b *bench) terms(i int) ([]string, int) {
	text, author := b.corpus.note(i)
	return append(textindex.Terms(text), textindex.Own+"u"+fmt.Sprint(author)), len(text)
}

// asked are the terms that a query needs, and what begins so.
func asked(q query) (terms, prefixes []string) {
	for _, w := range strings.Fields(q.words) {
		e, _ := textindex.Word(w)
		list := []textindex.Expr{e}
		if e.Op == textindex.OpAnd {
			list = e.Args
		}
		for _, a := range list {
			if a.Op == textindex.OpPrefix {
				prefixes = append(prefixes, a.Text)
			} else {
				terms = append(terms, a.Text)
			}
		}
	}
	if q.author > 0 {
		terms = append(terms, textindex.Own+"u"+fmt.Sprint(q.author))
	}
	return terms, prefixes
}

// sqlite is FTS5 without contents and without positions, newest first by rowid.
func (b *bench) sqlite(ctx context.Context, n int) error {
	b.Say("fts5: filling in %d notes", n)
	path := b.dir + "/fts.db"
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(); _ = os.Remove(path) }()
	db.SetMaxOpenConns(1)
	for _, s := range []string{`PRAGMA journal_mode = wal`, `PRAGMA synchronous = normal`,
		`CREATE VIRTUAL TABLE f USING fts5(t, content = '', detail = none, tokenize = "ascii")`} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	bytes := 0
	put := func(from, to, batch int) error {
		for at := from; at < to; at += batch {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			for i := at; i < min(to, at+batch); i++ {
				terms, size := b.terms(i)
				bytes += size
				tokens := make([]string, len(terms))
				for k, t := range terms {
					tokens[k] = token(t)
				}
				if _, err := tx.ExecContext(ctx, `INSERT INTO f (rowid, t) VALUES (?, ?)`, i+1, strings.Join(tokens, " ")); err != nil {
					return err
				}
			}
			if err := tx.Commit(); err != nil {
				return err
			}
		}
		return nil
	}
	began := cpu()
	if err := put(0, n, 10_000); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO f (f) VALUES ('optimize')`); err != nil {
		return err
	}
	b.Peer["fts5.1m.build.cpu_s"] = (cpu() - began).Seconds()
	if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(truncate)`); err != nil {
		return err
	}
	b.Peer["fts5.1m.index_per_text.ratio"] = float64(size(path)) / float64(bytes)
	b.tell(b.Peer, "fts5.1m", b.ask(func(q query) int {
		terms, prefixes := asked(q)
		var match []string
		for _, t := range terms {
			match = append(match, `"`+token(t)+`"`)
		}
		for _, p := range prefixes {
			match = append(match, token(p)+"*")
		}
		rows, err := db.QueryContext(ctx, `SELECT rowid FROM f WHERE f MATCH ? ORDER BY rowid DESC LIMIT 20`, strings.Join(match, " AND "))
		if err != nil {
			b.Say("fts5: %v", err)
			return 0
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			b.Say("fts5: %v", err)
		}
		return n
	}))
	wrote := writes("self")
	k := int(peerLive * b.Scale)
	if err := put(n, n+k, 50); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `PRAGMA wal_checkpoint(truncate)`)
	b.Peer["fts5.live.written_per_note.bytes"] = float64(writes("self")-wrote) / float64(k)
	return err
}

const (
	sqlTable = `CREATE TABLE n (id int PRIMARY KEY, terms int[] NOT NULL)`
	sqlGIN   = `CREATE INDEX n_terms ON n USING gin (terms)`
)

func hashes(terms []string) []int32 {
	out := make([]int32, len(terms))
	for i, t := range terms {
		h := fnv.New32a()
		_, _ = h.Write([]byte(t))
		out[i] = int32(h.Sum32()) //nolint:gosec // only to be the same
	}
	return out
}

// gin is PostgreSQL's GIN over hashes of the terms. What begins so it cannot ask for:
// such words are looked for as they are.
func (b *bench) gin(ctx context.Context, n int) error {
	b.Say("gin: filling in %d notes", n)
	dir := b.dir + "/gin"
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL's user must reach it
		return err
	}
	srv, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { _ = srv.Stop(context.WithoutCancel(ctx)) }()
	conn, err := pgx.Connect(ctx, srv.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sqlTable); err != nil {
		return err
	}
	bytes := 0
	at := 0
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"n"}, []string{"id", "terms"}, pgx.CopyFromFunc(func() ([]any, error) {
		if at == n {
			return nil, nil
		}
		terms, size := b.terms(at)
		bytes += size
		at++
		return []any{at, hashes(terms)}, nil
	}))
	if err != nil {
		return err
	}
	began := time.Now()
	for _, s := range []string{sqlGIN, `VACUUM ANALYZE n`, `CHECKPOINT`} {
		if _, err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	b.Peer["gin.1m.build.s"] = time.Since(began).Seconds()
	var index int64
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size('n_terms')`).Scan(&index); err != nil {
		return err
	}
	b.Peer["gin.1m.index_per_text.ratio"] = float64(index) / float64(bytes)
	b.tell(b.Peer, "gin.1m", b.ask(func(q query) int {
		terms, prefixes := asked(q)
		// "+ 0": else the planner walks the primary key and looks at every note.
		rows, err := conn.Query(ctx, `SELECT id FROM n WHERE terms @> $1 ORDER BY id + 0 DESC LIMIT 20`, hashes(append(terms, prefixes...)))
		if err != nil {
			b.Say("gin: %v", err)
			return 0
		}
		ids, _ := pgx.CollectRows(rows, pgx.RowTo[int32])
		return len(ids)
	}))
	return b.ginLive(ctx, conn, n)
}

// ginLive puts notes fifty at a time, between two checkpoints.
func (b *bench) ginLive(ctx context.Context, conn *pgx.Conn, n int) error {
	k := int(peerLive * b.Scale)
	var before, after string
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_lsn()::text`).Scan(&before); err != nil {
		return err
	}
	for at := n; at < n+k; at += 50 {
		batch := &pgx.Batch{}
		for i := at; i < min(n+k, at+50); i++ {
			terms, _ := b.terms(i)
			batch.Queue(`INSERT INTO n VALUES ($1, $2)`, i+1, hashes(terms))
		}
		if err := conn.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
	}
	if _, err := conn.Exec(ctx, `SELECT gin_clean_pending_list('n_terms')`); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_lsn()::text`).Scan(&after); err != nil {
		return err
	}
	var wal float64
	if err := conn.QueryRow(ctx, `SELECT ($1::pg_lsn - $2::pg_lsn)::float8`, after, before).Scan(&wal); err != nil {
		return err
	}
	// The log of changes alone: the pages themselves are written later, and come on top.
	b.Peer["gin.live.written_per_note.bytes"] = wal / float64(k)
	return nil
}
