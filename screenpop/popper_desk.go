package screenpop

import (
	"context"
	"errors"
	"fmt"

	"ringlink/bridge"
)

// errNotLive says that a pop is not among the live ones; the store may have it.
var errNotLive = errors.New("pop is not live")

// Shown says that a desk of the agent drew the pop. It returns ErrNotFound for
// a pop of somebody else, as for one that does not exist. It does not wait for
// the store. Said twice, or after the end, it does nothing.
func (p *Popper) Shown(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return p.report(ctx, agent, id, bridge.PopShown)
}

// Acknowledge says that the agent opened the pop or put it away; otherwise it
// is as Shown.
func (p *Popper) Acknowledge(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return p.report(ctx, agent, id, bridge.PopAcknowledged)
}

// Pop returns the agent's pop, live or from the store, or ErrNotFound. Its
// Degraded tells whether the store still lacks the row now.
func (p *Popper) Pop(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (Pop, error) {
	var pop Pop
	err := p.inLoop(ctx, func() error {
		lp := p.pops[id]
		switch {
		case lp == nil:
			return errNotLive
		case lp.pop.Agent != agent:
			return ErrNotFound
		case lp.silent && lp.inserted:
			return errNotLive // only the store knows it whole
		}
		pop = lp.pop
		pop.Degraded = !lp.inserted
		return nil
	})
	if errors.Is(err, errNotLive) {
		return p.stored(ctx, agent, id)
	}
	if err != nil {
		return Pop{}, err // the loop may be writing pop yet
	}
	return pop, nil
}

// stored reads a pop that is not live.
func (p *Popper) stored(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (Pop, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.StoreTimeout)
	defer cancel()
	pop, err := p.o.Pops.PopByID(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Pop{}, ErrNotFound
	case err != nil:
		return Pop{}, fmt.Errorf("reading a pop: %w", err)
	case pop.Agent != agent:
		return Pop{}, ErrNotFound
	}
	pop.Degraded = false
	return pop, nil
}

// report moves the agent's pop forward.
func (p *Popper) report(ctx context.Context, agent bridge.AgentID, id bridge.PopID, to bridge.PopState) error {
	err := p.inLoop(ctx, func() error { return p.reported(agent, id, to) })
	if !errors.Is(err, errNotLive) {
		return err
	}
	pop, err := p.stored(ctx, agent, id)
	if err != nil || rank(pop.State) >= rank(to) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.StoreTimeout)
	defer cancel()
	moved, err := p.o.Pops.AdvancePop(ctx, id, to, "", "", p.now().UTC())
	if err != nil {
		return fmt.Errorf("advancing a pop: %w", err)
	}
	if moved {
		p.o.Metrics.pop(pop.Decision.Mode, popResult(to))
	}
	return nil
}

// reported does it for a live pop, in the loop.
func (p *Popper) reported(agent bridge.AgentID, id bridge.PopID, to bridge.PopState) error {
	lp := p.pops[id]
	if lp == nil {
		return errNotLive
	}
	if lp.pop.Agent != agent {
		return ErrNotFound
	}
	if rank(lp.pop.State) >= rank(to) {
		return nil
	}
	now := p.now()
	if to == bridge.PopShown && !lp.pushed.IsZero() {
		p.o.Metrics.pushToShown.Observe(max(0, now.Sub(lp.pushed)).Seconds())
	}
	p.move(lp, step{to: to, at: now.UTC()})
	if lp.final != nil { // the turn was over before this word came
		p.conclude(lp, *lp.final)
	}
	p.push(lp)
	p.release(lp)
	return nil
}

// inLoop runs f in the loop and waits for its result.
func (p *Popper) inLoop(ctx context.Context, f func() error) error {
	reply := make(chan error, 1)
	if !p.box.post(func() {
		err := errPanic
		defer func() { reply <- err }()
		err = f()
	}) {
		return ErrStopped
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
		return ErrStopped
	}
}
