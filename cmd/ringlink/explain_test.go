package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
	"ringlink/screenpop"
)

var updateExplained = flag.Bool("update-explained", false, "write what is got as the wanted files of testdata/explained")

// What an administrator reads of each recorded flow, letter for letter.
func TestExplainRecordedStreams(t *testing.T) {
	for _, flow := range []string{
		"direct", "forked", "unanswered", "internal", "outbound", "forwarded_out", "blind_transfer_refer", "queue_ring_all", "pickup_directed",
	} {
		t.Run(flow, func(t *testing.T) {
			var out bytes.Buffer
			for i, tr := range replayLab(t, flow) {
				if i > 0 {
					out.WriteByte('\n')
				}
				if err := printExplained(&out, newExplained(&tr, nil, nil, nil, explainView{replay: true})); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, flow+".txt", out.Bytes())
		})
	}
}

// golden compares with a file of testdata/explained.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "explained", name)
	if *updateExplained {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// replayLab plays a stream of the lab as its PBX would be configured.
func replayLab(t testing.TB, flow string) []bridge.Trail {
	t.Helper()
	r, err := readRecord(streamFile(flow), nil)
	if err != nil {
		t.Fatal(err)
	}
	trails, err := replayRecord(r, replaySetting{pbx: labPBX.Name, outside: labPBX.Outside, devices: labDevices.Devices})
	if err != nil {
		t.Fatal(err)
	}
	return trails
}

// Every recorded flow is explained: the pops of the trails are the engine's,
// and a call that has none has a reason.
func TestEveryStreamIsExplained(t *testing.T) {
	for _, f := range lab.Flows() {
		if _, err := os.Stat(streamFile(f.Name)); err != nil {
			continue // not recorded yet
		}
		t.Run(f.Name, func(t *testing.T) {
			want := map[bridge.PopID]string{}
			state := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
			for _, ev := range append([]bridge.Event{labDevices}, readStream(t, streamFile(f.Name))...) {
				for _, e := range state.Apply(&ev, ev.Stamp, nil) {
					if e.Kind == bridge.EffectPopOffered {
						want[e.Pop] = e.Device.Endpoint
					}
				}
			}
			got := map[bridge.PopID]string{}
			for _, tr := range replayLab(t, f.Name) {
				for _, p := range withTrail(&tr, nil, explainView{}) {
					got[p.ID] = p.Device.Endpoint
					if !p.State.Final() {
						t.Errorf("pop %s is left %s", p.ID, p.State)
					}
				}
				if (tr.Turns == 0) != (tr.Reason != "") || tr.Reason == bridge.ReasonRunning {
					t.Errorf("%d turns and the reason %q", tr.Turns, tr.Reason)
				}
				if tr.CutSteps != 0 || tr.CutLegs != 0 || tr.Ended.IsZero() {
					t.Errorf("cut %d steps and %d legs, ended %v", tr.CutSteps, tr.CutLegs, tr.Ended)
				}
				if !slices.IsSortedFunc(tr.Steps, func(a, b bridge.TrailStep) int { return int(a.At - b.At) }) {
					t.Error("the steps are not in the order of time")
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pops (-engine +trail):\n%s", diff)
			}
		})
	}
}

// trailOf plays events, a millisecond apart, and returns the only trail.
func trailOf(t *testing.T, events []bridge.Event, o bridge.TrailOptions) bridge.Trail {
	t.Helper()
	var last bridge.Trail
	o.Keep = func(tr bridge.Trail) { last = tr }
	trails, err := bridge.NewTrails(o)
	if err != nil {
		t.Fatal(err)
	}
	s := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range events {
		events[i].PBX = "lab"
		now = now.Add(time.Millisecond)
		trails.Observe(s, &events[i], s.Apply(&events[i], now, nil))
	}
	trails.Close()
	return last
}

// A call that goes on for ever keeps the first and the last of its steps.
func TestTrailIsBounded(t *testing.T) {
	origin := bridge.Channel{ID: "1.0", Name: "PJSIP/anonymous-01", State: bridge.StateRing, Context: "from-trunk", CallerNumber: "+12025550101", Exten: "5000"}
	events := []bridge.Event{{Kind: bridge.EventChannel, Channel: origin}}
	for range 1000 {
		events = append(events, bridge.Event{Kind: bridge.EventHold, Channel: origin}, bridge.Event{Kind: bridge.EventUnhold, Channel: origin})
	}
	for i := range 100 {
		events = append(events, bridge.Event{Kind: bridge.EventDial, Channel: origin, Peer: bridge.Channel{
			ID: bridge.ChannelID("2." + string(rune('a'+i))), Name: "PJSIP/104-02", State: bridge.StateRinging, Linkedid: "1.0"}})
	}
	events = append(events, bridge.Event{Kind: bridge.EventChannelDestroyed, Channel: origin, Cause: 16})
	tr := trailOf(t, events, bridge.TrailOptions{})
	if len(tr.Steps) != 200 || tr.CutSteps < 1800 || len(tr.Legs) != 64 || tr.CutLegs != 37 {
		t.Errorf("%d steps and %d cut, %d legs and %d cut", len(tr.Steps), tr.CutSteps, len(tr.Legs), tr.CutLegs)
	}
	if tr.Steps[0].Kind != bridge.StepHold || tr.Steps[199].Kind != bridge.StepEnded {
		t.Errorf("first %v, last %v", tr.Steps[0], tr.Steps[199])
	}
	if tr.Reason != bridge.ReasonUnanswered || !slices.Equal(tr.Devices, []string{"PJSIP/104"}) {
		t.Errorf("%s %v", tr.Reason, tr.Devices)
	}
}

// What is to be typed for each reason that can be mended.
func TestMend(t *testing.T) {
	ring := func(endpoint, context, caller string) bridge.Channel {
		return bridge.Channel{ID: "1.0", Name: endpoint + "-01", State: bridge.StateRing, Context: context, CallerNumber: caller, Exten: "5000"}
	}
	gone := func(id bridge.ChannelID) bridge.Event {
		return bridge.Event{Kind: bridge.EventChannelDestroyed, Channel: bridge.Channel{ID: id}, Cause: 16}
	}
	trunk := ring("PJSIP/anonymous", "from-trunk", "+12025550101")
	desk := bridge.Channel{ID: "1.1", Name: "PJSIP/109-02", State: bridge.StateUp, Linkedid: "1.0"}
	rings := desk
	rings.State = bridge.StateRinging
	enter := func(c bridge.Channel) bridge.Event {
		return bridge.Event{Kind: bridge.EventBridgeEntered, Channel: c, Bridge: bridge.Bridge{ID: "b", Type: "mixing"}}
	}
	for _, tt := range []struct {
		events []bridge.Event
		reason bridge.Reason
		mend   string
	}{
		{[]bridge.Event{{Kind: bridge.EventChannel, Channel: trunk}, {Kind: bridge.EventDial, Channel: trunk, Peer: rings}, enter(trunk), enter(desk), gone("1.0"), gone("1.1")},
			bridge.ReasonNoAgentForDevice, "ringlink agent map --config r.yaml LOGIN lab PJSIP/109"},
		{[]bridge.Event{{Kind: bridge.EventChannel, Channel: ring("PJSIP/carrier", "default", "+12025550101")}, gone("1.0")},
			bridge.ReasonUnknownTrunk, "add PJSIP/carrier to the trunks of lab in r.yaml"},
		{[]bridge.Event{{Kind: bridge.EventChannel, Channel: ring("PJSIP/104", "default", "104")}, gone("1.0")}, bridge.ReasonInternal, ""},
		{[]bridge.Event{{Kind: bridge.EventChannel, Channel: trunk}, gone("1.0")}, bridge.ReasonNoAgentReached, "ringlink doctor --config r.yaml"},
		{[]bridge.Event{{Kind: bridge.EventChannel, Channel: trunk}}, bridge.ReasonRunning, ""},
	} {
		tr := trailOf(t, tt.events, bridge.TrailOptions{})
		x := newExplained(&tr, nil, nil, nil, explainView{config: "r.yaml"})
		if x.Reason != string(tt.reason) || x.Why == "" || !strings.Contains(strings.Join(x.Mend, "\n"), tt.mend) || (tt.mend == "") != (len(x.Mend) == 0) {
			t.Errorf("got %s, %q, %q; want %s and %q", x.Reason, x.Why, x.Mend, tt.reason, tt.mend)
		}
	}
}

// A pop that no desk was open for is not "all is well".
func TestMendWithoutDesk(t *testing.T) {
	tr := replayLab(t, "direct")[0]
	pops := withTrail(&tr, nil, explainView{})
	pops[0].State = bridge.PopExpired
	told := []screenpop.Told{{Kind: "push", Pop: pops[0].ID}}
	x := newExplained(&tr, pops, told, nil, explainView{desk: "https://desk.example"})
	if x.Reason != string(bridge.ReasonAgentWithoutDesk) || len(x.Mend) != 1 || !strings.Contains(x.Mend[0], "https://desk.example") {
		t.Errorf("%s: %s %v", x.Reason, x.Why, x.Mend)
	}
	pops[0].Shown = pops[0].Offered
	if x := newExplained(&tr, pops, told, nil, explainView{}); x.Reason != "" {
		t.Errorf("shown, and yet %s", x.Reason)
	}
}
