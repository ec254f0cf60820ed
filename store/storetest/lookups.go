package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// directory is what lookups are tried on: fictional people of example.com.
const directory = `kind,id,name,email,reference,organization,person,number,type,shared,active,title,state,opened,closed,url
organization,o1,Example Ltd,,,,,,,,,,,,,
organization,o2,Sample & Söhne,,,,,,,,,,,,,
organization,o3,Gone Inc,,,,,,,,no,,,,,
person,a,Ann Ünal,ann@example.com,R-1,o1,,,,,,,,,,
person,b,Bob Beta,,,o1,,,,,,,,,,
person,c,Cleo Chi,,,o2,,,,,,,,,,
person,d,Dan Delta,,,,,,,,,,,,,
person,e,Eve Gone,,,o1,,,,,no,,,,,
person,f,Fay Free,,,o3,,,,,,,,,,
number,,,,,,a,(202) 555-0101,work,,,,,,,
number,,,,,,a,202 555 0102,,,,,,,,
number,,,,,,b,202 555 0102,,,,,,,,
number,,,,,,a,202 555 0103,,,,,,,,
number,,,,,,c,202 555 0103,,,,,,,,
number,,,,,o1,,202 555 0104,,yes,,,,,,
number,,,,,,a,202 555 0104,,,,,,,,
number,,,,,,e,202 555 0105,,,,,,,,
number,,,,,,a,202 555 0106,,,no,,,,,
number,,,,,o2,,202 555 0107,,,,,,,,
number,,,,,,d,202 555 0108,,,,,,,,
number,,,,,,f,202 555 0109,,,,,,,,
number,,,,,o2,d,202 555 0110,,,,,,,,
number,,,,,,b,100,,,,,,,,
number,,,,,o2,,202 555 0199,dialled,,,,,,,
number,,,,,o3,,202 555 0198,dialled,,,,,,,
number,,,,,o1,,202 555 0197,dialled,,,,,,,
number,,,,,o2,,202 555 0197,dialled,,,,,,,
ticket,t1,,,,o1,a,4711,,,,Printer is on fire,open,2026-05-01 08:00,,https://desk.example.com/4711
ticket,t2,,,,o2,,4712,,,,Old,closed,2026-04-01,2026-04-02T10:00:00+02:00,
ticket,t3,,,,,c,4713,,,,By person,,,,
ticket,t4,,,,,,4714,,,,Nobody's,,,,
ticket,t5,,,,o1,,4715,,,,Newer but closed,closed,2026-03-02,2026-03-03,
ticket,t6,,,,o1,,4715,,,,Older but open,open,2026-01-01,,
`

