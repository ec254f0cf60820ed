package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNewListsEveryFault(t *testing.T) {
	_, err := New(Options{})
	for _, want := range []string{"Handle", "PBXs"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New without %s: %v", want, err)
		}
	}
	if _, err := New(Options{Handle: func(Effect) {}, PBXs: []PBXOptions{{Name: "p"}}}); err == nil || !strings.Contains(err.Error(), "p has no Outside") {
		t.Errorf("New without Outside: %v", err)
	}
}

func TestEngineAppliesWhatWaitsBeforeItEnds(t *testing.T) {
	effects := make(chan Effect, 16)
	reg := prometheus.NewRegistry()
	e, err := New(Options{
		PBXs:       []PBXOptions{{Name: "p", Outside: func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }}},
		Handle:     func(e Effect) { effects <- e },
		Queue:      4,
		Registerer: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	trunk := Channel{ID: "t", Name: "PJSIP/trunk-1", State: StateRing, CallerNumber: "+12025550101", Exten: "5000"}
	agent := Channel{ID: "a", Name: "PJSIP/101-1", State: StateUp}
	for i, ev := range []Event{
		{Kind: EventDevices, Devices: []Assignment{{Device{"p", "PJSIP/101"}, "ann"}}},
		{Kind: EventChannel, PBX: "p", Channel: trunk},
		{Kind: EventBridgeEntered, PBX: "p", Channel: agent, Bridge: Bridge{ID: "b"}},
		{Kind: EventBridgeEntered, PBX: "p", Channel: trunk, Bridge: Bridge{ID: "b"}},
	} {
		if !e.Emit(ev) {
			t.Fatalf("event %d refused", i)
		}
	}
	if e.Emit(Event{Kind: EventTick}) {
		t.Error("Emit took an event into a full queue")
	}
	if n := testutil.ToFloat64(e.metrics.overflow); n != 1 {
		t.Errorf("overflow counted %v times", n)
	}
	full, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := e.Deliver(full, Event{Kind: EventTick}); err == nil {
		t.Error("Deliver into a full queue with an ended context gave no error")
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := e.Run(ended); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-effects:
		if got.Kind != EffectPopOffered || got.Agent != "ann" || got.Pop != MakePopID("p/t", "ann", "a", 0) {
			t.Errorf("effect %+v", got)
		}
	default:
		t.Error("what waited was not applied")
	}
}

func TestLimitOfChannels(t *testing.T) {
	s := NewState([]PBXOptions{{Name: "p", Outside: func(string, string) bool { return true }}}, Limits{Channels: 2})
	for _, id := range []ChannelID{"1", "2", "3"} {
		s.Apply(&Event{Kind: EventChannel, PBX: "p", Channel: Channel{ID: id, Name: "PJSIP/t-" + string(id), State: StateRing}}, time.Now(), nil)
	}
	if s.Legs() != 2 || s.Calls() != 2 || s.Refused() != 1 {
		t.Errorf("legs %d, calls %d, refused %d", s.Legs(), s.Calls(), s.Refused())
	}
}
