package screenpop

import (
	"context"
	"log/slog"
	"time"

	"ringlink/bridge"
)

// rings puts a ringing call on the agent's desk, and asks the directory early:
// at the answer its word is there already.
func (p *Popper) rings(e *bridge.Effect) {
	c := p.call(e.Call)
	for _, lp := range c.pops {
		if lp.pop.Agent == e.Agent && !lp.over && !lp.left {
			return // a further device of the agent who has the caller
		}
	}
	c.over = false
	p.learn(c, e.Facts)
	r := &ringNotice{device: e.Device, since: e.At, late: e.Late}
	c.ringing[e.Agent] = r
	p.o.Hub.Publish(e.Agent, ringingView(c, r))
}

// quiet takes the notice back, unless its agent has answered: then the pop
// takes its place.
func (p *Popper) quiet(e *bridge.Effect) {
	c := p.calls[e.Call]
	if c == nil {
		return
	}
	r := c.ringing[e.Agent]
	switch {
	case r == nil:
	case e.Cause == "answered":
		r.answered = true
	default:
		p.hush(c, e.Agent, r, e.Cause, e.At)
	}
}

func (p *Popper) hush(c *liveCall, agent bridge.AgentID, r *ringNotice, cause string, at time.Time) {
	delete(c.ringing, agent)
	p.o.Hub.Publish(agent, quietView(c, r, cause, at))
}

// endUnknown ends a pop of before a restart, of which only the row is left. It
// expires if nobody saw it, which the store knows.
func (p *Popper) endUnknown(e *bridge.Effect) {
	c := p.calls[e.Call]
	if c == nil {
		c = p.call(e.Call)
		c.over = true // as far as is known; an offer or a ringing notice says otherwise
	}
	lp := &livePop{call: c, inserted: true, silent: true, pop: Pop{
		ID: e.Pop, Call: e.Call, Agent: e.Agent, Device: e.Device, Facts: e.Facts, State: bridge.PopShown,
	}}
	c.pops[e.Pop], p.pops[e.Pop] = lp, lp
	lp.end(e.At)
	to := e.State
	if to == bridge.PopEnded || to == "" {
		to = bridge.PopExpired
	}
	p.conclude(lp, step{to: to, cause: e.Cause, agent: e.To, at: e.At.UTC()})
}

// callEnded closes the call and writes its one line into the log.
func (p *Popper) callEnded(e *bridge.Effect) {
	p.o.Metrics.calls.WithLabelValues(string(e.Outcome)).Inc()
	p.logCall(e)
	c := p.calls[e.Call]
	if c == nil {
		return
	}
	for agent, r := range c.ringing {
		cause := e.Cause
		if cause == "" || cause == "hangup" {
			cause = "caller_gave_up"
		}
		p.hush(c, agent, r, cause, e.At)
	}
	for _, lp := range c.pops {
		if !lp.over { // the engine ends each of its own accord
			end := *e
			end.Pop, end.State, end.To = lp.pop.ID, bridge.PopEnded, ""
			p.ended(&end)
		}
	}
	c.over = true
	stop(c.retry)
	p.releaseCall(c)
}

// logCall writes the call's canonical line. The caller is a keyed reference.
func (p *Popper) logCall(e *bridge.Effect) {
	attrs := []slog.Attr{
		slog.String("call_id", string(e.Call)),
		slog.String("pbx", string(e.Call.PBX())),
		slog.String("outcome", string(e.Outcome)),
		slog.String("direction", e.Direction.String()),
		slog.String("cause", e.Cause),
		slog.Int("turns", e.Turns),
		slog.Int("legs", e.Legs),
		slog.Time("started", e.Started.UTC()),
	}
	if !e.Answered.IsZero() {
		attrs = append(attrs, slog.Time("answered", e.Answered.UTC()))
	}
	if !e.Started.IsZero() {
		attrs = append(attrs, slog.Float64("duration_seconds", e.At.Sub(e.Started).Seconds()))
	}
	if caller := p.normal(e.Call.PBX(), e.Facts).Caller; caller.Known() && p.o.Reference != nil {
		attrs = append(attrs, slog.String("caller_ref", p.o.Reference(caller.Number)))
	}
	p.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "call", attrs...)
}
