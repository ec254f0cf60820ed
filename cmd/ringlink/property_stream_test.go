package main

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringlink/ari"
	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
)

// instant is one event of a recorded stream and what the PBX has after it.
type instant struct {
	event bridge.Event // EventNone where the engine does not need it
	after *bridge.Snapshot
}

// pbxState is what a PBX has, as far as its events said so: the newest object
// of each channel and bridge, in the order of first sight.
type pbxState struct {
	channels, bridges objectList
}

type objectList struct {
	ids  []string
	text map[string]json.RawMessage
}

func (l *objectList) put(id string, text json.RawMessage) {
	if l.text == nil {
		l.text = map[string]json.RawMessage{}
	}
	if _, known := l.text[id]; !known {
		l.ids = append(l.ids, id)
	}
	l.text[id] = text
}

func (l *objectList) array() []byte {
	var list []json.RawMessage
	for _, id := range l.ids {
		if l.text[id] != nil {
			list = append(list, l.text[id])
		}
	}
	if list == nil {
		return []byte("[]")
	}
	data, _ := json.Marshal(list)
	return data
}

// apply takes every channel and bridge that an event carries, but for a
// transfer's, which are of the moment when it began. What was destroyed leaves
// a nil behind and does not come again.
func (s *pbxState) apply(t testing.TB, text []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	switch string(members["type"]) {
	case `"BridgeBlindTransfer"`, `"BridgeAttendedTransfer"`:
		return
	}
	for key, text := range members {
		var object struct {
			ID       string
			Channels []string
			State    string
		}
		if key == "device_state" || json.Unmarshal(text, &object) != nil || object.ID == "" {
			continue
		}
		list, end := &s.channels, `"ChannelDestroyed"`
		if object.Channels != nil {
			list, end = &s.bridges, `"BridgeDestroyed"`
		} else if object.State == "" {
			continue
		}
		if was, known := list.text[object.ID]; known && was == nil {
			continue
		}
		list.put(object.ID, text)
		if string(members["type"]) == end {
			list.text[object.ID] = nil
		}
	}
}

func (s *pbxState) snapshot(t testing.TB) *bridge.Snapshot {
	t.Helper()
	d := ari.NewDecoder([]string{"CALL_NUMBER"})
	channels, err := d.Channels(s.channels.array())
	if err != nil {
		t.Fatal(err)
	}
	return &bridge.Snapshot{Channels: channels, Bridges: bridgesOf(t, s.bridges.array())}
}

// bridgesOf reads an answer to GET /ari/bridges.
func bridgesOf(t testing.TB, data []byte) (list []bridge.Bridge) {
	t.Helper()
	var bridges []struct {
		ID       bridge.BridgeID    `json:"id"`
		Type     string             `json:"bridge_type"`
		Channels []bridge.ChannelID `json:"channels"`
	}
	if err := json.Unmarshal(data, &bridges); err != nil {
		t.Fatal(err)
	}
	for _, b := range bridges {
		list = append(list, bridge.Bridge{ID: b.ID, Type: b.Type, Channels: b.Channels})
	}
	return list
}

// readInstants reads a recorded stream with the PBX's state after each event.
func readInstants(t testing.TB, f lab.Flow) (list []instant) {
	t.Helper()
	texts, err := aritest.Load(streamFile(f.Name))
	if err != nil {
		t.Fatal(err)
	}
	d := ari.NewDecoder([]string{"CALL_NUMBER"})
	var pbx pbxState
	for _, text := range texts {
		var m instant
		if result, err := d.Decode(text, &m.event); err != nil {
			t.Fatal(err)
		} else if result != ari.ResultDecoded {
			m.event = bridge.Event{}
		}
		m.event.PBX = "lab"
		pbx.apply(t, text)
		m.after = pbx.snapshot(t)
		list = append(list, m)
		if channels := m.after.Channels; f.Reseat != nil && len(channels) == 0 && len(list) > 1 && len(list[len(list)-2].after.Channels) > 0 {
			change := seated(f, true)
			change.Stamp = m.event.Stamp.Add(100 * time.Millisecond) // see TestRecord
			list = append(list, instant{event: change, after: m.after})
		}
	}
	return list
}

