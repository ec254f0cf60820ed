package main

import (
	"fmt"
	"testing"
	"time"

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

// figureCPU is what Ringlink takes of the CPU for a call beside what Asterisk
// takes for the same calls, at three rates, with a desk that is open.
func figureCPU(t *testing.T, table *figures.Table) {
	a, g := newLoad(t)
	g.startReleased()
	d := g.desk(loadAgent)
	ours, theirs := g.cmd.Process.Pid, a.PID()
	lab.SIPpRate(t, a, "5030", 5, 10) // what is done only once is done
	expected := 10
	var all []figures.Figure
	for _, load := range []struct {
		rate  float64
		calls int
	}{{2, 20}, {5, 40}, {10, 60}} {
		all = append(all, figures.Figure{
			Name: fmt.Sprintf("CPU a call, %.0f calls/s", load.rate), Unit: "ms", PeerName: "Asterisk", Ratio: figures.Percent,
		})
	}
	for range rounds {
		for i, load := range []struct {
			rate  float64
			calls int
		}{{2, 20}, {5, 40}, {10, 60}} {
			before, peer := cpuOf(t, ours), cpuOf(t, theirs)
			lab.SIPpRate(t, a, "5030", load.rate, load.calls)
			expected += load.calls
			g.until("the pops", func() error {
				if n := len(d.pops()); n != expected {
					return fmt.Errorf("%d pops, %d calls", n, expected)
				}
				return nil
			})
			n := float64(load.calls)
			all[i].Ours = append(all[i].Ours, milliseconds(cpuOf(t, ours)-before)/n)
			all[i].Peer = append(all[i].Peer, milliseconds(cpuOf(t, theirs)-peer)/n)
		}
	}
	for _, f := range all {
		f.Aim, f.Met = "≤ 10 %", figures.Median(f.Ratios()) <= 10
		table.Add(f)
	}
}
