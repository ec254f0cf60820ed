package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ringlink/cmd/internal/figures"
	"ringlink/cmd/internal/lab"
)

// loadAgent is the agent whose phone sipp plays.
const loadAgent = "ann"

// newLoad is a real Asterisk whose agent at PJSIP/110 is a sipp that answers
// after ringing for a while, and a gateway on it, not yet started.
func newLoad(t *testing.T) (*lab.Asterisk, *gateway) {
	t.Helper()
	a := lab.StartAsterisk(t, lab.Options{})
	lab.StartUAS(t, a, lab.LoadAgent, 200*time.Millisecond)
	g := newBenchGateway(t, site{a.URL(), a.User(), a.Password()}, "")
	g.ringlink(labPassword(loadAgent)+"\n", "user", "add", loadAgent)
	g.ringlink("", "agent", "map", loadAgent, "lab", "PJSIP/110")
	g.importText(labDirectory)
	return a, g
}

// load is one run of calls by sipp.
type load struct {
	rate  float64 // calls a second
	calls int
}

// figureCPU is what Ringlink takes of the CPU for a call beside what Asterisk
// takes for the same calls, at three rates, with a desk that is open. The calls
// have no audio, which is what costs an Asterisk most. Beside it a bare reader of
// the events, which is what any program on ARI takes at least, and calls with audio.
func figureCPU(t *testing.T, table *figures.Table) {
	a, g := newLoad(t)
	loads := []load{{2, 20}, {5, 40}, {10, 60}}
	bare := figures.Figure{Name: "floor: a bare reader of ARI, CPU a call, 5 calls/s", Unit: "ms", PeerName: "Asterisk", Ratio: figures.Percent}
	talks := figures.Figure{Name: "CPU a call with 5 s of audio, real phones, net of idle", Unit: "ms", PeerName: "Asterisk", Ratio: figures.Percent}
	idles := figures.Figure{Name: "CPU a second, idle, a desk open", Unit: "ms", PeerName: "Asterisk", Ratio: figures.Percent}
	var all []figures.Figure
	for _, l := range loads {
		all = append(all, figures.Figure{Name: fmt.Sprintf("CPU a call without audio, %.0f calls/s", l.rate), Unit: "ms", PeerName: "Asterisk", Ratio: figures.Percent})
	}
	g.ringlink(labPassword("bob")+"\n", "user", "add", "bob")
	g.ringlink("", "agent", "map", "bob", "lab", "PJSIP/101")
	phone := lab.StartPhone(t, a, "101")
	for range rounds {
		g.startReleased()
		d, of := g.reportingDesk(loadAgent), g.cmd.Process.Pid
		lab.SIPpRate(t, a, "5030", 5, 5) // what is done only once is done
		expected := 5
		g.popsOnDesk(d, expected)
		idle := idling(t, of, a.PID())
		for i, l := range loads {
			expected += l.calls
			spend(t, &all[i], l.calls, of, a.PID(), func() {
				lab.SIPpRate(t, a, "5030", l.rate, l.calls)
				g.popsOnDesk(d, expected)
			})
		}
		d = g.reportingDesk("bob")
		const calls = 3
		began := time.Now()
		spend(t, &talks, calls, of, a.PID(), func() {
			for n := range calls {
				c := lab.Call(t, a, lab.CallOptions{From: "+12025550101", To: "5000"})
				phone.WaitRinging(t.Context())
				phone.Answer()
				g.until("the pop", func() error {
					if len(d.pops()) != n+1 {
						return errors.New("it has not come")
					}
					return nil
				})
				<-time.After(5 * time.Second) // the figure's own definition
				c.Hangup()
				phone.WaitClosed(t.Context())
			}
			g.popsOnDesk(d, calls)
		})
		// One call at a time: most of what went by is not the calls'.
		perCall := time.Since(began).Seconds() / calls
		last := len(talks.Ours) - 1
		talks.Ours[last] -= idle.ours * perCall
		talks.Peer[last] -= idle.theirs * perCall
		idles.Ours, idles.Peer = append(idles.Ours, idle.ours), append(idles.Peer, idle.theirs)
		g.stop()

		reader := startBareReader(t, site{a.URL(), a.User(), a.Password()})
		spend(t, &bare, loads[1].calls, reader.Process.Pid, a.PID(), func() {
			lab.SIPpRate(t, a, "5030", loads[1].rate, loads[1].calls)
		})
		_ = reader.Process.Kill()
		_ = reader.Wait() // killed
	}
	for _, f := range all {
		f.Aim, f.Met = "≤ 10 %", figures.Median(f.Ratios()) <= 10
		table.Add(f)
	}
	table.Add(bare)
	table.Add(talks)
	table.Add(idles)
}

