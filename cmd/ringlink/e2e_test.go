package main

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/cmd/internal/lab"
	"ringlink/screenpop"
	"ringlink/store/storetest"
)

// labDirectory has the caller of the flows, her organization, the dialled
// organization, and the ticket whose number callers key.
const labDirectory = `kind,id,name,number,organization,person,title,state,type
organization,o1,Example Ltd,,,,,,
organization,o2,Helpdesk Example,,,,,,
person,p1,Ada Example,,o1,,,,
number,n1,,+12025550101,o1,p1,,,work
number,n2,,5000,o2,,,,dialled
number,n3,,5010,o2,,,,dialled
ticket,t1,,1042,o1,p1,Printer on fire,open,
`

// importText imports CSV text through the command line.
func (g *gateway) importText(text string) {
	g.t.Helper()
	file := filepath.Join(g.t.TempDir(), "directory.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	g.ringlink("", "import", file)
}

// Every flow on the real Asterisk with real phones, through the binary: who
// gets the pop, with what, and that every other agent gets nothing.
func TestFlowsOnAsterisk(t *testing.T) {
	t.Parallel() // these flows wait more than they work
	site := lab.StartSite(t, lab.Options{}, "observer")
	runFlows(t, site, sqliteStore(t), lab.Flows())
}

// The channelvars line is advice, not a need: the same without it, but for a
// number that only CALLERID(num-pres) withholds.
func TestFlowsWithoutChannelVars(t *testing.T) {
	t.Parallel()
	site := lab.StartSite(t, lab.Options{NoChannelVars: true}, "observer")
	flows := slices.DeleteFunc(lab.Flows(), func(f lab.Flow) bool { return strings.HasPrefix(f.Name, "withheld_") })
	runFlows(t, site, sqliteStore(t), flows)
}

// The same on Postgres, for a flow of each mode and a transfer.
func TestFlowsOnPostgres(t *testing.T) {
	site := lab.StartSite(t, lab.Options{}, "observer")
	dsn := storetest.Postgres(t)
	var flows []lab.Flow
	for _, f := range lab.Flows() {
		switch f.Name {
		case "direct", "ivr_direct", "ivr_unknown", "anonymous", "blind_transfer_refer", "internal":
			flows = append(flows, f)
		}
	}
	t.Setenv("RINGLINK_TEST_DSN", dsn)
	runFlows(t, site, "{driver: postgres, dsn: {env: RINGLINK_TEST_DSN}}", flows)
}

func runFlows(t *testing.T, site *lab.Site, store string, flows []lab.Flow) {
	g := newGateway(t, site.Asterisk, store)
	g.people()
	g.importText(labDirectory)
	g.start()
	g.ready()
	desks := g.desks()
	for _, f := range flows {
		t.Run(f.Name, func(t *testing.T) { g.runFlow(t, site, desks, f) })
	}
}

func (g *gateway) runFlow(t *testing.T, site *lab.Site, desks map[string]*deskClient, f lab.Flow) {
	before := map[string]int{}
	for login, d := range desks {
		before[login] = len(d.pops())
	}
	known := len(g.pops())
	site.Settle(t)
	g.seat(f.Seats)
	defer g.unseat(f)
	site.Reseat = func() { g.seat(f.Reseat) }
	// Each answered device's agent sees the pop before the call goes on.
	turn := 0
	site.Answered = func(device string) {
		if turn >= len(f.Pops) || device != f.Pops[turn] {
			return
		}
		login := agentOf(f.Seat(turn))
		turn++
		g.follow(t, desks[login], before[login])
		before[login]++
	}
	defer func() { site.Answered, site.Reseat = nil, nil }()
	f.Run(t, site)
	rows := g.allEnded(known)
	if diff := cmp.Diff(expectedRows(f), describeRows(rows)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", f.Text, diff)
	}
	calls := map[int]string{}
	for i, r := range rows {
		n := min(i, len(f.Pops)-1)
		if calls[f.CallOf(n)] == "" {
			calls[f.CallOf(n)] = r.Call
			site.Asterisk.CDR(`"` + r.UniqueID + `"`) // ends the test if no call record has it
		}
		if r.Call != calls[f.CallOf(n)] || r.UniqueID == "" || r.SIPCallID == "" {
			t.Errorf("pop %d: call %s of %s, unique id %q, Call-ID %q", i+1, r.Call, calls[f.CallOf(n)], r.UniqueID, r.SIPCallID)
		}
	}
	if f.Second != nil && calls[0] == calls[1] {
		t.Errorf("both calls are %s", calls[0])
	}
	for login, d := range desks {
		if got := len(d.pops()); got != before[login] {
			t.Errorf("%s saw %d pops more than due", login, got-before[login])
		}
	}
}

// seat lets agents use further devices, each named by its agent's usual one, and
// returns when the gateway that runs must know it: it asks the store every devicesEvery.
func (g *gateway) seat(seats map[string]string) {
	g.t.Helper()
	for device, usual := range seats {
		g.ringlink("", "agent", "map", agentOf(usual), "lab", device)
	}
	if len(seats) > 0 {
		time.Sleep(devicesEvery + 500*time.Millisecond)
	}
}

// unseat makes the seats the usual ones again.
func (g *gateway) unseat(f lab.Flow) {
	g.t.Helper()
	for _, seats := range []map[string]string{f.Seats, f.Reseat} {
		for device := range seats {
			if login := agentOf(device); login != "" {
				g.ringlink("", "agent", "map", login, "lab", device)
			} else {
				g.ringlink("", "agent", "unmap", "lab", device)
			}
		}
	}
	if f.Reseat != nil {
		time.Sleep(devicesEvery + 500*time.Millisecond)
	}
}

func agentOf(device string) string {
	for login, endpoint := range labAgents {
		if endpoint == device {
			return login
		}
	}
	return ""
}

// follow does what an agent does with a new pop: sees it, opens it once; the
// second use of the link is refused.
func (g *gateway) follow(t *testing.T, d *deskClient, seen int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := d.wait(ctx, func(v screenpop.CallView) bool { return talking(v) && len(d.pops()) > seen && v.Pop == d.pops()[seen] })
	if err != nil {
		t.Fatalf("no pop on the desk: %v", err)
	}
	if err := d.shown(ctx, v.Pop); err != nil {
		t.Error(err)
	}
	link, err := d.link(ctx, v.Pop)
	if err != nil {
		t.Fatal(err)
	}
	page, err := d.open(ctx, link)
	page = html.UnescapeString(page)
	if err != nil {
		t.Fatalf("opening the link: %v", err)
	}
	for _, want := range []string{v.Caller, v.Dialled, v.CallNumber, v.Person} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if _, err := d.open(ctx, link); err == nil {
		t.Error("the link opened twice")
	}
}

// ended waits until every pop after the first `known` has ended.
func (g *gateway) allEnded(known int) (rows []popRow) {
	g.t.Helper()
	g.until("the pops' end", func() error {
		rows = g.pops()
		if len(rows) < known {
			return fmt.Errorf("%d pops, %d were there", len(rows), known)
		}
		rows = rows[known:]
		for _, r := range rows {
			if r.EndedAt == nil {
				return fmt.Errorf("pop %s is %s", r.Pop, r.State)
			}
		}
		return nil
	})
	return rows
}

func describeRows(rows []popRow) (list []string) {
	for _, r := range rows {
		opened := "never opened"
		if r.AcknowledgedAt != nil {
			opened = "opened"
		}
		list = append(list, fmt.Sprintf("%s %s caller=%s withheld=%v dialled=%s number=%s mode=%s opens=%s %s %s",
			r.Agent, r.Device, r.Caller, r.Withheld, r.Dialled, r.CallNumber, r.Mode, r.Opens, r.State, opened))
	}
	return list
}

func expectedRows(f lab.Flow) (list []string) {
	for i, device := range f.Pops {
		caller, dialled, number := f.Facts(i)
		mode, opens := "caller_id", "caller_info"
		switch {
		case number == "1042":
			mode, opens = "ivr", "ticket"
		case number != "" || caller == "":
			mode, opens = "ivr", "popup"
		}
		list = append(list, fmt.Sprintf("%s %s caller=%s withheld=%v dialled=%s number=%s mode=%s opens=%s %s opened",
			agentOf(f.Seat(i)), device, caller, caller == "", dialled, number, mode, opens, f.End(i)))
	}
	return list
}

// An agent who signs in while on a call finds the running call there.
func TestSignInDuringCall(t *testing.T) {
	site := lab.StartSite(t, lab.Options{}, "observer")
	g := newGateway(t, site.Asterisk, sqliteStore(t))
	g.people()
	g.start()
	g.ready()
	caller := lab.Call(t, site.Asterisk, lab.CallOptions{From: "+12025550101", To: "5000"})
	site.Phones["101"].WaitRinging(t.Context())
	site.Phones["101"].Answer()
	site.Stream.Connected(t.Context(), "PJSIP/101")
	g.until("the pop's row", func() error {
		if n := len(g.pops()); n != 1 {
			return fmt.Errorf("%d pops", n)
		}
		return nil
	})
	d := g.desk("ann")
	g.follow(t, d, 0)
	caller.Hangup()
	site.Stream.Quiet(t.Context())
	if diff := cmp.Diff([]string{"ann PJSIP/101 caller=+12025550101 withheld=false dialled=5000 number= mode=caller_id opens=caller_info ended opened"}, describeRows(g.allEnded(0))); diff != "" {
		t.Error(diff)
	}
}

// Asterisk is killed in the middle of a call and comes back: the call is lost,
// no ghost pops, and the next call works.
func TestAsteriskKilledInCall(t *testing.T) {
	site := lab.StartSite(t, lab.Options{}, "observer")
	g := newGateway(t, site.Asterisk, sqliteStore(t))
	g.people()
	g.start()
	g.ready()
	d := g.desk("ann")
	lab.Call(t, site.Asterisk, lab.CallOptions{From: "+12025550101", To: "5000"})
	site.Phones["101"].WaitRinging(t.Context())
	site.Phones["101"].Answer()
	site.Stream.Connected(t.Context(), "PJSIP/101")
	g.follow(t, d, 0)
	site.Asterisk.Kill()
	g.until("not ready", func() error {
		_, err := g.get(g.debug+"/readyz", http.StatusServiceUnavailable)
		return err
	})
	site.Asterisk.Restart()
	g.ready()
	rows := g.allEnded(0)
	if len(rows) != 1 || rows[0].Cause != "lost" || rows[0].State != "ended" {
		t.Errorf("pops after the restart: %+v", rows)
	}
	if n := len(d.pops()); n != 1 {
		t.Errorf("the desk saw %d pops", n)
	}
	if log := g.log.String(); strings.Count(log, "connection refused") > 2 {
		t.Errorf("the log repeats itself:\n%s", log)
	}
}
