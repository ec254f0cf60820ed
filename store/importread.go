package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringlink/bridge"
)

// The kinds of an import's lines, in the order in which they are written.
const (
	kindOrganization = iota
	kindPerson
	kindNumber
	kindTicket
	kinds
)

// importTable says how a kind stands in the file and in the database.
type importTable struct {
	kind    string
	table   string
	cells   []string // columns of the file, beside kind
	columns []string // columns of the table, beside source and updated; the first is the id
}

var importTables = [kinds]importTable{
	kindOrganization: {"organization", "organizations", []string{"id", "name", "active"}, []string{"id", "name", "active"}},
	kindPerson: {"person", "people", []string{"id", "name", "email", "reference", "organization", "active"},
		[]string{"id", "name", "email", "reference", "organization_id", "active"}},
	kindNumber: {"number", "numbers", []string{"id", "number", "person", "organization", "type", "shared", "active"},
		[]string{"id", "number", "raw", "kind", "shared", "active", "person_id", "organization_id"}},
	kindTicket: {"ticket", "tickets", []string{"id", "number", "title", "state", "person", "organization", "opened", "closed", "url"},
		[]string{"id", "number", "title", "state", "person_id", "organization_id", "url", "opened", "closed"}},
}

// The types of numbers; see Import.
var numberTypes = []string{"", "work", "mobile", "home", "fax", "other", "dialled"}

// maxCell is the longest cell in bytes: an index of Postgres takes no more
// than 2,700, and no name is that long.
const maxCell = 1000

// importRecord is one line, ready to be written.
type importRecord struct {
	line         int
	id           string
	person       string // id that is referred to, or empty
	organization string // the same
	values       []any  // for importTable.columns
}

// importFile is a file that was read.
type importFile struct {
	records  [kinds][]importRecord
	ids      [kinds]map[string]int // id → line
	repeated int
	faults   *ImportError
}

// readImport reads the whole file and collects its faults in the result. The
// error is an *ImportError if the header is of no use, or the reader's own.
func readImport(r io.Reader, o ImportOptions) (*importFile, error) {
	f := &importFile{faults: &ImportError{Name: o.Name}}
	for k := range f.ids {
		f.ids[k] = make(map[string]int)
	}
	buffered, comma, err := sniff(r)
	if err != nil {
		f.faults.add(1, "", "%v", err)
		return nil, f.faults
	}
	c := csv.NewReader(buffered)
	c.Comma, c.FieldsPerRecord, c.ReuseRecord = comma, -1, true
	header, err := c.Read()
	if err == io.EOF {
		f.faults.add(1, "", "the file is empty: its first line names the columns")
		return nil, f.faults
	}
	if _, ok := errors.AsType[*csv.ParseError](err); err != nil && !ok {
		return nil, fmt.Errorf("reading %s: %w", o.Name, err)
	}
	columns, ok := f.header(header)
	if err != nil || !ok {
		if err != nil {
			f.faults.add(1, "", "the header has a quote in the wrong place")
		}
		return nil, f.faults
	}
	line := importLine{file: f, columns: columns, region: o.Region}
	for {
		cells, err := c.Read()
		if err == io.EOF {
			return f, nil
		}
		if e, ok := errors.AsType[*csv.ParseError](err); ok {
			f.faults.add(e.StartLine, "", "a quote is in the wrong place: put the cell in quotes and double those inside")
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", o.Name, err)
		}
		line.cells = cells
		line.number, _ = c.FieldPos(0)
		line.read()
	}
}