// idleCPU is what two processes take in a second without calls, in ms.
type idleCPU struct{ ours, theirs float64 }

func idling(t *testing.T, ours, theirs int) idleCPU {
	t.Helper()
	our, their, began := cpuOf(t, ours), cpuOf(t, theirs), time.Now()
	select {
	case <-time.After(5 * time.Second): // the figure's own definition
	case <-t.Context().Done():
	}
	seconds := time.Since(began).Seconds()
	return idleCPU{milliseconds(cpuOf(t, ours)-our) / seconds, milliseconds(cpuOf(t, theirs)-their) / seconds}
}

// spend notes what two processes take of the CPU for calls.
func spend(t *testing.T, f *figures.Figure, calls, ours, theirs int, do func()) {
	t.Helper()
	our, their := cpuOf(t, ours), cpuOf(t, theirs)
	do()
	f.Ours = append(f.Ours, milliseconds(cpuOf(t, ours)-our)/float64(calls))
	f.Peer = append(f.Peer, milliseconds(cpuOf(t, theirs)-their)/float64(calls))
}

// popsOnDesk waits until a desk has had so many pops and all are over.
func (g *gateway) popsOnDesk(d *deskClient, want int) {
	g.t.Helper()
	g.until("the pops", func() error {
		if n := len(d.pops()); n != want {
			return fmt.Errorf("%d pops, %d calls", n, want)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		for call, v := range d.views {
			if v.State != "ended" {
				return fmt.Errorf("call %s is %s", call, v.State)
			}
		}
		return nil
	})
}

// bareReaderEnv holds the address for TestBareReader; the user's name and
// password stand in the address.
const bareReaderEnv = "RINGLINK_BENCH_READ"

// TestBareReader is no test but the process of startBareReader: it reads events
// by the library that Ringlink reads them with, and looks at none.
func TestBareReader(t *testing.T) {
	address := os.Getenv(bareReaderEnv)
	if address == "" {
		t.Skip("it is a part of make bench")
	}
	conn, err := dialEvents(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open")
	for err == nil {
		var r io.Reader
		if _, r, err = conn.Reader(t.Context()); err == nil {
			_, err = io.Copy(io.Discard, r)
		}
	}
}

// eventsAddress is where an application of a name hears everything.
func eventsAddress(at site, app string) string {
	u, err := url.Parse(at.url)
	if err != nil {
		return at.url // dialling it says so
	}
	u.Scheme, u.User, u.Path = "ws", url.UserPassword(at.user, at.password), "/ari/events"
	u.RawQuery = url.Values{"app": {app}, "subscribeAll": {"true"}}.Encode()
	return u.String()
}

func dialEvents(ctx context.Context, address string) (*websocket.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	req := http.Request{Header: http.Header{}}
	password, _ := u.User.Password()
	req.SetBasicAuth(u.User.Username(), password)
	u.User = nil
	conn, _, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPHeader: req.Header})
	if err == nil {
		conn.SetReadLimit(1 << 20)
	}
	return conn, err
}

// startBareReader runs TestBareReader in a process of its own.
func startBareReader(t *testing.T, at site) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBareReader$")
	cmd.Env = append(os.Environ(), bareReaderEnv+"="+eventsAddress(at, "bench-reader"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	if n, err := out.Read(said); err != nil || !strings.HasPrefix(string(said[:n]), "open") {
		_ = cmd.Process.Kill()
		t.Fatalf("the bare reader says %q, %v", said[:n], err)
	}
	return cmd
}
