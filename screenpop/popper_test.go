package screenpop_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

const (
	agentOne bridge.AgentID = "one"
	agentTwo bridge.AgentID = "two"
	callA    bridge.CallID  = "pbx1/lab-1.0"
	popA1    bridge.PopID   = "a1"
	popA2    bridge.PopID   = "a2"

	knownNumber bridge.Number       = "+12025550101"
	otherNumber bridge.Number       = "+12025550199"
	lineNumber  bridge.Number       = "+12025550150"
	knownTicket bridge.TicketNumber = "4711"
)

// house is a popper with its fakes, inside a synctest bubble.
type house struct {
	t      *testing.T
	store  *screenpoptest.Store
	dir    *screenpoptest.Directory
	hub    *screenpop.Hub
	popper *screenpop.Popper
	reg    *prometheus.Registry
	cancel context.CancelFunc
	ended  chan error
}

func newDirectory() *screenpoptest.Directory {
	acme := screenpop.Organization{ID: "o1", Name: "Acme"}
	return &screenpoptest.Directory{
		Callers: map[bridge.Number]screenpop.Found{
			knownNumber: {Person: &screenpop.Person{ID: "p1", Name: "Ann Example"}, Candidates: 1, Organization: &acme, Via: "e164"},
		},
		Dialled: map[bridge.Number]screenpop.Organization{lineNumber: {ID: "o9", Name: "Help Line"}},
		Tickets: map[bridge.TicketNumber]screenpop.Ticket{
			knownTicket: {ID: "t1", Number: knownTicket, Title: "Printer", State: "closed", Organization: "o1"},
			"9999":      {ID: "t2", Number: "9999", Title: "Theirs", State: "open", Organization: "o2"},
		},
	}
}

func newHouse(t *testing.T, change ...func(*screenpop.PopperOptions)) *house {
	t.Helper()
	h := &house{t: t, store: &screenpoptest.Store{}, dir: newDirectory(), reg: prometheus.NewRegistry(), ended: make(chan error, 1)}
	m := screenpop.NewMetrics(h.reg)
	h.hub = screenpop.NewHub(screenpop.HubOptions{Metrics: m, AgentName: func(id bridge.AgentID) string {
		return map[bridge.AgentID]string{agentOne: "Agent One", agentTwo: "Agent Two"}[id]
	}})
	o := screenpop.PopperOptions{Pops: h.store, Directory: h.dir, Hub: h.hub, Metrics: m}
	for _, c := range change {
		c(&o)
	}
	p, err := screenpop.NewPopper(o)
	if err != nil {
		t.Fatal(err)
	}
	h.popper = p
	ctx, cancel := context.WithCancel(t.Context())
	h.cancel = cancel
	go func() { h.ended <- p.Run(ctx) }()
	return h
}

// stop ends the popper and waits for it; a goroutine left over would end the
// bubble with a deadlock.
func (h *house) stop() {
	h.t.Helper()
	h.store.Resume()
	h.dir.Resume()
	h.cancel()
	if err := <-h.ended; err != nil {
		h.t.Errorf("Run: %v", err)
	}
	h.hub.Close()
}

// do hands over effects of call A and waits until nothing moves.
func (h *house) do(effects ...bridge.Effect) {
	for _, e := range effects {
		if e.Call == "" {
			e.Call = callA
		}
		if e.Device == (bridge.Device{}) {
			e.Device = bridge.Device{PBX: "pbx1", Endpoint: "PJSIP/101"}
		}
		e.Received, e.At = time.Now(), time.Now()
		h.popper.Handle(e)
	}
	synctest.Wait()
}

func (h *house) row(id bridge.PopID) screenpop.Pop {
	h.t.Helper()
	row, ok := h.store.Row(id)
	if !ok {
		h.t.Fatalf("store has no row %q", id)
	}
	return row
}

