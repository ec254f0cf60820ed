package screenpop_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

// TestStoreAway: the push comes at once, marked; the rows follow, in order.
func TestStoreAway(t *testing.T) {
	for name, c := range map[string]struct {
		away   func(*house)
		back   func(*house)
		within time.Duration // the first push
	}{
		"failing": {func(h *house) { h.store.Fail(screenpoptest.ErrAway) }, func(h *house) { h.store.Fail(nil) }, time.Millisecond},
		"hanging": {func(h *house) { h.store.Hang() }, func(h *house) { h.store.Resume() }, 301 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				s := h.subscribe(agentOne)
				c.away(h)
				h.do(offer(popA1, agentOne, knownFacts()))
				time.Sleep(c.within)
				got := views(t, s)
				if len(got) == 0 || !got[0].Degraded || got[0].Caller != string(knownNumber) {
					t.Fatalf("after %v: %+v", c.within, got)
				}
				// With the store known to be away the next one waits for nothing.
				h.do(bridge.Effect{Kind: bridge.EffectPopOffered, Call: "pbx1/lab-2.0", Pop: "b1", Agent: agentOne, Facts: knownFacts()})
				if got := views(t, s); len(got) == 0 || !got[0].Degraded || got[0].Pop != "b1" {
					t.Errorf("second pop: %+v", got)
				}
				if pop, err := h.popper.Pop(t.Context(), agentOne, popA1); err != nil || !pop.Degraded {
					t.Errorf("Pop = %+v, %v", pop, err)
				}
				if err := h.popper.Shown(t.Context(), agentOne, popA1); err != nil {
					t.Errorf("Shown: %v", err)
				}
				h.do(end("b1", agentOne, bridge.PopSuperseded, "transfer", agentTwo))
				time.Sleep(10 * time.Minute)
				views(t, s)
				c.back(h)
				time.Sleep(6 * time.Second)
				if got := views(t, s); len(got) == 0 || got[len(got)-1].Degraded {
					t.Errorf("after the store is back: %+v", got)
				}
				if diff := cmp.Diff([]bridge.PopState{"offered", "shown"}, h.store.Steps(popA1)); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]bridge.PopState{"offered", "superseded"}, h.store.Steps("b1")); diff != "" {
					t.Errorf("states of the second (-want +got):\n%s", diff)
				}
				if row := h.row(popA1); !row.Degraded || row.Found.Person == nil {
					t.Errorf("row = %+v", row)
				}
			})
		})
	}
}

// TestStoreAwayLoad: a thousand calls while the store hangs are all pushed at
// once and all written after.
func TestStoreAwayLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		h.store.Hang()
		const n = 1000
		for i := range n {
			call := bridge.CallID(fmt.Sprintf("pbx1/lab-%d.0", i))
			pop, agent := bridge.PopID(fmt.Sprint("p", i)), bridge.AgentID(fmt.Sprint("agent", i))
			o, e := offer(pop, agent, knownFacts()), end(pop, agent, bridge.PopEnded, "hangup", "")
			o.Call, e.Call = call, call
			h.do(o)
			if i == 0 {
				time.Sleep(301 * time.Millisecond) // the first one finds out
			}
			if got := h.hub.Calls(agent); len(got) != 1 || !got[0].Degraded {
				t.Fatalf("call %d is not on its desk: %+v", i, got)
			}
			h.do(e, bridge.Effect{Kind: bridge.EffectCallEnded, Call: call, Outcome: bridge.OutcomeAnswered})
		}
		time.Sleep(time.Minute)
		h.store.Resume()
		time.Sleep(20 * time.Second)
		if calls, pops, err := h.popper.Live(t.Context()); calls != 0 || pops != 0 || err != nil {
			t.Errorf("%d calls and %d pops are left in memory, %v", calls, pops, err)
		}
		if got := h.store.Len(); got != n {
			t.Errorf("store has %d rows, want %d", got, n)
		}
		for i := range n {
			if row := h.row(bridge.PopID(fmt.Sprint("p", i))); row.State != bridge.PopExpired {
				t.Errorf("row %d is %s", i, row.State)
			}
		}
	})
}

func TestBacklogIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newHouse(t, func(o *screenpop.PopperOptions) {
			o.Backlog, o.Logger = 2, slog.New(slog.NewTextHandler(&log, nil))
		})
		h.store.Fail(screenpoptest.ErrAway)
		for i := range 4 {
			o := offer(bridge.PopID(fmt.Sprint("p", i)), agentOne, knownFacts())
			o.Call = bridge.CallID(fmt.Sprintf("pbx1/lab-%d.0", i))
			h.do(o)
		}
		if got := h.hub.Calls(agentOne); len(got) != 4 {
			t.Errorf("desk has %d calls, want 4", len(got))
		}
		h.store.Fail(nil)
		time.Sleep(10 * time.Second)
		if got := h.store.Len(); got != 2 {
			t.Errorf("store has %d rows, want 2", got)
		}
		h.stop()
		if got := strings.Count(log.String(), "backlog is full"); got != 2 {
			t.Errorf("said %d times that the backlog is full, want 2:\n%s", got, &log)
		}
		if strings.Contains(log.String(), "2025550101") || strings.Contains(log.String(), "ANN") {
			t.Errorf("log holds personal data:\n%s", &log)
		}
	})
}

