package backup

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Table is what a table had in it. Sum does not depend on the rows' order.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"`
}

// connect gives a connection whose statements take as long as they need, and that
// writes values always in the same way.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("backup: database url: %w", err)
	}
	for name, value := range map[string]string{
		"application_name": "oven backup", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "lock_timeout": "0",
		"timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres", "bytea_output": "hex", "extra_float_digits": "1", "search_path": "public",
	} {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("backup: reach database: %w", err)
	}
	return conn, nil
}

// Partitions count one by one.
const sqlTables = `
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'oven_restore')
	AND n.nspname NOT LIKE 'pg\_%'
ORDER BY 1`

const sqlSum = `
SELECT count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(oven_row::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint::numeric), 0)::text
FROM ONLY %s oven_row`

// sums counts and sums all tables, as the transaction sees them.
func sums(ctx context.Context, tx pgx.Tx) ([]Table, error) {
	rows, err := tx.Query(ctx, sqlTables)
	if err != nil {
		return nil, fmt.Errorf("backup: list tables: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("backup: list tables: %w", err)
	}
	out := make([]Table, 0, len(names))
	for _, name := range names {
		t := Table{Name: name}
		if err := tx.QueryRow(ctx, fmt.Sprintf(sqlSum, name)).Scan(&t.Rows, &t.Sum); err != nil {
			return nil, fmt.Errorf("backup: sum %s: %w", name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// sumsOf is sums of a database that nobody writes.
func sumsOf(ctx context.Context, dsn string) (out []Table, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = pgx.BeginTxFunc(ctx, conn, snapshotTx(), func(tx pgx.Tx) error {
		out, err = sums(ctx, tx)
		return err
	})
	return out, err
}

func snapshotTx() pgx.TxOptions {
	return pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
}

// differences says in which tables two databases differ.
func differences(want, have []Table) []string {
	there := map[string]Table{}
	for _, t := range have {
		there[t.Name] = t
	}
	var out []string
	for _, w := range want {
		h, ok := there[w.Name]
		delete(there, w.Name)
		switch {
		case !ok:
			out = append(out, "table "+w.Name+" is missing")
		case h.Rows != w.Rows:
			out = append(out, fmt.Sprintf("table %s has %d rows and had %d", w.Name, h.Rows, w.Rows))
		case h.Sum != w.Sum:
			out = append(out, "table "+w.Name+" has other contents")
		}
	}
	for _, h := range have {
		if _, more := there[h.Name]; more {
			out = append(out, "table "+h.Name+" is new")
		}
	}
	return out
}
