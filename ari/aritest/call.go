package aritest

import (
	"slices"
	"strings"
	"time"
)

// Call is one call of a Script. Its methods compose what happens next and
// return those steps.
type Call struct {
	s      *Script
	caller *channel
	exten  string
	queue  string
	legs   []*channel // rung and not over, in the order of ringing
	agent  *channel   // who answered
	bridge *bridgeObject
	over   bool
}

// Inbound is a call from outside that has reached the dialplan. sipCallID is
// the Call-ID of its INVITE.
func (s *Script) Inbound(caller, callerName, dialled, sipCallID string) (*Call, []Step) {
	return s.incoming(s.Trunk, s.TrunkContext, party{callerName, caller}, "allowed_not_screened", dialled, sipCallID)
}

// Withheld is Inbound from a caller who hides the number: with a number, the
// network passed it and only the presentation says so; without, the number is
// "anonymous", as from a From header of that name.
func (s *Script) Withheld(caller, dialled, sipCallID string) (*Call, []Step) {
	if caller == "" {
		return s.incoming(s.Trunk, s.TrunkContext, party{"Anonymous", "anonymous"}, "allowed_not_screened", dialled, sipCallID)
	}
	return s.incoming(s.Trunk, s.TrunkContext, party{"", caller}, "prohib_not_screened", dialled, sipCallID)
}

// Internal is a call from an inside endpoint to an extension.
func (s *Script) Internal(from, exten, sipCallID string) (*Call, []Step) {
	return s.incoming(from, s.InsideContext, s.party(from), "allowed_not_screened", exten, sipCallID)
}

// Outbound is a call from an inside endpoint to an outside number; ring it on
// the trunk: c.Ring(s.Trunk).
func (s *Script) Outbound(from, number, sipCallID string) (*Call, []Step) {
	return s.Internal(from, number, sipCallID)
}

// party is how an inside endpoint presents itself.
func (s *Script) party(endpoint string) party {
	_, number, _ := strings.Cut(endpoint, "/")
	return party{s.Names[endpoint], number}
}

func (s *Script) incoming(endpoint, context string, who party, pres, exten, sipCallID string) (*Call, []Step) {
	c := &Call{s: s, exten: exten}
	return c, s.compose(func() {
		ch := s.newChannel(endpoint, "Ring", context, exten, "")
		ch.Caller, ch.vars.NumPres = who, pres
		c.caller = ch
		s.channelEvent("ChannelCreated", ch) // no protocol_id, no dnid yet
		s.later(1)
		ch.ProtocolID, ch.vars.DNID = sipCallID, exten
		s.set(ch, "SIPDOMAIN", "127.0.0.1")
		s.device(endpoint, "INUSE")
	})
}

// ID is the channel that brought the call: its unique id and linkedid.
func (c *Call) ID() string { return c.caller.ID }

// Leg is the channel that rings or has answered on an endpoint, empty if there
// is none.
func (c *Call) Leg(endpoint string) string {
	for _, leg := range c.legs {
		if leg.endpoint == endpoint {
			return leg.ID
		}
	}
	return ""
}

// Wait lets time pass on the Script's clock.
func (c *Call) Wait(d time.Duration) { c.s.Wait(d) }

// pickUp is the PBX answering by itself, as an IVR or a queue does.
func (c *Call) pickUp() {
	if c.caller.State != "Up" {
		c.s.app(c.caller, c.caller.Dialplan.Priority, "Answer", "")
		c.s.state(c.caller, "Up")
		c.s.later(80)
	}
}

// SetCallNumber is an IVR that answers and collects digits with Read().
func (c *Call) SetCallNumber(digits string) []Step {
	s, ch := c.s, c.caller
	return s.compose(func() {
		c.pickUp()
		s.app(ch, ch.Dialplan.Priority+1, "Read", "CALL_NUMBER,beep,8,,1,6")
		for _, digit := range digits + "#" {
			s.later(300)
			s.channelEvent("ChannelDtmfReceived", ch, member{"digit", string(digit)}, member{"duration_ms", 180})
		}
		ch.vars.CallNumber = digits
		s.set(ch, "CALL_NUMBER", digits)
		s.set(ch, "READSTATUS", "OK")
	})
}

