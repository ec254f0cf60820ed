package bridge

import (
	"slices"
	"time"
)

// Apply takes one event into the state and appends what is to be done because
// of it to out. It never fails: what makes no sense changes nothing.
func (s *State) Apply(ev *Event, now time.Time, out []Effect) []Effect {
	s.out, s.now, s.ev, s.late = out, now, ev, false
	if ev.Kind == EventDevices {
		s.assign(ev.Devices)
	} else if x := s.pbxs[ev.PBX]; x != nil {
		s.apply(x, ev)
	} else if ev.Kind == EventTick {
		s.expire()
	}
	s.settle()
	out, s.out, s.ev = s.out, nil, nil
	return out
}

func (s *State) apply(x *exchange, ev *Event) {
	switch ev.Kind {
	case EventChannel:
		s.channelSeen(x, &ev.Channel)
	case EventChannelDestroyed:
		if c := x.channels[ev.Channel.ID]; c != nil {
			c.cause = ev.Cause
		}
		s.drop(x, ev.Channel.ID)
	case EventDial:
		s.dialled(x, ev)
	case EventVariable:
		if c := s.channelSeen(x, &ev.Channel); c != nil {
			s.collected(c, ev.Value)
		}
	case EventHold, EventUnhold:
		if c := s.channelSeen(x, &ev.Channel); c != nil {
			c.held = ev.Kind == EventHold
		}
	case EventBridgeEntered:
		if c := s.channelSeen(x, &ev.Channel); c != nil {
			s.enter(x, c, &ev.Bridge)
		}
	case EventBridgeLeft:
		if c := s.channelSeen(x, &ev.Channel); c != nil && c.bridge != nil && c.bridge.id == ev.Bridge.ID {
			s.leave(x, c)
			s.touch(c)
		}
	case EventBridgeDestroyed:
		for b := x.bridges[ev.Bridge.ID]; b != nil && len(b.members) > 0; {
			s.leave(x, b.members[0])
		}
	case EventBlindTransfer, EventAttendedTransfer:
		s.channelSeen(x, &ev.Channel)
		s.channelSeen(x, &ev.Peer)
	case EventSourceUp:
		s.resync(x, ev.Snapshot)
	case EventInvite:
		s.invited(x, ev.Invite)
	case EventTurns:
		s.remember(x, ev.Turns)
	}
}

// channelSeen takes what an event says of a channel. It returns nil for a
// channel that is gone already or cannot be kept.
func (s *State) channelSeen(x *exchange, f *Channel) *channel {
	if f.ID == "" {
		return nil
	}
	c := x.channels[f.ID]
	first := c == nil
	if first {
		if _, gone := x.gone[f.ID]; gone {
			return nil
		}
		if s.legs >= s.limits.Channels {
			s.refused++
			return nil
		}
		c = s.newChannel(x, f)
	}
	c.seen = s.now
	switch f.State {
	case StateUp:
		c.up, c.ringing = true, false
	case StateRinging:
		c.ringing = !c.up
	}
	if f.ProtocolID != "" && c.protocol == "" {
		c.protocol = f.ProtocolID
		x.protocols[c.protocol] = c
		s.joinInvite(x, c)
	}
	if f.Linkedid != "" {
		c.linkedid = f.Linkedid
	}
	s.belongs(x, c)
	s.gather(c, f, first)
	s.touch(c)
	return c
}

func (s *State) newChannel(x *exchange, f *Channel) *channel {
	c := &channel{id: f.ID, created: f.Created}
	if c.created.IsZero() {
		c.created = s.now
	}
	c.endpoint, c.local = Endpoint(f.Name)
	c.outside = c.endpoint != "" && x.opts.Outside(c.endpoint, f.Context)
	switch f.State {
	case StateRing:
		c.incoming = true
	case StateDown, StateRinging:
	default: // first seen in the middle: Asterisk marks the legs that it dialled
		c.incoming = walks(f)
		c.originated = f.App == "AppDial2"
	}
	if len(x.past) > 0 && len(x.past[x.callID(f.ID)]) > 0 { // it brought a caller to an agent before
		c.incoming, c.outside = true, true
	}
	if c.local != 0 {
		name := f.Name[:len(f.Name)-2]
		if x.pairs[name] == nil {
			x.pairs[name] = &pair{name: name}
		}
		c.pair = x.pairs[name]
		c.pair.half[c.local-1] = c
	}
	x.channels[f.ID] = c
	s.legs++
	return c
}

