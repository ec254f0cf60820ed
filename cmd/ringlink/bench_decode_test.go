package main

import (
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	cyari "github.com/CyCoreSystems/ari/v5"

	"ringlink/ari"
	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/figures"
)

// allStreams are the lab's recordings, one after the other.
func allStreams(t testing.TB) (events [][]byte) {
	t.Helper()
	files, err := filepath.Glob(streamFile("*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no recorded streams", err)
	}
	for _, file := range files {
		list, err := aritest.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, list...)
	}
	return events
}

// ownCPU is the CPU time of this process, its garbage collector's too.
func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// figureDecode sets our decoder beside ari/v5's over all that the lab recorded:
// CPU an event, and what they allocate.
func figureDecode(t *testing.T, table *figures.Table) {
	events := allStreams(t)
	d := ari.NewDecoder([]string{"CALL_NUMBER"})
	var ev bridge.Event
	var skipped [][]byte
	for _, text := range events {
		if result, err := d.Decode(text, &ev); err != nil {
			t.Fatal(err)
		} else if result == ari.ResultSkipped {
			skipped = append(skipped, text)
		}
	}
	// Passes take about as long for both: short ones would be measured by the clock's tick.
	pass := func(times int, decode func([]byte)) float64 {
		runtime.GC()
		before := ownCPU(t)
		for range times {
			for _, text := range events {
				decode(text)
			}
		}
		return float64((ownCPU(t) - before).Nanoseconds()) / float64(times*len(events))
	}
	ours := func(text []byte) { _, _ = d.Decode(text, &ev) }
	theirs := func(text []byte) { _, _ = cyari.DecodeEvent(text) }
	cpu := figures.Figure{Name: "ARI decode, CPU an event (recorded mix)", Unit: "ns", PeerName: "ari.DecodeEvent", Ratio: figures.TimesLess}
	for range 2 * rounds {
		cpu.Ours = append(cpu.Ours, pass(200, ours))
		cpu.Peer = append(cpu.Peer, pass(4, theirs))
	}
	cpu.Aim, cpu.Met = "≥ 15 × less", figures.Median(cpu.Ratios()) >= 15
	table.Add(cpu)

	allocations := func(list [][]byte, decode func([]byte)) float64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, text := range list {
			decode(text)
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / float64(len(list))
	}
	for _, f := range []struct {
		name string
		list [][]byte
	}{{"ARI decode, allocations of a skipped event", skipped}, {"ARI decode, allocations an event", events}} {
		fig := figures.Figure{Name: f.name, Unit: "", PeerName: "ari.DecodeEvent"}
		for range rounds {
			fig.Ours = append(fig.Ours, allocations(f.list, ours))
			fig.Peer = append(fig.Peer, allocations(f.list, theirs))
		}
		if len(f.list) == len(skipped) {
			fig.Aim, fig.Met = "0", figures.Median(fig.Ours) < 0.01 // the runtime's own, over thousands of events
		}
		table.Add(fig)
	}
	table.Note("%d events, %d of them skipped", len(events), len(skipped))
}
