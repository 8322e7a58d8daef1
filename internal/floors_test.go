package internal_test

import (
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
	{"socket/api", "socket/event", "socket/log", "socket/job", "socket/doctor"},
	{"socket/stream", "socket/remote", "socket/delivery", "socket/inbox"},
	{"meta"},
	{"role", "instance", "emoji"},
	{"user"},
	{"relation", "auth", "drive"},
	{"note"},
	{"reaction", "timeline"},
	{"notification", "stats"},
	{"profile", "federation", "site"},
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