// TestDrain: what is owed is written before Run returns.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.store.Delay(100 * time.Millisecond)
		h.do(offer(popA1, agentOne, knownFacts()), end(popA1, agentOne, bridge.PopEnded, "hangup", ""))
		h.stop()
		if diff := cmp.Diff([]bridge.PopState{"offered", "expired"}, h.store.Steps(popA1)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if err := h.popper.Shown(t.Context(), agentOne, popA1); err != screenpop.ErrStopped {
			t.Errorf("Shown after the end = %v", err)
		}
	})
}

// TestDrainGivesUp: a store that stays away does not keep Ringlink from ending.
func TestDrainGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.store.Fail(screenpoptest.ErrAway)
		h.do(offer(popA1, agentOne, knownFacts()))
		start := time.Now()
		h.stop()
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("Run took %v to end", took)
		}
	})
}

func TestSlowDirectory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		s := h.subscribe(agentOne)
		h.dir.Delay(time.Second)
		f := knownFacts()
		f.CallNumber = knownTicket
		h.do(offer(popA1, agentOne, f))
		if got := views(t, s); len(got) != 0 {
			t.Fatalf("pushed before the directory's deadline: %+v", got)
		}
		time.Sleep(250 * time.Millisecond)
		got := views(t, s)
		if len(got) != 1 || !got[0].Pending || got[0].Opens != "pending" || got[0].Caller != string(knownNumber) {
			t.Fatalf("at the deadline: %+v", got)
		}
		time.Sleep(time.Second)
		got = views(t, s)
		if len(got) != 1 || got[0].Pending || got[0].Opens != "ticket" || got[0].Person != "Ann Example" {
			t.Fatalf("when it answered: %+v", got)
		}
		if row := h.row(popA1); row.Decision.Opens != bridge.OpensTicket || row.Found.Ticket == nil {
			t.Errorf("row = %+v", row)
		}
	})
}

// TestDirectoryAway: a lookup that fails never counts as "no such ticket", and
// is made up for.
func TestDirectoryAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		s := h.subscribe(agentOne)
		h.dir.Fail(screenpoptest.ErrAway)
		f := knownFacts()
		f.CallNumber = "1"
		h.do(offer(popA1, agentOne, f))
		time.Sleep(5 * time.Second)
		got := views(t, s)
		if len(got) != 1 || got[0].Opens != "pending" {
			t.Fatalf("while away: %+v", got)
		}
		h.dir.Fail(nil)
		time.Sleep(10 * time.Second)
		if got = views(t, s); len(got) != 1 || got[0].Opens != "popup" {
			t.Fatalf("when back: %+v", got)
		}
	})
}

// TestUpdateWhileAway: facts that came while the store was away follow too.
func TestUpdateWhileAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		h.do(offer(popA1, agentOne, knownFacts()))
		h.store.Fail(screenpoptest.ErrAway)
		f := knownFacts()
		f.CallNumber = knownTicket
		h.do(bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: f})
		time.Sleep(time.Minute)
		h.store.Fail(nil)
		time.Sleep(6 * time.Second)
		if row := h.row(popA1); row.Facts != f || row.Decision.Opens != bridge.OpensTicket {
			t.Errorf("row = %+v", row)
		}
	})
}

// TestNewPopFindsTheStoreBack: a new pop does not wait for the next probe, and
// the backlog follows it.
func TestNewPopFindsTheStoreBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		h.store.Fail(screenpoptest.ErrAway)
		h.do(offer(popA1, agentOne, knownFacts()))
		time.Sleep(time.Hour + 50*time.Millisecond)
		h.store.Fail(nil)
		h.do(bridge.Effect{Kind: bridge.EffectPopOffered, Call: "pbx1/lab-2.0", Pop: "b1", Agent: agentOne, Facts: knownFacts()})
		if h.store.Len() != 2 {
			t.Errorf("store has %d rows at once, want 2", h.store.Len())
		}
		for _, v := range h.hub.Calls(agentOne) {
			if v.Degraded {
				t.Errorf("still degraded: %+v", v)
			}
		}
	})
}

// TestOverBeforeTheLookup: a call shorter than the directory's deadline still
// leaves its card.
func TestOverBeforeTheLookup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		s := h.subscribe(agentOne)
		h.dir.Delay(time.Second)
		h.do(offer(popA1, agentOne, knownFacts()), end(popA1, agentOne, bridge.PopEnded, "hangup", ""))
		if got := views(t, s); len(got) != 1 || got[0].State != "ended" || !got[0].Pending {
			t.Errorf("messages = %+v", got)
		}
	})
}

func TestPanicIsSurvived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, func(o *screenpop.PopperOptions) { o.Normalize = explode() })
		defer h.stop()
		h.do(offer(popA1, agentOne, knownFacts()))
		h.do(bridge.Effect{Kind: bridge.EffectPopOffered, Call: "pbx1/lab-2.0", Pop: "b1", Agent: agentOne, Facts: knownFacts()})
		synctest.Wait()
		if _, ok := h.store.Row("b1"); !ok {
			t.Error("the call after the panic has no row")
		}
	})
}

// explode panics at its first call and then normalizes nothing.
func explode() func(bridge.PBX, bridge.Number) bridge.Number {
	done := false
	return func(bridge.PBX, bridge.Number) bridge.Number {
		if !done {
			done = true
			panic("first call")
		}
		return ""
	}
}
