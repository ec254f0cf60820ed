package bridge

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// mark queues a call to be looked at again when the event has been taken in.
func (s *State) mark(k *call) {
	if k != nil && !k.dirty {
		k.dirty = true
		s.dirty = append(s.dirty, k)
	}
}

// touch marks every call that a change of this leg can concern: its own, those
// in whose turn it is, and those of the outside callers it is connected
// with. Call it before and after a change of who is connected.
func (s *State) touch(c *channel) {
	s.mark(c.call)
	for _, k := range c.turns {
		s.mark(k)
	}
	if c.bridge == nil && c.pair == nil {
		return
	}
	for _, m := range s.connected(c) {
		s.mark(m.call)
	}
}

// connected lists the legs, c first, that hear each other: those in one bridge
// and those joined by Local channels. Holding bridges connect nobody. The list
// is good until the next call.
func (s *State) connected(c *channel) []*channel {
	s.wave++
	reached := s.reached[:0]
	reach := func(m *channel) {
		if m != nil && m.wave != s.wave {
			m.wave = s.wave
			reached = append(reached, m)
		}
	}
	reach(c)
	for i := 0; i < len(reached); i++ {
		m := reached[i]
		reach(m.other())
		if m.bridge == nil || m.bridge.holding {
			continue
		}
		for _, n := range m.bridge.members {
			reach(n)
		}
	}
	s.reached = reached
	return reached
}

// settle looks at every marked call again and says what changed.
func (s *State) settle() {
	if len(s.dirty) > 1 { // the same order whatever the order in which maps were read
		slices.SortFunc(s.dirty, byID)
	}
	for i := 0; i < len(s.dirty); i++ {
		k := s.dirty[i]
		k.dirty = false
		if s.calls[k.id] == k {
			s.review(k)
		}
	}
	s.dirty = s.dirty[:0]
}

func (s *State) review(k *call) {
	k.seen = s.now
	if k.over {
		cause := "hangup"
		if s.late {
			cause = "gap"
		}
		s.finish(k, cause, "")
		return
	}
	if k.direction == DirectionInbound {
		s.reviewTurn(k)
		s.reviewRinging(k)
	}
}

// party is an agent who is connected with the outside caller, and by which legs.
type party struct {
	agent AgentID
	legs  []*channel
}

// parties lists the agents who are connected with the caller, the one whose
// leg is oldest first, and notes who else is.
func (s *State) parties(k *call) []party {
	var list []party
	if k.origin.bridge == nil {
		return nil
	}
	for _, m := range s.connected(k.origin) {
		if m == k.origin || m.endpoint == "" || !m.up {
			continue
		}
		if m.outside {
			k.forwarded = k.forwarded || !m.incoming
			continue
		}
		agent, ok := s.agents[Device{k.pbx, m.endpoint}]
		if !ok {
			k.stranger = true
			continue
		}
		if i := slices.IndexFunc(list, func(p party) bool { return p.agent == agent }); i >= 0 {
			list[i].legs = append(list[i].legs, m)
		} else {
			list = append(list, party{agent, []*channel{m}})
		}
	}
	for _, p := range list {
		slices.SortFunc(p.legs, older)
	}
	slices.SortFunc(list, func(a, b party) int { return older(a.legs[0], b.legs[0]) })
	return list
}

func older(a, b *channel) int {
	if d := a.created.Compare(b.created); d != 0 {
		return d
	}
	return strings.Compare(string(a.id), string(b.id))
}

// reviewTurn decides whose turn it is: the agent who has it keeps it while one
// of the legs lives, unless the caller is now connected with somebody else
// only.
func (s *State) reviewTurn(k *call) {
	list := s.parties(k)
	t := k.turn
	if t != nil {
		t.legs = slices.DeleteFunc(t.legs, func(c *channel) bool { return c.gone })
		left := t.left || len(t.legs) == 0
		if i := slices.IndexFunc(list, func(p party) bool { return p.agent == t.agent }); i >= 0 && !left {
			k.seat(list[i].legs)
			s.reviewHeld(k, true)
			s.refresh(k)
			return
		}
		if len(list) == 0 {
			if left && !t.left {
				t.left = true
				s.emit(k, Effect{Kind: EffectPopLeft, Pop: t.pop, Agent: t.agent, Device: t.device, Cause: "left"})
			} else if !left {
				s.reviewHeld(k, false)
				s.refresh(k)
			}
			return
		}
		s.endTurn(k, list[0].agent)
	}
	if len(list) > 0 {
		s.beginTurn(k, list[0])
	}
	s.refresh(k)
}

// seat adds legs to the current turn.
func (k *call) seat(legs []*channel) {
	for _, leg := range legs {
		if !slices.Contains(k.turn.legs, leg) {
			k.turn.legs = append(k.turn.legs, leg)
			leg.turns = append(leg.turns, k)
		}
	}
}

// rise ends the current turn's hold on its legs.
func (k *call) rise() {
	for _, leg := range k.turn.legs {
		leg.turns = slices.DeleteFunc(leg.turns, func(m *call) bool { return m == k })
	}
	k.turn = nil
}

// endTurn ends the current turn because another one begins.
func (s *State) endTurn(k *call, next AgentID) {
	t := k.turn
	state, cause := PopSuperseded, "transfer"
	if next == t.agent {
		state, cause, next = PopEnded, "left", ""
	}
	s.emit(k, Effect{Kind: EffectPopEnded, Pop: t.pop, Agent: t.agent, Device: t.device, State: state, Cause: cause, To: next})
	k.rise()
}

