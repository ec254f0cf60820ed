package config

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse: no text makes Parse panic; every error is a list of faults in line order, each of a line or of the file
// as a whole; and what is read is the same when its dump is read.
func FuzzParse(f *testing.F) {
	f.Add(Example())
	f.Add([]byte(minimal))
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(fileOf(archive, "config.yaml"))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz.yaml", text, dir, password)
		if err != nil {
			checkFaults(t, err, text)
			return
		}
		c.Warnings()
		dump, err := c.Dump()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("dump.yaml", dump, dir, password)
		if err != nil {
			t.Fatalf("the dump is not read: %v\n%s", err, dump)
		}
		if diff := cmp.Diff(c, again, compare); diff != "" {
			t.Errorf("the dump says something else:\n%s", diff)
		}
	})
}
