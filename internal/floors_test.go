package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors of the house, from the ground up: a package imports floors below its
// own, never its own floor, never above. A new package needs a place here.
var floors = [][]string{
	{"lib"},
	{"socket/api", "socket/event", "socket/log", "socket/job", "socket/doctor", "socket/chart", "socket/errand"},
	{"socket/stream", "socket/remote", "socket/delivery", "socket/inbox", "socket/mailer"},
	{"meta"},
	{"role", "instance", "emoji"},
	{"decoration", "announcement"},
	{"user"},
	{"relation", "auth", "drive"},
	{"channel"},
	{"note"},
	{"reaction", "timeline", "hashtag", "search"},
	{"list", "clip", "draft", "antenna", "game", "catalogue", "preview", "translate"},
	{"notification", "stats", "webhook"},
	{"profile", "federation", "site", "moderation", "queue", "push", "letter", "transfer"},
	{"account", "retention", "doctor", "backup"},
	{"app"},
	{"testsrv"},
}

const module = "buttersc.one/oven/"

func floorOf(pkg string) int {
	for i, floor := range floors {
		for _, name := range floor {
			if pkg == name || strings.HasPrefix(pkg, name+"/") {
				return i
			}
		}
	}
	return -1
}

// imports lists package → imported packages of this module, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		out[pkg] = append(out[pkg], "")
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasPrefix(p, module) {
				out[pkg] = append(out[pkg], strings.TrimPrefix(p, module))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFloors(t *testing.T) {
	t.Parallel()
	for pkg, list := range imports(t) {
		here := floorOf(pkg)
		if here < 0 {
			t.Errorf("%s stands on no floor: give it a place in floors_test.go", pkg)
			continue
		}
		for _, imp := range list {
			switch {
			case imp == "":
			case imp == "db":
				if pkg != "app" && pkg != "testsrv" {
					t.Errorf("%s imports db: only app runs migrations", pkg)
				}
			case imp == "web":
				if pkg != "app" {
					t.Errorf("%s imports web: only app hands the built client on", pkg)
				}
			case strings.HasPrefix(imp, "internal/"):
				below := strings.TrimPrefix(imp, "internal/")
				if strings.HasPrefix(pkg, "lib") && strings.HasPrefix(below, "lib/") {
					continue // the ground may stand on itself
				}
				if floorOf(below) >= here {
					t.Errorf("%s imports %s, which is not below it: call down, emit up", pkg, below)
				}
			default:
				t.Errorf("%s imports %s of this module", pkg, imp)
			}
		}
	}
}

// Only app builds slices: whoever else did would have a second one, with
// caches and locks of its own.
func TestOnlyAppBuildsSlices(t *testing.T) {
	t.Parallel()
	for _, root := range []string{".", "../cmd", "../test", "../tools"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.IsDir() && d.Name() == "node_modules" {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(filepath.ToSlash(path), "app/") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			slices := map[string]bool{} // by the name they have here
			for _, i := range f.Imports {
				p, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				pkg, ours := strings.CutPrefix(p, module+"internal/")
				if !ours || strings.Contains(pkg, "/") || pkg == "app" || pkg == "testsrv" {
					continue
				}
				if i.Name != nil {
					pkg = i.Name.Name
				}
				slices[pkg] = true
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "New" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && slices[x.Name] {
					t.Errorf("%s: %s.New: take the service that app built as a parameter", set.Position(n.Pos()), x.Name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
