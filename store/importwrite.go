package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// Rows of one INSERT and ids of one SELECT: few round trips, and parameters
// within what both engines take.
const (
	importRows = 200
	importIDs  = 500
)

// importWriter writes one file in one transaction.
type importWriter struct {
	tx     *sqlx.Tx
	file   *importFile
	source string
	now    int64
}

// write checks what the file refers to and, if the file has no fault at all,
// writes it.
func (w *importWriter) write(ctx context.Context) (ImportReport, error) {
	if err := w.checkReferences(ctx); err != nil {
		return ImportReport{}, err
	}
	if len(w.file.faults.Faults) > 0 {
		slices.SortStableFunc(w.file.faults.Faults, func(a, b ImportFault) int { return a.Line - b.Line })
		return ImportReport{}, w.file.faults
	}
	report := ImportReport{Repeated: w.file.repeated}
	counts := [kinds]*ImportCount{&report.Organizations, &report.People, &report.Numbers, &report.Tickets}
	for kind, count := range counts {
		there, err := w.existing(ctx, kind, slices.Collect(maps.Keys(w.file.ids[kind])))
		if err != nil {
			return ImportReport{}, err
		}
		count.Updated = len(there)
		count.Added = len(w.file.records[kind]) - len(there)
		for rows := range slices.Chunk(w.file.records[kind], importRows) {
			if err := w.upsert(ctx, kind, rows); err != nil {
				return ImportReport{}, err
			}
		}
	}
	return report, nil
}

// checkReferences adds a fault for each person and organization that neither
// the file nor the database has.
func (w *importWriter) checkReferences(ctx context.Context) error {
	wanted := [kinds]map[string]bool{kindOrganization: {}, kindPerson: {}}
	each := func(f func(rec importRecord, kind int, column, id string)) {
		for _, records := range w.file.records {
			for _, rec := range records {
				f(rec, kindOrganization, "organization", rec.organization)
				f(rec, kindPerson, "person", rec.person)
			}
		}
	}
	each(func(_ importRecord, kind int, _, id string) {
		if _, inFile := w.file.ids[kind][id]; id != "" && !inFile {
			wanted[kind][id] = true
		}
	})
	for _, kind := range []int{kindOrganization, kindPerson} {
		there, err := w.existing(ctx, kind, slices.Collect(maps.Keys(wanted[kind])))
		if err != nil {
			return err
		}
		for _, id := range there {
			delete(wanted[kind], id)
		}
	}
	each(func(rec importRecord, kind int, column, id string) {
		if wanted[kind][id] {
			w.file.faults.add(rec.line, column, "there is no %s of this id, in the file or before it", importTables[kind].kind)
		}
	})
	return nil
}

// existing returns those of the ids that the table has.
func (w *importWriter) existing(ctx context.Context, kind int, ids []string) ([]string, error) {
	var there []string
	for chunk := range slices.Chunk(ids, importIDs) {
		args := make([]any, len(chunk))
		for i, id := range chunk {
			args[i] = id
		}
		query := "SELECT id FROM " + importTables[kind].table + " WHERE id IN (?" + strings.Repeat(", ?", len(chunk)-1) + ")"
		if err := w.tx.SelectContext(ctx, &there, w.tx.Rebind(query), args...); err != nil {
			return nil, err
		}
	}
	return there, nil
}

// upsert writes up to importRows records by one statement.
func (w *importWriter) upsert(ctx context.Context, kind int, records []importRecord) error {
	t := importTables[kind]
	columns := append(slices.Clone(t.columns), "source", "updated")
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	var set []string
	for _, c := range columns[1:] {
		set = append(set, c+" = excluded."+c)
	}
	query := "INSERT INTO " + t.table + " (" + strings.Join(columns, ", ") + ") VALUES " + row +
		strings.Repeat(", "+row, len(records)-1) + " ON CONFLICT (id) DO UPDATE SET " + strings.Join(set, ", ")
	args := make([]any, 0, len(records)*len(columns))
	for _, rec := range records {
		args = append(append(args, rec.values...), w.source, w.now)
	}
	_, err := w.tx.ExecContext(ctx, w.tx.Rebind(query), args...)
	return err
}
