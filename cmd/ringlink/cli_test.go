package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

var updateScripts = flag.Bool("update-scripts", false, "write what is got as the wanted files of testdata/script")

// asRinglink makes this test binary be the program: see TestAsRinglink.
const asRinglink = "RINGLINK_TEST_AS_RINGLINK"

// TestAsRinglink is no test: a script's command ringlink runs it in a process
// of its own, with the arguments after "--".
func TestAsRinglink(t *testing.T) {
	if os.Getenv(asRinglink) == "" {
		t.Skip("for scripts only")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	os.Exit(run(ctx, flag.Args(), streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.LookupEnv))
}

// Every command as an administrator types it. The scripts have, beside
// testscript's own commands:
//
//	ringlink ARGS... [<FILE]   runs the program; with ! it must fail
//	code N                     the last exit code is N
//	pops FILE.db               fills a store with pops of every kind
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		UpdateScripts:      *updateScripts,
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Values[lastCode{}] = new(int)
			return os.WriteFile(e.WorkDir+"/example.yaml", config.Example(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ringlink": scriptRinglink,
			"code":     scriptCode,
			"pops":     scriptPops,
		},
	})
}

type lastCode struct{}

func scriptRinglink(ts *testscript.TestScript, neg bool, args []string) {
	stdin := ""
	if n := len(args) - 1; n >= 0 && strings.HasPrefix(args[n], "<") {
		stdin, args = ts.ReadFile(args[n][1:]), args[:n]
	}
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(self, append([]string{"-test.run=^TestAsRinglink$", "--"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{asRinglink + "=1", "RINGLINK_TIERS=all", "GORACE=atexit_sleep_ms=0", "TZ=Asia/Tokyo"} // nothing of ours is in local time
	for _, name := range []string{"PATH", "HOME", "RINGLINK_CONFIG", "ARI_PASSWORD", "RINGLINK_ARI_PASSWORD", "DSN"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), ts.Stdout(), ts.Stderr()
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("running ringlink: %v", err)
	}
	*ts.Value(lastCode{}).(*int) = cmd.ProcessState.ExitCode()
	if neg == (err == nil) {
		ts.Fatalf("ringlink ended with code %d", cmd.ProcessState.ExitCode())
	}
}

func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(*ts.Value(lastCode{}).(*int)); len(args) != 1 || got != args[0] {
		ts.Fatalf("exit code %s", got)
	}
}

// scriptPops makes a store with a pop of every shape, its times fixed.
func scriptPops(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: pops FILE.db")
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Driver: store.SQLite, Path: ts.MkAbs(args[0])})
	ts.Check(err)
	defer db.Close()
	ts.Check(db.Migrate(ctx))
	_, err = db.Import(ctx, strings.NewReader("kind,id,number,title,state\nticket,t1,INC0001042,Printer on fire,closed\n"), store.ImportOptions{Name: "script"})
	ts.Check(err)
	for _, p := range scriptedPops() {
		_, fresh, err := db.OfferPop(ctx, p)
		ts.Check(err)
		if !fresh {
			ts.Fatalf("pop %s was there", p.ID)
		}
		for _, s := range []struct {
			to bridge.PopState
			at time.Time
		}{{bridge.PopShown, p.Shown}, {bridge.PopAcknowledged, p.Acknowledged}, {p.State, p.Ended}} {
			if !s.at.IsZero() {
				_, err := db.AdvancePop(ctx, p.ID, s.to, p.Cause, p.To, s.at)
				ts.Check(err)
			}
		}
	}
}

func scriptedPops() []screenpop.Pop {
	at := func(seconds int, more time.Duration) time.Time {
		return time.Date(2026, 3, 1, 9, 0, seconds, 0, time.UTC).Add(more)
	}
	known := bridge.Caller{Number: "+12025550101", Name: "Ada Example"}
	direct := screenpop.Pop{
		ID: "p-direct", Call: "pbx1/lab-1772355600.1", Agent: "ann", Device: bridge.Device{PBX: "pbx1", Endpoint: "PJSIP/101"},
		Facts:    bridge.Facts{Caller: known, Dialled: "5000", UniqueID: "lab-1772355600.1", SIPCallID: "abc@192.0.2.1"},
		Decision: bridge.Decision{Mode: bridge.ModeCallerID, Opens: bridge.OpensCallerInfo},
		State:    bridge.PopSuperseded, Cause: "transferred", To: "bob",
		Answered: at(0, 0), Offered: at(0, 1500*time.Microsecond), Shown: at(0, 20*time.Millisecond), Acknowledged: at(3, 0), Ended: at(9, 0),
	}
	ticket := screenpop.Pop{
		ID: "p-ticket", Call: "pbx1/lab-1772355600.1", Agent: "bob", Device: bridge.Device{PBX: "pbx1", Endpoint: "PJSIP/102"},
		Facts:    bridge.Facts{Caller: known, Dialled: "5000", CallNumber: "1042", UniqueID: "lab-1772355600.1"},
		Decision: bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensTicket},
		Found:    screenpop.Found{Done: true, Ticket: &screenpop.Ticket{ID: "t1", Number: "INC0001042", State: "closed"}},
		State:    bridge.PopOffered, Late: true, Answered: at(9, 0), Offered: at(9, 0),
	}
	withheld := screenpop.Pop{
		ID: "p-withheld", Call: "pbx2/1772355700.9", Agent: "ann", Device: bridge.Device{PBX: "pbx2", Endpoint: "PJSIP/101"},
		Facts:    bridge.Facts{Caller: bridge.Caller{Withheld: true}, Dialled: "5001", UniqueID: "1772355700.9"},
		Decision: bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensPopup},
		State:    bridge.PopExpired, Degraded: true, Answered: at(59, 0), Offered: at(59, 0), Ended: at(359, 0),
	}
	return []screenpop.Pop{direct, ticket, withheld}
}

// A number of scripts is there, or TestScripts would pass with none.
func TestScriptsAreThere(t *testing.T) {
	list, err := os.ReadDir("testdata/script")
	if err != nil || len(list) < 10 {
		t.Error(fmt.Errorf("%d scripts: %w", len(list), err))
	}
}

// What comes from outside does not steer the administrator's terminal.
func TestTableRow(t *testing.T) {
	got := tableRow("pbx1", "\x1b[2Jann", "\u202eevil", "a\tb\nc", "Zoë 北")
	if want := "pbx1\t?[2Jann\t?evil\ta?b?c\tZoë 北"; got != want {
		t.Errorf("tableRow = %q, want %q", got, want)
	}
}