// told is what became of one pop.
type told struct {
	Call   bridge.CallID
	Pop    bridge.PopID
	Agent  bridge.AgentID
	Device string
	Facts  bridge.Facts // the last
	End    bridge.PopState
	To     bridge.AgentID
}

// teller plays events into a State and keeps what came of it.
type teller struct {
	state *bridge.State
	now   time.Time
	pops  []told
	calls map[bridge.CallID]bridge.Outcome

	offered []time.Time // when each of pops began
}

// namedTrunk is labPBX with the trunk's endpoint named too, as a site should:
// a context alone does not tell a process that starts after a transfer what
// came from outside, since a transfer changes it.
var namedTrunk = bridge.PBXOptions{
	Name: labPBX.Name,
	Outside: func(endpoint, context string) bool {
		return endpoint == "PJSIP/anonymous" || labPBX.Outside(endpoint, context)
	},
}

func newTeller(f lab.Flow) *teller {
	p := &teller{
		state: bridge.NewState([]bridge.PBXOptions{namedTrunk}, bridge.Limits{}),
		now:   time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		calls: map[bridge.CallID]bridge.Outcome{},
	}
	devices := seated(f, false)
	p.state.Apply(&devices, p.now, nil)
	return p
}

func (p *teller) play(t testing.TB, events ...bridge.Event) {
	for i := range events {
		p.now = p.now.Add(10 * time.Millisecond)
		for _, e := range p.state.Apply(&events[i], p.now, nil) {
			p.take(t, &e)
		}
	}
}

func (p *teller) take(t testing.TB, e *bridge.Effect) {
	t.Helper()
	at := slices.IndexFunc(p.pops, func(o told) bool { return o.Pop == e.Pop })
	switch e.Kind {
	case bridge.EffectPopOffered:
		if at >= 0 {
			t.Errorf("pop %s offered twice", e.Pop)
		}
		p.offered = append(p.offered, p.now)
		p.pops = append(p.pops, told{Call: e.Call, Pop: e.Pop, Agent: e.Agent, Device: e.Device.Endpoint, Facts: e.Facts})
	case bridge.EffectPopUpdated, bridge.EffectPopEnded:
		if at < 0 || p.pops[at].End != "" {
			t.Errorf("pop %s updated or ended that does not run", e.Pop)
			return
		}
		p.pops[at].Facts = e.Facts
		p.pops[at].End, p.pops[at].To = e.State, e.To
	case bridge.EffectCallEnded:
		if _, twice := p.calls[e.Call]; twice {
			t.Errorf("call %s ended twice", e.Call)
		}
		p.calls[e.Call] = e.Outcome
	}
}

func eventsOf(list []instant) (events []bridge.Event) {
	for _, m := range list {
		if m.event.Kind != bridge.EventNone {
			events = append(events, m.event)
		}
	}
	return events
}

// recordedCall is a stream, what comes of it, and from which event to which each
// pop runs.
type recordedCall struct {
	flow     lab.Flow
	list     []instant
	pops     []told
	calls    map[bridge.CallID]bridge.Outcome
	from, to map[bridge.PopID]int // index of the event that offered, and of that which ended it
}

// eachRecorded runs test on every recorded stream.
func eachRecorded(t *testing.T, test func(*testing.T, *recordedCall)) {
	for _, f := range lab.Flows() {
		t.Run(f.Name, func(t *testing.T) { test(t, recordCall(t, f.Name)) })
	}
}

func recordCall(t testing.TB, flow string) *recordedCall {
	t.Helper()
	f := lab.Flows()[slices.IndexFunc(lab.Flows(), func(f lab.Flow) bool { return f.Name == flow })]
	r := &recordedCall{flow: f, list: readInstants(t, f), from: map[bridge.PopID]int{}, to: map[bridge.PopID]int{}}
	p := newTeller(f)
	for i, m := range r.list {
		p.play(t, m.event)
		for _, pop := range p.pops {
			if _, known := r.from[pop.Pop]; !known {
				r.from[pop.Pop] = i
			}
			if _, known := r.to[pop.Pop]; !known && pop.End != "" {
				r.to[pop.Pop] = i
			}
		}
	}
	r.pops, r.calls = p.pops, p.calls
	return r
}

