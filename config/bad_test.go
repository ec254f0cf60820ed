package config

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is got as the wanted errors of testdata/bad")

// TestBad reads each testdata/bad/*.txtar: config.yaml, env (NAME=value lines), other files, and the errors wanted.
// The files are written with mode 600, or as a line "chmod 644 FILE" of the comment says. $DIR is their folder.
func TestBad(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(cases) < 30 {
		t.Fatalf("only %d cases, %v", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			unpack(t, archive, dir)
			_, err = Load(filepath.Join(dir, "config.yaml"), envOf(archive))
			if err == nil {
				t.Fatal("loads without a fault")
			}
			got := strings.ReplaceAll(err.Error(), dir+"/config.yaml", "config.yaml")
			got = strings.ReplaceAll(got, dir, "$DIR") + "\n"
			if *update {
				setFile(archive, "want", got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(fileOf(archive, "want")), got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			checkFaults(t, err, fileOf(archive, "config.yaml"))
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is in the errors:\n%s", got)
			}
		})
	}
}

// checkFaults holds what is true of every error: only faults, in line order, each with a line of the file or of the
// file as a whole, and each saying what is wrong and, but for a broken file, what to write.
func checkFaults(t *testing.T, err error, text []byte) {
	t.Helper()
	faults := Faults(err)
	if len(faults) != strings.Count(err.Error(), "\n")+1 {
		t.Errorf("%d faults, but other errors too, or line ends within them:\n%v", len(faults), err)
	}
	last, lines := 0, strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+1 // YAML ends a line at a lone CR too
	for _, f := range faults {
		if f.Line < last || f.Line > lines {
			t.Errorf("line %d is out of order or not in the file: %v", f.Line, f)
		}
		if f.File == "" || f.Problem == "" || f.Advice == "" {
			t.Errorf("fault with an empty part: %#v", f)
		}
		last = f.Line
	}
}

func unpack(t *testing.T, a *txtar.Archive, dir string) {
	t.Helper()
	for _, f := range a.Files {
		if f.Name == "want" || f.Name == "env" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(a.Comment)) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "chmod" {
			continue
		}
		mode, err := strconv.ParseUint(words[1], 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, words[2]), os.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
	}
}

func envOf(a *txtar.Archive) func(string) (string, bool) {
	env := map[string]string{}
	for line := range strings.Lines(string(fileOf(a, "env"))) {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			env[k] = v
		}
	}
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func fileOf(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setFile(a *txtar.Archive, name, data string) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(data)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(data)})
}
