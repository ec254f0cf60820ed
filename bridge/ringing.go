package bridge

import "slices"

// reviewRinging tells agents that their devices ring with this call, and that
// they ring no more.
func (s *State) reviewRinging(k *call) {
	for i := len(k.ringing) - 1; i >= 0; i-- {
		r := k.ringing[i]
		took := s.tookUp(k, r.agent)
		if took || !s.ringsAt(k, r.leg, r.agent) {
			if next := s.ringsToo(k, r.agent); next != nil && !took {
				k.ringing[i].leg = next
				continue
			}
			k.ringing = slices.Delete(k.ringing, i, i+1)
			s.emit(k, Effect{Kind: EffectRingingOver, Agent: r.agent, Device: Device{k.pbx, r.leg.endpoint}, Cause: s.whyQuiet(k, r)})
		}
	}
	for _, leg := range k.rung {
		if !s.rings(k, leg) {
			continue
		}
		agent, ok := s.agents[Device{k.pbx, leg.endpoint}]
		if !ok || s.tookUp(k, agent) || slices.ContainsFunc(k.ringing, func(r ring) bool { return r.agent == agent }) {
			continue
		}
		k.rang = true
		k.ringing = append(k.ringing, ring{agent, leg})
		s.emit(k, Effect{Kind: EffectRinging, Agent: agent, Device: Device{k.pbx, leg.endpoint}})
	}
	k.rung = slices.DeleteFunc(k.rung, func(c *channel) bool { return c.gone })
}

// rings reports whether a leg rings because the caller was put through to it:
// the chain of who dialled whom leads back to the caller, so that the phone
// which an agent consults does not count.
func (s *State) rings(k *call, leg *channel) bool {
	if !leg.ringing || leg.gone || leg.endpoint == "" || leg.outside {
		return false
	}
	c := leg
	for range 32 {
		if c == k.origin {
			return true
		}
		switch {
		case c.dialledBy != nil:
			c = c.dialledBy
		case c.other() != nil && c.local == 2:
			c = c.other()
		default:
			return false
		}
	}
	return false
}

// ringsAt reports whether a leg rings that is the agent's.
func (s *State) ringsAt(k *call, leg *channel, agent AgentID) bool {
	return s.agents[Device{k.pbx, leg.endpoint}] == agent && s.rings(k, leg)
}

// ringsToo finds another device of the agent that rings with the call.
func (s *State) ringsToo(k *call, agent AgentID) *channel {
	for _, leg := range k.rung {
		if s.ringsAt(k, leg, agent) {
			return leg
		}
	}
	return nil
}

// tookUp reports whether a device of the agent that was dialled for the call
// is up: the agent's other devices matter no more.
func (s *State) tookUp(k *call, agent AgentID) bool {
	return slices.ContainsFunc(k.rung, func(c *channel) bool {
		return c.up && !c.gone && s.agents[Device{k.pbx, c.endpoint}] == agent
	})
}

func (s *State) whyQuiet(k *call, r ring) string {
	switch {
	case s.tookUp(k, r.agent) || k.turn != nil && k.turn.agent == r.agent && !k.turn.left:
		return "answered"
	case r.leg.cause == 26 || k.turn != nil && !k.turn.left:
		return "answered_elsewhere"
	case r.leg.dialEnd == "BUSY", r.leg.cause == 17, r.leg.cause == 21:
		return "declined"
	case r.leg.dialEnd == "CANCEL" || k.over:
		return "caller_gave_up"
	}
	return "no_answer"
}

func (s *State) stopRinging(k *call, agent AgentID, cause string) {
	for i, r := range k.ringing {
		if r.agent == agent {
			k.ringing = slices.Delete(k.ringing, i, i+1)
			s.emit(k, Effect{Kind: EffectRingingOver, Agent: agent, Device: Device{k.pbx, r.leg.endpoint}, Cause: cause})
			return
		}
	}
}
