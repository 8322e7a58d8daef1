package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Source is a database to look at: a pool or a connection.
type Source interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

// Options of a check.
type Options struct {
	Host     string                                           // the server's own; "" = as the database tells
	Progress func(done, total int, what string)               // called from the checking goroutine; nil: silent
	Skip     map[string]bool                                  // groups that are not run: "keys", …
	More     func(context.Context, pgx.Tx) ([]Finding, error) // a group of the caller's own; nil: none
	Files    Files                                            // the store that rows name files of; nil: not compared
	Replicas []Replica                                        // compared with the database
}

// checker is one run over a database.
type checker struct {
	src    Source
	schema *Schema
	o      Options
	cat    *catalogue
	names  []string // of the migrations that ran
	done   int
	total  int
}

// group is checks that look at one state of the database together.
type group struct {
	name string
	run  func(ctx context.Context, tx pgx.Tx, r *Report) error
}

const (
	// sqlUnbounded: a scan of a large table takes as long as it takes; an idle
	// moment between two statements must not end the transaction.
	sqlUnbounded = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
	set_config('lock_timeout', '30s', true), set_config('search_path', 'public', true)`
	// sqlNoIndexes: a corrupt index hides what it should show.
	sqlNoIndexes = `SELECT set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_mergejoin', 'off', true)`
)

// ErrOther says that the database is not one of those described.
var ErrOther = errors.New("not the kind of database that was asked for")

// tries of a group that a replica broke off because it had to go on.
const tries = 5

// Check compares a database with what should hold in it. It only reads, in
// transactions that write nothing and so run on a replica too. What is large stays in
// the database: of every check there come a count and at most 100 ids. An error
// says that the check could not be made; it holds no contents of rows.
func Check(ctx context.Context, src Source, s *Schema, o Options) (*Report, error) {
	c := &checker{src: src, schema: s, o: o}
	if o.Progress == nil {
		c.o.Progress = func(int, int, string) {}
	}
	err := c.group(ctx, &Report{}, group{"catalogue", func(ctx context.Context, tx pgx.Tx, _ *Report) (err error) {
		if c.cat, err = readCatalogue(ctx, tx); err == nil {
			c.names, err = c.ran(ctx, tx)
		}
		return err
	}})
	if err != nil {
		return nil, err
	}
	report := &Report{Findings: []Finding{}, Notes: []Note{}}
	if len(c.cat.tables) == 0 {
		report.note("tables", "the database is empty")
		return report, nil
	}
	for _, must := range s.Must {
		if table, col, _ := strings.Cut(must, "."); !c.has(table, col) {
			return nil, fmt.Errorf("%w: it has no %s", ErrOther, must)
		}
	}
	groups := []group{
		{"tables", c.tables}, {"keys", c.keys}, {"references", c.references}, {"types", c.types}, {"collations", c.collations},
		{"structure", c.structure}, {"duplicates", c.duplicates}, {"rows", c.orphans}, {"counters", c.counters}, {"rules", c.rules},
	}
	c.total = c.size()
	for _, g := range groups {
		if o.Skip[g.name] {
			continue
		}
		if err := c.group(ctx, report, g); err != nil {
			return nil, err
		}
	}
	if o.Files != nil {
		if err := c.group(ctx, report, group{"files", c.files}); err != nil {
			return nil, err
		}
	}
	for _, rep := range o.Replicas {
		if err := c.replica(ctx, report, rep); err != nil {
			return nil, fmt.Errorf("compare %s: %w", rep.Name, Plain(err))
		}
	}
	if o.More != nil {
		err := c.group(ctx, report, group{"more", func(ctx context.Context, tx pgx.Tx, r *Report) error {
			found, err := o.More(ctx, tx)
			r.Findings = append(r.Findings, found...)
			return err
		}})
		if err != nil {
			return nil, err
		}
	}
	report.Checked = c.done
	c.o.Progress(c.total, c.total, "done")
	return report, nil
}

