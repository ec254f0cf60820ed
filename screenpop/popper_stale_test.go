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
	"ringlink/screenpop/screenpoptest"
)

// lister lists the same rows always.
type lister []screenpop.Pop

func (l lister) ListPops(context.Context, screenpop.PopQuery) ([]screenpop.Pop, error) { return l, nil }

func closeStale(t *testing.T, p *screenpop.Popper, rows screenpop.PopLister, before time.Time) (int, error) {
	t.Helper()
	stale, err := p.Stale(t.Context(), rows, "pbx1", before)
	if err != nil {
		return 0, err
	}
	return p.CloseStale(t.Context(), stale)
}

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
		n, err := closeStale(t, h.popper, rows, before)
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

// TestRowWasThere: another replica, or the run of before, was first.
func TestRowWasThere(t *testing.T) {
	shownAt := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		state    bridge.PopState
		messages int
	}{
		"offered":      {bridge.PopOffered, 1},
		"shown":        {bridge.PopShown, 1},
		"acknowledged": {bridge.PopAcknowledged, 1},
		"ended":        {bridge.PopEnded, 0},
		"expired":      {bridge.PopExpired, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				s := h.subscribe(agentOne)
				facts := knownFacts()
				facts.CallNumber = knownTicket // the other one saw the INVITE
				h.store.Put(screenpop.Pop{ID: popA1, Call: callA, Agent: agentOne, Facts: facts, State: c.state, Answered: shownAt, Offered: shownAt})
				h.do(offer(popA1, agentOne, knownFacts()))
				time.Sleep(time.Second)
				got := views(t, s)
				if c.messages == 0 {
					if len(got) != 0 || len(h.hub.Calls(agentOne)) != 0 {
						t.Fatalf("a turn that is over came back: %+v", got)
					}
					return
				}
				if len(got) == 0 {
					t.Fatal("nothing was pushed")
				}
				last := got[len(got)-1]
				if last.PopState != string(c.state) || last.CallNumber != "4711" || last.Opens != "ticket" || !last.Since.Equal(shownAt) {
					t.Errorf("pushed %+v", last)
				}
				if row := h.row(popA1); row.Decision.Opens != bridge.OpensTicket || row.Facts != facts || row.State != c.state {
					t.Errorf("row = %+v", row)
				}
			})
		})
	}
}

// TestRowWasThereFacts: each side's better facts win, and stay.
func TestRowWasThereFacts(t *testing.T) {
	ours, theirs, both := knownFacts(), knownFacts(), knownFacts()
	ours.SIPCallID, theirs.UniqueID = "", ""
	theirs.SIPCallID, both.SIPCallID = "x@example.com", "x@example.com"
	pending := bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensPending}
	info := bridge.Decide(bridge.ModeFacts{Caller: ours.Caller})
	for name, c := range map[string]struct {
		row  bridge.Facts
		was  bridge.Decision
		want bridge.Facts
	}{
		"each knows something": {theirs, info, both},
		"died before lookup":   {ours, pending, ours},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				h.store.Put(screenpop.Pop{ID: popA1, Call: callA, Agent: agentOne, Facts: c.row, Decision: c.was, State: bridge.PopShown})
				h.do(bridge.Effect{Kind: bridge.EffectRinging, Agent: agentOne, Facts: ours}) // the directory answers early
				h.do(offer(popA1, agentOne, ours))
				poorer := bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: ours}
				h.do(poorer)
				if row := h.row(popA1); row.Facts != c.want || row.Decision.Opens != bridge.OpensCallerInfo {
					t.Errorf("row has %+v %+v", row.Facts.UniqueID, row.Decision)
				}
			})
		})
	}
}

// TestEndOfAnUnknownPop: only its row is left of a run of before.
func TestEndOfAnUnknownPop(t *testing.T) {
	for from, want := range map[bridge.PopState]bridge.PopState{
		bridge.PopOffered: bridge.PopExpired, bridge.PopShown: bridge.PopEnded, bridge.PopSuperseded: bridge.PopSuperseded,
	} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			defer h.stop()
			h.store.Put(screenpop.Pop{ID: popA1, Call: callA, Agent: agentOne, State: from})
			h.do(end(popA1, agentOne, bridge.PopEnded, "gap", ""))
			if row := h.row(popA1); row.State != want {
				t.Errorf("from %s: row is %s, want %s", from, row.State, want)
			}
			if got := h.hub.Calls(agentOne); len(got) != 0 {
				t.Errorf("desk got %+v", got)
			}
		})
	}
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

// TestCloseStaleAfterAnOffer: what the engine offered before is not stale,
// also when the popper comes to both in one go.
func TestCloseStaleAfterAnOffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &screenpoptest.Store{}
		hub := screenpop.NewHub(screenpop.HubOptions{})
		p, err := screenpop.NewPopper(screenpop.PopperOptions{Pops: store, Directory: newDirectory(), Hub: hub})
		if err != nil {
			t.Fatal(err)
		}
		row := screenpop.Pop{ID: popA1, Call: callA, Agent: agentOne, Facts: knownFacts(), State: bridge.PopShown, Offered: time.Now().Add(-time.Hour)}
		store.Put(row)
		again := offer(popA1, agentOne, knownFacts())
		again.Call, again.At = callA, time.Now()
		p.Handle(again)
		found := make(chan int, 1)
		go func() {
			n, err := closeStale(t, p, lister{row}, time.Now())
			if err != nil {
				t.Error(err)
			}
			found <- n
		}()
		synctest.Wait() // both wait for the loop
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		if n := <-found; n != 0 {
			t.Errorf("%d stale pops", n)
		}
		synctest.Wait()
		if is, _ := store.Row(popA1); is.State != bridge.PopShown {
			t.Errorf("the running pop is %s", is.State)
		}
		if n := len(hub.Calls(agentOne)); n != 1 {
			t.Errorf("%d calls on the desk", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
