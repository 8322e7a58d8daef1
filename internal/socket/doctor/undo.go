package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Undone is what became of undoing a repair.
type Undone struct {
	Run      string `json:"run"`
	Restored int64  `json:"restored"` // rows
	Kept     int64  `json:"kept"`     // rows that have been changed since, or are not there: they stay as they are
}

// ErrExpired says that what would undo a repair has been thrown away.
var ErrExpired = errors.New("what would undo this run is not kept any more")

// image is a row as it was.
type image struct {
	n               int64
	table, op       string
	key             map[string]string
	col, old, value *string
}

const (
	sqlImages     = `SELECT n, tbl, op, key, col, old, new FROM doctor_archive.image WHERE run = $1 ORDER BY n DESC LIMIT 500`
	sqlDropImages = `DELETE FROM doctor_archive.image WHERE run = $1 AND n >= $2`
	sqlUnmerged   = `DELETE FROM doctor_archive.merged WHERE run = $1`
)

// Undo makes the rows that a repair changed what they were, and takes away the keys
// and references that it built, which would not let them be. What has been written
// since stays. It can be broken off and run again.
func Undo(ctx context.Context, conn *pgx.Conn, s *Schema, run string, progress func(done, total int, what string)) (*Undone, error) {
	r, err := readRun(ctx, conn, run)
	if err != nil {
		return nil, err
	}
	switch {
	case r.ExpiresAt.Before(time.Now()):
		return nil, ErrExpired
	case r.State == "undone":
		return nil, fmt.Errorf("%w: it is undone already", ErrExpired)
	}
	unlock, err := lockRepairs(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer unlock()
	a := &applier{merger: merger{s: s, run: run}, conn: conn, plan: r.plan, done: map[string]string{}}
	if err := a.catalogue(ctx); err != nil {
		return nil, err
	}
	out := &Undone{Run: run}
	if err := a.undo(ctx, out, progress); err != nil {
		return out, fmt.Errorf("undo %s: %w", run, Plain(err))
	}
	return out, nil
}

func (a *applier) undo(ctx context.Context, out *Undone, progress func(done, total int, what string)) error {
	if err := a.unbuild(ctx); err != nil {
		return err
	}
	if err := takeAway(ctx, a.conn); err != nil {
		return err
	}
	for {
		rows, err := a.conn.Query(ctx, sqlImages, a.run)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (i image, err error) {
			var key []byte
			if err := row.Scan(&i.n, &i.table, &i.op, &key, &i.col, &i.old, &i.value); err != nil {
				return i, err
			}
			return i, json.Unmarshal(key, &i.key)
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		var restored, kept int64
		err = a.tx(ctx, func(tx pgx.Tx) error {
			restored, kept = 0, 0
			for _, i := range list {
				n, err := a.restore(ctx, tx, i)
				if err != nil {
					return fmt.Errorf("%s: %w", i.table, err)
				}
				if n > 0 {
					restored++
				} else {
					kept++
				}
			}
			_, err := tx.Exec(ctx, sqlDropImages, a.run, list[len(list)-1].n)
			return err
		})
		if err != nil {
			return err
		}
		out.Restored, out.Kept = out.Restored+restored, out.Kept+kept
		if progress != nil {
			progress(int(out.Restored), int(out.Restored)+len(list), "undo")
		}
	}
	if a.has(a.s.Redirects, "old_id") {
		if _, err := a.conn.Exec(ctx, fmt.Sprintf(sqlUnredirect, quote(a.s.Redirects)), a.run); err != nil {
			return err
		}
	}
	if _, err := a.conn.Exec(ctx, sqlUnmerged, a.run); err != nil {
		return err
	}
	if _, err := a.conn.Exec(ctx, sqlEndRun, a.run, "undone"); err != nil {
		return err
	}
	return audit(ctx, a.conn, a.run, fmt.Sprintf("undone: %d rows restored, %d kept", out.Restored, out.Kept))
}

// unbuild takes away what the run built and what would be in the way.
func (a *applier) unbuild(ctx context.Context) error {
	for _, w := range a.plan.Work {
		switch w.Kind {
		case "reference":
			if err := shortly(ctx, a.conn, "ALTER TABLE "+quote(w.Table)+" DROP CONSTRAINT IF EXISTS "+quote(w.Index)); err != nil {
				return err
			}
		case "key":
			if err := shortly(ctx, a.conn, "ALTER TABLE "+quote(w.Table)+" DROP CONSTRAINT IF EXISTS "+quote(w.Index)+" CASCADE"); err != nil {
				return err
			}
			if err := patiently(ctx, a.conn, "DROP INDEX CONCURRENTLY IF EXISTS "+quote(w.Index)); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	sqlReinsert   = `INSERT INTO %[1]s (%[2]s) OVERRIDING SYSTEM VALUE SELECT %[2]s FROM (SELECT (r.x).* FROM (SELECT $1::text::%[1]s AS x) r) y`
	sqlRestoreSet = `UPDATE %s t SET %s = $1::text::%s WHERE %s AND t.%s IS NOT DISTINCT FROM $2::text::%s`
	sqlRestoreRow = `
UPDATE %[1]s t SET %[2]s = (o.x).%[2]s FROM (SELECT $1::text::%[1]s AS x) o, (SELECT $2::text::%[1]s AS x) n WHERE %[3]s AND t.%[2]s IS NOT DISTINCT FROM (n.x).%[2]s`
	sqlWritable = `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = to_regclass('public.' || $1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`
)

// restore makes one row what it was; 0: it has been changed since.
func (a *applier) restore(ctx context.Context, tx pgx.Tx, i image) (int64, error) {
	where, args := a.where(i)
	switch i.op {
	case "delete", "drop", "twin":
		columns, err := a.writable(ctx, tx, i.table)
		if err != nil {
			return 0, err
		}
		sp, err := tx.Begin(ctx)
		if err != nil {
			return 0, err
		}
		tag, err := sp.Exec(ctx, fmt.Sprintf(sqlReinsert, quote(i.table), columns), i.old)
		if code := pg.Code(err); code == "23505" || code == "23503" {
			return 0, sp.Rollback(ctx) // somebody else's by now, or what it belonged to is gone
		}
		if code := pg.Code(err); strings.HasPrefix(code, "22") || code == "42804" {
			return 0, fmt.Errorf("its columns are others than when the repair was made (SQLSTATE %s)", code)
		}
		if err != nil {
			return 0, err
		}
		return tag.RowsAffected(), sp.Commit(ctx)
	case "set":
		kind := a.kind(i.table, *i.col)
		args = append([]any{i.old, i.value}, args...)
		tag, err := tx.Exec(ctx, fmt.Sprintf(sqlRestoreSet, quote(i.table), quote(*i.col), kind, where, quote(*i.col), kind), args...)
		return tag.RowsAffected(), err
	}
	var n int64
	args = append([]any{i.old, i.value}, args...)
	for _, col := range strings.Split(*i.col, ",") {
		tag, err := tx.Exec(ctx, fmt.Sprintf(sqlRestoreRow, quote(i.table), quote(col), where), args...)
		if err != nil {
			return 0, err
		}
		n += tag.RowsAffected()
	}
	return n, nil
}

// where finds the row of an image again; its arguments come third.
func (a *applier) where(i image) (string, []any) {
	var parts []string
	var args []any
	for _, col := range sortedKeys(i.key) {
		args = append(args, i.key[col])
		parts = append(parts, fmt.Sprintf("t.%s = $%d::text::%s", quote(col), len(args)+2, a.kind(i.table, col)))
	}
	if len(parts) == 0 {
		parts = []string{"false"}
	}
	return strings.Join(parts, " AND "), args
}

func (a *applier) writable(ctx context.Context, tx pgx.Tx, table string) (string, error) {
	if a.columns == nil {
		a.columns = map[string]string{}
	}
	if a.columns[table] == "" {
		var list string
		if err := tx.QueryRow(ctx, sqlWritable, quote(table)).Scan(&list); err != nil {
			return "", err
		}
		a.columns[table] = list
	}
	return a.columns[table], nil
}