// teller is a process that starts after the first n events: who sits where
// then it has from the store.
func (r *recordedCall) teller(t testing.TB, n int) *teller {
	p := newTeller(r.flow)
	p.play(t, seatsOf(r.list[:n])...)
	return p
}

func seatsOf(list []instant) []bridge.Event {
	return slices.DeleteFunc(eventsOf(list), func(ev bridge.Event) bool { return ev.Kind != bridge.EventDevices })
}

// cut plays the stream until event i, loses what follows until event j, and
// goes on from a snapshot of then; the last overlap events before j come again
// after it, as those that the source held meanwhile do. fresh is a new
// process: nothing of before is known.
func (r *recordedCall) cut(t testing.TB, i, j, overlap int, fresh bool) (got, want []told) {
	t.Helper()
	p := r.teller(t, 0)
	if fresh {
		p = r.teller(t, j)
	} else {
		for i < j && len(seatsOf(r.list[i:j])) > 0 {
			i++ // a change of seats is not lost in a gap: it begins after that
		}
		p.play(t, eventsOf(r.list[:i])...)
	}
	snap := &bridge.Snapshot{}
	if j > 0 {
		snap = r.list[j-1].after
	}
	p.play(t, bridge.Event{Kind: bridge.EventSourceUp, PBX: "lab", Snapshot: snap})
	p.play(t, eventsOf(r.list[max(i, j-overlap):])...)
	for _, pop := range r.pops {
		missed := r.from[pop.Pop] < j && (fresh || r.from[pop.Pop] >= i)
		seen := slices.ContainsFunc(p.pops, func(o told) bool { return o.Pop == pop.Pop })
		if missed && !seen && (r.to[pop.Pop] < j || !accompanied(snap, pop)) {
			continue // over by now, or the caller is between two bridges
		}
		if at := slices.IndexFunc(p.pops, func(o told) bool { return o.Pop == pop.Pop }); at >= 0 && !fresh && i <= r.to[pop.Pop] && r.to[pop.Pop] < j {
			pop.Facts = p.pops[at].Facts // what came up and ended in the gap is never known
		}
		want = append(want, pop)
	}
	return p.pops, want
}

// accompanied tells whether the caller of a pop's call shares a bridge and a leg
// of the pop's device is in one: while an agent has left and nobody has the caller
// yet, a new process sees no turn.
func accompanied(snap *bridge.Snapshot, pop told) bool {
	return slices.ContainsFunc(snap.Bridges, func(b bridge.Bridge) bool {
		return b.Type == "mixing" && len(b.Channels) > 1 && slices.Contains(b.Channels, bridge.ChannelID(pop.Call.UniqueID()))
	}) && slices.ContainsFunc(snap.Channels, func(c bridge.Channel) bool {
		return strings.HasPrefix(c.Name, pop.Device+"-") && slices.ContainsFunc(snap.Bridges, func(b bridge.Bridge) bool { return slices.Contains(b.Channels, c.ID) })
	})
}

// jitter is how far Asterisk's own stamps were seen to run back, and so how
// far the order of two channels' events is open.
const jitter = 24 * time.Millisecond

// shuffled reorders events as two connections or Asterisk's own threads could:
// by up to jitter, while the facts of one channel and of one bridge stay in
// order (Asterisk publishes each under its lock), and tells some of them twice.
func shuffled(list []instant, rnd *rand.Rand) (events []bridge.Event) {
	type timed struct {
		at time.Time
		ev bridge.Event
	}
	var all []timed
	last := map[string]time.Time{}
	for _, ev := range eventsOf(list) {
		at := ev.Stamp.Add(time.Duration(rnd.Int64N(int64(jitter))))
		ids := []string{string(ev.Channel.ID), string(ev.Peer.ID), string(ev.Bridge.ID)}
		for _, id := range ids {
			if before := last[id]; id != "" && at.Before(before) {
				at = before
			}
		}
		for _, id := range ids {
			last[id] = at
		}
		all = append(all, timed{at, ev})
	}
	slices.SortStableFunc(all, func(a, b timed) int { return a.at.Compare(b.at) })
	for _, e := range all {
		for range 1 + rnd.IntN(10)/8 {
			events = append(events, e.ev)
		}
	}
	return events
}
