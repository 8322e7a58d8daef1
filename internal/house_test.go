package internal_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/lib/blob"
	"buttersc.one/oven/internal/lib/secret"
	"buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// sources calls f for every Go file of the module's packages, tests left out.
func sources(t *testing.T, f func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			f(filepath.ToSlash(path), file, set)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// statements collects every constant whose name begins with sql, as
// "package.name", with the constants that it is put together from.
func statements(t *testing.T) map[string]string {
	t.Helper()
	type decl struct {
		pkg  string
		expr ast.Expr
	}
	all := map[string]decl{} // "pkgname.Name"
	sources(t, func(_ string, file *ast.File, _ *token.FileSet) {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, n := range v.Names {
					if i < len(v.Values) {
						all[file.Name.Name+"."+n.Name] = decl{file.Name.Name, v.Values[i]}
					}
				}
			}
		}
	})
	var text func(pkg string, e ast.Expr) (string, bool)
	text = func(pkg string, e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			return s, err == nil && e.Kind == token.STRING
		case *ast.BinaryExpr:
			a, ok1 := text(pkg, e.X)
			b, ok2 := text(pkg, e.Y)
			return a + b, ok1 && ok2
		case *ast.ParenExpr:
			return text(pkg, e.X)
		case *ast.Ident:
			d, ok := all[pkg+"."+e.Name]
			if !ok {
				return "", false
			}
			return text(d.pkg, d.expr)
		case *ast.SelectorExpr:
			x, ok := e.X.(*ast.Ident)
			if !ok {
				return "", false
			}
			d, ok := all[x.Name+"."+e.Sel.Name]
			if !ok {
				return "", false
			}
			return text(d.pkg, d.expr)
		}
		return "", false
	}
	out := map[string]string{}
	for name, d := range all {
		_, short, _ := strings.Cut(name, ".")
		if !strings.HasPrefix(short, "sql") || strings.HasPrefix(name, "db.") {
			continue
		}
		if s, ok := text(d.pkg, d.expr); ok {
			out[name] = s
		} else {
			t.Errorf("%s is no constant text that can be read", name)
		}
	}
	return out
}

// A statement that is completed at run time: %s stands for a part. Those are
// run by the API's tests.
var unfinished = regexp.MustCompile(`%(\[\d\])?[sv]`)

// Every statement fits the schema.
func TestStatementsPrepare(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	conn, err := d.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), doctor.ArchiveSchema); err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, sql := range statements(t) {
		if unfinished.MatchString(sql) {
			continue
		}
		n++
		if _, err := conn.Conn().Prepare(t.Context(), "", sql); err != nil {
			t.Errorf("%s does not fit the schema: %v\n%s", name, err, sql)
		}
	}
	if n < 200 {
		t.Errorf("only %d statements were found", n)
	}
}

var writes = regexp.MustCompile(`(?i)\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+("?[a-z_]+"?)`)

// foreign are the tables that a package writes although another owns them.
var foreign = map[string]string{
	"app": "*", // reset-db in test mode
}

