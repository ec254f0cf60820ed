package screenpop

import (
	"context"
	"errors"
	"slices"
	"time"

	"ringlink/bridge"
)

// errPanic is the result of a store or directory that panicked.
var errPanic = errors.New("panic, see the log")

// Bounds of the wait before the store is tried again.
const (
	minRowWait = 100 * time.Millisecond
	maxRowWait = 5 * time.Second
)

// step is one move of a pop's state that the store is owed.
type step struct {
	to    bridge.PopState
	cause string
	agent bridge.AgentID
	at    time.Time
}

// rowQueue is what the store is owed. Run's goroutine owns it.
type rowQueue struct {
	jobs  chan func(context.Context)
	due   []*livePop // with something to write and no write under way
	busy  int        // writes under way
	owing int        // pops that the store does not have as they are
	away  bool       // the last write failed or took longer than a push may wait
	hold  bool       // wait for retry before the next write
	wait  time.Duration
	retry *time.Timer
}

// owes tells whether the store lacks something of the pop.
func (lp *livePop) owes() bool {
	return !lp.unwritable && (!lp.inserted || lp.stale || len(lp.steps) > 0)
}

// owe queues the pop for its next write. A new one goes first while the store
// is away: its answer tells whether the store is back.
func (p *Popper) owe(lp *livePop) {
	if lp.owing != lp.owes() {
		lp.owing = !lp.owing
		if lp.owing {
			p.rows.owing++
		} else {
			p.rows.owing--
		}
	}
	if !lp.owing || lp.queued || lp.writing {
		return
	}
	lp.queued = true
	if p.rows.away && !lp.tried {
		p.rows.due = slices.Insert(p.rows.due, 0, lp)
		p.rows.hold = false
		return
	}
	p.rows.due = append(p.rows.due, lp)
}

// dispatchRows hands due writes to idle workers, one at a time while the store
// is away. It never blocks: the channel has a place for each worker.
func (p *Popper) dispatchRows() {
	for len(p.rows.due) > 0 && !p.rows.hold {
		if p.rows.busy >= p.o.Workers || p.rows.away && p.rows.busy > 0 {
			return
		}
		lp := p.rows.due[0]
		p.rows.due[0] = nil
		p.rows.due = p.rows.due[1:]
		lp.queued = false
		if !lp.owes() {
			continue
		}
		lp.writing, lp.tried = true, true
		p.rows.busy++
		p.rows.jobs <- p.write(lp)
	}
}

// rowJob runs one write and hands its error to then, in the loop.
type rowJob func(ctx context.Context, do func(context.Context) error, then func(error))

// write makes the job of the pop's next write. The job has copies only.
func (p *Popper) write(lp *livePop) func(context.Context) {
	row := lp.pop
	job := func(ctx context.Context, do func(context.Context) error, then func(error)) {
		ctx, cancel := context.WithTimeout(ctx, p.o.StoreTimeout)
		defer cancel()
		err := errPanic
		p.guard("write", func() { err = do(ctx) })
		p.box.post(func() { p.wrote(lp, err, then) })
	}
	switch {
	case !lp.inserted:
		lp.stale = false
		row.State, row.Cause, row.To, row.Degraded = bridge.PopOffered, "", "", lp.degraded
		row.Shown, row.Acknowledged, row.Ended = time.Time{}, time.Time{}, time.Time{}
		return func(ctx context.Context) {
			var is Pop
			var fresh bool
			job(ctx, func(ctx context.Context) (err error) {
				is, fresh, err = p.o.Pops.OfferPop(ctx, row)
				return err
			}, func(err error) { p.inserted(lp, is, fresh, err) })
		}
	case lp.stale:
		lp.stale = false
		return func(ctx context.Context) {
			job(ctx, func(ctx context.Context) error { return p.o.Pops.UpdatePop(ctx, row) },
				func(err error) { lp.stale = lp.stale || err != nil && !errors.Is(err, ErrNotFound) })
		}
	}
	return p.writeStep(lp, job)
}

// writeStep makes the job of the pop's next step. A pop that expired here may
// have been seen by way of another replica: then the store does not let it
// expire, and it is ended.
func (p *Popper) writeStep(lp *livePop, job rowJob) func(context.Context) {
	s, id := lp.steps[0], lp.pop.ID
	return func(ctx context.Context) {
		var moved bool
		to := s.to
		job(ctx, func(ctx context.Context) (err error) {
			moved, err = p.o.Pops.AdvancePop(ctx, id, to, s.cause, s.agent, s.at)
			if to == bridge.PopExpired && !moved && err == nil {
				to = bridge.PopEnded
				moved, err = p.o.Pops.AdvancePop(ctx, id, to, s.cause, s.agent, s.at)
			}
			return err
		}, func(err error) {
			if err != nil && !errors.Is(err, ErrNotFound) {
				return
			}
			lp.steps = lp.steps[1:]
			if moved {
				if to != s.to {
					lp.pop.State = to
				}
				p.o.Metrics.pop(lp.pop.Decision.Mode, popResult(to))
			}
		})
	}
}

