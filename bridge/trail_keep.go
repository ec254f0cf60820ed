package bridge

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TrailOptions configures Trails. Keep is required.
type TrailOptions struct {
	// Keep takes a trail that shares nothing with later ones but what never
	// changes. It runs on the engine's goroutine and must not block. A call's
	// trail comes again while it grows; the last one comes a moment after the
	// call's end.
	Keep func(Trail)

	Calls  int           // trails at one time; default 20000. Calls beyond it have none, which is counted
	Steps  int           // steps of a trail, at least 20; default 200. The first and the last ones stay
	Legs   int           // legs of a trail; default 64
	Every  time.Duration // how often a running call's trail is handed out at most; default 5 s
	Linger time.Duration // for how long the ends of legs are awaited after the call's; default 2 s

	Registerer prometheus.Registerer // may be nil
}

func (o *TrailOptions) setDefaults() {
	for _, v := range []struct {
		n *int
		d int
	}{{&o.Calls, 20_000}, {&o.Steps, 200}, {&o.Legs, 64}} {
		if *v.n <= 0 {
			*v.n = v.d
		}
	}
	o.Steps = max(o.Steps, 20)
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	if o.Linger <= 0 {
		o.Linger = 2 * time.Second
	}
}

// Trails gathers the trail of every running call from what the engine does. It
// belongs to the goroutine that applies events.
type Trails struct {
	o       TrailOptions
	calls   map[CallID]*trail
	legs    map[legKey][]*trail // who has a leg; a leg is in two trails when it was picked up
	leftOut prometheus.Counter
	now     time.Time
	swept   time.Time
}

type legKey struct {
	pbx PBX
	id  ChannelID
}

// trail is a Trail in the making. Its steps are in two parts: head is only
// ever appended to, tail is a ring.
type trail struct {
	Trail
	call    *call
	index   map[ChannelID]int // places of Legs
	bridges []BridgeID
	head    []TrailStep
	tail    []TrailStep
	next    int // where tail's oldest is, once it is full
	app     string
	dirty   bool
	kept    time.Time
	over    time.Time // when the call ended, by our clock
}

// NewTrails checks the options.
func NewTrails(o TrailOptions) (*Trails, error) {
	if o.Keep == nil {
		return nil, errors.New("bridge.TrailOptions.Keep is missing")
	}
	o.setDefaults()
	ts := &Trails{
		o: o, calls: map[CallID]*trail{}, legs: map[legKey][]*trail{},
		leftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_trails_left_out_total", Help: "Calls without an explanation because too many run at once."}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(ts.leftOut)
	}
	return ts, nil
}

// Observe takes in an event after s has applied it, and its effects.
func (ts *Trails) Observe(s *State, ev *Event, effects []Effect) {
	ts.now = s.now
	if x := s.pbxs[ev.PBX]; x != nil {
		// Legs first, then what the event says, then what became of the legs.
		named := [...]*channel{x.channels[ev.Channel.ID], x.channels[ev.Peer.ID]}
		for _, c := range named {
			ts.follow(s, c, ts.leg)
		}
		if ev.Kind == EventSourceUp {
			for _, id := range slices.Sorted(maps.Keys(x.channels)) {
				ts.follow(s, x.channels[id], ts.leg)
				ts.follow(s, x.channels[id], ts.standing)
			}
		}
		ts.event(ev)
		for _, c := range named {
			ts.follow(s, c, ts.standing)
		}
	}
	for i := range effects {
		ts.effect(s, &effects[i])
	}
	if ts.now.Sub(ts.swept) >= time.Second {
		ts.swept = ts.now
		ts.sweep()
	}
}

// Close hands out what was not handed out yet.
func (ts *Trails) Close() {
	for _, t := range ts.sorted() {
		ts.keep(t)
	}
}

func (ts *Trails) sorted() []*trail {
	list := make([]*trail, 0, len(ts.calls))
	for _, t := range ts.calls {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *trail) int {
		if d := a.Started.Compare(b.Started); d != 0 {
			return d
		}
		return strings.Compare(string(a.Call), string(b.Call))
	})
	return list
}

func (ts *Trails) sweep() {
	for id, t := range ts.calls {
		switch {
		case !t.over.IsZero() && ts.now.Sub(t.over) >= ts.o.Linger:
			ts.keep(t)
			delete(ts.calls, id)
			for leg := range t.index {
				ts.forget(legKey{t.call.pbx, leg}, t)
			}
		case t.dirty && ts.now.Sub(t.kept) >= ts.o.Every:
			ts.keep(t)
		}
	}
}

func (ts *Trails) forget(key legKey, t *trail) {
	list := slices.DeleteFunc(ts.legs[key], func(o *trail) bool { return o == t })
	if len(list) == 0 {
		delete(ts.legs, key)
		return
	}
	ts.legs[key] = list
}

// keep hands the trail out as it is now.
func (ts *Trails) keep(t *trail) {
	if !t.dirty {
		return
	}
	t.dirty, t.kept = false, ts.now
	out := t.Trail
	f := &t.call.facts
	out.UniqueID, out.SIPCallID, out.Withheld = f.UniqueID, f.SIPCallID, f.Caller.Withheld
	out.Caller = t.number(f.Caller.Number.Reveal())
	out.Dialled = t.number(f.Dialled.Reveal())
	out.Number = t.number(string(f.CallNumber))
	out.Turns, out.Answered = t.call.turns, t.call.answered
	if out.Ended.IsZero() {
		out.Direction = t.call.direction.String()
	}
	out.Numbers = slices.Clone(t.Numbers)
	out.Legs = slices.Clone(t.Legs)
	out.Steps = t.head[:len(t.head):len(t.head)]
	if len(t.tail) > 0 {
		out.Steps = slices.Concat(t.head, t.tail[t.next:], t.tail[:t.next])
	}
	out.judge()
	ts.o.Keep(out)
}

