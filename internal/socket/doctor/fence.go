package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// While rows are merged and an index is built, clients go on writing, and nothing
// keeps them from making new duplicates but a fence: a trigger that looks whether
// the key is there already, under a lock on the key, and refuses as the index would.
// A partial index over new rows would not do, since a copy of an old row passes it.

const fencePrefix = "oven_doctor_"

// fence is what stands in for the index of a key.
type fence struct {
	table string
	key   Key
}

func (f fence) name() string {
	sum := sha256.Sum256([]byte(f.table + "." + f.key.name()))
	return fencePrefix + hex.EncodeToString(sum[:])[:16]
}

func (f fence) where() string { return f.table + "." + f.key.name() }

const (
	sqlFenceFunction = `
CREATE OR REPLACE FUNCTION doctor_archive.%[1]s() RETURNS trigger LANGUAGE plpgsql AS $fence$
BEGIN
	IF current_setting('oven_doctor.quiet', true) = 'on' OR %[2]s THEN RETURN NEW; END IF;
	IF TG_OP = 'UPDATE' THEN
		IF %[3]s THEN RETURN NEW; END IF;
	END IF;
	PERFORM pg_advisory_xact_lock(%[4]d, hashtext(concat_ws(E'\x1f', %[5]s, %[6]s)));
	IF EXISTS (SELECT FROM %[7]s t WHERE %[8]s) THEN
		RAISE EXCEPTION 'duplicate key value violates unique constraint "%[9]s"' USING ERRCODE = 'unique_violation', CONSTRAINT = '%[9]s', TABLE = %[5]s, SCHEMA = 'public';
	END IF;
	RETURN NEW;
END $fence$`
	sqlFenceTrigger = `
DO $do$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = %[2]s::regclass AND tgname = %[3]s) THEN
		CREATE TRIGGER %[1]s BEFORE INSERT OR UPDATE OF %[4]s ON %[5]s FOR EACH ROW EXECUTE FUNCTION doctor_archive.%[1]s();
	END IF;
END $do$`
	sqlIndexState  = `SELECT x.indisvalid AND x.indisready FROM pg_index x WHERE x.indexrelid = to_regclass(%s)`
	sqlFenceIndex  = `CREATE INDEX CONCURRENTLY %s ON %s (%s)`
	sqlFenceTables = `SELECT c.relname, g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE g.tgname LIKE 'oven\_doctor\_%' AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2`
)

// put makes the fence. Its index comes first: without it every write would read the
// whole table.
func (f fence) put(ctx context.Context, conn *pgx.Conn, constraint string) error {
	name := f.name()
	cols := make([]string, len(f.key.Columns))
	var null, same, found, lock []string
	for i, c := range f.key.Columns {
		q := quote(c)
		cols[i] = q
		lock = append(lock, "coalesce(NEW."+q+"::text, E'\\x1e')")
		same = append(same, "NEW."+q+" IS NOT DISTINCT FROM OLD."+q)
		if f.key.Nulls {
			found = append(found, fmt.Sprintf("(t.%s = NEW.%s OR t.%s IS NULL AND NEW.%s IS NULL)", q, q, q, q))
		} else {
			null, found = append(null, "NEW."+q+" IS NULL"), append(found, "t."+q+" = NEW."+q)
		}
	}
	if f.key.Where != "" {
		return nil // keys of a part of the rows are rare, and not of identity
	}
	if len(null) == 0 {
		null = []string{"false"}
	}
	if err := buildIndex(ctx, conn, name, fmt.Sprintf(sqlFenceIndex, quote(name), quote(f.table), strings.Join(cols, ", "))); err != nil {
		return err
	}
	fn := fmt.Sprintf(sqlFenceFunction, name, strings.Join(null, " OR "), strings.Join(same, " AND "), pg.LockFence, literal(f.table), strings.Join(lock, ", "),
		quote(f.table), strings.Join(found, " AND "), constraint)
	if _, err := conn.Exec(ctx, fn); err != nil {
		return err
	}
	return shortly(ctx, conn, fmt.Sprintf(sqlFenceTrigger, name, literal(quote(f.table)), literal(name), strings.Join(cols, ", "), quote(f.table)))
}

// Unfence removes all fences of a database, for a plan that is not going to be applied.
func Unfence(ctx context.Context, conn *pgx.Conn) error {
	unlock, err := lockRepairs(ctx, conn)
	if err != nil {
		return err
	}
	defer unlock()
	return Plain(takeAway(ctx, conn))
}

// takeAway removes all fences of a database.
func takeAway(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, sqlFenceTables)
	if err != nil {
		return err
	}
	type at struct{ Table, Name string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[at])
	if err != nil {
		return err
	}
	for _, x := range list {
		if err := shortly(ctx, conn, "DROP TRIGGER IF EXISTS "+quote(x.Name)+" ON "+quote(x.Table)); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "DROP FUNCTION IF EXISTS doctor_archive."+x.Name+"()"); err != nil {
			return err
		}
		if err := patiently(ctx, conn, "DROP INDEX CONCURRENTLY IF EXISTS "+quote(x.Name)); err != nil {
			return err
		}
	}
	return nil
}

// buildIndex builds an index beside everybody's writing, unless it is there and
// whole; one that was never finished is dropped.
func buildIndex(ctx context.Context, conn *pgx.Conn, name, sql string) error {
	for try := 1; ; try++ {
		var whole *bool
		err := conn.QueryRow(ctx, fmt.Sprintf(sqlIndexState, literal("public."+quote(name)))).Scan(&whole)
		if err == nil && whole != nil && *whole {
			return nil
		}
		if err != nil && !pg.NoRows(err) {
			return err
		}
		if err == nil {
			if err := patiently(ctx, conn, "DROP INDEX CONCURRENTLY IF EXISTS "+quote(name)); err != nil {
				return err
			}
		}
		if err = patiently(ctx, conn, sql); err == nil {
			continue // whole, or not: the next round sees
		}
		if try >= 3 || !slices.Contains([]string{"23505", "40P01", "55P03", "57014"}, pg.Code(err)) {
			return err
		}
	}
}

// Fence puts the fences of all keys that nothing guards.
func Fence(ctx context.Context, conn *pgx.Conn, s *Schema) error {
	report, err := Check(ctx, conn, s, Options{Skip: map[string]bool{"rows": true, "counters": true, "rules": true, "types": true, "references": true, "collations": true, "structure": true}})
	if err != nil {
		return err
	}
	unlock, err := lockRepairs(ctx, conn)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := conn.Exec(ctx, ArchiveSchema); err != nil {
		return Plain(err)
	}
	a := &applier{merger: merger{s: s}, conn: conn}
	if err := a.catalogue(ctx); err != nil {
		return err
	}
	pl := &planner{merger: a.merger}
	for _, f := range report.Findings {
		if t, k := pl.key(f.Where); t != nil && k.Where == "" && !strings.Contains(k.name(), "(") {
			x := fence{t.Name, *k}
			if err := x.put(ctx, conn, x.name()); err != nil {
				return fmt.Errorf("fence of %s: %w", f.Where, Plain(err))
			}
		}
	}
	return nil
}
