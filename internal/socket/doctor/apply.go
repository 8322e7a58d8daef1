package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
)

// ErrStale says that the database is not any more as it was when the plan was made.
var ErrStale = errors.New("the database is not as it was when the plan was made; make another plan")

// ErrBusy says that another repair is under way.
var ErrBusy = errors.New("another repair of this database is under way")

// ApplyOptions of a repair.
type ApplyOptions struct {
	Progress func(done, total int, what string)
	Begun    func(run string) // called once the run has its name; nil: not
	MaxLag   time.Duration    // of replicas, above which it waits; 0: 10 s
}

// Applied is what became of a plan.
type Applied struct {
	Run    string   `json:"run"`
	Groups int      `json:"groups"` // merged
	Failed []Failed `json:"failed"` // what was planned and could not be done
	Left   int      `json:"left"`   // groups that wait for a decision
}

// Failed is something that could not be done.
type Failed struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// applier carries one plan out.
type applier struct {
	merger
	conn *pgx.Conn
	plan *Plan
	o    ApplyOptions
	done map[string]string // steps that are done, with what is to be told of them
	out  *Applied

	step, steps int
	columns     map[string]string // that can be written, by table; for undoing
}

// groupsAtOnce are merged in one transaction; firstRows of a column are repointed in
// transactions of their own.
const (
	groupsAtOnce = 20
	firstRows    = 5000
)

