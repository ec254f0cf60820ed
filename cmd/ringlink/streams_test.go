package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
)

// labPBX is how the recorded streams' PBX would be configured.
var labPBX = bridge.PBXOptions{
	Name:    "lab",
	Outside: func(endpoint, context string) bool { return context == "from-trunk" || endpoint == "PJSIP/trunkout" },
}

var labDevices = bridge.Event{Kind: bridge.EventDevices, Devices: []bridge.Assignment{
	{Device: bridge.Device{PBX: "lab", Endpoint: "PJSIP/101"}, Agent: "ann"},
	{Device: bridge.Device{PBX: "lab", Endpoint: "PJSIP/102"}, Agent: "bob"},
	{Device: bridge.Device{PBX: "lab", Endpoint: "PJSIP/103"}, Agent: "cleo"},
}}

func streamFile(flow string) string { return filepath.Join("testdata", "streams", flow+".jsonl") }

// seated is who uses which device in a flow, before and after its Reseat.
func seated(f lab.Flow, reseated bool) bridge.Event {
	agents := map[string]bridge.AgentID{}
	for _, a := range labDevices.Devices {
		agents[a.Device.Endpoint] = a.Agent
	}
	seats := maps.Clone(agents)
	for device, usual := range f.Seats {
		seats[device] = agents[usual]
	}
	if reseated {
		for device, usual := range f.Reseat {
			seats[device] = agents[usual]
		}
	}
	ev := bridge.Event{Kind: bridge.EventDevices}
	for _, device := range slices.Sorted(maps.Keys(seats)) {
		ev.Devices = append(ev.Devices, bridge.Assignment{Device: bridge.Device{PBX: "lab", Endpoint: device}, Agent: seats[device]})
	}
	return ev
}

// flowStream is the recorded stream of a flow, with the change of seats where the flow has one: once no channel is left.
func flowStream(t testing.TB, f lab.Flow) []bridge.Event {
	t.Helper()
	events := readStream(t, streamFile(f.Name))
	if f.Reseat == nil {
		return events
	}
	open := map[bridge.ChannelID]bool{}
	for i, ev := range events {
		switch ev.Kind {
		case bridge.EventChannel:
			open[ev.Channel.ID] = true
		case bridge.EventChannelDestroyed:
			delete(open, ev.Channel.ID)
			if len(open) == 0 {
				change := seated(f, true)
				change.Stamp = ev.Stamp.Add(100 * time.Millisecond) // see TestRecord
				return slices.Insert(events, i+1, change)
			}
		}
	}
	t.Fatalf("%s: no moment without a channel", f.Name)
	return nil
}