// views empties the stream and returns its call messages.
func views(t *testing.T, s *screenpop.Stream) []screenpop.CallView {
	t.Helper()
	synctest.Wait()
	var list []screenpop.CallView
	for {
		select {
		case m, ok := <-s.C():
			if !ok {
				return list
			}
			if m.Event != "call" {
				continue
			}
			var v screenpop.CallView
			if err := json.Unmarshal(m.Data, &v); err != nil {
				t.Fatalf("message %d: %v", m.ID, err)
			}
			list = append(list, v)
		default:
			return list
		}
	}
}

func (h *house) subscribe(agent bridge.AgentID) *screenpop.Stream {
	h.t.Helper()
	s, err := h.hub.Subscribe(agent)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func knownFacts() bridge.Facts {
	return bridge.Facts{Caller: bridge.Caller{Number: knownNumber, Name: "ANN"}, Dialled: lineNumber, UniqueID: "lab-1.0"}
}

func offer(id bridge.PopID, agent bridge.AgentID, f bridge.Facts) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectPopOffered, Pop: id, Agent: agent, Facts: f}
}

func end(id bridge.PopID, agent bridge.AgentID, state bridge.PopState, cause string, to bridge.AgentID) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectPopEnded, Pop: id, Agent: agent, State: state, Cause: cause, To: to}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestPopFirstPushIsWhole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		one, two := h.subscribe(agentOne), h.subscribe(agentTwo)
		f := knownFacts()
		f.CallNumber = knownTicket
		at := time.Now()
		h.do(offer(popA1, agentOne, f))
		want := []screenpop.CallView{{
			Call: string(callA), State: "talking", Since: at.UTC(),
			Caller: string(knownNumber), CallerName: "ANN", Dialled: string(lineNumber), CallNumber: "4711", Device: "PJSIP/101",
			Person: "Ann Example", Candidates: 1, Organization: "Acme", DialledOrg: "Help Line",
			Ticket: "4711", TicketTitle: "Printer", TicketState: "closed",
			Pop: "a1", PopState: "offered", Mode: "ivr", Opens: "ticket",
		}}
		if diff := cmp.Diff(want, views(t, one)); diff != "" {
			t.Errorf("agent one's messages (-want +got):\n%s", diff)
		}
		if got := views(t, two); len(got) != 0 {
			t.Errorf("agent two got %d messages of agent one's call", len(got))
		}
		row := h.row(popA1)
		if row.State != bridge.PopOffered || row.Decision.Opens != bridge.OpensTicket || row.Found.Person == nil || !row.Found.Done || row.Degraded {
			t.Errorf("row = %+v", row)
		}
	})
}

func TestPopModes(t *testing.T) {
	withheld := bridge.Caller{Number: knownNumber, Withheld: true}
	for name, c := range map[string]struct {
		facts       bridge.Facts
		mode, opens string
		foreign     bool
	}{
		"caller":                    {facts: bridge.Facts{Caller: bridge.Caller{Number: knownNumber}}, mode: "caller_id", opens: "caller_info"},
		"caller and ticket":         {facts: bridge.Facts{Caller: bridge.Caller{Number: knownNumber}, CallNumber: knownTicket}, mode: "ivr", opens: "ticket"},
		"caller and wrong ticket":   {facts: bridge.Facts{Caller: bridge.Caller{Number: knownNumber}, CallNumber: "1"}, mode: "ivr", opens: "popup"},
		"caller and foreign ticket": {facts: bridge.Facts{Caller: bridge.Caller{Number: knownNumber}, CallNumber: "9999"}, mode: "ivr", opens: "ticket", foreign: true},
		"withheld and ticket":       {facts: bridge.Facts{Caller: withheld, CallNumber: knownTicket}, mode: "ivr", opens: "ticket"},
		"withheld":                  {facts: bridge.Facts{Caller: withheld}, mode: "ivr", opens: "popup"},
		"nothing":                   {mode: "ivr", opens: "popup"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				s := h.subscribe(agentOne)
				h.do(offer(popA1, agentOne, c.facts))
				got := views(t, s)
				if len(got) != 1 || got[0].Mode != c.mode || got[0].Opens != c.opens || got[0].Foreign != c.foreign || got[0].Pending {
					t.Fatalf("messages = %+v", got)
				}
				if c.facts.Caller.Withheld && got[0].Caller != "" {
					t.Errorf("withheld number %q is shown", got[0].Caller)
				}
				for _, q := range h.dir.Asked() {
					if c.facts.Caller.Withheld && q.Caller != "" {
						t.Error("withheld number was looked up")
					}
				}
				if row := h.row(popA1); string(row.Decision.Opens) != c.opens || string(row.Decision.Mode) != c.mode {
					t.Errorf("row's decision = %+v", row.Decision)
				}
			})
		})
	}
}

