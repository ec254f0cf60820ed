package screenpop

import (
	"context"
	"time"

	"ringlink/bridge"
)

// Bounds of the wait before a failed lookup is tried again.
const (
	minAskWait = 500 * time.Millisecond
	maxAskWait = 30 * time.Second
)

// askQueue is what the directory is to be asked. Run's goroutine owns it.
type askQueue struct {
	jobs chan func(context.Context)
	due  []*liveCall
	busy int
	away bool // the last lookup failed: said once in the log
}

// learn takes in facts of a call: it forgets what was found for a number that
// has changed since, and asks the directory for what is missing.
func (p *Popper) learn(c *liveCall, f bridge.Facts) {
	c.facts = p.normal(c.id.PBX(), f)
	fill(&c.facts, c.adopted)
	want := DirectoryQuery{Dialled: c.facts.Dialled, CallNumber: c.facts.CallNumber}
	if c.facts.Caller.Known() {
		want.Caller = c.facts.Caller.Number
	}
	if want.CallNumber != "" && p.o.TicketRule != nil {
		want.CallNumber = p.o.TicketRule(want.CallNumber)
	}
	if want != c.want {
		c.want = want
		c.forget()
	}
	p.ask(c)
}

// normal brings the numbers of the facts into E.164 where that can be done.
func (p *Popper) normal(pbx bridge.PBX, f bridge.Facts) bridge.Facts {
	if p.o.Normalize == nil {
		return f
	}
	for _, n := range []*bridge.Number{&f.Caller.Number, &f.Dialled} {
		if *n == "" {
			continue
		}
		if e164 := p.o.Normalize(pbx, *n); e164 != "" {
			*n = e164
		}
	}
	return f
}

// forget drops what was found for numbers that are not wanted any more.
func (c *liveCall) forget() {
	if c.known.Caller != c.want.Caller {
		c.known.Caller = ""
		c.found.Person, c.found.Organization, c.found.Candidates, c.found.Via = nil, nil, 0, ""
	}
	if c.known.Dialled != c.want.Dialled {
		c.known.Dialled, c.found.Dialled = "", nil
	}
	if c.known.CallNumber != c.want.CallNumber {
		c.known.CallNumber, c.found.Ticket = "", nil
	}
	c.found.Foreign = foreign(c.found)
}

// missing is what is wanted and not known yet.
func (c *liveCall) missing() DirectoryQuery {
	q := c.want
	if q.Caller == c.known.Caller {
		q.Caller = ""
	}
	if q.Dialled == c.known.Dialled {
		q.Dialled = ""
	}
	if q.CallNumber == c.known.CallNumber {
		q.CallNumber = ""
	}
	return q
}

// settled tells whether the directory has answered all that was asked.
func (c *liveCall) settled() bool { return c.missing() == DirectoryQuery{} }

// foundNow is what is found so far; Done tells whether that is all.
func (c *liveCall) foundNow() Found {
	f := c.found
	f.Done = c.settled()
	return f
}

// ticketKnown is what is known of the call number's ticket: a lookup that has
// not answered never counts as "absent".
func (c *liveCall) ticketKnown() bridge.Known {
	switch {
	case c.want.CallNumber == "" || c.known.CallNumber != c.want.CallNumber:
		return bridge.NotYet
	case c.found.Ticket == nil:
		return bridge.Absent
	}
	return bridge.Present
}

// foreign tells whether the ticket is another organization's than the caller's.
func foreign(f Found) bool {
	return f.Ticket != nil && f.Organization != nil && f.Ticket.Organization != "" && f.Ticket.Organization != f.Organization.ID
}

// ask queues the call's missing lookup unless one is under way already.
func (p *Popper) ask(c *liveCall) {
	if c.asking || c.over || c.settled() {
		return
	}
	stop(c.retry)
	c.asking, c.asked = true, p.now()
	p.asks.due = append(p.asks.due, c)
}

// dispatchAsks hands due lookups to idle workers; it never blocks, since the
// channel has a place for each worker.
func (p *Popper) dispatchAsks() {
	for p.asks.busy < p.o.Workers && len(p.asks.due) > 0 {
		c := p.asks.due[0]
		p.asks.due[0] = nil
		p.asks.due = p.asks.due[1:]
		q := c.missing()
		if c.over || q == (DirectoryQuery{}) {
			c.asking = false
			continue
		}
		p.asks.busy++
		p.asks.jobs <- func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, p.o.StoreTimeout)
			defer cancel()
			var found Found
			err := errPanic
			p.guard("lookup", func() { found, err = p.o.Directory.Lookup(ctx, q) })
			p.box.post(func() { p.answered(c, q, found, err) })
		}
	}
}

// answered takes in what the directory said.
func (p *Popper) answered(c *liveCall, q DirectoryQuery, found Found, err error) {
	p.asks.busy--
	c.asking = false
	took := p.now().Sub(c.asked)
	if err != nil {
		p.o.Metrics.lookup(lookupError, took)
		p.tell(Told{Call: c.id, Kind: "lookup", TookMS: milliseconds(took), Result: string(lookupError)})
		if !p.asks.away {
			p.asks.away = true
			p.o.Logger.Warn("looking up a call: pops show the number alone until the directory answers", "error", err)
		}
		p.askAgain(c)
		return
	}
	if p.asks.away {
		p.asks.away = false
		p.o.Logger.Info("directory answers again")
	}
	c.tries = 0
	p.o.Metrics.lookup(resultOf(found, took, p.o.LookupDeadline), took)
	p.tell(Told{Call: c.id, Kind: "lookup", TookMS: milliseconds(took), Late: took > p.o.LookupDeadline, Result: string(resultOf(found, took, p.o.LookupDeadline))})
	c.merge(q, found)
	p.ask(c) // for what changed meanwhile
	p.refresh(c)
}

// askAgain tries a failed lookup later, for as long as the call lasts.
func (p *Popper) askAgain(c *liveCall) {
	if c.over {
		return
	}
	wait := min(minAskWait<<min(c.tries, 10), maxAskWait)
	c.tries++
	c.retry = p.after(wait, func() { p.ask(c) })
}

// merge takes from found what was asked by q and is still wanted.
func (c *liveCall) merge(q DirectoryQuery, f Found) {
	whole := q == c.want
	if q.Caller != "" && q.Caller == c.want.Caller {
		c.known.Caller = q.Caller
		c.found.Person, c.found.Organization = f.Person, f.Organization
		c.found.Candidates, c.found.Via = f.Candidates, f.Via
	}
	if q.Dialled != "" && q.Dialled == c.want.Dialled {
		c.known.Dialled, c.found.Dialled = q.Dialled, f.Dialled
	}
	if q.CallNumber != "" && q.CallNumber == c.want.CallNumber {
		c.known.CallNumber, c.found.Ticket = q.CallNumber, f.Ticket
	}
	c.found.Foreign = foreign(c.found)
	if whole {
		c.found.Foreign = f.Foreign
	}
}

func resultOf(f Found, took, deadline time.Duration) lookupResult {
	switch {
	case took > deadline:
		return lookupLate
	case f.Candidates > 0 || f.Person != nil || f.Organization != nil || f.Dialled != nil || f.Ticket != nil:
		return lookupFound
	}
	return lookupNothing
}
