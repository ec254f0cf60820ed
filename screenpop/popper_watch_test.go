package screenpop_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// watcher reads what the function gives.
type watcher func() []screenpop.Pop

func (w watcher) WatchPops(context.Context, []bridge.AgentID, time.Time) ([]screenpop.Pop, error) {
	return w(), nil
}

// TestWatchDifferentFacts: two replicas that know different things of a call
// fill in for each other, each keeps its own where they contradict, and they
// come to rest.
func TestWatchDifferentFacts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newHouse(t)
		defer a.stop()
		b := newHouse(t, func(o *screenpop.PopperOptions) {
			o.Pops = a.store
			o.Watch = watcher(func() []screenpop.Pop { row, _ := a.store.Row(popA1); return []screenpop.Pop{row} })
		})
		defer b.stop()
		s := b.subscribe(agentOne)
		ours, theirs := knownFacts(), knownFacts()
		ours.Caller.Name, theirs.Caller.Name = "Ada", "ADA"
		ours.SIPCallID, theirs.SIPCallID = "", "x@example.com"
		theirs.CallNumber = knownTicket
		a.do(offer(popA1, agentOne, ours))
		b.do(offer(popA1, agentOne, ours))
		better := offer(popA1, agentOne, theirs)
		better.Kind = bridge.EffectPopUpdated
		a.do(better)
		time.Sleep(2 * time.Second)
		got := views(t, s)
		if last := got[len(got)-1]; last.CallNumber != string(knownTicket) || last.Opens != "ticket" || last.CallerName != "Ada" {
			t.Errorf("B shows %+v", last)
		}
		calls, messages := a.store.Calls(), len(got)
		time.Sleep(time.Minute)
		if n := a.store.Calls(); n != calls {
			t.Errorf("%d writes in a minute of rest", n-calls)
		}
		if n := len(views(t, s)); n != 0 {
			t.Errorf("%d messages in a minute of rest after %d", n, messages)
		}
	})
}

// TestWatchRows: what the desks of a replica show of pops that it does not have.
func TestWatchRows(t *testing.T) {
	for name, c := range map[string]struct {
		rows []bridge.PopState // the pop's state at each reading; empty: not there
		want []string
	}{
		"running":                   {[]bridge.PopState{"offered", "offered", "shown", "shown"}, []string{"talking offered", "talking shown"}},
		"ends":                      {[]bridge.PopState{"offered", "offered", "superseded", "superseded"}, []string{"talking offered", "ended superseded Agent Two"}},
		"seen running once only":    {[]bridge.PopState{"offered", "ended", "ended"}, []string{"ended ended"}},
		"ended before it was known": {[]bridge.PopState{"ended", "ended", ""}, []string{"ended ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				reading, offered := 0, time.Now()
				h := newHouse(t, func(o *screenpop.PopperOptions) {
					o.Watch = watcher(func() []screenpop.Pop {
						state := c.rows[min(reading, len(c.rows)-1)]
						reading++
						if state == "" {
							return nil
						}
						row := screenpop.Pop{ID: popA1, Call: callA, Agent: agentOne, Facts: knownFacts(), State: state, Answered: offered, Offered: offered}
						if state.Final() {
							row.Ended = offered.Add(time.Second)
						}
						if state == bridge.PopSuperseded {
							row.To = agentTwo
						}
						return []screenpop.Pop{row}
					})
				})
				defer h.stop()
				s := h.subscribe(agentOne)
				time.Sleep(5 * time.Second)
				var got []string
				for _, v := range views(t, s) {
					line := v.State + " " + v.PopState
					if v.To != "" {
						line += " " + v.To
					}
					got = append(got, line)
				}
				if len(got) != len(c.want) {
					t.Fatalf("got %q, want %q", got, c.want)
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("got %q, want %q", got, c.want)
					}
				}
			})
		})
	}
}

// TestWatchStaleReading: a reading from just before our own write of the end
// brings nothing back.
func TestWatchStaleReading(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := make(chan []screenpop.Pop, 1)
		h := newHouse(t, func(o *screenpop.PopperOptions) {
			o.Watch = watcher(func() (rows []screenpop.Pop) {
				select {
				case rows = <-old:
				default:
				}
				return rows
			})
		})
		defer h.stop()
		s := h.subscribe(agentOne)
		h.do(offer(popA1, agentOne, knownFacts()))
		if err := h.popper.Shown(t.Context(), agentOne, popA1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		row := h.row(popA1)
		h.do(end(popA1, agentOne, bridge.PopEnded, "hangup", ""))
		old <- []screenpop.Pop{row}
		time.Sleep(2 * time.Second)
		got := views(t, s)
		if last := got[len(got)-1]; last.State != "ended" {
			t.Errorf("the desk shows %+v", last)
		}
	})
}