// Every table has one package that writes it.
func TestTableOwners(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	rows, err := d.Query(t.Context(), `SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'goose_db_version'`)
	if err != nil {
		t.Fatal(err)
	}
	owner := map[string]string{}
	var table, comment string
	_, err = pgx.ForEachRow(rows, []any{&table, &comment}, func() error {
		m := regexp.MustCompile(`^owner: ([a-z]+)`).FindStringSubmatch(comment)
		if m == nil {
			t.Errorf("table %s has no owner: COMMENT ON TABLE %s IS 'owner: …'", table, table)
			return nil
		}
		owner[table] = m[1]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, sql := range statements(t) {
		pkg, _, _ := strings.Cut(name, ".")
		for _, m := range writes.FindAllStringSubmatch(sql, -1) {
			table := strings.Trim(m[1], `"`)
			o, known := owner[table]
			if !known || o == pkg || foreign[pkg] == "*" {
				continue // SET, a CTE, or one's own
			}
			t.Errorf("%s writes %s, which %s owns: call %s or emit an event", name, table, o, o)
		}
	}
}

var write = regexp.MustCompile(`(?i)^\s*(INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+"?[a-z_]+"?\s+SET)\s`)

// What writes is a constant that the tests above read; nothing is written by a
// text inside a function.
func TestWritesAreConstants(t *testing.T) {
	t.Parallel()
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				return n.Tok != token.CONST
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && write.MatchString(text) {
					t.Errorf("%s: a statement that writes: make it a const sql… above its function", set.Position(n.Pos()))
				}
			}
			return true
		})
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				for i, v := range s.(*ast.ValueSpec).Values {
					lit, ok := v.(*ast.BasicLit)
					name := s.(*ast.ValueSpec).Names[i].Name
					if ok && lit.Kind == token.STRING && !strings.HasPrefix(name, "sql") && write.MatchString(strings.Trim(lit.Value, "`\"")) {
						t.Errorf("%s: const %s writes: call it sql…, so that it is checked", set.Position(v.Pos()), name)
					}
				}
			}
		}
	})
}

// everything is a table's columns, whatever they are.
var everything = regexp.MustCompile(`(?i)\bSELECT\s+(\w+\.)?\*\s+FROM\s+("?\w+"?)`)

// A newer version may add columns while this one runs: nothing asks for all that
// a table has, but where a row is only counted or named again.
func TestColumnsAreNamed(t *testing.T) {
	t.Parallel()
	for name, sql := range statements(t) {
		for _, m := range everything.FindAllStringSubmatch(sql, -1) {
			if m[2] != "unnest" && name != "timeline.sqlWindow" { // which names what it takes of it
				t.Errorf("%s takes all columns of %s", name, m[2])
			}
		}
	}
}

var identity = regexp.MustCompile(`(?is)INSERT\s+INTO\s+("user"|user_publickey|note|emoji)\s`)

// Identity is never overwritten or passed over in silence.
func TestIdentityIsNotPassedOver(t *testing.T) {
	t.Parallel()
	for name, sql := range statements(t) {
		m := identity.FindStringSubmatch(sql)
		if m == nil {
			continue
		}
		upper := strings.ToUpper(strings.Join(strings.Fields(sql), " "))
		if strings.Contains(upper, "DO NOTHING") && !strings.Contains(upper, "RETURNING") {
			t.Errorf("%s: DO NOTHING on %s without RETURNING hides that nothing was written", name, m[1])
		}
		rotates := m[1] == "user_publickey" && strings.Contains(upper, "WHERE USER_PUBLICKEY.USER_ID = EXCLUDED.USER_ID")
		if strings.Contains(upper, "DO UPDATE") && m[1] != "emoji" && !rotates {
			t.Errorf("%s: DO UPDATE on %s takes what is another's: resolve which is meant", name, m[1])
		}
	}
}

var conflict = regexp.MustCompile(`(?i)ON\s+CONFLICT\s*(\(|DO|ON)`)

// Identity inserts name the key they rely on: without the key they fail.
func TestConflictsNameTheirArbiter(t *testing.T) {
	t.Parallel()
	for name, sql := range statements(t) {
		for _, m := range conflict.FindAllStringSubmatch(sql, -1) {
			if m[1] != "(" {
				t.Errorf("%s: ON CONFLICT without a target hides which key was meant", name)
			}
		}
	}
}

// immutable are the calls whose result may be kept at package level: nothing
// can change it afterwards.
var immutable = map[string]bool{
	"errors.New": true, "fmt.Errorf": true, "regexp.MustCompile": true, "sync.OnceValue": true, "sync.OnceValues": true,
	"api.Err": true, "Err": true, "language.NewMatcher": true, "netip.MustParsePrefix": true, "strings.NewReplacer": true,
	"template.Must": true, "make": true, "WithStatus": true, "big.NewInt": true, "reflect.TypeFor": true, "time.Date": true,
	"errand.Say": true, "Say": true,
}