// walks reports whether a leg goes through the dialplan by itself, as none
// does that another leg dialled: Asterisk marks those.
func walks(f *Channel) bool {
	return f.App != "AppDial" && f.App != "AppQueue" && f.AppData != "(Outgoing Line)"
}

// belongs finds the call that a leg is part of, or lets the leg begin one.
func (s *State) belongs(x *exchange, c *channel) {
	if c.call != nil {
		return
	}
	switch {
	case c.dialledBy != nil:
		s.join(c, c.dialledBy.call)
	case c.local != 0:
		if o := c.other(); o != nil {
			s.join(c, o.call)
		}
	case c.incoming || c.originated:
		s.begin(x, c)
		return
	}
	if c.call == nil && c.linkedid != "" && c.linkedid != string(c.id) {
		if first := x.channels[ChannelID(c.linkedid)]; first != nil {
			s.join(c, first.call)
		}
	}
}

func (s *State) join(c *channel, k *call) {
	if k == nil || c.call != nil {
		return
	}
	c.call = k
	k.legs++
	k.seen = s.now
	if c.outside && !c.incoming {
		k.dialledOut = true
	}
	if o := c.other(); o != nil {
		s.join(o, k)
	}
}

func (s *State) begin(x *exchange, c *channel) {
	k := &call{
		id:      x.callID(c.id),
		pbx:     x.opts.Name,
		origin:  c,
		started: s.now,
		seen:    s.now,
	}
	k.facts.UniqueID = string(c.id)
	if c.outside {
		k.direction = DirectionInbound
	}
	s.calls[k.id] = k
	s.join(c, k)
	s.joinInvite(x, c)
}

// gather takes the caller, the dialled number and the call number from what an
// event says of a leg. The extension is the dialled number only at first sight:
// later it is where the dialplan or a transfer has led the caller. Whom the PBX
// called has dialled nothing: there it is where it was led first.
func (s *State) gather(c *channel, f *Channel, first bool) {
	if f.CallNumber != "" {
		s.collected(c, f.CallNumber)
	}
	k := c.call
	if k == nil || k.origin != c {
		return
	}
	if caller := &k.facts.Caller; !k.frozen || *caller == (Caller{}) {
		n := callerNumber(f.CallerNumber, f.NumPres)
		switch {
		case Withheld(f.CallerNumber, f.NumPres):
			*caller = Caller{Withheld: true}
		case caller.Withheld && f.NumPres == "": // only a presentation can take that back
		case n != "":
			*caller = Caller{Number: n, Name: PersonName(f.CallerName)}
		}
	}
	switch d := &k.facts.Dialled; {
	case f.DNID != "" && (*d == "" || !k.frozen):
		*d = Number(f.DNID)
	case *d == "" && (first || c.originated) && dialledExten(f.Exten):
		*d = Number(f.Exten)
	}
	if k.facts.SIPCallID == "" {
		k.facts.SIPCallID = c.protocol
	}
}

// dialledExten leaves out Asterisk's special extensions.
func dialledExten(exten string) bool {
	switch exten {
	case "", "s", "h", "i", "t", "T", "a", "o", "e":
		return false
	}
	return true
}

// collected notes a call number that an IVR set on the caller's leg or on a
// Local channel on its way to an agent. On the caller's leg, before the first
// answer, it may be taken back.
func (s *State) collected(c *channel, value string) {
	k := c.call
	if k == nil {
		return
	}
	own := k.origin == c
	if value == "" && own && !k.frozen || value != "" && (own || c.local != 0) {
		k.facts.CallNumber = TicketNumber(value)
		s.mark(k)
	}
}

