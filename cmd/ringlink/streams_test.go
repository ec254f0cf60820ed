package main

import (
	"bufio"
	"fmt"
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
	Pops    []string // device, caller, dialled, call number, CallID's count
	Ends    []string // how each pop ended
	Outcome []string
}

// run plays events and gathers what came of them.
func runEvents(t testing.TB, events []bridge.Event) (got expectation, all []bridge.Effect) {
	t.Helper()
	s := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	all = s.Apply(&labDevices, now, nil)
	for i := range events {
		now = now.Add(10 * time.Millisecond)
		all = s.Apply(&events[i], now, all)
	}
	calls := map[bridge.CallID]bool{}
	index := map[bridge.PopID]int{}
	for _, e := range all {
		switch e.Kind {
		case bridge.EffectPopOffered:
			if _, twice := index[e.Pop]; twice {
				t.Errorf("pop %s was offered twice", e.Pop)
			}
			calls[e.Call] = true
			index[e.Pop] = len(got.Pops)
			caller := e.Facts.Caller.Number.Reveal()
			if e.Facts.Caller.Withheld {
				caller = "withheld"
			}
			got.Pops = append(got.Pops, fmt.Sprintf("%s caller=%s dialled=%s number=%s", e.Device.Endpoint, caller, e.Facts.Dialled.Reveal(), e.Facts.CallNumber))
			got.Ends = append(got.Ends, "")
		case bridge.EffectPopEnded:
			got.Ends[index[e.Pop]] = string(e.State)
		case bridge.EffectCallEnded:
			if e.Direction == bridge.DirectionInbound {
				got.Outcome = append(got.Outcome, string(e.Outcome))
			}
		}
	}
	if len(calls) > 1 {
		t.Errorf("the pops belong to %d calls: %v", len(calls), calls)
	}
	if s.Calls() != 0 || s.Legs() != 0 {
		t.Errorf("left over: %d calls, %d legs", s.Calls(), s.Legs())
	}
	return got, all
}

// expect says what a flow must come to.
func expect(f lab.Flow) (want expectation) {
	caller := f.Caller
	if caller == "" {
		caller = "withheld"
	}
	for i, device := range f.Pops {
		want.Pops = append(want.Pops, fmt.Sprintf("%s caller=%s dialled=%s number=%s", device, caller, f.Dialled, f.CallNumber))
		state := "superseded"
		if i == len(f.Pops)-1 {
			state = "ended"
		}
		want.Ends = append(want.Ends, state)
	}
	switch {
	case len(f.Pops) > 0:
		want.Outcome = []string{"answered"}
	case f.Name == "unanswered":
		want.Outcome = []string{"missed"}
	case f.Name == "forwarded_out":
		want.Outcome = []string{"forwarded_outside"}
	}
	return want
}

// Every stream that the lab recorded: who gets a pop, in which order, with
// what, and how it ends; everybody else gets nothing.
func TestRecordedStreams(t *testing.T) {
	for _, f := range lab.Flows() {
		t.Run(f.Name, func(t *testing.T) {
			events := readStream(t, streamFile(f.Name))
			got, _ := runEvents(t, events)
			if diff := cmp.Diff(expect(f), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Text, diff)
			}
			var doubled []bridge.Event
			for _, ev := range events {
				doubled = append(doubled, ev, ev)
			}
			if again, _ := runEvents(t, doubled); !cmp.Equal(got, again) {
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
			events := readStream(t, streamFile(f.Name))
			for i := range events {
				for _, c := range []*bridge.Channel{&events[i].Channel, &events[i].Peer} {
					c.HasVars, c.Linkedid, c.NumPres, c.DNID, c.RDNIS, c.CallNumber = false, "", "", "", "", ""
				}
			}
			got, _ := runEvents(t, events)
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
