package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExample loads the example as it is and with its alternatives taken in.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	for name, content := range map[string]string{"reference.key": hidden, "postgres.dsn": "postgres://ringlink:x@db.example.com/ringlink?sslmode=verify-full"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse("example.yaml", Example(), dir, password)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("the example has warnings: %q", w)
	}

	full := regexp.MustCompile(`(?m)^( *)#(  )?([a-z_]+:)`).ReplaceAllString(string(Example()), "$1$2$3")
	full = regexp.MustCompile(`(?m)^  path: .*`).ReplaceAllString(full, "")
	full = strings.Replace(full, "driver: sqlite", "driver: postgres", 1)
	c, err = Parse("example.yaml", []byte(full), dir, password)
	if err != nil {
		t.Fatalf("%v\n%s", err, full)
	}
	if !c.TLS.Enabled() || c.Log.ReferenceKey.Reveal() != hidden || !c.Store.DSN.IsSet() {
		t.Error("an alternative of the example was not read")
	}
}

// TestExampleHasEveryKey looks for each key in its own section of the example, and for its default and range in the
// text before it.
func TestExampleHasEveryKey(t *testing.T) {
	sections := map[string]string{}
	path, indent, text := []string{}, []int{}, ""
	line := regexp.MustCompile(`^( *)(- )?(#)?( *)([a-z_]+):`)
	for l := range strings.Lines(string(Example())) {
		m := line.FindStringSubmatch(l)
		if m == nil || m[3] == "#" && m[4] == " " {
			text += strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(l), "#")) + " "
			continue
		}
		in := len(m[1]) + len(m[2]) + len(m[4])
		for len(indent) > 0 && indent[len(indent)-1] >= in {
			path, indent = path[:len(path)-1], indent[:len(indent)-1]
		}
		path, indent = append(path, m[5]), append(indent, in)
		sections[strings.Join(path, ".")] = text
		text = ""
	}
	walkKeys(reflect.TypeFor[Config](), "", func(at string, f field, ft reflect.Type) {
		text, ok := sections[at]
		if !ok {
			t.Errorf("%s is not in the example", at)
			return
		}
		if def := strings.Trim(f.def, `"'`); def != "" && def != "[]" && !strings.Contains(text, "Default "+def) {
			t.Errorf("the default of %s, %s, is not before it in the example: %q", at, def, text)
		}
		if f.required && ft.Kind() != reflect.Slice && !strings.Contains(text, "Required.") && !strings.Contains(text, "and its password") && at != "pbxs.ari.user" && at != "pbxs.ari.password" {
			t.Errorf("%s is required, and the example does not say so: %q", at, text)
		}
		if f.low != "" && !strings.Contains(text, f.low+" to "+f.top) {
			t.Errorf("the range of %s, %s to %s, is not before it in the example: %q", at, f.low, f.top, text)
		}
	})
}

// walkKeys calls f for each key, with its path without list indexes.
func walkKeys(t reflect.Type, path string, f func(string, field, reflect.Type)) {
	for _, k := range fieldsOf(t) {
		at, ft := join(path, k.key), t.Field(k.index).Type
		f(at, k, ft)
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		if isSection(ft) {
			walkKeys(ft, at, f)
		}
	}
}

// TestEveryKeyIsDocumented reads the package's own source: each field with a yaml tag has a comment that begins with
// its name.
func TestEveryKeyIsDocumented(t *testing.T) {
	seen := 0
	for _, name := range []string{"config.go", "pbx.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			f, ok := n.(*ast.Field)
			if !ok || f.Tag == nil || !strings.Contains(f.Tag.Value, "yaml:") {
				return true
			}
			seen++
			if text := f.Doc.Text(); !strings.HasPrefix(text, f.Names[0].Name+" ") || !strings.HasSuffix(strings.TrimSpace(text), ".") {
				t.Errorf("%s: the comment of %s is %q", name, f.Names[0].Name, text)
			}
			return true
		})
	}
	keys := 0
	walkKeys(reflect.TypeFor[Config](), "", func(at string, f field, ft reflect.Type) {
		keys++
		if f.key == "" {
			t.Errorf("a field under %s has no yaml tag", at)
		}
		if f.example == "" && f.def == "" && !isSection(ft) {
			t.Errorf("%s has nothing to show in an advice", at)
		}
		if ft == durationType || ft.Kind() == reflect.Int && ft != levelType {
			if f.low == "" || f.top == "" || f.def == "" {
				t.Errorf("%s has no range or no default", at)
			}
		}
		if (ft == secretType) && (f.def != "") {
			t.Errorf("%s is a secret with a default", at)
		}
	})
	if seen != keys {
		t.Errorf("%d documented keys of %d", seen, keys)
	}
}

// TestDump reads the dump again: it is the same configuration.
func TestDump(t *testing.T) {
	for name, text := range map[string]string{"minimal": minimal, "example": string(Example())} {
		first := mustParse(t, text)
		dump, err := first.Dump()
		if err != nil {
			t.Fatal(err)
		}
		second := mustParse(t, string(dump))
		if diff := cmp.Diff(first, second, compare); diff != "" {
			t.Errorf("%s (-first +second):\n%s\n%s", name, diff, dump)
		}
	}
	made := &Config{Log: Log{ReferenceKey: NewSecret(hidden)}}
	dump, err := made.Dump()
	if err != nil || strings.Contains(string(dump), "hunter2") || !strings.Contains(string(dump), redacted) {
		t.Errorf("dump of a made configuration: %v\n%s", err, dump)
	}
}