func (s *State) dialled(x *exchange, ev *Event) {
	from := s.channelSeen(x, &ev.Channel)
	to := s.channelSeen(x, &ev.Peer)
	if to == nil {
		return
	}
	switch ev.DialStatus {
	case "", "RINGING", "PROGRESS", "PROCEEDING":
	case "ANSWER":
		to.dialEnd = ""
	default:
		to.dialEnd = ev.DialStatus
	}
	if ev.Channel.ID == "" && to.endpoint != "" && to.call == nil {
		to.originated = true // nobody dialled it but the PBX itself
		s.belongs(x, to)
		s.gather(to, &ev.Peer, false)
		s.touch(to)
	}
	if from != nil && to.dialledBy == nil && from != to {
		to.dialledBy = from
		s.belongs(x, to)
		if to.call != nil && to.call.direction == DirectionInbound && to.endpoint != "" {
			to.call.rung = append(to.call.rung, to)
		}
		s.touch(to)
	}
}

func (s *State) enter(x *exchange, c *channel, f *Bridge) {
	b := x.bridges[f.ID]
	if b == nil {
		b = &mixing{id: f.ID}
		x.bridges[f.ID] = b
	}
	b.holding = b.holding || f.Type == "holding"
	if c.bridge == b {
		return
	}
	s.leave(x, c)
	c.bridge = b
	b.members = append(b.members, c)
	s.touch(c)
}

// leave takes a leg out of its bridge; who was connected through it before is
// looked at again. A bridge with nobody in it is forgotten.
func (s *State) leave(x *exchange, c *channel) {
	if c.bridge == nil {
		return
	}
	s.touch(c)
	b := c.bridge
	b.members = slices.DeleteFunc(b.members, func(m *channel) bool { return m == c })
	c.bridge = nil
	if len(b.members) == 0 && x.bridges[b.id] == b {
		delete(x.bridges, b.id)
	}
}

// drop forgets a leg that has ended.
func (s *State) drop(x *exchange, id ChannelID) {
	if id == "" {
		return
	}
	x.gone[id] = s.now
	c := x.channels[id]
	if c == nil {
		return
	}
	s.touch(c)
	s.leave(x, c)
	delete(x.channels, id)
	c.gone = true
	s.legs--
	if c.pair != nil && c.pair.half[c.local-1] == c {
		c.pair.half[c.local-1] = nil
		if c.pair.half[0] == nil && c.pair.half[1] == nil {
			delete(x.pairs, c.pair.name)
		}
	}
	if x.protocols[c.protocol] == c {
		delete(x.protocols, c.protocol)
	}
	if k := c.call; k != nil && k.origin == c {
		k.over = true
		s.mark(k)
	}
}

// invited keeps what an INVITE said until a leg with its Call-ID turns up.
func (s *State) invited(x *exchange, i *Invite) {
	if i == nil || i.CallID == "" || len(x.invites) >= s.limits.Channels {
		return
	}
	x.invites[i.CallID] = &pendingInvite{invite: *i, at: s.now}
	if c := x.protocols[i.CallID]; c != nil {
		s.joinInvite(x, c)
	}
}

// joinInvite fills the facts that ARI does not have from the INVITE of the
// caller's own leg: channel.protocol_id is its Call-ID (Asterisk 20 and later).
func (s *State) joinInvite(x *exchange, c *channel) {
	p := x.invites[c.protocol]
	if p == nil || c.protocol == "" || c.call == nil || c.call.origin != c {
		return
	}
	delete(x.invites, c.protocol)
	k := c.call
	k.facts.SIPCallID = c.protocol
	switch caller := &k.facts.Caller; {
	case p.invite.Withheld:
		*caller = Caller{Withheld: true}
	case *caller == (Caller{}):
		*caller = Caller{Number: callerNumber(p.invite.Caller, ""), Name: PersonName(p.invite.CallerName)}
	}
	if k.facts.Dialled == "" {
		k.facts.Dialled = Number(p.invite.Dialled)
	}
	if k.facts.CallNumber == "" {
		k.facts.CallNumber = TicketNumber(p.invite.CallNumber)
	}
	s.mark(k)
}
