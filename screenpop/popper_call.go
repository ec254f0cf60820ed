package screenpop

import (
	"slices"
	"time"

	"ringlink/bridge"
)

// liveCall is a running call as the popper sees it. Run's goroutine owns it.
type liveCall struct {
	id      bridge.CallID
	facts   bridge.Facts
	adopted bridge.Facts // what only another replica's row knew
	ringing map[bridge.AgentID]*ringNotice
	pops    map[bridge.PopID]*livePop
	over    bool // the engine has ended it

	want, known DirectoryQuery // what is to be found, and what was
	found       Found
	asking      bool
	asked       time.Time
	tries       int
	retry       *time.Timer
}

// ringNotice is a call that rings on an agent's device.
type ringNotice struct {
	device   bridge.Device
	since    time.Time
	late     bool
	answered bool // it rings no more because this agent took it: the pop follows
}

// livePop is a pop whose end the store does not have yet. Run's goroutine owns it.
type livePop struct {
	call     *liveCall
	pop      Pop // as it is to be; the store follows
	received time.Time
	pushed   time.Time // first push; zero before
	held     bool
	heldAt   time.Time
	left     bool // the agent's legs are gone, the caller may be anywhere
	over     bool
	endedAt  time.Time
	silent   bool // final in the store before we had it: no desk is told
	waited   bool // the directory's deadline is over
	degraded bool // pushed without a row
	final    *step
	mended   bridge.Facts // what the row lacked and was given last, see catchUp

	inserted   bool
	stale      bool // facts, decision or what was found changed since the last write
	steps      []step
	unwritable bool // the backlog was full: never written
	tried      bool // a write was begun at least once
	writing    bool
	queued     bool
	owing      bool

	offerTimer, askTimer, graceTimer *time.Timer
}

func (lp *livePop) stopTimers() {
	stop(lp.offerTimer)
	stop(lp.askTimer)
	stop(lp.graceTimer)
}

// end notes when the turn was over for the agent; the first time counts.
func (lp *livePop) end(at time.Time) {
	lp.over = true
	if !lp.left {
		lp.endedAt = at
	}
}

// apply does what one effect asks for.
func (p *Popper) apply(e *bridge.Effect) {
	if e.At.IsZero() {
		e.At = p.now()
	}
	switch e.Kind {
	case bridge.EffectPopOffered:
		p.offered(e)
	case bridge.EffectPopUpdated:
		p.updated(e)
	case bridge.EffectPopLeft:
		p.left(e)
	case bridge.EffectPopEnded:
		p.ended(e)
	case bridge.EffectRinging:
		p.rings(e)
	case bridge.EffectRingingOver:
		p.quiet(e)
	case bridge.EffectHeld:
		p.held(e)
	case bridge.EffectCallEnded:
		p.callEnded(e)
	}
}

// call returns the live call, made if need be.
func (p *Popper) call(id bridge.CallID) *liveCall {
	c := p.calls[id]
	if c == nil {
		c = &liveCall{id: id, ringing: make(map[bridge.AgentID]*ringNotice), pops: make(map[bridge.PopID]*livePop)}
		p.calls[id] = c
	}
	return c
}

// offered begins a pop: its row is written and the directory asked side by
// side, and whichever is last lets it go to the desk.
func (p *Popper) offered(e *bridge.Effect) {
	if e.Call == "" || e.Pop == "" || e.Agent == "" || p.pops[e.Pop] != nil {
		return // of nobody, or said twice
	}
	c := p.call(e.Call)
	c.over = false
	delete(c.ringing, e.Agent)
	for agent, r := range c.ringing {
		if r.answered { // and yet the caller is with another agent
			p.hush(c, agent, r, "answered_elsewhere", e.At)
		}
	}
	p.learn(c, e.Facts)
	lp := &livePop{call: c, received: e.Received, pop: Pop{
		ID: e.Pop, Call: e.Call, Agent: e.Agent, Device: e.Device, Facts: c.facts,
		State: bridge.PopOffered, Late: e.Late, Answered: e.At.UTC(), Offered: p.now().UTC(),
	}}
	c.pops[e.Pop], p.pops[e.Pop] = lp, lp
	p.decide(lp)
	if p.rows.away && p.rows.owing >= p.o.Backlog {
		lp.unwritable = true
		p.o.Metrics.rowsLost.Inc()
		p.o.Logger.Error("pop will have no row: the backlog is full", "pop_id", string(e.Pop), "backlog", p.o.Backlog)
	}
	p.owe(lp)
	if p.rows.away {
		p.degrade(lp)
		return
	}
	lp.offerTimer = p.after(p.o.OfferBudget, func() {
		if !lp.inserted {
			p.storeAway("waited", p.o.OfferBudget)
			p.degrade(lp)
		}
	})
	if !c.settled() {
		lp.askTimer = p.after(p.o.LookupDeadline, func() {
			lp.waited = true
			p.push(lp)
		})
	}
}

// decide applies the table of modes to what is known now.
func (p *Popper) decide(lp *livePop) {
	c := lp.call
	d := bridge.Decide(bridge.ModeFacts{Caller: lp.pop.Facts.Caller, CallNumber: lp.pop.Facts.CallNumber, Ticket: c.ticketKnown()})
	found := c.foundNow()
	was := lp.pop.Decision
	if found == lp.pop.Found && d.Mode == was.Mode && d.Opens == was.Opens && slices.Equal(d.Reasons, was.Reasons) {
		return
	}
	lp.pop.Decision, lp.pop.Found = d, found
	lp.stale = true
}