// testLookup is as long as its table.
func testLookup(t *testing.T, db *store.DB) {
	Import(t, db, directory)
	o1, o2 := &screenpop.Organization{ID: "o1", Name: "Example Ltd"}, &screenpop.Organization{ID: "o2", Name: "Sample & Söhne"}
	ann := &screenpop.Person{ID: "a", Name: "Ann Ünal", Email: "ann@example.com", Reference: "R-1", Organization: "o1"}
	dan := &screenpop.Person{ID: "d", Name: "Dan Delta"}
	t1 := &screenpop.Ticket{ID: "t1", Number: "4711", Title: "Printer is on fire", State: "open", Person: "a", Organization: "o1",
		URL: "https://desk.example.com/4711", Opened: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}
	t2 := &screenpop.Ticket{ID: "t2", Number: "4712", Title: "Old", State: "closed", Organization: "o2",
		Opened: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Closed: time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC)}
	t3 := &screenpop.Ticket{ID: "t3", Number: "4713", Title: "By person", State: "open", Person: "c", Organization: "o2"}
	t4 := &screenpop.Ticket{ID: "t4", Number: "4714", Title: "Nobody's", State: "open"}
	t6 := &screenpop.Ticket{ID: "t6", Number: "4715", Title: "Older but open", State: "open", Organization: "o1",
		Opened: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	type query = screenpop.DirectoryQuery
	type found = screenpop.Found
	for _, test := range []struct {
		name string
		q    query
		want found
	}{
		{"nothing asked", query{}, found{}},
		{"unknown", query{Caller: "+12025550190", Dialled: "+12025550191", CallNumber: "1"}, found{}},
		{"one person", query{Caller: "+12025550101"}, found{Person: ann, Candidates: 1, Organization: o1, Via: "e164"}},
		{"several of one organization", query{Caller: "+12025550102"}, found{Candidates: 2, Organization: o1, Via: "e164"}},
		{"several of several", query{Caller: "+12025550103"}, found{Candidates: 2, Via: "e164"}},
		{"shared", query{Caller: "+12025550104"}, found{Organization: o1, Via: "shared"}},
		{"inactive person", query{Caller: "+12025550105"}, found{}},
		{"inactive number", query{Caller: "+12025550106"}, found{}},
		{"organization's number", query{Caller: "+12025550107"}, found{Organization: o2, Via: "e164"}},
		{"person of none", query{Caller: "+12025550108"}, found{Person: dan, Candidates: 1, Via: "e164"}},
		{"person of an inactive organization", query{Caller: "+12025550109"},
			found{Person: &screenpop.Person{ID: "f", Name: "Fay Free", Organization: "o3"}, Candidates: 1, Via: "e164"}},
		{"number of a person at an organization", query{Caller: "+12025550110"}, found{Person: dan, Candidates: 1, Organization: o2, Via: "e164"}},
		{"extension", query{Caller: "100"}, found{Person: &screenpop.Person{ID: "b", Name: "Bob Beta", Organization: "o1"}, Candidates: 1, Organization: o1, Via: "e164"}},
		{"dialled", query{Dialled: "+12025550199"}, found{Dialled: o2}},
		{"dialled, inactive", query{Dialled: "+12025550198"}, found{}},
		{"dialled, of two", query{Dialled: "+12025550197"}, found{}},
		{"a dialled number calls", query{Caller: "+12025550199"}, found{}},
		{"ticket", query{CallNumber: "4711"}, found{Ticket: t1}},
		{"ticket, closed", query{CallNumber: "4712"}, found{Ticket: t2}},
		{"ticket of a person", query{CallNumber: "4713"}, found{Ticket: t3}},
		{"ticket, open before newer", query{CallNumber: "4715"}, found{Ticket: t6}},
		{"ticket, not exact", query{CallNumber: "471"}, found{}},
		{"all, own ticket", query{Caller: "+12025550101", Dialled: "+12025550199", CallNumber: "4711"},
			found{Person: ann, Candidates: 1, Organization: o1, Via: "e164", Dialled: o2, Ticket: t1}},
		{"foreign", query{Caller: "+12025550101", CallNumber: "4712"}, found{Person: ann, Candidates: 1, Organization: o1, Via: "e164", Ticket: t2, Foreign: true}},
		{"foreign by person", query{Caller: "+12025550104", CallNumber: "4713"}, found{Organization: o1, Via: "shared", Ticket: t3, Foreign: true}},
		{"ticket of none", query{Caller: "+12025550101", CallNumber: "4714"}, found{Person: ann, Candidates: 1, Organization: o1, Via: "e164", Ticket: t4}},
		{"caller of none", query{Caller: "+12025550108", CallNumber: "4712"}, found{Person: dan, Candidates: 1, Via: "e164", Ticket: t2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := db.Lookup(t.Context(), test.q)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Done = true
			same(t, "found", got, test.want)
		})
	}
}

func testImport(t *testing.T, db *store.DB) {
	dry, err := db.Import(t.Context(), strings.NewReader(directory), store.ImportOptions{Region: "US", DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	want := store.ImportReport{
		Organizations: store.ImportCount{Added: 3}, People: store.ImportCount{Added: 6},
		Numbers: store.ImportCount{Added: 18}, Tickets: store.ImportCount{Added: 6},
	}
	same(t, "a dry run", dry, want)
	same(t, "the import", Import(t, db, directory), want)
	same(t, "the import again", Import(t, db, directory), store.ImportReport{
		Organizations: store.ImportCount{Updated: 3}, People: store.ImportCount{Updated: 6},
		Numbers: store.ImportCount{Updated: 18}, Tickets: store.ImportCount{Updated: 6},
	})

	// Semicolons, a byte order mark, other spellings, order of no matter,
	// references to what an earlier file brought.
	got := Import(t, db, "\uFEFFKind; ID;name;organization;person;number;active\r\n"+
		"number;;;;n;+44 (0)20 7946 0123 ext. 5;\r\n"+
		"number;;;;n;0044 20/7946.0123;\r\n"+ // the same
		"person;a;Ann Smith;o1;;;yes\r\n"+
		"person;n;\"New; \"\"Nick\"\"\";o2;;;\r\n")
	same(t, "the second file", got, store.ImportReport{
		People: store.ImportCount{Added: 1, Updated: 1}, Numbers: store.ImportCount{Added: 1}, Repeated: 1,
	})
	f, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "+442079460123"})
	if err != nil || f.Person == nil || f.Person.Name.Reveal() != `New; "Nick"` || f.Organization.ID != "o2" {
		t.Errorf("Lookup = %+v, %v", f, err)
	}
	// A line updates its record whole: the address that it leaves out is gone.
	f, err = db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "+12025550101"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the person updated", f.Person, &screenpop.Person{ID: "a", Name: "Ann Smith", Organization: "o1"})
}

