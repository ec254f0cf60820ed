package screenpop

import (
	"context"
	"errors"
	"slices"
	"time"

	"ringlink/bridge"
)

// PopWatcher reads what other replicas made of the pops of some agents.
type PopWatcher interface {
	// WatchPops returns the agents' pops that are not final and those that
	// ended after since, oldest offer first.
	WatchPops(ctx context.Context, agents []bridge.AgentID, since time.Time) ([]Pop, error)
}

// watch is what other replicas' pops were when the store was read last. Run's
// goroutine owns it.
type watch struct {
	seen map[bridge.PopID]watched
}

// watched is a pop that this replica's engine does not know.
type watched struct {
	view CallView
	told bool // the hub has it so
}

// runWatch reads, again and again, the pops of the agents whose desks are
// connected here: by state, never by what is new, because rows do not become
// visible in the order of their making. It ends with ctx.
func (p *Popper) runWatch(ctx context.Context) {
	every := time.NewTicker(p.o.WatchEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		agents := p.o.Hub.Watched()
		err := p.inLoop(ctx, func() error { agents = p.withWaiting(agents); return nil })
		if ctx.Err() != nil || errors.Is(err, ErrStopped) {
			return
		}
		if len(agents) == 0 {
			continue
		}
		rows, err := p.readWatched(ctx, agents)
		if err != nil {
			if ctx.Err() == nil {
				p.o.Metrics.storeErrors.Inc()
				p.o.Logger.Debug("reading other replicas' pops", "error", err)
			}
			continue
		}
		_ = p.inLoop(ctx, func() error { p.watched(rows); return nil }) // a panic is logged there
	}
}

// withWaiting adds the agents of pops that are over and wait to be seen: the
// word may have come to another replica.
func (p *Popper) withWaiting(agents []bridge.AgentID) []bridge.AgentID {
	for _, lp := range p.pops {
		if lp.final != nil && !slices.Contains(agents, lp.pop.Agent) {
			agents = append(agents, lp.pop.Agent)
		}
	}
	return agents
}

func (p *Popper) readWatched(ctx context.Context, agents []bridge.AgentID) (rows []Pop, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.StoreTimeout)
	defer cancel()
	err = errPanic
	p.guard("watch", func() { rows, err = p.o.Watch.WatchPops(ctx, agents, p.now().Add(-WrapUp)) })
	return rows, err
}

// watched takes in the rows: what is ahead of a live pop, and pops that only
// another replica has.
func (p *Popper) watched(rows []Pop) {
	type place struct {
		call  bridge.CallID
		agent bridge.AgentID
	}
	last := make(map[place]bridge.PopID, len(rows)) // the newest turn has the call's card
	for i := range rows {
		last[place{rows[i].Call, rows[i].Agent}] = rows[i].ID
	}
	seen := make(map[bridge.PopID]watched)
	for i := range rows {
		row := &rows[i]
		if lp := p.pops[row.ID]; lp != nil {
			p.catchUp(lp, row)
			continue
		}
		if last[place{row.Call, row.Agent}] != row.ID || p.hasTurn(row.Call, row.Agent) {
			continue
		}
		seen[row.ID] = p.tellStored(row)
	}
	p.watch.seen = seen
}

// hasTurn tells whether the agent has a turn in the call as this replica sees it.
func (p *Popper) hasTurn(call bridge.CallID, agent bridge.AgentID) bool {
	c := p.calls[call]
	if c == nil {
		return false
	}
	for _, lp := range c.pops {
		if lp.pop.Agent == agent && !lp.over {
			return true
		}
	}
	return false
}

// tellStored brings another replica's pop to the desks here. A running one is
// told when two readings agree: one may be from just before a write of ours.
func (p *Popper) tellStored(row *Pop) watched {
	is := watched{view: p.storedView(row)}
	was, known := p.watch.seen[row.ID]
	same := known && was.view == is.view
	switch {
	case same && was.told:
		is.told = true
	case same || row.State.Final():
		is.told = true
		if !p.showsEnd(row.Agent, is.view) {
			p.o.Hub.Publish(row.Agent, is.view)
		}
	}
	return is
}

// showsEnd tells whether the agent's desks have the pop's end already.
func (p *Popper) showsEnd(agent bridge.AgentID, v CallView) bool {
	for _, on := range p.o.Hub.Calls(agent) {
		if on.Pop == v.Pop {
			return on.State == "ended" && v.State == "ended" && on.PopState == v.PopState && on.Cause == v.Cause && on.To == v.To
		}
	}
	return false
}

// catchUp brings a live pop up to its row, where another replica was ahead.
// Where both know a fact and differ, each keeps its own: writing it again would
// never end.
func (p *Popper) catchUp(lp *livePop, row *Pop) {
	if !lp.inserted || lp.writing || lp.silent {
		return // the answer to the write says how the row stands
	}
	mine, theirs := lp.pop.Facts, row.Facts
	fill(&mine, row.Facts)
	fill(&theirs, lp.pop.Facts)
	news := false
	if mine != lp.pop.Facts && !lp.over {
		news = true
		lp.call.adopted = row.Facts
		p.learn(lp.call, mine)
		lp.pop.Facts = lp.call.facts
		p.decide(lp)
	}
	if theirs != row.Facts && theirs != lp.mended {
		lp.mended, lp.stale = theirs, true
	}
	if rank(row.State) > rank(lp.pop.State) {
		news = true
		p.takeState(lp, row)
	}
	p.owe(lp)
	if news {
		p.push(lp)
		p.release(lp)
	}
}
