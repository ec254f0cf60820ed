package screenpop_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

// storm is one random run: calls of two agents, whose effects and desks'
// reports come in between each other while the store and the directory come
// and go.
type storm struct {
	*house
	rnd     *rand.Rand
	reports sync.WaitGroup
}

// TestStorm: whatever comes in between what, every row ends, none goes back,
// none that was seen expires, nothing that ended comes to life on a desk, and
// nothing is left in memory.
func TestStorm(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hub := screenpop.NewHub(screenpop.HubOptions{QueueLength: 1 << 12})
				s := &storm{house: newHouse(t, func(o *screenpop.PopperOptions) { o.Hub = hub }), rnd: rand.New(rand.NewPCG(seed, 1))}
				defer s.stop()
				s.hub = hub
				desks := map[bridge.AgentID]*screenpop.Stream{agentOne: s.subscribe(agentOne), agentTwo: s.subscribe(agentTwo)}
				pops := s.play(8)
				s.weather(0)
				s.reports.Wait()
				time.Sleep(2 * time.Minute)
				if calls, live, err := s.popper.Live(t.Context()); calls != 0 || live != 0 || err != nil {
					t.Errorf("%d calls and %d pops are left in memory, %v", calls, live, err)
				}
				for _, id := range pops {
					s.checkRow(id)
				}
				for agent, stream := range desks {
					s.checkDesk(agent, stream)
				}
			})
		})
	}
}

// weather changes what the store and the directory do.
func (s *storm) weather(kind int) {
	s.store.Resume()
	s.dir.Resume()
	s.store.Fail(nil)
	s.dir.Fail(nil)
	s.store.Delay(0)
	s.dir.Delay(0)
	switch kind {
	case 1:
		s.store.Fail(screenpoptest.ErrAway)
	case 2:
		s.store.Hang()
	case 3:
		s.store.Delay(400 * time.Millisecond)
		s.dir.Delay(300 * time.Millisecond)
	case 4:
		s.dir.Fail(screenpoptest.ErrAway)
	}
}

// play mixes calls, each in its own order, and returns the pops.
func (s *storm) play(calls int) (pops []bridge.PopID) {
	scripts := make([][]bridge.Effect, calls)
	for i := range scripts {
		script, ids := s.call(i)
		scripts[i], pops = script, append(pops, ids...)
	}
	for left := calls; left > 0; {
		i := s.rnd.IntN(calls)
		if len(scripts[i]) == 0 {
			continue
		}
		e := scripts[i][0]
		if scripts[i] = scripts[i][1:]; len(scripts[i]) == 0 {
			left--
		}
		e.At, e.Received = time.Now(), time.Now()
		s.popper.Handle(e)
		if e.Kind == bridge.EffectPopOffered {
			s.report(e.Agent, e.Pop)
		}
		switch s.rnd.IntN(4) {
		case 0:
			s.weather(s.rnd.IntN(5))
		case 1:
			time.Sleep(time.Duration(s.rnd.IntN(900)) * time.Millisecond)
		}
	}
	return pops
}

// call is what the engine says of one call.
func (s *storm) call(i int) (script []bridge.Effect, pops []bridge.PopID) {
	call, f := bridge.CallID(fmt.Sprintf("pbx1/lab-%d.0", i)), knownFacts()
	say := func(e bridge.Effect) {
		e.Call, e.Device = call, bridge.Device{PBX: "pbx1", Endpoint: "PJSIP/101"}
		script = append(script, e)
	}
	agents := []bridge.AgentID{agentOne, agentTwo}
	for turn := range 1 + s.rnd.IntN(3) {
		agent, id := agents[turn%2], bridge.PopID(fmt.Sprintf("c%d-%d", i, turn))
		say(bridge.Effect{Kind: bridge.EffectRinging, Agent: agent, Facts: f})
		say(bridge.Effect{Kind: bridge.EffectRingingOver, Agent: agent, Cause: "answered"})
		if turn > 0 {
			say(end(pops[turn-1], agents[(turn-1)%2], bridge.PopSuperseded, "transfer", agent))
		}
		say(offer(id, agent, f))
		pops = append(pops, id)
		if s.rnd.IntN(2) == 0 {
			f.CallNumber = []bridge.TicketNumber{knownTicket, "9999", "1"}[s.rnd.IntN(3)]
			say(bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: id, Agent: agent, Facts: f})
		}
		say(bridge.Effect{Kind: bridge.EffectHeld, Pop: id, Agent: agent, Held: s.rnd.IntN(2) == 0})
	}
	last := len(pops) - 1
	if s.rnd.IntN(2) == 0 {
		say(end(pops[last], agents[last%2], bridge.PopEnded, "hangup", ""))
	}
	say(bridge.Effect{Kind: bridge.EffectCallEnded, Outcome: "answered", Cause: "hangup", Facts: f})
	return script, pops
}

// report does what a desk does with a pop, some time.
func (s *storm) report(agent bridge.AgentID, id bridge.PopID) {
	steps, wait := s.rnd.IntN(3), time.Duration(s.rnd.IntN(3000))*time.Millisecond
	if steps == 0 {
		return
	}
	s.reports.Go(func() {
		time.Sleep(wait)
		_ = s.popper.Shown(s.t.Context(), agent, id) // the pop may not be there yet, or any more
		if steps == 2 {
			_ = s.popper.Acknowledge(s.t.Context(), agent, id)
		}
	})
}

func (s *storm) checkRow(id bridge.PopID) {
	s.t.Helper()
	row, steps := s.row(id), s.store.Steps(id)
	if !row.State.Final() || row.Ended.IsZero() {
		s.t.Errorf("%s is %s: %v", id, row.State, steps)
	}
	finals := 0
	for i, state := range steps {
		if state.Final() {
			finals++
		}
		if state == bridge.PopExpired && i > 1 {
			s.t.Errorf("%s was seen and expired: %v", id, steps)
		}
	}
	if finals != 1 || len(steps) == 0 || steps[0] != bridge.PopOffered {
		s.t.Errorf("%s went %v", id, steps)
	}
}

// checkDesk reads what the agent's desk was told.
func (s *storm) checkDesk(agent bridge.AgentID, stream *screenpop.Stream) {
	s.t.Helper()
	over := map[string]bool{}
	running := map[string]string{}
	for {
		select {
		case m, ok := <-stream.C():
			if !ok {
				s.t.Fatalf("%s: %v", agent, stream.Err())
			}
			var v screenpop.CallView
			if m.Event != "call" || json.Unmarshal(m.Data, &v) != nil {
				continue
			}
			if v.Pop != "" && v.State != "ended" && over[v.Pop] {
				s.t.Errorf("%s: %s is %s again", agent, v.Pop, v.State)
			}
			over[v.Pop] = over[v.Pop] || v.Pop != "" && v.State == "ended"
			running[v.Call] = v.State
			continue
		default:
		}
		break
	}
	for call, state := range running {
		if state != "ended" {
			s.t.Errorf("%s: %s is left as %s", agent, call, state)
		}
	}
	synctest.Wait()
	if n := len(s.hub.Calls(agent)); n != 0 {
		s.t.Errorf("%s: %d calls are on the list", agent, n)
	}
}