func (s *State) beginTurn(k *call, p party) {
	leg := p.legs[0]
	name := turnName(p.agent, leg)
	if k.names == nil {
		k.names = map[string]int{}
	}
	t := &turn{
		pop:    MakePopID(k.id, p.agent, leg.id, k.names[name]),
		agent:  p.agent,
		device: Device{k.pbx, leg.endpoint},
	}
	k.names[name]++
	k.turn = t
	k.seat(p.legs)
	k.turns++
	k.frozen = true
	if k.answered.IsZero() {
		k.answered = s.now
	}
	s.stopRinging(k, p.agent, "answered")
	k.told = k.facts
	s.emit(k, Effect{Kind: EffectPopOffered, Pop: t.pop, Agent: t.agent, Device: t.device})
}

func (s *State) reviewHeld(k *call, connected bool) {
	t := k.turn
	held := len(t.legs) > 0 && !slices.ContainsFunc(t.legs, func(c *channel) bool { return !c.held })
	if !connected {
		// With somebody else, as in a consultation. A leg alone or in no bridge
		// is on its way to another, or about to end: nothing to say yet.
		held = held || t.held || slices.ContainsFunc(t.legs, func(c *channel) bool { return s.elsewhere(k, c) })
	}
	if held != t.held {
		t.held = held
		s.emit(k, Effect{Kind: EffectHeld, Pop: t.pop, Agent: t.agent, Device: t.device, Held: held})
	}
}

// elsewhere reports whether a leg hears another party's leg, and not the
// caller: a device whose agent signs out in mid-call goes on with the caller.
func (s *State) elsewhere(k *call, c *channel) bool {
	hears := s.connected(c)
	return !slices.Contains(hears, k.origin) &&
		slices.ContainsFunc(hears, func(m *channel) bool { return m != c && m.endpoint != "" })
}

// refresh tells the current turn's agent of better facts.
func (s *State) refresh(k *call) {
	if k.turn != nil && !k.turn.left && k.told != k.facts {
		k.told = k.facts
		s.emit(k, Effect{Kind: EffectPopUpdated, Pop: k.turn.pop, Agent: k.turn.agent, Device: k.turn.device})
	}
}

// finish ends a call: its pops, its notices, and the call itself.
func (s *State) finish(k *call, cause string, outcome Outcome) {
	k.over = true
	if t := k.turn; t != nil {
		s.emit(k, Effect{Kind: EffectPopEnded, Pop: t.pop, Agent: t.agent, Device: t.device, State: PopEnded, Cause: cause})
		k.rise()
	}
	for _, r := range k.ringing {
		s.emit(k, Effect{Kind: EffectRingingOver, Agent: r.agent, Device: Device{k.pbx, r.leg.endpoint}, Cause: s.whyQuiet(k, r)})
	}
	k.ringing, k.rung = nil, nil
	direction := k.direction
	if k.origin.originated && !k.rang && k.turns == 0 && direction == DirectionInbound {
		direction = DirectionOutbound // called, but led to no agent
	}
	if direction == DirectionUnknown {
		direction = DirectionInternal
		if k.dialledOut {
			direction = DirectionOutbound
		}
	}
	if outcome == "" {
		outcome = k.outcome(direction)
	}
	delete(s.calls, k.id)
	s.emit(k, Effect{
		Kind: EffectCallEnded, Cause: cause, Direction: direction, Outcome: outcome,
		Started: k.started, Answered: k.answered, Turns: k.turns, Legs: k.legs,
	})
}

func (k *call) outcome(d Direction) Outcome {
	switch {
	case d == DirectionInternal:
		return OutcomeInternal
	case d == DirectionOutbound:
		return OutcomeOutbound
	case k.turns > 0:
		return OutcomeAnswered
	case k.stranger:
		return OutcomeNoAgentForDevice
	case k.forwarded:
		return OutcomeForwardedOutside
	case k.rang:
		return OutcomeMissed
	}
	return OutcomeNoAgent
}

func (s *State) emit(k *call, e Effect) {
	e.Call, e.Facts, e.Late, e.At = k.id, k.facts, s.late, s.now
	if s.ev != nil {
		e.Received = s.ev.Received
	}
	s.out = append(s.out, e)
}

// assign replaces who uses which device and looks at every call again: an
// agent who takes a seat during a call gets it.
func (s *State) assign(list []Assignment) {
	clear(s.agents)
	for _, a := range list {
		s.agents[a.Device] = a.Agent
	}
	for _, k := range s.calls {
		s.mark(k)
	}
}

func byID(a, b *call) int { return strings.Compare(string(a.id), string(b.id)) }

// running lists the calls in the order of their ids.
func (s *State) running() []*call {
	return slices.SortedFunc(maps.Values(s.calls), byID)
}

// expire forgets what nothing was heard of for too long.
func (s *State) expire() {
	old := func(at time.Time, age time.Duration) bool { return s.now.Sub(at) > age }
	for _, x := range s.pbxs {
		for id, at := range x.gone {
			if old(at, s.limits.Memory) {
				delete(x.gone, id)
			}
		}
		for id, p := range x.invites {
			if old(p.at, s.limits.Memory) {
				delete(x.invites, id)
			}
		}
		for id, c := range x.channels {
			if old(c.seen, s.limits.CallAge) {
				s.drop(x, id)
			}
		}
	}
	for _, k := range s.running() {
		if old(k.seen, s.limits.CallAge) {
			s.finish(k, "expired", OutcomeLost)
		}
	}
}