// size is how many statements there are to come.
func (c *checker) size() int {
	n := 0
	for _, t := range c.schema.Tables {
		if c.cat.tables[t.Name] != nil {
			n += len(t.Keys) + len(t.Refs) + len(t.Copies) + len(t.Counts) + len(t.Rules)
		}
	}
	return n + len(c.cat.sequences)
}

func (c *checker) step(what string) {
	c.o.Progress(min(c.done, c.total), c.total, what)
	c.done++
}

// group runs one group in a transaction of its own, again when a replica had to
// break it off.
func (c *checker) group(ctx context.Context, to *Report, g group) error {
	for try := 1; ; try++ {
		part, done := &Report{}, c.done
		err := c.once(ctx, part, g)
		if err == nil {
			to.Findings = append(to.Findings, part.Findings...)
			to.Notes = append(to.Notes, part.Notes...)
			return nil
		}
		var pe *pgconn.PgError
		if try < tries && errors.As(err, &pe) && pe.Code == "40001" && ctx.Err() == nil {
			c.done = done
			continue
		}
		return fmt.Errorf("check %s: %w", g.name, Plain(err))
	}
}

func (c *checker) once(ctx context.Context, r *Report, g group) error {
	tx, err := c.src.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, sqlUnbounded); err != nil {
		return err
	}
	if err := g.run(ctx, tx, r); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// plain is an error without what the database said: that may quote contents.
type plain struct{ code, during string }

func (p plain) Error() string {
	if p.during != "" {
		return "SQLSTATE " + p.code + " while reading " + p.during
	}
	return "SQLSTATE " + p.code
}

// Plain takes what the database said out of an error, since its messages quote
// values of rows; the SQLSTATE stays.
func Plain(err error) error {
	var pe *pgconn.PgError
	var scan pgx.ScanArgError
	switch {
	case errors.As(err, &pe):
		return plain{pe.Code, pe.TableName}
	case errors.As(err, &scan):
		return fmt.Errorf("column %d has another type than it should", scan.ColumnIndex+1)
	}
	return err
}

// try runs a statement that may fail alone. What the database lacks becomes a
// note, what it cannot read a finding; only what ends the whole check is an error.
func (c *checker) try(ctx context.Context, tx pgx.Tx, r *Report, where string, f func(tx pgx.Tx) error) error {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = f(sp)
	if err == nil {
		return sp.Commit(ctx)
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || ctx.Err() != nil {
		return err
	}
	switch {
	case pe.Code == "40001" || strings.HasPrefix(pe.Code, "57") || strings.HasPrefix(pe.Code, "08"):
		return err
	case pe.Code == "42P01", pe.Code == "42703", pe.Code == "42883", pe.Code == "42804", pe.Code == "42704", pe.Code == "42846":
		r.note(where, "not checked: this version's columns are others (SQLSTATE "+pe.Code+")")
	case pe.Code == "42501":
		r.find(Finding{Code: "unreadable", Where: where, Detail: "no right to read it (SQLSTATE 42501)", Count: 1})
	default:
		r.find(Finding{Code: "unreadable", Where: where, Detail: "SQLSTATE " + pe.Code, Count: 1})
	}
	return sp.Rollback(ctx)
}

// sample runs a statement that selects (id, total) and collects both.
func sample(ctx context.Context, tx pgx.Tx, sql string) (total int64, ids []string, err error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return 0, nil, err
	}
	var id *string
	_, err = pgx.ForEachRow(rows, []any{&id, &total}, func() error {
		if id != nil {
			ids = append(ids, *id)
		}
		return nil
	})
	return total, ids, err
}

// has tells whether the database has a table with these columns.
func (c *checker) has(table string, columns ...string) bool {
	t := c.cat.tables[table]
	if t == nil {
		return false
	}
	for _, col := range columns {
		if !strings.Contains(col, "(") && t.columns[col] == "" {
			return false
		}
	}
	return true
}

// idOf is the expression that names a row of a table in a report: its id, or the
// id of what it belongs to. Other columns may be secrets.
func (c *checker) idOf(table, alias string) string {
	for _, col := range []string{"id", "noteId", "userId", "note_id", "user_id"} {
		if c.has(table, col) {
			return alias + "." + quote(col) + "::text"
		}
	}
	return "NULL::text"
}