// Queue puts the caller into a queue: the PBX answers, and Ring is by
// app_queue.
func (c *Call) Queue(name string) []Step {
	return c.s.compose(func() {
		c.pickUp()
		c.queue = name
		c.s.app(c.caller, c.caller.Dialplan.Priority+1, "Queue", name+",tT,,,60")
		c.s.set(c.caller, "QUEUEWAIT", "")
	})
}

// Ring dials endpoints, all at once, by Dial or by the queue. Ringing again
// after NoAnswer is the linear strategy.
func (c *Call) Ring(endpoints ...string) []Step {
	s := c.s
	return s.compose(func() {
		if c.over || c.agent != nil {
			return
		}
		app := "AppQueue"
		if c.queue == "" {
			app = "AppDial"
			s.app(c.caller, c.caller.Dialplan.Priority, "Dial", strings.Join(endpoints, "&")+",30,tT")
		}
		for _, name := range []string{"DIALSTATUS", "DIALEDPEERNUMBER", "DIALEDPEERNAME", "ANSWEREDTIME", "DIALEDTIME", "RINGTIME", "PROGRESSTIME"} {
			s.set(c.caller, name, "")
		}
		first := len(c.legs)
		for _, endpoint := range endpoints {
			c.legs = append(c.legs, c.dialLeg(endpoint, app))
		}
		for _, leg := range c.legs[first:] {
			s.later(1)
			s.state(leg, "Ringing")
			s.set(c.caller, "RINGTIME_MS", "2")
			s.dial("RINGING", c.caller, leg)
			s.device(leg.endpoint, "RINGING")
		}
	})
}

// dialLeg makes one leg that is about to ring.
func (c *Call) dialLeg(endpoint, app string) *channel {
	s := c.s
	s.later(1)
	context := s.InsideContext
	who := s.party(endpoint)
	if endpoint == s.Trunk {
		context, who = s.TrunkContext, party{"", c.exten}
	}
	leg := s.newChannel(endpoint, "Down", context, "s", c.caller.vars.Linkedid)
	leg.Caller = who
	s.channelEvent("ChannelCreated", leg)
	leg.ProtocolID = s.uuid("sip")
	s.set(leg, "DIALEDPEERNUMBER", who.Number)
	leg.Dialplan.Exten = c.exten
	leg.Connected = c.caller.Caller
	s.app(leg, 1, app, "(Outgoing Line)")
	s.channelEvent("ChannelConnectedLine", leg)
	s.later(1)
	s.dial("", c.caller, leg)
	if c.queue == "" {
		c.caller.Connected = leg.Caller
		s.channelEvent("ChannelConnectedLine", c.caller)
	}
	return leg
}

// take removes the leg on an endpoint from those that ring; nil if none.
func (c *Call) take(endpoint string) *channel {
	i := slices.IndexFunc(c.legs, func(leg *channel) bool { return leg.endpoint == endpoint })
	if i < 0 {
		return nil
	}
	leg := c.legs[i]
	c.legs = slices.Delete(c.legs, i, i+1)
	return leg
}

// Answer is an endpoint that rings being picked up; the others stop, answered
// elsewhere. Nothing happens if it does not ring.
func (c *Call) Answer(endpoint string) []Step {
	s := c.s
	return s.compose(func() {
		leg := c.take(endpoint)
		if leg == nil || c.agent != nil {
			return
		}
		losers := c.legs
		c.legs, c.agent = []*channel{leg}, leg
		s.device(endpoint, "INUSE")
		s.state(leg, "Up")
		s.set(c.caller, "DIALSTATUS", "ANSWER")
		s.set(c.caller, "DIALEDPEERNAME", leg.Name)
		s.dial("ANSWER", c.caller, leg)
		for _, loser := range slices.Concat(losers, losers) { // twice each, seen so
			s.dial("CANCEL", c.caller, loser)
		}
		if c.queue != "" {
			c.caller.Connected = leg.Caller
			s.channelEvent("ChannelConnectedLine", c.caller)
		}
		if c.caller.State != "Up" {
			s.state(c.caller, "Up")
		}
		s.later(1)
		c.bridge = s.newBridge()
		s.bridged("BridgeCreated", c.bridge)
		leg.Dialplan.Exten = ""
		s.app(leg, 1, leg.Dialplan.App, leg.Dialplan.AppData)
		s.enter(c.bridge, leg)
		s.enter(c.bridge, c.caller)
		c.peers()
		for _, loser := range losers {
			s.destroy(loser, 26)
		}
	})
}

