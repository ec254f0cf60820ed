package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// ImportOptions say how to read a file.
type ImportOptions struct {
	Name   string // of the file: stands in faults, and as the source of the rows
	Region string // the country of numbers that name none, as "GB"; empty: such numbers are faults
	DryRun bool   // check and count, change nothing
}

// ImportCount counts the rows of one kind.
type ImportCount struct {
	Added   int
	Updated int // were there already, changed or not
}

// ImportReport says what an import did, or with DryRun would do.
type ImportReport struct {
	Organizations ImportCount
	People        ImportCount
	Numbers       ImportCount
	Tickets       ImportCount
	Repeated      int // numbers that stood twice in the file, written two ways
}

// ImportFault is one thing that is wrong with a file. It holds no cell's text
// beyond ids and words from a closed set: a file is personal data.
type ImportFault struct {
	Line   int    // from 1
	Column string // of the header; empty if it is the whole line
	Text   string // what is wrong and what to do
}

// maxFaults is how many faults an import tells of.
const maxFaults = 100

// ImportError lists what is wrong with a file, by line, at most 100 faults.
// Nothing was changed.
type ImportError struct {
	Name   string
	Faults []ImportFault
	More   int // faults beyond those listed
}

// Error gives a line for each fault, as "people.csv:12: number: is too short …".
func (e *ImportError) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: ", e.Name, f.Line)
		if f.Column != "" {
			b.WriteString(f.Column + ": ")
		}
		b.WriteString(f.Text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s: and %d more faults", e.Name, e.More)
	}
	return b.String()
}

func (e *ImportError) add(line int, column, format string, args ...any) {
	if len(e.Faults) == maxFaults {
		e.More++
		return
	}
	e.Faults = append(e.Faults, ImportFault{line, column, fmt.Sprintf(format, args...)})
}

// Import reads organizations, people, numbers and tickets from CSV into the
// directory: all of the file in one transaction, or, if anything is wrong with
// it, nothing and an *ImportError with every fault.
//
// The file is UTF-8 with commas or semicolons. The first line names the
// columns, in any order; the column kind says what each line is, and a line
// fills only the columns of its kind:
//
//	organization  id, name, active
//	person        id, name, email, reference, organization, active
//	number        number, person and/or organization, type, shared, active, id
//	ticket        number, id, title, state, person, organization, opened, closed, url
//
// id is the record's key in the service desk: a line whose id is known updates
// that record whole, any other adds one. Number and ticket may leave it out;
// then a number is known by itself and whose it is, a ticket by its number.
// person and organization are ids, of this file in any order or of an earlier
// one. active and shared are yes or no; left empty a record is active, and a
// number not shared. type is work, mobile, home, fax, other, empty, or dialled:
// one of our own numbers that stands for the organization when it is called.
// state is open or closed. opened and closed are as 2026-05-01, or
// 2026-05-01 13:45, or RFC 3339, UTC if they do not say. Numbers are brought to
// E.164 by Normalize.
//
// Import holds the file's records in memory and has no time limit of its own
// but 30 seconds for each answer of the database.
func (db *DB) Import(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	if o.Name == "" {
		o.Name = "import"
	}
	start := time.Now()
	report, err := db.importFile(ctx, r, o)
	db.metrics.observe(opImport, start, err)
	if err != nil {
		return ImportReport{}, fmt.Errorf("importing: %w", err)
	}
	return report, nil
}

// errDryRun rolls a dry run back.
var errDryRun = errors.New("dry run")

func (db *DB) importFile(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	file, err := readImport(r, o)
	if err != nil {
		return ImportReport{}, err
	}
	var report ImportReport
	err = db.inTx(ctx, func(tx *sqlx.Tx) error {
		w := importWriter{tx: tx, file: file, source: clean(o.Name), now: micros(db.clock())}
		var err error
		if report, err = w.write(ctx); err != nil {
			return err
		}
		if o.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !(o.DryRun && errors.Is(err, errDryRun)) {
		return ImportReport{}, err
	}
	return report, nil
}