// degrade sends the pop to the desk without its row.
func (p *Popper) degrade(lp *livePop) {
	if lp.inserted || lp.degraded {
		return
	}
	lp.degraded = true
	stop(lp.offerTimer)
	p.o.Metrics.pop(lp.pop.Decision.Mode, resultDegraded)
	p.push(lp)
}

// push hands the pop to the desk as it is now. The first time it waits for the
// row and, until its deadline, for the directory; a degraded or ended one
// waits for nothing more.
func (p *Popper) push(lp *livePop) {
	first := lp.pushed.IsZero()
	switch {
	case lp.silent, !lp.inserted && !lp.degraded:
		return
	case first && !lp.degraded && !lp.over && !lp.waited && !lp.call.settled():
		return
	}
	streams := p.o.Hub.Publish(lp.pop.Agent, p.view(lp))
	if !first {
		return
	}
	stop(lp.askTimer)
	lp.pushed = p.now()
	p.tell(Told{Call: lp.pop.Call, Pop: lp.pop.ID, Kind: "push", TookMS: milliseconds(since(lp.received, lp.pushed)), Late: !lp.call.settled(), Streams: streams})
	if streams > 0 && !lp.received.IsZero() {
		p.o.Metrics.eventToPush.Observe(max(0, lp.pushed.Sub(lp.received)).Seconds())
	}
}

// refresh brings what the directory said to the call's pops and notices.
func (p *Popper) refresh(c *liveCall) {
	for _, lp := range c.pops {
		p.decide(lp)
		p.owe(lp)
		p.push(lp)
	}
	for agent, r := range c.ringing {
		p.o.Hub.Publish(agent, ringingView(c, r))
	}
}

// updated takes in better facts of a running turn.
func (p *Popper) updated(e *bridge.Effect) {
	lp := p.pops[e.Pop]
	if lp == nil || lp.over {
		return
	}
	p.learn(lp.call, e.Facts)
	for _, other := range lp.call.pops {
		if other.over {
			continue
		}
		if other.pop.Facts != lp.call.facts {
			other.pop.Facts, other.stale = lp.call.facts, true
		}
		p.decide(other)
		p.owe(other)
		p.push(other)
	}
}

func (p *Popper) held(e *bridge.Effect) {
	if lp := p.pops[e.Pop]; lp != nil && !lp.over && !lp.left {
		lp.held, lp.heldAt = e.Held, e.At
		p.push(lp)
	}
}

// left tells the desk that the agent is out of the call; where the caller went
// comes with the end of the pop.
func (p *Popper) left(e *bridge.Effect) {
	if lp := p.pops[e.Pop]; lp != nil && !lp.over && !lp.left {
		lp.left, lp.endedAt, lp.pop.Cause = true, e.At, e.Cause
		p.push(lp)
	}
}

// ended closes a pop. One that nobody has seen yet waits a little for a desk's
// word that was under way, and then becomes expired; a superseded one stays so.
func (p *Popper) ended(e *bridge.Effect) {
	lp := p.pops[e.Pop]
	if lp == nil {
		p.endUnknown(e)
		return
	}
	if lp.over {
		return
	}
	lp.end(e.At)
	lp.pop.Cause, lp.pop.To = e.Cause, e.To
	s := step{to: e.State, cause: e.Cause, agent: e.To, at: e.At.UTC()}
	if s.to == "" {
		s.to = bridge.PopEnded
	}
	if s.to == bridge.PopEnded && lp.pop.State == bridge.PopOffered {
		lp.final = &s
		lp.graceTimer = p.after(p.o.ShownTimeout, func() { p.graceOver(lp) })
		p.push(lp)
		return
	}
	p.conclude(lp, s)
	p.push(lp)
	p.release(lp)
}

// graceOver expires a pop that no desk has shown.
func (p *Popper) graceOver(lp *livePop) {
	if lp.final == nil {
		return
	}
	s := *lp.final
	s.to = bridge.PopExpired
	p.conclude(lp, s)
	p.push(lp)
	p.release(lp)
}

// conclude takes the pop's last step.
func (p *Popper) conclude(lp *livePop, s step) {
	lp.final = nil
	stop(lp.graceTimer)
	p.move(lp, s)
}

// move takes a step forward; the store follows.
func (p *Popper) move(lp *livePop, s step) {
	lp.pop.State = s.to
	switch {
	case s.to == bridge.PopShown:
		lp.pop.Shown = s.at
	case s.to == bridge.PopAcknowledged:
		lp.pop.Acknowledged = s.at
	default:
		lp.pop.Ended = s.at
	}
	lp.steps = append(lp.steps, s)
	p.owe(lp)
}

// release forgets a pop that is final and owes nothing, and its call with it.
func (p *Popper) release(lp *livePop) {
	if !lp.pop.State.Final() || lp.owes() || lp.writing {
		return
	}
	lp.stopTimers()
	delete(p.pops, lp.pop.ID)
	delete(lp.call.pops, lp.pop.ID)
	p.releaseCall(lp.call)
}

func (p *Popper) releaseCall(c *liveCall) {
	if c.over && len(c.pops) == 0 {
		delete(p.calls, c.id)
	}
}