// trail returns a call's trail, made if need be; nil where there is none.
func (ts *Trails) trail(k *call) *trail {
	t := ts.calls[k.id]
	if t != nil {
		if t.call != k && t.over.IsZero() {
			t.call = k
		}
		return t
	}
	if k.over {
		return nil
	}
	if len(ts.calls) >= ts.o.Calls {
		if k.origin.seen.Equal(ts.now) && k.started.Equal(ts.now) {
			ts.leftOut.Inc()
		}
		return nil
	}
	t = &trail{Trail: Trail{Call: k.id, Started: k.started}, call: k, index: map[ChannelID]int{}, kept: ts.now.Add(time.Second - ts.o.Every)}
	ts.calls[k.id] = t
	return t
}

// follow has a leg noted in the trails of the calls that it belongs to.
func (ts *Trails) follow(s *State, c *channel, note func(*State, *call, *channel)) {
	if c == nil {
		return
	}
	if c.call != nil {
		note(s, c.call, c)
		if o := c.other(); o != nil && o.call == c.call {
			note(s, c.call, o)
		}
	}
	for _, k := range c.turns {
		note(s, k, c)
	}
}

// leg adds a leg to the call's trail, or how it belongs to the call where that
// is better known now.
func (ts *Trails) leg(s *State, k *call, c *channel) {
	t := ts.trail(k)
	if t == nil {
		return
	}
	place, known := t.index[c.id]
	how, by := joined(k, c)
	if known {
		if l := &t.Legs[place-1]; how == JoinedDial && (l.Joined == JoinedLinkedID || l.Joined == JoinedLocal) {
			l.Joined, l.By = how, t.index[by.id]
		}
		return
	}
	if len(t.Legs) >= ts.o.Legs {
		t.CutLegs++
		return
	}
	l := TrailLeg{ID: ChannelID(strings.Clone(string(c.id))), Endpoint: strings.Clone(c.endpoint), Side: side(c), Joined: how}
	if by != nil {
		l.By = t.index[by.id]
	}
	t.Legs = append(t.Legs, l)
	t.index[l.ID] = len(t.Legs)
	key := legKey{k.pbx, l.ID}
	ts.legs[key] = append(ts.legs[key], t)
	t.dirty = true
}

// standing notes what is new of a leg in the call's trail.
func (ts *Trails) standing(s *State, k *call, c *channel) {
	t := ts.trail(k)
	if t == nil || t.index[c.id] == 0 {
		return
	}
	place := t.index[c.id]
	l := &t.Legs[place-1]
	if l.SIPCallID == "" && c.protocol != "" {
		l.SIPCallID = strings.Clone(c.protocol)
	}
	if agent, ok := s.agents[Device{k.pbx, c.endpoint}]; ok && l.Agent == "" && !c.outside {
		l.Agent = agent
	}
	l.Bridged = l.Bridged || c.bridge != nil && !c.bridge.holding
	if c.ringing && !l.Rang && !l.Up {
		l.Rang = true
		ts.add(t, TrailStep{Kind: StepRinging, Leg: int16(place)})
	}
	if c.up && !l.Up {
		l.Up = true
		ts.add(t, TrailStep{Kind: StepUp, Leg: int16(place)})
	}
}

// joined tells by what a leg came to belong to the call, and by which leg.
func joined(k *call, c *channel) (LegJoin, *channel) {
	switch o := c.other(); {
	case k.origin == c:
		return JoinedOrigin, nil
	case c.call != k:
		return JoinedBridge, nil
	case c.dialledBy != nil && c.dialledBy.call == k:
		return JoinedDial, c.dialledBy
	case o != nil && o.call == k:
		return JoinedLocal, o
	}
	return JoinedLinkedID, k.origin
}

func side(c *channel) LegSide {
	switch {
	case c.local != 0:
		return SideLocal
	case c.endpoint == "":
		return SideOwn
	case c.outside:
		return SideOutside
	}
	return SideInside
}

// add appends a step; beyond the bound the oldest of the later ones goes.
func (ts *Trails) add(t *trail, step TrailStep) {
	t.dirty = true
	step.At = ts.now.Sub(t.Started).Microseconds()
	tail := ts.o.Steps / 2
	switch {
	case len(t.head) < ts.o.Steps-tail:
		t.head = append(t.head, step)
	case len(t.tail) < tail:
		t.tail = append(t.tail, step)
	default:
		t.tail[t.next] = step
		t.next = (t.next + 1) % tail
		t.CutSteps++
	}
}

// maxNumbers bounds the different numbers of one trail.
const maxNumbers = 32

// number returns the place of a number, 0 for "" and where there is no room.
func (t *trail) number(s string) int {
	if s == "" {
		return 0
	}
	if i := slices.Index(t.Numbers, Number(s)); i >= 0 {
		return i + 1
	}
	if len(t.Numbers) >= maxNumbers {
		return 0
	}
	const most = 64 // bytes; longer is no number
	t.Numbers = append(t.Numbers, Number(strings.Clone(s[:min(len(s), most)])))
	return len(t.Numbers)
}

// bridge returns the place of a bridge, 0 where there are too many.
func (t *trail) bridge(id BridgeID) int16 {
	if i := slices.Index(t.bridges, id); i >= 0 {
		return int16(i + 1)
	}
	if id == "" || len(t.bridges) >= maxNumbers {
		return 0
	}
	t.bridges = append(t.bridges, BridgeID(strings.Clone(string(id))))
	return int16(len(t.bridges))
}