// peers sets the variables that name who is bridged with whom.
func (c *Call) peers() {
	for _, pair := range [][2]*channel{{c.agent, c.caller}, {c.caller, c.agent}} {
		c.s.set(pair[0], "BRIDGEPEER", pair[1].Name)
		c.s.set(pair[0], "BRIDGEPVTCALLID", pair[1].ProtocolID)
	}
}

// NoAnswer stops an endpoint's ringing because it rang for too long.
func (c *Call) NoAnswer(endpoint string) []Step {
	return c.s.compose(func() {
		if leg := c.take(endpoint); leg != nil {
			c.s.dial("NOANSWER", c.caller, leg)
			c.s.set(c.caller, "DIALSTATUS", "NOANSWER")
			c.s.destroy(leg, 19)
		}
	})
}

// Hold is the agent putting the caller on hold; Resume ends it.
func (c *Call) Hold() []Step { return c.s.compose(c.hold) }

func (c *Call) hold() {
	if c.agent != nil && !c.over {
		c.s.device(c.caller.endpoint, "ONHOLD")
		c.s.channelEvent("ChannelHold", c.agent, member{"musicclass", "default"})
		c.peers()
	}
}

// Resume takes the caller off hold.
func (c *Call) Resume() []Step { return c.s.compose(c.resume) }

func (c *Call) resume() {
	if c.agent != nil && !c.over {
		c.s.device(c.caller.endpoint, "INUSE")
		c.s.channelEvent("ChannelUnhold", c.agent)
		c.peers()
	}
}

// HoldResume is Hold for a time, and Resume.
func (c *Call) HoldResume(d time.Duration) []Step {
	return c.s.compose(func() {
		c.hold()
		c.s.clock = c.s.clock.Add(d)
		c.resume()
	})
}

// Hangup is the caller hanging up, answered or not; HangupBy is the agent.
func (c *Call) Hangup() []Step {
	if c.agent == nil {
		return c.CallerGivesUp()
	}
	return c.hangup(c.caller, c.agent)
}

// HangupBy is the agent hanging up.
func (c *Call) HangupBy() []Step {
	if c.agent == nil {
		return nil
	}
	return c.hangup(c.agent, c.caller)
}

func (c *Call) hangup(first, second *channel) []Step {
	s := c.s
	return s.compose(func() {
		if c.over {
			return
		}
		c.over = true
		for _, name := range []string{"RTPAUDIOQOS", "RTPAUDIOQOSJITTER", "RTPAUDIOQOSLOSS", "RTPAUDIOQOSRTT", "RTPAUDIOQOSMES"} {
			s.set(first, name, "ssrc=0;themssrc=0;lp=0;rxjitter=0.000000;rxcount=0")
		}
		s.event([]member{{"cause", 16}}, "ChannelHangupRequest", member{"channel", first})
		s.later(10)
		s.set(c.caller, "BRIDGEPEER", "")
		s.set(c.agent, "BRIDGEPEER", "")
		s.leave(c.bridge, first)
		s.set(c.caller, "ANSWEREDTIME", "1")
		s.set(c.caller, "DIALSTATUS", "ANSWER")
		s.event([]member{{"cause", 16}, {"soft", true}}, "ChannelHangupRequest", member{"channel", c.caller})
		s.leave(c.bridge, second)
		s.bridged("BridgeDestroyed", c.bridge)
		c.caller.Dialplan.App, c.caller.Dialplan.AppData = "", ""
		s.destroy(first, 16)
		s.later(1)
		s.destroy(second, 16)
		c.bridge, c.legs = nil, nil
	})
}

// CallerGivesUp is the caller hanging up before anybody answered.
func (c *Call) CallerGivesUp() []Step {
	s := c.s
	return s.compose(func() {
		if c.agent != nil || c.over {
			return
		}
		c.over = true
		s.event([]member{{"cause", 127}}, "ChannelHangupRequest", member{"channel", c.caller})
		for _, leg := range c.legs {
			s.dial("CANCEL", c.caller, leg)
		}
		s.set(c.caller, "DIALSTATUS", "CANCEL")
		c.caller.Dialplan.App, c.caller.Dialplan.AppData = "", ""
		s.destroy(c.caller, 16)
		for _, leg := range c.legs {
			s.destroy(leg, 16)
		}
		c.legs = nil
	})
}
