package sip

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gosip "github.com/emiago/sipgo/sip"

	"ringlink/bridge"
)

type tortureFile struct {
	name string
	data []byte
}

// torture reads the messages of RFC 4475 out of sipgo's own module.
func torture(tb testing.TB) []tortureFile {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		tb.Fatalf("finding sipgo's module: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "sip", "testdata", "torture", "*", "*.dat"))
	if err != nil || len(names) < 49 {
		tb.Fatalf("%d torture messages, want 49: %v", len(names), err)
	}
	files := make([]tortureFile, len(names))
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		files[i] = tortureFile{strings.TrimSuffix(filepath.Base(name), ".dat"), data}
	}
	return files
}

// handleAlone runs all that is done with a request but sending.
func handleAlone(parser *gosip.Parser, data []byte) {
	msg, err := parser.ParseSIP(data)
	if err != nil {
		return
	}
	req, ok := msg.(*gosip.Request)
	if !ok {
		return
	}
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	invitation(req, source, []string{"X-Call-Number"})
	cause(req)
	if complete(req) {
		transactionKey(req, source)
	}
	if req.Via() != nil {
		(&Server{}).stamp(req, source)
		_ = gosip.NewResponseFromRequest(req, 180, "Ringing", nil).String()
	}
}

// TestTorture sends each message of RFC 4475 to one door and pins what becomes
// of it. Those that index no outcome here are refused by the guard or by sipgo,
// unanswered and counted.
func TestTorture(t *testing.T) {
	handled := map[string]outcome{
		"wsinv":      outcomeNoTransaction, // its To has a tag: a re-INVITE
		"intmeth":    outcomeNotAllowed,
		"esc01":      outcomeInvite,
		"escnull":    outcomeNotAllowed,
		"esc02":      outcomeNotAllowed,
		"lwsdisp":    outcomeOptions,
		"longreq":    outcomeInvite,
		"dblreq":     outcomeNotAllowed,
		"semiuri":    outcomeOptions,
		"transports": outcomeOptions,
		"mpart01":    outcomeNotAllowed,
		// valid in form, for the application to judge
		"badbranch": outcomeOptions,
		"insuf":     outcomeBadRequest,
		"unkscm":    outcomeOptions,
		"baddate":   outcomeInvite, // the Date is not read
		"escruri":   outcomeInvite, // the headers in the URI are not read
		"regbadct":  outcomeNotAllowed,
		"unksm2":    outcomeNotAllowed,
		"bext01":    outcomeOptions,
		"invut":     outcomeInvite,
		"regaut01":  outcomeNotAllowed,
		"zeromf":    outcomeOptions,
		"cparam01":  outcomeNotAllowed,
		"cparam02":  outcomeNotAllowed,
		"regescrt":  outcomeNotAllowed,
		"sdp01":     outcomeInvite,
		"inv2543":   outcomeInvite,
	}
	for _, file := range torture(t) {
		t.Run(file.name, func(t *testing.T) {
			d := open(t, nil)
			p := d.phone("127.0.0.1:0")
			p.send(string(file.data))
			p.send(request("OPTIONS", "probe"))
			p.until("probe") // answers to the message itself go where its Via says
			d.stop()         // all is counted now
			want, ok := handled[file.name]
			for o := range outcomes {
				n := d.counter("ringlink_sip_requests_total", o.String())
				if o == outcomeOptions {
					n-- // the probe
				}
				if expected := ok && o == want; (n == 1) != expected {
					t.Errorf("%s: %v", o, n)
				}
			}
			invites := 0
			for len(d.events) > 0 {
				if ev := <-d.events; ev.Kind == bridge.EventInvite {
					invites++
				}
			}
			if (invites == 1) != (ok && want == outcomeInvite) {
				t.Errorf("%d events", invites)
			}
		})
	}
}