// wrote takes in the end of a write, whatever it was.
func (p *Popper) wrote(lp *livePop, err error, then func(error)) {
	p.rows.busy--
	lp.writing = false
	if err == nil || errors.Is(err, ErrNotFound) {
		if p.rows.away {
			p.rows.away = false
			p.o.Logger.Info("store takes pops again", "owed", p.rows.owing)
		}
		p.rows.hold, p.rows.wait = false, 0
		stop(p.rows.retry)
	} else {
		p.o.Metrics.storeErrors.Inc()
		p.storeAway("error", err)
		p.rows.hold = true
		p.rows.wait = min(max(2*p.rows.wait, minRowWait), maxRowWait)
		stop(p.rows.retry)
		p.rows.retry = p.after(p.rows.wait, func() { p.rows.hold = false })
	}
	then(err)
	p.owe(lp)
	p.release(lp)
}

// storeAway notes that the store does not answer in time. It says so once.
func (p *Popper) storeAway(key string, value any) {
	if !p.rows.away {
		p.rows.away = true
		p.o.Logger.Warn("store does not take pops: they go on without, their rows follow", key, value)
	}
}

// inserted takes in the answer to an offer: the row stands, ours or the one
// that was there before.
func (p *Popper) inserted(lp *livePop, row Pop, fresh bool, err error) {
	if err != nil {
		p.degrade(lp)
		return
	}
	lp.inserted = true
	stop(lp.offerTimer)
	if fresh {
		p.o.Metrics.pop(lp.pop.Decision.Mode, popResult(bridge.PopOffered))
	} else {
		p.adopt(lp, row)
	}
	p.push(lp)
}

// adopt goes on from a row that was there: of another replica, or of before a
// restart. Its state, times and facts stand where ours are behind.
func (p *Popper) adopt(lp *livePop, row Pop) {
	lp.pop.Offered, lp.pop.Answered = row.Offered, row.Answered
	if row.Facts != lp.pop.Facts {
		better := lp.pop.Facts
		fill(&better, row.Facts)
		lp.stale = better != row.Facts
		if better != lp.pop.Facts {
			lp.call.adopted = row.Facts
			p.learn(lp.call, better)
			lp.pop.Facts = lp.call.facts
			p.decide(lp)
		}
	}
	if was, is := row.Decision, lp.pop.Decision; lp.call.settled() && (was.Mode != is.Mode || was.Opens != is.Opens) {
		lp.stale = true
	}
	if rank(row.State) > rank(lp.pop.State) {
		p.takeState(lp, &row)
	}
}

// takeState goes on from the state of a row that is ahead of ours.
func (p *Popper) takeState(lp *livePop, row *Pop) {
	lp.pop.State, lp.pop.Shown, lp.pop.Acknowledged = row.State, row.Shown, row.Acknowledged
	if row.State.Final() {
		// This turn is over, whoever still speaks of it.
		lp.pop.Cause, lp.pop.To, lp.pop.Ended = row.Cause, row.To, row.Ended
		lp.steps, lp.stale, lp.final, lp.silent = nil, false, nil, lp.pushed.IsZero()
		lp.end(row.Ended)
	} else if lp.final != nil { // shown elsewhere: it did not expire
		p.conclude(lp, *lp.final)
	}
}

// fill completes f with what only the other one knows.
// A number that one of them knows to be withheld is withheld.
func fill(f *bridge.Facts, other bridge.Facts) {
	if other.Caller.Withheld || f.Caller.Number == "" && !f.Caller.Withheld {
		f.Caller = other.Caller
	}
	if f.Caller.Name == "" && f.Caller.Number == other.Caller.Number {
		f.Caller.Name = other.Caller.Name
	}
	if f.Dialled == "" {
		f.Dialled = other.Dialled
	}
	if f.CallNumber == "" {
		f.CallNumber = other.CallNumber
	}
	if f.UniqueID == "" {
		f.UniqueID = other.UniqueID
	}
	if f.SIPCallID == "" {
		f.SIPCallID = other.SIPCallID
	}
}

// rank orders the states; a pop only ever goes up.
func rank(s bridge.PopState) int {
	switch s {
	case bridge.PopOffered:
		return 0
	case bridge.PopShown:
		return 1
	case bridge.PopAcknowledged:
		return 2
	}
	return 3
}