// readStream decodes a recorded stream as the source does.
func readStream(t testing.TB, file string) (events []bridge.Event) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := ari.NewDecoder([]string{"CALL_NUMBER"})
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var ev bridge.Event
		result, err := d.Decode(lines.Bytes(), &ev)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		if result == ari.ResultDecoded {
			ev.PBX = "lab"
			events = append(events, ev)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

// expectation is what a flow must come to, as the engine's effects say it.
type expectation struct {
	Pops    []string // agent, device, caller, dialled, call number, which call
	Ends    []string // how each pop ended
	Outcome []string // of the calls from or to outside
}

// run plays events and gathers what came of them.
func runEvents(t testing.TB, f lab.Flow, events []bridge.Event) (got expectation, all []bridge.Effect) {
	t.Helper()
	s := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	devices := seated(f, false)
	all = s.Apply(&devices, now, nil)
	for i := range events {
		now = now.Add(10 * time.Millisecond)
		all = s.Apply(&events[i], now, all)
	}
	var calls []bridge.CallID // in the order of their first events
	for _, ev := range events {
		if id := bridge.MakeCallID("lab", ev.Channel.ID); ev.Kind == bridge.EventChannel && !slices.Contains(calls, id) {
			calls = append(calls, id)
		}
	}
	popped := map[bridge.CallID]bool{}
	for _, e := range all {
		popped[e.Call] = popped[e.Call] || e.Kind == bridge.EffectPopOffered
	}
	calls = slices.DeleteFunc(calls, func(id bridge.CallID) bool { return !popped[id] })
	index := map[bridge.PopID]int{}
	say := func(e *bridge.Effect) string {
		caller := e.Facts.Caller.Number.Reveal()
		if e.Facts.Caller.Withheld {
			caller = "withheld"
		}
		return fmt.Sprintf("%s %s caller=%s dialled=%s number=%s call=%d", e.Agent, e.Device.Endpoint, caller,
			e.Facts.Dialled.Reveal(), e.Facts.CallNumber, slices.Index(calls, e.Call))
	}
	for i := range all {
		e := &all[i]
		switch e.Kind {
		case bridge.EffectPopOffered:
			if _, twice := index[e.Pop]; twice {
				t.Errorf("pop %s was offered twice", e.Pop)
			}
			index[e.Pop] = len(got.Pops)
			got.Pops = append(got.Pops, say(e))
			got.Ends = append(got.Ends, "")
		case bridge.EffectPopUpdated:
			got.Pops[index[e.Pop]] = say(e)
		case bridge.EffectPopEnded:
			got.Ends[index[e.Pop]] = string(e.State)
		case bridge.EffectCallEnded:
			if e.Direction != bridge.DirectionInternal {
				got.Outcome = append(got.Outcome, string(e.Outcome))
			}
		}
	}
	if s.Calls() != 0 || s.Legs() != 0 {
		t.Errorf("left over: %d calls, %d legs", s.Calls(), s.Legs())
	}
	return got, all
}

// expect says what a flow must come to.
func expect(f lab.Flow) (want expectation) {
	agents := map[string]bridge.AgentID{}
	for _, a := range labDevices.Devices {
		agents[a.Device.Endpoint] = a.Agent
	}
	for i, device := range f.Pops {
		caller, dialled, number := f.Facts(i)
		if caller == "" {
			caller = "withheld"
		}
		want.Pops = append(want.Pops, fmt.Sprintf("%s %s caller=%s dialled=%s number=%s call=%d", agents[f.Seat(i)], device, caller, dialled, number, f.CallOf(i)))
		want.Ends = append(want.Ends, f.End(i))
	}
	want.Outcome = f.Outcomes
	if want.Outcome == nil && len(f.Pops) > 0 {
		want.Outcome = []string{"answered"}
	}
	return want
}

// Every stream that the lab recorded: who gets a pop, in which order, with
// what, and how it ends; everybody else gets nothing.
func TestRecordedStreams(t *testing.T) {
	for _, f := range lab.Flows() {
		t.Run(f.Name, func(t *testing.T) {
			events := flowStream(t, f)
			got, _ := runEvents(t, f, events)
			if diff := cmp.Diff(expect(f), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Text, diff)
			}
			var doubled []bridge.Event
			for _, ev := range events {
				doubled = append(doubled, ev, ev)
			}
			if again, _ := runEvents(t, f, doubled); !cmp.Equal(got, again) {
				t.Errorf("every event twice (-once +twice):\n%s", cmp.Diff(got, again))
			}
		})
	}
}

// The channelvars line is advice, not a need: without it the pops are the
// same, but for numbers that only num-pres withholds.
func TestRecordedStreamsWithoutChannelVars(t *testing.T) {
	for _, f := range lab.Flows() {
		if strings.HasPrefix(f.Name, "withheld_") {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			events := flowStream(t, f)
			for i := range events {
				for _, c := range []*bridge.Channel{&events[i].Channel, &events[i].Peer} {
					c.HasVars, c.Linkedid, c.NumPres, c.DNID, c.RDNIS, c.CallNumber = false, "", "", "", "", ""
				}
			}
			got, _ := runEvents(t, f, events)
			if diff := cmp.Diff(expect(f), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Text, diff)
			}
		})
	}
}

// Every recorded stream belongs to a flow, so that none goes untested.
func TestEveryStreamIsTested(t *testing.T) {
	files, err := filepath.Glob(streamFile("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		if !slices.ContainsFunc(lab.Flows(), func(f lab.Flow) bool { return f.Name == name }) {
			t.Errorf("%s belongs to no flow", file)
		}
	}
}
