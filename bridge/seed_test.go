package bridge

import (
	"fmt"
	"testing"
	"time"
)

// A channel id that comes again within the second of the PBX's restart is a
// call of its own, for a process that saw both and for one that has only the
// store's word of the first.
func TestChannelIDComesAgain(t *testing.T) {
	second := scriptStart.Unix()
	id := ChannelID(fmt.Sprintf("lab-%d.0", second))
	agent := ChannelID(fmt.Sprintf("lab-%d.1", second))
	boots := []time.Time{scriptStart.Add(-time.Hour), scriptStart.Add(700 * time.Millisecond)}
	snapshot := func(boot time.Time, ids ...ChannelID) *Event {
		snap := &Snapshot{Booted: boot}
		names := map[ChannelID]string{id: "PJSIP/trunk-1", agent: "PJSIP/101-1"}
		for _, id := range ids {
			snap.Channels = append(snap.Channels, Channel{ID: id, Name: names[id], State: StateUp, CallerNumber: "1"})
		}
		if len(ids) == 2 {
			snap.Channels[1].App = "AppDial"
			snap.Bridges = []Bridge{{ID: "b", Channels: ids}}
		}
		return &Event{Kind: EventSourceUp, PBX: "p", Snapshot: snap}
	}
	fresh := func() *State {
		s := NewState([]PBXOptions{{Name: "p", Outside: func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }}}, Limits{})
		s.Apply(&Event{Kind: EventDevices, Devices: []Assignment{{Device: Device{"p", "PJSIP/101"}, Agent: "ann"}}}, scriptStart, nil)
		return s
	}
	offered := func(effects []Effect) (e Effect) {
		t.Helper()
		n := 0
		for _, e2 := range effects {
			if e2.Kind == EffectPopOffered {
				e, n = e2, n+1
			}
		}
		if n != 1 {
			t.Fatalf("%d pops, want 1: %+v", n, effects)
		}
		return e
	}
	s := fresh()
	before := offered(s.Apply(snapshot(boots[0], id, agent), scriptStart, nil))
	after := offered(s.Apply(snapshot(boots[1], id, agent), scriptStart.Add(time.Second), nil))
	if before.Call != MakeCallID("p", id) || after.Call == before.Call || after.Pop == before.Pop {
		t.Errorf("calls %s and %s, pops %s and %s", before.Call, after.Call, before.Pop, after.Pop)
	}
	if after.Facts.UniqueID != string(id) {
		t.Errorf("the unique id is %q", after.Facts.UniqueID)
	}
	row := func(e Effect, at time.Time, open bool) PastTurn {
		return PastTurn{Call: e.Call, Pop: e.Pop, Agent: e.Agent, Device: e.Device, Facts: e.Facts, Answered: at, Open: open}
	}
	first := row(before, scriptStart, true)
	for name, past := range map[string][]PastTurn{
		"first alone": {first},
		"both":        {first, row(after, scriptStart.Add(time.Second), true)},
		"second":      {row(after, scriptStart.Add(time.Second), true)},
	} {
		s := fresh()
		s.Apply(&Event{Kind: EventTurns, PBX: "p", Turns: past}, scriptStart, nil)
		if e := offered(s.Apply(snapshot(boots[1], id, agent), scriptStart.Add(2*time.Second), nil)); e.Call != after.Call || e.Pop != after.Pop {
			t.Errorf("%s in the store: call %s, pop %s; want %s, %s", name, e.Call, e.Pop, after.Call, after.Pop)
		}
	}
	s = fresh()
	if e := offered(s.Apply(snapshot(boots[0], id, agent), scriptStart, nil)); e.Call != before.Call {
		t.Errorf("without a restart the call is %s", e.Call)
	}
}
