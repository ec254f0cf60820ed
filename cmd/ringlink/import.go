package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ringlink/config"
	"ringlink/store"
)

// importCommand fills the directory.
type importCommand struct {
	configFlag
	Region string `help:"Country of numbers that name none, as US; the first PBX's region if left out."`
	DryRun bool   `help:"Check the file and count, change nothing."`
	File   string `arg:"" help:"CSV file; see the README for its columns."`
}

// Run imports the file: all of it or nothing.
func (c *importCommand) Run(s *session) error {
	return c.withStore(s, func(cfg *config.Config, db *store.DB) error {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := db.Import(s.ctx, f, store.ImportOptions{
			Name:   filepath.Base(c.File),
			Region: cmp.Or(c.Region, cfg.PBXs[0].Region),
			DryRun: c.DryRun,
		})
		if faults, ok := errors.AsType[*store.ImportError](err); ok {
			fmt.Fprintf(s.err, "%v\n%d to mend in %s; nothing was imported\n", faults, len(faults.Faults)+faults.More, c.File)
			return exitCode(1)
		}
		if err != nil {
			return err
		}
		verb := "imported"
		if c.DryRun {
			verb = "would import"
		} else if err := audit(s.ctx, db, "import", filepath.Base(c.File), ""); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s: organizations %s; people %s; numbers %s; tickets %s\n", verb,
			count(r.Organizations), count(r.People), count(r.Numbers), count(r.Tickets))
		return err
	})
}

func count(n store.ImportCount) string { return fmt.Sprintf("%d new, %d updated", n.Added, n.Updated) }
