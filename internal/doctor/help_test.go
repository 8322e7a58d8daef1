package doctor_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/pgserver"
	"buttersc.one/oven/internal/lib/pgserver/pgtest"
	mech "buttersc.one/oven/internal/socket/doctor"
)

// sharedData finds a dump of a real Misskey database, which stands beside the
// checkout where it stands at all.
func sharedData(t *testing.T, name string) string {
	t.Helper()
	for dir, up := ".", 0; up < 8; dir, up = filepath.Join(dir, ".."), up+1 {
		path, err := filepath.Abs(filepath.Join(dir, "shared/data", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// misskeyDump restores a dump into a database of the test's own.
func misskeyDump(t *testing.T, name string) string {
	t.Helper()
	path := sharedData(t, name)
	if path == "" {
		t.Logf("shared/data/%s is missing: what needs a real Misskey database was not tested", name)
		return ""
	}
	return pgtest.Template(t, "dump "+path, func(dsn string) error {
		return restore(dsn, path, "--no-owner", "--no-privileges", "--exit-on-error")
	})
}

func restore(dsn, path string, args ...string) error {
	_, err := tool("pg_restore", append(args, "-d", dsn, path)...)
	return err
}

// tool runs one of PostgreSQL's programs.
func tool(name string, args ...string) (string, error) {
	bin, err := pgserver.Tool(name)
	if err != nil {
		return "", err
	}
	return run(bin, args...)
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return string(out), nil
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func check(t *testing.T, conn *pgx.Conn, misskey bool) *mech.Report {
	t.Helper()
	r, err := doctor.Check(t.Context(), conn, doctor.Options{Misskey: misskey})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// codes are the findings as "code where", sorted.
func codes(r *mech.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Code+" "+f.Where)
	}
	slices.Sort(out)
	return out
}

func lines(r *mech.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %s %d %v\n", f.Code, f.Where, f.Detail, f.Count, f.IDs)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Where, n.Says)
	}
	return b.String()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// covers fails for every unique index and foreign key of a database that its
// description lacks.
func covers(t *testing.T, conn *pgx.Conn, misskey bool) {
	t.Helper()
	s, err := doctor.Oven()
	if misskey {
		s, err = doctor.Misskey()
	}
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, table := range s.Tables {
		for _, k := range table.Keys {
			described = append(described, "key "+table.Name+" "+strings.Join(slices.Sorted(slices.Values(k.Columns)), ","))
		}
		for _, ref := range table.Refs {
			described = append(described, "ref "+table.Name+" "+ref.Column)
		}
	}
	rows, err := conn.Query(t.Context(), `
SELECT 'key ' || t.relname || ' ' || array_to_string(ARRAY(SELECT trim('"' FROM pg_get_indexdef(x.indexrelid, n, true)) FROM generate_series(1, x.indnkeyatts) n ORDER BY trim('"' FROM pg_get_indexdef(x.indexrelid, n, true)) COLLATE "C"), ',')
FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid WHERE t.relnamespace = 'public'::regnamespace AND x.indisunique AND NOT t.relispartition
UNION SELECT 'ref ' || t.relname || ' ' || a.attname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f' AND t.relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var have string
		if err := rows.Scan(&have); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(described, have) {
			t.Errorf("the description lacks: %s", have)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
