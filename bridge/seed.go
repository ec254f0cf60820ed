package bridge

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PastTurn is a turn that the store knows: of a run of before, or of another
// replica.
type PastTurn struct {
	Call     CallID
	Pop      PopID
	Agent    AgentID
	Device   Device
	Facts    Facts
	Answered time.Time
	Open     bool // it has no final state
}

// remember keeps the turns that the store knows until the PBX has told which
// calls it has; after that they are taken in at once.
func (s *State) remember(x *exchange, list []PastTurn) {
	x.past = make(map[CallID][]PastTurn)
	for _, t := range list {
		x.past[t.Call] = append(x.past[t.Call], t)
	}
	if x.synced {
		s.late = true
		s.adopt(x)
	}
}

// adopt goes on with the turns of the calls that are still there, and forgets
// the rest.
func (s *State) adopt(x *exchange) {
	for _, id := range slices.Sorted(maps.Keys(x.past)) {
		if k := s.calls[id]; k != nil && !k.over {
			s.takeUp(x, k, x.past[id])
		}
	}
	x.past = nil
}

// takeUp gives a call the turns that it had before this process knew of it. A
// row stands for a turn: it was an inside agent's with an outside caller.
func (s *State) takeUp(x *exchange, k *call, list []PastTurn) {
	slices.SortStableFunc(list, func(a, b PastTurn) int { return a.Answered.Compare(b.Answered) })
	if k.names == nil {
		k.names = map[string]int{}
	}
	for i := range list {
		for _, c := range x.channels {
			if n := list[i].named(c); n >= 0 {
				name := turnName(list[i].Agent, c)
				k.names[name] = max(k.names[name], n+1)
			}
		}
	}
	if k.turns > 0 {
		return // it went on before the store was heard
	}
	last := list[len(list)-1]
	for _, t := range list {
		if t.Open {
			last = t // an earlier one that is open too was left so by a death
		}
	}
	k.direction, k.origin.outside = DirectionInbound, true
	k.turns, k.answered, k.frozen = len(list), list[0].Answered, true
	k.inherit(last.Facts)
	s.mark(k)
	if !last.Open {
		return
	}
	k.turn = &turn{pop: last.Pop, agent: last.Agent, device: last.Device}
	k.seat(s.legsOf(x, k, &last))
	k.told = k.facts
	s.emit(k, Effect{Kind: EffectPopOffered, Pop: last.Pop, Agent: last.Agent, Device: last.Device})
}

// inherit takes the facts of before: what a channel shows in the middle of a
// call, its extension above all, may be what a transfer made of it. A call
// number that the channel carries is the newest.
func (k *call) inherit(f Facts) {
	if f.Caller == (Caller{}) {
		f.Caller = k.facts.Caller
	}
	if f.Dialled == "" {
		f.Dialled = k.facts.Dialled
	}
	if k.facts.CallNumber != "" {
		f.CallNumber = k.facts.CallNumber
	}
	if f.SIPCallID == "" {
		f.SIPCallID = k.facts.SIPCallID
	}
	f.UniqueID = k.facts.UniqueID
	k.facts = f
}

// legsOf lists the legs by which an agent has a turn: the one that named the
// turn, while it is there those of the agent that belong to the call, and those
// that hear the caller, whatever they belong to. Without the one that named it, a
// leg that does not hear the caller is on its way to a turn of its own.
func (s *State) legsOf(x *exchange, k *call, t *PastTurn) (legs []*channel) {
	hears := slices.Clone(s.connected(k.origin))
	lives := slices.ContainsFunc(slices.Collect(maps.Values(x.channels)), func(c *channel) bool { return t.named(c) >= 0 })
	for _, c := range x.channels {
		if c.endpoint == "" || c.outside || !c.up || c == k.origin {
			continue
		}
		if c.endpoint != t.Device.Endpoint && s.agents[Device{k.pbx, c.endpoint}] != t.Agent {
			continue
		}
		if lives && c.call == k || t.named(c) >= 0 || slices.Contains(hears, c) {
			legs = append(legs, c)
		}
	}
	slices.SortFunc(legs, older)
	return legs
}

// maxNamed bounds how many turns of one leg in one call are told apart.
const maxNamed = 32

// named tells which of a leg's turns this is: 0 for the first that the leg
// began in the call, -1 if it began none of that name. The PopID says so.
func (t *PastTurn) named(c *channel) int {
	if c.endpoint == t.Device.Endpoint {
		for n := range maxNamed {
			if MakePopID(t.Call, t.Agent, c.id, n) == t.Pop {
				return n
			}
		}
	}
	return -1
}

// turnName is the key under which a call counts the turns that a leg began.
func turnName(agent AgentID, leg *channel) string { return string(agent) + "\x00" + string(leg.id) }

// lose notes, before a PBX that has restarted is forgotten, which of its
// channel ids may come again. Asterisk makes an id of the second in which the
// channel began and of a count since the start: only within the second of the
// start itself can an id of before come again.
func (x *exchange) lose(booted time.Time) {
	clear(x.reused)
	again := func(id ChannelID) {
		if second(id) == booted.Unix() {
			x.reused[id] = true
		}
	}
	for id := range x.gone {
		again(id)
	}
	for id := range x.channels {
		again(id)
	}
}

// callID names the call that a channel began. Where the PBX has given a
// channel of before its restart the same id, the start's milliseconds join it:
// two calls are two, on every replica.
func (x *exchange) callID(id ChannelID) CallID {
	name := MakeCallID(x.opts.Name, id)
	if second(id) != x.booted.Unix() {
		return name
	}
	again := name + CallID("~"+strconv.FormatInt(x.booted.UnixMilli(), 10))
	before := slices.ContainsFunc(x.past[name], func(t PastTurn) bool { return t.Answered.Before(x.booted) })
	if before || x.reused[id] || len(x.past[again]) > 0 {
		return again
	}
	return name
}

// second reads the second out of a channel's id ("1763820000.12", or with the
// system's name "pbx-1763820000.12"), 0 if there is none.
func second(id ChannelID) int64 {
	text, _, _ := strings.Cut(string(id)[strings.LastIndexByte(string(id), '-')+1:], ".")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