// TestPopStates runs each way through a pop's life and compares the states of
// its row.
func TestPopStates(t *testing.T) {
	shown := func(h *house) { _ = h.popper.Shown(h.t.Context(), agentOne, popA1) }
	acknowledged := func(h *house) { _ = h.popper.Acknowledge(h.t.Context(), agentOne, popA1) }
	hangup := func(h *house) { h.do(end(popA1, agentOne, bridge.PopEnded, "hangup", "")) }
	transfer := func(h *house) { h.do(end(popA1, agentOne, bridge.PopSuperseded, "transfer", agentTwo)) }
	wait := func(h *house) { time.Sleep(10 * time.Second) }
	type states []bridge.PopState
	for name, c := range map[string]struct {
		do   []func(*house)
		want states
	}{
		"ended":                   {[]func(*house){shown, acknowledged, hangup}, states{"offered", "shown", "acknowledged", "ended"}},
		"shown and ended":         {[]func(*house){shown, shown, hangup, wait}, states{"offered", "shown", "ended"}},
		"acknowledged unshown":    {[]func(*house){acknowledged, shown, hangup}, states{"offered", "acknowledged", "ended"}},
		"superseded":              {[]func(*house){shown, transfer, hangup}, states{"offered", "shown", "superseded"}},
		"superseded unseen":       {[]func(*house){transfer, wait, shown}, states{"offered", "superseded"}},
		"expired":                 {[]func(*house){hangup, wait, shown, acknowledged}, states{"offered", "expired"}},
		"shown as the call ended": {[]func(*house){hangup, shown}, states{"offered", "shown", "ended"}},
		"ended twice":             {[]func(*house){shown, hangup, hangup, transfer}, states{"offered", "shown", "ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				h.do(offer(popA1, agentOne, knownFacts()))
				for _, f := range c.do {
					f(h)
					synctest.Wait()
				}
				if diff := cmp.Diff([]bridge.PopState(c.want), h.store.Steps(popA1)); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestShownOfAnotherAgentIsNotFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		h.do(offer(popA1, agentOne, knownFacts()))
		ask := func(when string) {
			for _, id := range []bridge.PopID{popA1, "none"} {
				if err := h.popper.Shown(t.Context(), agentTwo, id); err != screenpop.ErrNotFound {
					t.Errorf("%s: Shown(%s) = %v", when, id, err)
				}
				if err := h.popper.Acknowledge(t.Context(), agentTwo, id); err != screenpop.ErrNotFound {
					t.Errorf("%s: Acknowledge(%s) = %v", when, id, err)
				}
				if _, err := h.popper.Pop(t.Context(), agentTwo, id); err != screenpop.ErrNotFound {
					t.Errorf("%s: Pop(%s) = %v", when, id, err)
				}
			}
		}
		ask("live")
		h.do(end(popA1, agentOne, bridge.PopSuperseded, "transfer", agentTwo))
		ask("over")
		if pop, err := h.popper.Pop(t.Context(), agentOne, popA1); err != nil || pop.State != bridge.PopSuperseded || pop.To != agentTwo {
			t.Errorf("Pop of the agent = %+v, %v", pop, err)
		}
	})
}
