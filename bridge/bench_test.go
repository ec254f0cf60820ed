package bridge

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// BenchmarkApply plays every scenario over and over: nanoseconds and
// allocations an event.
func BenchmarkApply(b *testing.B) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		b.Fatalf("no scenarios: %v", err)
	}
	var streams [][]Event
	total := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		s := newScript(b)
		var events []Event
		for _, line := range lines(string(txtar.Parse(data).Files[0].Data)) {
			events = append(events, s.line(line))
		}
		streams, total = append(streams, events), total+len(events)
	}
	outside := func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }
	b.ReportAllocs()
	var out []Effect
	n := 0
	for b.Loop() {
		for _, events := range streams {
			s := NewState([]PBXOptions{{Name: "p", Outside: outside}}, Limits{})
			for i := range events {
				out = s.Apply(&events[i], scriptStart, out[:0])
				n++
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// manyCalls brings so many answered calls of two legs into a new State.
func manyCalls(calls int) *State {
	s := NewState([]PBXOptions{{Name: "p", Outside: func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }}}, Limits{Channels: 2 * calls})
	agents := Event{Kind: EventDevices}
	for i := range 1000 {
		agents.Devices = append(agents.Devices, Assignment{Device{"p", fmt.Sprintf("PJSIP/%d", i)}, AgentID(fmt.Sprint("agent-", i))})
	}
	var out []Effect
	play := func(ev Event) {
		ev.PBX = "p"
		out = s.Apply(&ev, scriptStart, out[:0])
	}
	play(agents)
	for i := range calls {
		t := Channel{
			ID: ChannelID(fmt.Sprintf("lab-%d.0", i)), Name: fmt.Sprintf("PJSIP/trunk-%08x", i), State: StateRing, Linkedid: fmt.Sprintf("lab-%d.0", i),
			CallerNumber: fmt.Sprintf("+1202555%07d", i), CallerName: "Ada Caller", Exten: "5000", ProtocolID: fmt.Sprintf("%016x", i), Created: scriptStart,
		}
		a := Channel{ID: ChannelID(fmt.Sprintf("lab-%d.1", i)), Name: fmt.Sprintf("PJSIP/%d-%08x", i%1000, i), State: StateDown, Linkedid: t.Linkedid, ProtocolID: fmt.Sprintf("%036x", i), Created: scriptStart}
		br := Bridge{ID: BridgeID(fmt.Sprintf("%036x", i)), Type: "mixing"}
		play(Event{Kind: EventChannel, Channel: t})
		play(Event{Kind: EventDial, Channel: t, Peer: a})
		a.State = StateUp
		play(Event{Kind: EventChannel, Channel: a})
		play(Event{Kind: EventBridgeEntered, Channel: a, Bridge: br})
		play(Event{Kind: EventBridgeEntered, Channel: t, Bridge: br})
	}
	return s
}

// BenchmarkMemory tells what one answered call of two legs keeps, its strings
// among it, with 100,000 of them at once.
func BenchmarkMemory(b *testing.B) {
	const calls = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := manyCalls(calls)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if s.Calls() != calls {
			b.Fatalf("%d calls", s.Calls())
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/calls, "B/call")
		runtime.KeepAlive(s)
	}
}

// A state that went through many calls keeps nothing of them once they are
// over and their memory has run out.
func TestNothingIsKept(t *testing.T) {
	s := manyCalls(100)
	for id := range s.pbxs["p"].channels {
		s.Apply(&Event{Kind: EventChannelDestroyed, PBX: "p", Channel: Channel{ID: id}}, scriptStart, nil)
	}
	s.Apply(&Event{Kind: EventInvite, PBX: "p", Invite: &Invite{CallID: "never"}}, scriptStart, nil)
	s.Apply(&Event{Kind: EventTick}, scriptStart.Add(time.Hour), nil)
	x := s.pbxs["p"]
	if n := []int{s.Calls(), s.Legs(), len(x.channels), len(x.bridges), len(x.pairs), len(x.protocols), len(x.gone), len(x.invites)}; fmt.Sprint(n) != "[0 0 0 0 0 0 0 0]" {
		t.Errorf("kept: calls, legs, channels, bridges, pairs, protocols, gone, invites %v", n)
	}
}
