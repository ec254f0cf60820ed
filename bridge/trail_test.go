package bridge

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// trailCall plays an answered call of two legs and the end of both.
func trailCall(play func(Event), n int, end bool) {
	t := Channel{
		ID: ChannelID(fmt.Sprintf("lab-%d.0", n)), Name: fmt.Sprintf("PJSIP/trunk-%08x", n), State: StateRing, Linkedid: fmt.Sprintf("lab-%d.0", n),
		CallerNumber: fmt.Sprintf("+1202555%07d", n), Exten: "5000", ProtocolID: fmt.Sprintf("%016x", n), Created: scriptStart,
	}
	a := Channel{ID: ChannelID(fmt.Sprintf("lab-%d.1", n)), Name: fmt.Sprintf("PJSIP/%d-%08x", n%1000, n), State: StateDown, Linkedid: t.Linkedid, Created: scriptStart}
	br := Bridge{ID: BridgeID(fmt.Sprintf("%036x", n)), Type: "mixing"}
	play(Event{Kind: EventChannel, Channel: t})
	play(Event{Kind: EventDial, Channel: t, Peer: a})
	a.State = StateUp
	play(Event{Kind: EventChannel, Channel: a})
	play(Event{Kind: EventBridgeEntered, Channel: a, Bridge: br})
	play(Event{Kind: EventBridgeEntered, Channel: t, Bridge: br})
	if end {
		play(Event{Kind: EventChannelDestroyed, Channel: t, Cause: 16})
		play(Event{Kind: EventChannelDestroyed, Channel: a, Cause: 16})
	}
}

func trailState() *State {
	return NewState([]PBXOptions{{Name: "p", Outside: func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }}}, Limits{Channels: 300_000})
}

// Trails keeps nothing of a call that is over and was handed out; beyond its
// bound calls have no trail, and the engine goes on.
func TestTrailsKeepNothing(t *testing.T) {
	kept := map[CallID]int{}
	ts, err := NewTrails(TrailOptions{Calls: 10, Keep: func(t Trail) { kept[t.Call]++ }})
	if err != nil {
		t.Fatal(err)
	}
	s, now := trailState(), scriptStart
	play := func(ev Event) {
		ev.PBX, now = "p", now.Add(time.Microsecond)
		ts.Observe(s, &ev, s.Apply(&ev, now, nil))
	}
	for i := range 10 {
		trailCall(play, i, true)
	}
	trailCall(play, 10, true) // the ten linger still
	if len(ts.calls) != 10 || kept["p/lab-10.0"] != 0 {
		t.Errorf("%d trails, the eleventh handed out %d times", len(ts.calls), kept["p/lab-10.0"])
	}
	tick := Event{Kind: EventTick}
	ts.Observe(s, &tick, s.Apply(&tick, now.Add(time.Minute), nil))
	if len(ts.calls) != 0 || len(ts.legs) != 0 || len(kept) != 10 {
		t.Errorf("kept: %d trails, legs %v; handed out %d", len(ts.calls), ts.legs, len(kept))
	}
}

// BenchmarkTrails tells what trails add to an event, and what the trail of one
// answered call of two legs keeps.
func BenchmarkTrails(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("trails=%v", with), func(b *testing.B) {
			const calls = 20_000
			n := 0
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				ts, err := NewTrails(TrailOptions{Calls: calls, Keep: func(Trail) {}})
				if err != nil {
					b.Fatal(err)
				}
				s := trailState()
				var out []Effect
				play := func(ev Event) {
					ev.PBX = "p"
					out = s.Apply(&ev, scriptStart, out[:0])
					if with {
						ts.Observe(s, &ev, out)
					}
					n++
				}
				for i := range calls {
					trailCall(play, i, false)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/calls, "B/call")
				runtime.KeepAlive(s)
				runtime.KeepAlive(ts)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
		})
	}
}
