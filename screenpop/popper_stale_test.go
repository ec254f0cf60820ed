package screenpop_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// lister lists the same rows always.
type lister []screenpop.Pop

func (l lister) ListPops(context.Context, screenpop.PopQuery) ([]screenpop.Pop, error) { return l, nil }

func TestCloseStale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		before := time.Now()
		rows := lister{
			{ID: "unseen", Call: "pbx1/1", Agent: agentOne, State: bridge.PopOffered, Offered: before.Add(-time.Hour)},
			{ID: "seen", Call: "pbx1/1", Agent: agentOne, State: bridge.PopShown, Offered: before.Add(-time.Hour)},
			{ID: popA1, Call: callA, Agent: agentOne, State: bridge.PopShown, Offered: before.Add(-time.Minute)},
			{ID: "new", Call: "pbx1/2", Agent: agentOne, State: bridge.PopOffered, Offered: before},
		}
		for _, row := range rows {
			h.store.Put(row)
		}
		h.do(offer(popA1, agentOne, knownFacts()))
		n, err := h.popper.CloseStale(t.Context(), rows, "pbx1", before)
		if n != 2 || err != nil {
			t.Errorf("CloseStale = %d, %v; want 2", n, err)
		}
		synctest.Wait()
		if calls, pops, err := h.popper.Live(t.Context()); calls != 1 || pops != 1 || err != nil {
			t.Errorf("%d calls and %d pops are in memory, want call A's alone; %v", calls, pops, err)
		}
		for id, want := range map[bridge.PopID]bridge.PopState{
			"unseen": bridge.PopExpired, "seen": bridge.PopEnded, popA1: bridge.PopShown, "new": bridge.PopOffered,
		} {
			if row := h.row(id); row.State != want {
				t.Errorf("%s is %s, want %s", id, row.State, want)
			}
		}
	})
}

// TestPopMetrics: each state counts once, by mode.
func TestPopMetrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		h.subscribe(agentOne)
		h.do(offer(popA1, agentOne, knownFacts()), offer(popA1, agentOne, knownFacts()))
		for range 2 {
			if err := h.popper.Shown(t.Context(), agentOne, popA1); err != nil {
				t.Fatal(err)
			}
		}
		h.do(end(popA1, agentOne, bridge.PopEnded, "hangup", ""), end(popA1, agentOne, bridge.PopEnded, "hangup", ""))
		h.do(bridge.Effect{Kind: bridge.EffectCallEnded, Outcome: bridge.OutcomeAnswered})
		want := `
# HELP ringlink_calls_total Calls that ended, by outcome.
# TYPE ringlink_calls_total counter
ringlink_calls_total{outcome="answered"} 1
# HELP ringlink_desk_streams Open streams of desks.
# TYPE ringlink_desk_streams gauge
ringlink_desk_streams 1
# HELP ringlink_pop_backlog Pops with something that the store does not have yet.
# TYPE ringlink_pop_backlog gauge
ringlink_pop_backlog 0
# HELP ringlink_pops_total Pops by mode and by what became of them; one pop counts once for each state it reached.
# TYPE ringlink_pops_total counter
ringlink_pops_total{mode="caller_id",result="ended"} 1
ringlink_pops_total{mode="caller_id",result="offered"} 1
ringlink_pops_total{mode="caller_id",result="shown"} 1
`
		if err := testutil.GatherAndCompare(h.reg, strings.NewReader(want), "ringlink_calls_total", "ringlink_desk_streams", "ringlink_pop_backlog", "ringlink_pops_total"); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"ringlink_event_to_push_seconds", "ringlink_push_to_shown_seconds"} {
			families, err := h.reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == name && f.GetMetric()[0].GetHistogram().GetSampleCount() != 1 {
					t.Errorf("%s has %d samples, want 1", name, f.GetMetric()[0].GetHistogram().GetSampleCount())
				}
			}
		}
	})
}
