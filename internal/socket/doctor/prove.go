package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Verify looks at a database after a repair with fresh eyes: nothing is there twice,
// every key is guarded, and by what the archive says nothing was lost, nothing
// widened and nobody let go who was held. An empty list is a proof of that.
func Verify(ctx context.Context, conn *pgx.Conn, s *Schema, run string, progress func(done, total int, what string)) ([]Finding, error) {
	r, err := readRun(ctx, conn, run)
	if err != nil {
		return nil, err
	}
	report, err := Check(ctx, conn, s, Options{Progress: progress, Skip: map[string]bool{"rows": true, "counters": true, "rules": true, "types": true}})
	if err != nil {
		return nil, err
	}
	tx, err := Begin(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	v := &prover{merger: merger{s: s, run: run}, tx: tx, found: []Finding{}}
	if v.cat, err = readCatalogue(ctx, tx); err != nil {
		return nil, Plain(err)
	}
	if r.State != "done" {
		v.found = append(v.found, Finding{Code: "run-unfinished", Where: run, Detail: "it is " + r.State + "; apply the plan again to carry it on", Count: 1})
	}
	left := map[string]bool{}
	for _, g := range r.plan.Groups {
		if g.Undecided != "" {
			for _, k := range g.Keys {
				left[g.Table+"."+k] = true
			}
		}
	}
	for _, f := range report.Findings {
		if (f.Code == "duplicate" || strings.HasPrefix(f.Code, "index-") || strings.HasPrefix(f.Code, "reference-")) && !left[f.Where] &&
			!slices.ContainsFunc(r.plan.Left, func(l Left) bool { return l.Code == f.Code && l.Where == f.Where }) {
			v.found = append(v.found, f)
		}
	}
	if err := v.all(ctx, r.plan); err != nil {
		return nil, fmt.Errorf("verify: %w", Plain(err))
	}
	return v.found, nil
}

type prover struct {
	merger
	tx    pgx.Tx
	found []Finding
}

const (
	sqlSurvivorGone = `SELECT m.loser, count(*) OVER () FROM doctor_archive.merged m WHERE m.run = %s AND m.tbl = %s AND NOT EXISTS (SELECT FROM %s t WHERE t.%s::text = m.survivor) ORDER BY 1 LIMIT 100`
	sqlLoserThere   = `SELECT m.loser, count(*) OVER () FROM doctor_archive.merged m JOIN %[3]s t ON t.%[4]s = m.loser::%[5]s WHERE m.run = %[1]s AND m.tbl = %[2]s ORDER BY 1 LIMIT 100`
	sqlStillNamed   = `SELECT m.loser, count(*) OVER () FROM doctor_archive.merged m JOIN %[3]s t ON t.%[4]s = m.loser::%[5]s WHERE m.run = %[1]s AND m.tbl = %[2]s ORDER BY 1 LIMIT 100`
	sqlStillListed  = `SELECT DISTINCT m.loser, 0::bigint FROM doctor_archive.merged m JOIN (SELECT DISTINCT x::text AS x FROM %[3]s t, unnest(t.%[4]s) x) l ON l.x = m.loser WHERE m.run = %[1]s AND m.tbl = %[2]s ORDER BY 1 LIMIT 100`
	// A deleted row of what is never deleted has to be merged into one that is there.
	sqlLost = `SELECT i.key ->> %[3]s, count(*) OVER () FROM doctor_archive.image i WHERE i.run = %[1]s AND i.tbl = %[2]s AND i.op <> 'set' AND i.op <> 'update' AND i.op <> 'twin'
	AND NOT EXISTS (SELECT FROM doctor_archive.merged m JOIN %[4]s t ON t.%[5]s::text = m.survivor WHERE m.tbl = i.tbl AND m.loser = i.key ->> %[3]s) ORDER BY 1 LIMIT 100`
	sqlWidened = `SELECT m.loser, count(*) OVER () FROM doctor_archive.merged m JOIN doctor_archive.image i ON i.run = m.run AND i.tbl = m.tbl AND i.op = 'delete' AND i.key ->> %[3]s = m.loser
	JOIN %[4]s s ON s.%[5]s::text = m.survivor WHERE m.run = %[1]s AND m.tbl = %[2]s AND %[6]s ORDER BY 1 LIMIT 100`
	sqlRelation = `SELECT i.n::text, count(*) OVER () FROM doctor_archive.image i, LATERAL (SELECT i.old::%[3]s AS x) o WHERE i.run = %[1]s AND i.tbl = %[2]s AND i.op = 'delete'
	AND NOT EXISTS (SELECT FROM %[3]s t WHERE %[4]s) ORDER BY 1 LIMIT 100`
	sqlNow = `coalesce((SELECT m.survivor FROM doctor_archive.merged m WHERE m.tbl = %s AND m.loser = %s::text), %s::text)`
)

func (v *prover) find(ctx context.Context, code, where, detail, sql string) error {
	n, ids, err := sample(ctx, v.tx, sql)
	if err != nil {
		return fmt.Errorf("%s %s: %w", code, where, err)
	}
	if len(ids) > 0 {
		v.found = append(v.found, Finding{Code: code, Where: where, Detail: detail, Count: max(n, int64(len(ids))), IDs: ids})
	}
	return nil
}

func (v *prover) all(ctx context.Context, plan *Plan) error {
	run := literal(v.run)
	tables := map[string]bool{}
	for _, g := range plan.Groups {
		if g.Survivor != "" && !g.Same {
			tables[g.Table] = true
		}
	}
	for _, table := range sortedKeys(tables) {
		at := v.address(table)
		name, id := literal(table), quote(at)
		if err := v.find(ctx, "survivor-gone", table, "rows that others were merged into, and that are not there", fmt.Sprintf(sqlSurvivorGone, run, name, quote(table), id)); err != nil {
			return err
		}
		if err := v.find(ctx, "loser-there", table, "rows that were merged into others, and are still there", fmt.Sprintf(sqlLoserThere, run, name, quote(table), id, v.kind(table, at))); err != nil {
			return err
		}
		for _, ref := range v.pointers(table) {
			if ref.to != at {
				continue
			}
			sql := fmt.Sprintf(sqlStillNamed, run, name, quote(ref.table), quote(ref.column), v.kind(ref.table, ref.column))
			if ref.kind == Array {
				sql = fmt.Sprintf(sqlStillListed, run, name, quote(ref.table), quote(ref.column))
			}
			if err := v.find(ctx, "loser-named", ref.table+"."+ref.column, "rows that name a row which was merged into another", sql); err != nil {
				return err
			}
		}
		if err := v.narrower(ctx, table); err != nil {
			return err
		}
	}
	for _, t := range v.s.Tables {
		if v.cat.tables[t.Name] == nil {
			continue
		}
		if t.Merging.Fixed && v.address(t.Name) != "ctid" {
			at := v.address(t.Name)
			err := v.find(ctx, "row-lost", t.Name, "rows that were deleted without being merged into one that is there", fmt.Sprintf(sqlLost, run, literal(t.Name), literal(at), quote(t.Name), quote(at)))
			if err != nil {
				return err
			}
		}
		if !tables[t.Name] {
			if err := v.relations(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrower compares what survivors say with what losers said, where the stricter has
// to win.
func (v *prover) narrower(ctx context.Context, table string) error {
	t := v.s.byName[table]
	at := v.address(table)
	for _, f := range t.Merging.Fields {
		if !v.has(table, f.Column) {
			continue
		}
		before, now := fmt.Sprintf("(i.old::%s).%s", quote(table), quote(f.Column)), "s."+quote(f.Column)
		var worse string
		switch f.Rule {
		case "or":
			worse = fmt.Sprintf("(%s AND NOT %s)", before, now)
		case "narrowest":
			list := make([]string, len(f.Args))
			for i, a := range f.Args {
				list[i] = literal(a)
			}
			array := "ARRAY[" + strings.Join(list, ", ") + "]"
			worse = fmt.Sprintf("array_position(%s, %s::text) > array_position(%s, %s::text)", array, now, array, before)
		default:
			continue
		}
		err := v.find(ctx, "widened", table+"."+f.Column, "rows that are less strict than one that was merged into them", fmt.Sprintf(sqlWidened, literal(v.run), literal(table), literal(at), quote(table), quote(at), worse))
		if err != nil {
			return err
		}
	}
	return nil
}

// relations looks whether what deleted rows said of two others is still said.
func (v *prover) relations(ctx context.Context, t *Table) error {
	for _, k := range t.Keys {
		refs, strange := 0, k.Wanted || k.Where != "" || strings.Contains(k.name(), "(")
		var on []string
		for _, c := range k.Columns {
			x := "(o.x)." + quote(c)
			i := slices.IndexFunc(t.Refs, func(r Ref) bool { return r.Column == c && r.Kind != Array })
			if i < 0 {
				on = append(on, fmt.Sprintf("t.%s IS NOT DISTINCT FROM %s", quote(c), x))
				continue
			}
			refs++
			on = append(on, fmt.Sprintf("t.%s = (%s)::%s", quote(c), fmt.Sprintf(sqlNow, literal(t.Refs[i].Table), x, x), v.kind(t.Name, c)))
		}
		if strange || refs == 0 || !v.has(t.Name, k.Columns...) {
			continue
		}
		return v.find(ctx, "relation-missing", t.Name, "relations that were merged, and that nobody has any more (removed since, or lost)",
			fmt.Sprintf(sqlRelation, literal(v.run), literal(t.Name), quote(t.Name), strings.Join(on, " AND ")))
	}
	return nil
}

// Account is what a repair did.
type Account struct {
	Run
	Groups    int              `json:"groups"`
	Undecided int              `json:"undecided"`
	Failed    []Failed         `json:"failed"`
	Rows      map[string]int64 `json:"rows"` // by table and what was done: "note set"
	Lines     int64            `json:"auditLines"`
	Chained   bool             `json:"auditWhole"` // no line of the audit was changed or taken out
}

const sqlImageCounts = `SELECT tbl || ' ' || op, count(*) FROM doctor_archive.image WHERE run = $1 GROUP BY 1 ORDER BY 1`

// Tell says what a repair did.
func Tell(ctx context.Context, conn *pgx.Conn, run string) (*Account, error) {
	r, err := readRun(ctx, conn, run)
	if err != nil {
		return nil, err
	}
	out := &Account{Run: *r, Undecided: r.plan.Undecided(), Failed: []Failed{}, Rows: map[string]int64{}}
	rows, err := conn.Query(ctx, sqlSteps, run)
	if err != nil {
		return nil, Plain(err)
	}
	var what, detail string
	if _, err := pgx.ForEachRow(rows, []any{&what, &detail}, func() error {
		if why, failed := strings.CutPrefix(detail, "failed: "); failed {
			out.Failed = append(out.Failed, Failed{what, why})
		} else if strings.HasPrefix(what, "group ") {
			out.Groups++
		}
		return nil
	}); err != nil {
		return nil, Plain(err)
	}
	if rows, err = conn.Query(ctx, sqlImageCounts, run); err != nil {
		return nil, Plain(err)
	}
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&what, &n}, func() error { out.Rows[what] = n; return nil }); err != nil {
		return nil, Plain(err)
	}
	return out, Plain(conn.QueryRow(ctx, sqlChain).Scan(&out.Lines, &out.Chained))
}