// starters have an init: a process that is to become another program, or only to
// decode a picture, must never come as far as main.
var starters = map[string]bool{"lib/confine/confine.go": true, "lib/media/builtin.go": true}

// Nobody has mutable state at package level, or init.
func TestNoPackageState(t *testing.T) {
	t.Parallel()
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !starters[path] {
				t.Errorf("%s has an init: build it in a constructor", path)
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				if v.Names[0].Name == "_" {
					continue // asserts that a type fits
				}
				if len(v.Values) == 0 && !embedded(g) {
					t.Errorf("%s: var %s has no value: whoever sets it changes package state", set.Position(v.Pos()), v.Names[0].Name)
				}
				for _, e := range v.Values {
					if !fixed(e) {
						t.Errorf("%s: var %s may be changed: make it a function or a field", set.Position(v.Pos()), v.Names[0].Name)
					}
				}
			}
		}
	})
}

func embedded(g *ast.GenDecl) bool {
	return g.Doc != nil && strings.Contains(g.Doc.List[len(g.Doc.List)-1].Text, "go:embed")
}

// fixed tells whether an initial value is one that nobody changes: a literal
// (tables are read, a linter of its own would be needed to prove it), or the
// result of a known call.
func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit, *ast.BasicLit, *ast.Ident, *ast.FuncLit:
		return true
	case *ast.UnaryExpr:
		return fixed(e.X)
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.Ident:
			return immutable[f.Name]
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok {
				return immutable[x.Name+"."+f.Sel.Name]
			}
			return immutable[f.Sel.Name]
		case *ast.IndexExpr, *ast.IndexListExpr:
			return true
		case *ast.ArrayType:
			return true
		}
	}
	return false
}

// db/schema.sql is what the migrations make.
func TestSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	got, err := db.Schema(t.Context(), testsrv.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../db/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("db/schema.sql is not what the migrations make: run make schema")
	}
}

// server builds the server without running it.
func server(t *testing.T, mode string) *app.App {
	t.Helper()
	dir := t.TempDir()
	files, err := blob.NewDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.LoadOrCreate(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Mode: mode, Origin: "https://oven.example", Host: "oven.example", Hostname: "oven.example",
		Version: "test", DB: testsrv.Database(t), Box: box, Files: files, TempDir: dir, Zone: time.UTC, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Release)
	return a
}

// Every endpoint is called by a test, under its name.
func TestEveryEndpointHasATest(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	for _, root := range []string{".", "../test"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "node_modules" {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "drive.ts") && !strings.Contains(path, "test/demo/") {
				return err
			}
			b, err := os.ReadFile(path)
			tests.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var missing []string
	for _, e := range server(t, "test").API.Endpoints() {
		if !strings.Contains(tests.String(), `"`+e.Name+`"`) && !strings.Contains(tests.String(), `'`+e.Name+`'`) {
			missing = append(missing, e.Name)
		}
	}
	sort.Strings(missing)
	if len(missing) > 0 {
		t.Errorf("no test calls %s", strings.Join(missing, ", "))
	}
}

// What test mode may do, no other mode knows.
func TestTestModeOnly(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"production", "development"} {
		h := server(t, mode).Handler()
		for _, name := range []string{"reset-db", "oven/settle", "oven/clock", "oven/jobs"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/"+name, strings.NewReader("{}")))
			if w.Code != 404 || !strings.Contains(w.Body.String(), "UNKNOWN_API_ENDPOINT") {
				t.Errorf("%s: %s answers %d %s", mode, name, w.Code, w.Body)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/signup", strings.NewReader(`{"username":"far","password":"x","host":"far.example"}`)))
		if strings.Contains(w.Body.String(), `"host":"far.example"`) {
			t.Errorf("%s: signup made a remote account: %s", mode, w.Body)
		}
	}
}