// testImportFaults imports files of which something is wrong: every fault is
// told with its line and column, and nothing of the file is kept.
func testImportFaults(t *testing.T, db *store.DB) {
	const header = "kind,id,name,organization,person,number,type,shared,state,opened,url\n"
	const good = "person,p9,Kept Not,,,,,,,,\nnumber,,,,p9,202 555 0111,,,,,\n"
	for _, test := range []struct {
		name, file string
		want       []string // line:column of each fault
	}{
		{"empty", "", []string{"1:"}},
		{"no kind", "id,name\n1,x\n", []string{"1:kind"}},
		{"columns", "kind,id,id,phone\n", []string{"1:id", "1:"}},
		{"half", header + good + "person,,Nameless,,,,,,,,\n", []string{"4:id"}},
		{"kinds", header + "human,1,x,,,,,,,,\n,1,x,,,,,,,,\n", []string{"2:kind", "3:kind"}},
		{"cells", header + "person,1\n", []string{"2:"}},
		{"column of another kind", header + "person,1,x,,,,,,open,,\n", []string{"2:state"}},
		{"organization", header + "organization,,,,,,,,,,\n", []string{"2:id", "2:name"}},
		{"number", header + good + "number,,,,p9,hello,,,,,\nnumber,,,,p9,,,,,,\nnumber,,,,,202 555 0101,,,,,\nnumber,,,,p9,1234567,pager,perhaps,,,\nnumber,,,,p9,202 555 0112,dialled,,,,\n",
			[]string{"4:number", "5:number", "6:person", "7:type", "7:number", "7:shared", "8:type"}},
		{"ticket", header + "ticket,1,,,,,,,,,\nticket,2,,,,2,,,ajar,yesterday,javascript:x\n",
			[]string{"2:number", "3:opened", "3:state", "3:url"}},
		{"references", header + good + "person,1,x,none,,,,,,,\nticket,,,o9,p8,5,,,,,\n", []string{"4:organization", "5:organization", "5:person"}},
		{"repeated", header + good + "person,p9,Again,,,,,,,,\n", []string{"4:id"}},
		{"quotes", header + "person,1,\"x\"y,,,,,,,,\n" + good, []string{"2:"}},
		{"not UTF-8", header + good + "person,1,J\xfcrgen,,,,,,,,\n", []string{"4:name"}},
		{"UTF-16", "\xff\xfek\x00", []string{"1:"}},
		{"control", header + "person,1,\"a\x00b\",,,,,,,,\n" + "person,2,\"a\nb\",,,,,,,,\n" + good, []string{"2:name", "3:name"}},
		{"long", header + good + "person,1," + strings.Repeat("x", 1001) + ",,,,,,,,\n", []string{"4:name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := db.Import(t.Context(), strings.NewReader(test.file), store.ImportOptions{Name: "bad.csv", Region: "US"})
			faults, ok := errors.AsType[*store.ImportError](err)
			if !ok {
				t.Fatalf("Import: %v", err)
			}
			var got []string
			for _, f := range faults.Faults {
				got = append(got, fmt.Sprintf("%d:%s", f.Line, f.Column))
			}
			same(t, faults.Error(), got, test.want)
			if store.Unavailable(err) {
				t.Error("the file's fault is not the database's")
			}
		})
	}
	many := header + strings.Repeat("human,1,x,,,,,,,,\n", 250)
	_, err := db.Import(t.Context(), strings.NewReader(many), store.ImportOptions{})
	if faults, ok := errors.AsType[*store.ImportError](err); !ok || len(faults.Faults) != 100 || faults.More != 150 {
		t.Errorf("250 faults: %v", err)
	}
	f, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "+12025550111"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what faulty files left behind", f, screenpop.Found{Done: true})
}

// testImportMany takes more rows than one statement does.
func testImportMany(t *testing.T, db *store.DB) {
	const n = 1234
	var b strings.Builder
	b.WriteString("kind,id,name,person,number\n")
	for i := range n {
		fmt.Fprintf(&b, "person,p%d,Person %d,,\nnumber,,,p%d,+1 202 555 %04d\n", i, i, i, i)
	}
	want := store.ImportReport{People: store.ImportCount{Added: n}, Numbers: store.ImportCount{Added: n}}
	same(t, "the import", Import(t, db, b.String()), want)
	f, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: bridge.Number(fmt.Sprintf("+1202555%04d", n-1))})
	if err != nil || f.Person == nil || f.Person.ID != fmt.Sprintf("p%d", n-1) {
		t.Errorf("Lookup = %+v, %v", f, err)
	}
}