// Apply carries a plan out while others go on writing. It is carried on where it was
// when it broke off, however that was. What it changes can be undone by Undo.
func Apply(ctx context.Context, conn *pgx.Conn, s *Schema, plan *Plan, o ApplyOptions) (*Applied, error) {
	a := &applier{merger: merger{s: s}, conn: conn, plan: plan, o: o, done: map[string]string{}, out: &Applied{Failed: []Failed{}, Left: plan.Undecided()}}
	if o.Progress == nil {
		a.o.Progress = func(int, int, string) {}
	}
	if o.MaxLag == 0 {
		a.o.MaxLag = 10 * time.Second
	}
	unlock, err := lockRepairs(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := a.begin(ctx); err != nil {
		return nil, err
	}
	a.out.Run = a.run
	if o.Begun != nil {
		o.Begun(a.run)
	}
	if err := a.all(ctx); err != nil {
		return a.out, fmt.Errorf("run %s: %w", a.run, Plain(err))
	}
	return a.out, nil
}

const sqlSession = `SELECT set_config('search_path', 'public', false), set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
	set_config('idle_in_transaction_session_timeout', '0', false), set_config('application_name', 'oven doctor', false)`

// lockPatience is how long another repair is waited for.
const lockPatience = 15 * time.Second

const (
	sqlNotice    = `SELECT set_config('client_connection_check_interval', '1s', false)`
	sqlRunUnlock = `SELECT pg_advisory_unlock($1, 0)`
)

// lockRepairs makes sure that there is one repair at a time.
func lockRepairs(ctx context.Context, conn *pgx.Conn) (func(), error) {
	if _, err := conn.Exec(ctx, sqlSession); err != nil {
		return nil, Plain(err)
	}
	// A repair whose process was killed ends when the database notices, in seconds.
	if _, err := conn.Exec(ctx, sqlNotice); err != nil && pg.Code(err) != "42704" {
		return nil, Plain(err)
	}
	for end, free := time.Now().Add(lockPatience), false; ; wait(ctx, 100*time.Millisecond) {
		if err := conn.QueryRow(ctx, sqlRunLock, pg.LockDoctor).Scan(&free); err != nil {
			return nil, Plain(err)
		}
		if free {
			break
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
	}
	return func() { _, _ = conn.Exec(context.WithoutCancel(ctx), sqlRunUnlock, pg.LockDoctor) }, nil
}

// begin finds the run of the plan that broke off, or begins one, if the database is
// still as the plan says.
func (a *applier) begin(ctx context.Context) error {
	var there bool
	if err := a.conn.QueryRow(ctx, sqlHasArchive).Scan(&there); err != nil {
		return Plain(err)
	}
	if there {
		err := a.conn.QueryRow(ctx, sqlOpenRun, a.plan.Hash).Scan(&a.run)
		if err == nil {
			return a.resume(ctx)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return Plain(err)
		}
	}
	if err := a.still(ctx); err != nil {
		return err
	}
	if _, err := a.conn.Exec(ctx, ArchiveSchema); err != nil {
		return fmt.Errorf("doctor_archive: %w", Plain(err))
	}
	if _, err := a.conn.Exec(ctx, sqlSweep); err != nil {
		return Plain(err)
	}
	b, err := json.Marshal(a.plan)
	if err != nil {
		return err
	}
	a.run = strings.ToLower(id.Random(10))
	if _, err := a.conn.Exec(ctx, sqlNewRun, a.run, a.plan.Hash, string(b), fmt.Sprintf("%d seconds", int(keptFor.Seconds()))); err != nil {
		return Plain(err)
	}
	return audit(ctx, a.conn, a.run, "began with plan "+a.plan.Hash)
}

func (a *applier) resume(ctx context.Context) error {
	if err := a.catalogue(ctx); err != nil {
		return err
	}
	rows, err := a.conn.Query(ctx, sqlSteps, a.run)
	if err != nil {
		return Plain(err)
	}
	var what, detail string
	_, err = pgx.ForEachRow(rows, []any{&what, &detail}, func() error { a.done[what] = detail; return nil })
	return Plain(err)
}

func (a *applier) catalogue(ctx context.Context) error {
	tx, err := a.conn.Begin(ctx)
	if err != nil {
		return Plain(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	a.cat, err = readCatalogue(ctx, tx)
	return Plain(err)
}

// still compares the database with the plan: which database, its schema, every
// group, and every statement that the plan would have run.
func (a *applier) still(ctx context.Context) error {
	report, err := Check(ctx, a.conn, a.s, Options{Skip: map[string]bool{"rows": true, "counters": true, "rules": true}})
	if err != nil {
		return err
	}
	tx, err := Begin(ctx, a.conn)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	pl := &planner{merger: merger{s: a.s}, tx: tx, plan: &Plan{Collide: map[string]int64{}}, made: map[string]bool{}}
	if pl.cat, err = readCatalogue(ctx, tx); err != nil {
		return Plain(err)
	}
	a.cat = pl.cat
	database, schema, err := fingerprint(ctx, tx, pl.cat)
	switch {
	case err != nil:
		return Plain(err)
	case database != a.plan.Database:
		return fmt.Errorf("%w: it is another database", ErrStale)
	case schema != a.plan.Schema:
		return fmt.Errorf("%w: its tables or indexes are others", ErrStale)
	}
	if pl.decided, err = decisions(ctx, tx); err != nil {
		return Plain(err)
	}
	pl.twice = shared(report)
	groups, err := pl.groups(ctx)
	if err != nil {
		return Plain(err)
	}
	for _, g := range a.plan.Groups {
		if g.Undecided != "" {
			for _, k := range g.Keys {
				pl.made[g.Table+"."+k] = true
			}
		}
	}
	if err := pl.work(ctx, report); err != nil {
		return Plain(err)
	}
	now := map[string]bool{}
	for _, g := range groups {
		now[g.ID] = true
	}
	for _, g := range a.plan.Groups {
		if !now[g.ID] {
			return fmt.Errorf("%w: group %s is not there any more", ErrStale, g.ID)
		}
		if g.Survivor != "" && !slices.Contains(g.IDs, g.Survivor) {
			return fmt.Errorf("%w: group %s has another survivor than one of its rows", ErrStale, g.ID)
		}
		if g.Survivor != "" && !g.Same && !slices.ContainsFunc(groups, func(h Merge) bool { return h.ID == g.ID && (h.Survivor != "" || h.Undecided == differ) }) {
			return fmt.Errorf("%w: group %s is one that a person has to decide", ErrStale, g.ID)
		}
		delete(now, g.ID)
	}
	for _, g := range sortedKeys(now) {
		return fmt.Errorf("%w: group %s has come", ErrStale, g)
	}
	for _, w := range a.plan.Work {
		if w.Kind == "sequence" {
			continue
		}
		if !slices.ContainsFunc(pl.plan.Work, func(x Work) bool { return slices.Equal(x.SQL, w.SQL) }) {
			return fmt.Errorf("%w: %s of %s is not what has to be done", ErrStale, w.Kind, w.Where)
		}
	}
	return nil
}

func (a *applier) all(ctx context.Context) error {
	fences := a.fences()
	var merges []Merge
	for _, g := range a.plan.Groups {
		if g.Survivor != "" {
			merges = append(merges, g)
		}
	}
	a.steps = len(fences) + len(merges) + len(a.plan.Work) + 4
	for _, f := range fences {
		if err := a.once(ctx, "fence "+f.where(), func() error { return f.put(ctx, a.conn, f.name()) }); err != nil {
			return err
		}
	}
	if err := a.merges(ctx, merges); err != nil {
		return err
	}
	if err := a.once(ctx, "sweep", func() error { return a.sweep(ctx) }); err != nil {
		return err
	}
	for i, w := range a.plan.Work {
		if err := a.once(ctx, fmt.Sprintf("work %d %s %s", i, w.Kind, w.Where), func() error { return a.workOn(ctx, w) }); err != nil {
			return err
		}
	}
	if err := a.once(ctx, "unfence", func() error { return takeAway(ctx, a.conn) }); err != nil {
		return err
	}
	// What clients that remembered a loser wrote while indexes were built.
	if err := a.once(ctx, "last sweep", func() error { return a.sweep(ctx) }); err != nil {
		return err
	}
	if err := a.analyze(ctx); err != nil {
		return err
	}
	for _, what := range sortedKeys(a.done) {
		if why, failed := strings.CutPrefix(a.done[what], "failed: "); failed {
			a.out.Failed = append(a.out.Failed, Failed{what, why})
		} else if strings.HasPrefix(what, "group ") && a.done[what] == "" {
			a.out.Groups++
		}
	}
	if _, err := a.conn.Exec(ctx, sqlEndRun, a.run, "done"); err != nil {
		return err
	}
	if err := audit(ctx, a.conn, a.run, fmt.Sprintf("done: %d groups merged, %d steps failed", a.out.Groups, len(a.out.Failed))); err != nil {
		return err
	}
	a.o.Progress(a.steps, a.steps, "done")
	return nil
}

// once does a step that is not done yet, and writes down that it is.
func (a *applier) once(ctx context.Context, what string, f func() error) error {
	a.step++
	a.o.Progress(min(a.step, a.steps), a.steps, what)
	if _, done := a.done[what]; done {
		return nil
	}
	detail := ""
	if err := f(); err != nil {
		// A statement that cannot be carried out is told; a lost connection ends it all.
		// Partitioned tables take neither fence nor concurrent index.
		may := strings.HasPrefix(what, "work ") || pg.Code(err) == "0A000"
		if ctx.Err() != nil || a.conn.IsClosed() || pg.Code(err) == "" || strings.HasPrefix(pg.Code(err), "57P") || !may {
			return fmt.Errorf("%s: %w", what, Plain(err))
		}
		detail = "failed: " + Plain(err).Error()
	}
	a.done[what] = detail
	_, err := a.conn.Exec(ctx, sqlStepDone, a.run, what, detail)
	return err
}

// fences are the keys that have to be kept while they are repaired.
func (a *applier) fences() []fence {
	var out []fence
	seen := map[string]bool{}
	add := func(table, name string) {
		t := a.s.byName[table]
		if t == nil || seen[table+"."+name] {
			return
		}
		for _, k := range t.Keys {
			if k.name() == name && !strings.Contains(name, "(") && k.Where == "" && a.has(table, k.Columns...) {
				seen[table+"."+name] = true
				out = append(out, fence{table, k})
			}
		}
	}
	for _, g := range a.plan.Groups {
		if g.Survivor != "" {
			for _, k := range g.Keys {
				add(g.Table, k)
			}
		}
	}
	for _, w := range a.plan.Work {
		if w.Kind == "key" || w.Kind == "reindex" && len(w.Columns) > 0 {
			add(w.Table, strings.Join(w.Columns, ","))
		}
	}
	return out
}

// workOn builds, proves or clears one thing.
func (a *applier) workOn(ctx context.Context, w Work) error {
	if w.Kind == "reference" || w.Kind == "prove" {
		kept, err := a.orphans(ctx, w)
		if err != nil {
			return err
		}
		if kept { // the constraint holds for what comes; it is not said of what is there
			w.SQL = slices.DeleteFunc(slices.Clone(w.SQL), func(s string) bool { return strings.Contains(s, "VALIDATE CONSTRAINT") })
		}
	}
	for _, sql := range w.SQL {
		switch {
		case strings.HasPrefix(sql, "CREATE UNIQUE INDEX"), strings.HasPrefix(sql, "CREATE INDEX"):
			if err := buildIndex(ctx, a.conn, w.Index, sql); err != nil {
				return err
			}
		case strings.HasPrefix(sql, "ALTER TABLE") && strings.Contains(sql, "ADD CONSTRAINT"):
			var there bool
			if err := a.conn.QueryRow(ctx, sqlHasConstraint, w.Index, quote(w.Table)).Scan(&there); err != nil {
				return err
			}
			if there {
				continue
			}
			if err := shortly(ctx, a.conn, sql); err != nil {
				return err
			}
		case strings.HasPrefix(sql, "DROP INDEX") && a.built(ctx, w):
			continue
		case strings.Contains(sql, "CONCURRENTLY"), strings.Contains(sql, "VALIDATE"):
			if err := patiently(ctx, a.conn, sql); err != nil {
				return err
			}
		default:
			if err := shortly(ctx, a.conn, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	sqlHasConstraint = `SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = $1 AND conrelid = to_regclass('public.' || $2))`
	sqlIsUnique      = `SELECT x.indisunique AND x.indisvalid AND x.indisready FROM pg_index x WHERE x.indexrelid = to_regclass(%s)`
)

// built tells whether the index that a key lacked is there by now: the work was
// broken off after it.
func (a *applier) built(ctx context.Context, w Work) bool {
	var yes *bool
	err := a.conn.QueryRow(ctx, fmt.Sprintf(sqlIsUnique, literal("public."+quote(w.Index)))).Scan(&yes)
	before := slices.ContainsFunc(a.cat.indexes[w.Table], func(x indexInfo) bool { return x.Name == w.Index && x.Unique && x.Valid })
	return err == nil && yes != nil && *yes && w.Kind == "key" && !before
}

const (
	sqlOrphanNull = `
WITH o AS (SELECT t.ctid AS at, t.%[2]s AS old FROM %[1]s t WHERE t.%[2]s IS NOT NULL AND NOT EXISTS (SELECT FROM %[3]s p WHERE p.%[4]s = t.%[2]s) LIMIT 5000 FOR UPDATE),
u AS (UPDATE %[1]s t SET %[2]s = NULL FROM o WHERE t.ctid = o.at RETURNING %[5]s AS k, o.old::text AS old)
INSERT INTO doctor_archive.image (run, tbl, op, key, col, old) SELECT $1, %[6]s, 'set', k, %[7]s, old FROM u`
	sqlOrphanOf  = `SELECT DISTINCT t.%[2]s::text FROM %[1]s t WHERE t.%[2]s IS NOT NULL AND NOT EXISTS (SELECT FROM %[3]s p WHERE p.%[4]s = t.%[2]s) LIMIT 500`
	sqlHasOrphan = `SELECT EXISTS (SELECT FROM %[1]s t WHERE t.%[2]s IS NOT NULL AND NOT EXISTS (SELECT FROM %[3]s p WHERE p.%[4]s = t.%[2]s))`
)

// orphans puts aside the rows whose parent is gone, as the foreign key would have.
// Notes and files are kept as they are; kept says so.
func (a *applier) orphans(ctx context.Context, w Work) (kept bool, err error) {
	t := a.s.byName[w.Table]
	for _, ref := range t.Refs {
		if ref.Kind != Constraint || ref.Column != w.Columns[0] || !a.has(ref.Table, ref.To) {
			continue
		}
		if t.Merging.Fixed && !ref.Null {
			var some bool
			err := a.conn.QueryRow(ctx, fmt.Sprintf(sqlHasOrphan, quote(t.Name), quote(ref.Column), quote(ref.Table), quote(ref.To))).Scan(&some)
			return some, err
		}
		for more := true; more; {
			err := a.tx(ctx, func(tx pgx.Tx) (err error) {
				if ref.Null {
					more, err = a.emptied(ctx, tx, t, ref)
				} else {
					more, err = a.dropped(ctx, tx, t, ref)
				}
				return err
			})
			if err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// emptied takes the names of what is gone out of some rows; more: there may be others.
func (a *applier) emptied(ctx context.Context, tx pgx.Tx, t *Table, ref Ref) (more bool, err error) {
	tag, err := tx.Exec(ctx, fmt.Sprintf(sqlOrphanNull, quote(t.Name), quote(ref.Column), quote(ref.Table), quote(ref.To), a.identity(t.Name), literal(t.Name), literal(ref.Column)), a.run)
	return tag.RowsAffected() > 0, err
}

// dropped puts rows aside that belong to what is gone.
func (a *applier) dropped(ctx context.Context, tx pgx.Tx, t *Table, ref Ref) (more bool, err error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(sqlOrphanOf, quote(t.Name), quote(ref.Column), quote(ref.Table), quote(ref.To)))
	if err != nil {
		return false, err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(gone) == 0 {
		return false, err
	}
	if err := a.delete(ctx, tx, t.Name, ref.Column, gone, "(true)"); err != nil {
		return false, err
	}
	return true, a.recount(ctx, tx)
}

// Of two transactions that wait for each other the one that looks first is ended:
// that is to be the doctor's, which tries again, and not a client's. Who may not set
// deadlock_timeout gives way before clients look, which is after a second.
const sqlQuiet = `
SELECT set_config('lock_timeout', '300ms', true), set_config('statement_timeout', '30min', true), set_config('oven_doctor.quiet', 'on', true),
	CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN set_config('deadlock_timeout', '10ms', true) END`

// tx runs one transaction, again when it was in somebody's way.
func (a *applier) tx(ctx context.Context, f func(tx pgx.Tx) error) error {
	const tries = 30
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, a.conn, func(tx pgx.Tx) error {
			a.todo = nil
			if _, err := tx.Exec(ctx, sqlQuiet); err != nil {
				return err
			}
			return f(tx)
		})
		if err == nil || ctx.Err() != nil || try == tries || a.conn.IsClosed() {
			return err
		}
		if !errors.Is(err, errMoved) && !slices.Contains([]string{"55P03", "40P01", "40001"}, pg.Code(err)) {
			return err
		}
		wait(ctx, time.Duration(try)*50*time.Millisecond)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// shortly runs a statement that needs a lock on a whole table, for a moment: it
// gives way to who is before it, and tries again.
func shortly(ctx context.Context, conn *pgx.Conn, sql string) error {
	const tries = 60
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', '1s', true)`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, sql)
			return err
		})
		if err == nil || ctx.Err() != nil || try == tries || !slices.Contains([]string{"55P03", "40P01"}, pg.Code(err)) {
			return err
		}
		wait(ctx, time.Duration(try)*20*time.Millisecond)
	}
}

// patiently runs a statement that waits for others and is in nobody's way.
func patiently(ctx context.Context, conn *pgx.Conn, sql string) error {
	const tries = 5
	for try := 1; ; try++ {
		_, err := conn.Exec(ctx, sql)
		if err == nil || ctx.Err() != nil || try == tries || pg.Code(err) != "40P01" {
			return err
		}
		wait(ctx, time.Duration(try)*200*time.Millisecond)
	}
}

// analyze tells the database's planner how the tables are now.
func (a *applier) analyze(ctx context.Context) error {
	tables := map[string]bool{}
	for _, g := range a.plan.Groups {
		tables[g.Table] = true
		for col := range g.Moves {
			table, _, _ := strings.Cut(col, ".")
			tables[table] = true
		}
	}
	for _, t := range sortedKeys(tables) {
		if _, err := a.conn.Exec(ctx, "ANALYZE "+quote(t)); err != nil {
			return err
		}
	}
	return nil
}