// sniff takes a byte order mark away and finds the separator.
func sniff(r io.Reader) (io.Reader, rune, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, _ := b.Peek(4 << 10) // shorter at the end of the file; Read reports errors
	if bytes.HasPrefix(head, []byte{0xFF, 0xFE}) || bytes.HasPrefix(head, []byte{0xFE, 0xFF}) {
		return nil, 0, errors.New("the file is UTF-16: save it as CSV UTF-8")
	}
	if bom := []byte("\uFEFF"); bytes.HasPrefix(head, bom) {
		head = head[len(bom):]
		if _, err := b.Discard(len(bom)); err != nil {
			return nil, 0, err
		}
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if bytes.Contains(first, []byte(";")) && !bytes.Contains(first, []byte(",")) {
		return b, ';', nil
	}
	return b, ',', nil
}

// header finds the columns; false if the lines cannot be understood with them.
func (f *importFile) header(cells []string) ([]string, bool) {
	var all []string
	for _, t := range importTables {
		all = append(all, t.cells...)
	}
	columns := make([]string, len(cells))
	ok := true
	for i, cell := range cells {
		name := strings.ToLower(strings.TrimSpace(cell))
		switch {
		case !utf8.ValidString(name):
			f.faults.add(1, "", "the name of column %d is not UTF-8: save the file as CSV UTF-8", i+1)
			ok = false
		case name != "kind" && !slices.Contains(all, name):
			f.faults.add(1, "", "there is no column %.40q: write kind, id, name, email, reference, organization, person, number, type, shared, active, title, state, opened, closed or url", name)
			ok = false
		case slices.Contains(columns[:i], name):
			f.faults.add(1, name, "the column is there twice: take one away")
			ok = false
		}
		columns[i] = name
	}
	if !slices.Contains(columns, "kind") {
		f.faults.add(1, "kind", "the column is missing: it says organization, person, number or ticket on each line")
		ok = false
	}
	return columns, ok
}

// importLine reads one line after the other.
type importLine struct {
	file    *importFile
	columns []string
	region  string

	number int
	cells  []string
	bad    bool
}

func (l *importLine) fault(column, format string, args ...any) {
	l.bad = true
	l.file.faults.add(l.number, column, format, args...)
}

// cell returns the text of a column, "" if the file does not have it.
func (l *importLine) cell(column string) string { return strings.TrimSpace(l.raw(column)) }

func (l *importLine) raw(column string) string {
	if i := slices.Index(l.columns, column); i >= 0 && i < len(l.cells) {
		return l.cells[i]
	}
	return ""
}

func (l *importLine) read() {
	l.bad = false
	if len(l.cells) != len(l.columns) {
		l.fault("", "the line has %d cells and the header %d", len(l.cells), len(l.columns))
		return
	}
	for i, cell := range l.cells {
		switch {
		case !utf8.ValidString(cell):
			l.fault(l.columns[i], "is not UTF-8: save the file as CSV UTF-8")
		case strings.ContainsFunc(cell, unicode.IsControl):
			l.fault(l.columns[i], "holds a line break or another control character: take it out")
		case len(cell) > maxCell:
			l.fault(l.columns[i], "is longer than %d bytes", maxCell)
		}
	}
	if l.bad {
		return
	}
	name := strings.ToLower(l.cell("kind"))
	kind := slices.IndexFunc(importTables[:], func(t importTable) bool { return t.kind == name })
	if kind < 0 {
		l.fault("kind", "%.40q is not organization, person, number or ticket", name)
		return
	}
	for i, column := range l.columns {
		if column != "kind" && !slices.Contains(importTables[kind].cells, column) && strings.TrimSpace(l.cells[i]) != "" {
			l.fault(column, "%s has no %s: leave it empty", withArticle(name), column)
		}
	}
	var rec importRecord
	switch kind {
	case kindOrganization:
		rec = l.readOrganization()
	case kindPerson:
		rec = l.readPerson()
	case kindNumber:
		rec = l.readNumber()
	case kindTicket:
		rec = l.readTicket()
	}
	l.keep(kind, rec)
}

// keep adds the record unless its line is faulty or its id was there before.
func (l *importLine) keep(kind int, rec importRecord) {
	if rec.id == "" {
		return // its fault is told
	}
	if first, there := l.file.ids[kind][rec.id]; there {
		if kind == kindNumber && l.cell("id") == "" {
			l.file.repeated++ // one number of one person, written two ways
			return
		}
		l.fault("id", "is on line %d already: give each %s its own, or take one line away", first, importTables[kind].kind)
		return
	}
	// Also a faulty line's id is known, so that it is not missed elsewhere.
	l.file.ids[kind][rec.id] = l.number
	rec.line = l.number
	l.file.records[kind] = append(l.file.records[kind], rec)
}

func (l *importLine) readOrganization() importRecord {
	id := l.required("id")
	return importRecord{id: id, values: []any{id, l.required("name"), l.truth("active", true)}}
}

func (l *importLine) readPerson() importRecord {
	id, org := l.required("id"), l.cell("organization")
	return importRecord{id: id, organization: org, values: []any{
		id, l.required("name"), l.cell("email"), l.cell("reference"), orNull(org), l.truth("active", true),
	}}
}

func (l *importLine) readNumber() importRecord {
	person, org := l.cell("person"), l.cell("organization")
	typ := strings.ToLower(l.cell("type"))
	if !slices.Contains(numberTypes, typ) {
		l.fault("type", "is not %s", strings.Join(numberTypes[1:], ", "))
	}
	switch {
	case person == "" && org == "":
		l.fault("person", "a number belongs to somebody: fill person, organization or both")
	case typ == "dialled" && (person != "" || org == ""):
		l.fault("type", "a dialled number belongs to an organization and to no person")
	}
	var number bridge.Number
	if l.required("number") != "" {
		var err error
		if number, err = Normalize(l.raw("number"), l.region); err != nil {
			l.fault("number", "%v", err)
		}
	}
	id := l.cell("id")
	if id == "" && number != "" {
		sum := sha256.Sum256([]byte(number.Reveal() + "\x00" + person + "\x00" + org))
		id = "n-" + hex.EncodeToString(sum[:16])
	}
	return importRecord{id: id, person: person, organization: org, values: []any{
		id, number.Reveal(), l.raw("number"), typ, l.truth("shared", false), l.truth("active", true), orNull(person), orNull(org),
	}}
}

func (l *importLine) readTicket() importRecord {
	number, person, org := l.required("number"), l.cell("person"), l.cell("organization")
	opened, closed := l.time("opened"), l.time("closed")
	state := strings.ToLower(l.cell("state"))
	switch state {
	case "open", "closed":
	case "":
		state = "open"
		if closed != 0 {
			state = "closed"
		}
	default:
		l.fault("state", "is neither open nor closed")
	}
	url := l.cell("url")
	if url != "" && !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		l.fault("url", "is no address of a page: begin it with https://")
	}
	id := l.cell("id")
	if id == "" {
		id = number
	}
	return importRecord{id: id, person: person, organization: org, values: []any{
		id, number, l.cell("title"), state, orNull(person), orNull(org), url, opened, closed,
	}}
}

func (l *importLine) required(column string) string {
	s := l.cell(column)
	if s == "" {
		l.fault(column, "is empty: %s needs it", withArticle(strings.ToLower(l.cell("kind"))))
	}
	return s
}

func (l *importLine) truth(column string, unsaid bool) int {
	switch strings.ToLower(l.cell(column)) {
	case "":
		return flag(unsaid)
	case "yes", "true", "1", "y":
		return 1
	case "no", "false", "0", "n":
		return 0
	}
	l.fault(column, "is neither yes nor no")
	return 0
}

func (l *importLine) time(column string) int64 {
	s := l.cell(column)
	if s == "" {
		return 0
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return micros(t)
		}
	}
	l.fault(column, "is no time: write it as 2026-05-01 or 2026-05-01 13:45")
	return 0
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func withArticle(kind string) string {
	if kind == "organization" {
		return "an organization"
	}
	return "a " + kind
}
