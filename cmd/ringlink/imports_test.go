package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "ringlink"

// mayImport is the import table: what of ours each top-level package may
// import. A folder below one may import the same and its parents; cmd may
// import everything.
var mayImport = map[string][]string{
	"bridge":    nil,
	"config":    nil,
	"sip":       {"bridge"},
	"ari":       {"bridge"},
	"screenpop": {"bridge"},
	"store":     {"bridge", "screenpop"},
	"cmd":       nil,
}

// bothSides are the files that know the configuration and a package besides.
// options.go turns the one into the other; app.go, the commands and the demo
// are handed both and wire them.
var bothSides = []string{
	"cmd/ringlink/app.go",
	"cmd/ringlink/demo.go",
	"cmd/ringlink/doctor.go",
	"cmd/ringlink/explain.go",
	"cmd/ringlink/import.go",
	"cmd/ringlink/options.go",
	"cmd/ringlink/pops.go",
	"cmd/ringlink/record.go",
	"cmd/ringlink/replay.go",
	"cmd/ringlink/serve.go",
	"cmd/ringlink/user.go",
}

// repository is the folder of go.mod, seen from this package's.
const repository = "../.."

// pkg is the part of `go list -json` that counts here.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

var listPackages = sync.OnceValues(func() (list []pkg, err error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = repository
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, err
		}
		list = append(list, p)
	}
})

// ours cuts the module's name off; false for a package of others.
func ours(importPath string) (string, bool) { return strings.CutPrefix(importPath, module+"/") }

// isBelow tells whether name is folder or in it.
func isBelow(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// offTable returns those of a package's imports that the table does not allow.
// Its tests may use the package itself and what is below it too.
func offTable(name string, imports []string, test bool) (bad []string) {
	top, _, _ := strings.Cut(name, "/")
	for _, path := range imports {
		i, ok := ours(path)
		if !ok || top == "cmd" {
			continue
		}
		parent := i != name && isBelow(name, i)
		if parent || slices.Contains(mayImport[top], i) || test && isBelow(i, name) {
			continue
		}
		bad = append(bad, i)
	}
	return bad
}

func TestImportTable(t *testing.T) {
	list, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	tops := map[string]bool{}
	for _, p := range list {
		name, _ := ours(p.ImportPath)
		top, _, _ := strings.Cut(name, "/")
		tops[top] = true
		if _, ok := mayImport[top]; !ok {
			t.Errorf("%s is in no line of the import table", name)
		}
		for _, bad := range offTable(name, p.Imports, false) {
			t.Errorf("%s imports %s", name, bad)
		}
		for _, bad := range offTable(name, slices.Concat(p.TestImports, p.XTestImports), true) {
			t.Errorf("a test of %s imports %s", name, bad)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(mayImport)), slices.Sorted(maps.Keys(tops))); diff != "" {
		t.Errorf("packages (-table +go list):\n%s", diff)
	}
}

// The table says no where it should.
func TestImportTableRefuses(t *testing.T) {
	for _, c := range []struct {
		name, imports string
		test, ok      bool
	}{
		{"sip", "bridge", false, true},
		{"sip", "ari", false, false},
		{"bridge", "config", false, false},
		{"store", "screenpop", false, true},
		{"screenpop", "store", false, false},
		{"ari/aritest", "ari", false, true},
		{"ari/aritest", "bridge", false, true},
		{"ari/aritest", "sip", false, false},
		{"ari", "ari/aritest", false, false},
		{"ari", "ari/aritest", true, true},
		{"ari", "store/storetest", true, false},
		{"cmd/ringlink", "ari/aritest", false, true},
	} {
		if got := offTable(c.name, []string{"fmt", module + "/" + c.imports}, c.test) == nil; got != c.ok {
			t.Errorf("%s imports %s (test %v): allowed %v, want %v", c.name, c.imports, c.test, got, c.ok)
		}
	}
}

func TestTopLevelFolders(t *testing.T) {
	entries, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, e := range entries {
		// bin is make's, and not in the repository.
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" {
			folders = append(folders, e.Name())
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(mayImport)), folders); diff != "" {
		t.Errorf("top-level folders are fixed; a new one needs a reason (-want +got):\n%s", diff)
	}
}

// source is one parsed file of ours.
type source struct {
	name string // from the repository's folder
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the repository.
func sources(t *testing.T) (list []source) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(repository, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := e.Name(); e.IsDir() && name != repository && (strings.HasPrefix(base, ".") || base == "testdata") {
			return filepath.SkipDir
		}
		if e.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(repository, name)
		list = append(list, source{filepath.ToSlash(rel), f, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 100 {
		t.Fatalf("only %d Go files found", len(list))
	}
	return list
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// imports returns the imported paths and the names that the file gives them.
func (s source) imports() map[string]string {
	m := map[string]string{}
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		m[p] = ""
		if spec.Name != nil {
			m[p] = spec.Name.Name
		}
	}
	return m
}

// Two libraries have packages named as ours are; they go by one other name.
func TestAliases(t *testing.T) {
	aliases := map[string]string{
		"github.com/emiago/sipgo/sip":     "gosip",
		"github.com/CyCoreSystems/ari/v5": "cyari",
	}
	used := 0
	for _, s := range sources(t) {
		for p, name := range s.imports() {
			want := aliases[p]
			if want != "" {
				used++
			}
			if want != "" && name != want {
				t.Errorf("%s imports %s as %q, not %s", s.name, p, name, want)
			}
			if _, mine := ours(p); want == "" && (name == "gosip" || name == "cyari" || mine && name != "") {
				t.Errorf("%s imports %s as %s", s.name, path.Base(p), name)
			}
		}
	}
	if used == 0 {
		t.Error("nobody imports what the aliases are for")
	}
}

func TestWhoKnowsTheConfiguration(t *testing.T) {
	var got []string
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		cfg, other := false, false
		for p := range s.imports() {
			i, mine := ours(p)
			cfg = cfg || i == "config"
			other = other || mine && i != "config"
		}
		if cfg && other {
			got = append(got, s.name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(bothSides, got); diff != "" {
		t.Errorf("files that import config and another package of ours (-want +got):\n%s", diff)
	}
}

// mayPanic lists the files that may panic.
var mayPanic = []string{
	"config/decode.go: panic",    // a default in our own tag that is not YAML
	"screenpop/server.go: panic", // net/http's ErrAbortHandler goes on its way
}

// Nothing runs before main, and nobody but main ends the program.
func TestOnlyMainExits(t *testing.T) {
	var got []string
	for _, s := range sources(t) {
		if s.test() || path.Base(s.name) == "main.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					got = append(got, s.name+": init")
				}
			case *ast.CallExpr:
				if what := ends(n); what != "" {
					got = append(got, s.name+": "+what)
				}
			}
			return true
		})
	}
	if diff := cmp.Diff(mayPanic, got); diff != "" {
		t.Errorf("calls that end the program, and init functions (-want +got):\n%s", diff)
	}
}

// ends names the call if it ends the program.
func ends(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		if f.Name == "panic" {
			return "panic"
		}
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		if !ok {
			return ""
		}
		name := x.Name + "." + f.Sel.Name
		if name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic") {
			return name
		}
	}
	return ""
}
