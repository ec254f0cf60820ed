package screenpop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"ringlink/bridge"
)

// ErrStopped says that the Popper does not run any more.
var ErrStopped = errors.New("popper has stopped")

// PopperOptions configure a Popper.
type PopperOptions struct {
	Pops      PopStore  // required
	Directory Directory // required
	Hub       *Hub      // required
	// Watch, if set, is read every WatchEvery, default 400 ms, for what other
	// replicas on the same store made of the pops of the agents whose desks
	// are connected here.
	Watch      PopWatcher
	WatchEvery time.Duration

	Logger  *slog.Logger     // default discards
	Clock   func() time.Time // default time.Now
	Metrics *Metrics         // default unregistered

	// Workers is how many writes, and beside them how many lookups, run at
	// once; default 4.
	Workers int
	// Queue bounds the effects that wait; default 4096. See Handle for what
	// happens when it is full.
	Queue int
	// Backlog bounds the pops that wait to be written while the store is away;
	// default 65536. Beyond it a pop is pushed but never written, which is
	// counted and logged.
	Backlog int
	// LookupDeadline is for how long a push waits for the directory; default 250 ms.
	LookupDeadline time.Duration
	// OfferBudget is for how long a push waits for its row; then it goes
	// without, marked degraded. Default 300 ms.
	OfferBudget time.Duration
	// StoreTimeout bounds each write and each lookup; default 2 s.
	StoreTimeout time.Duration
	// ShownTimeout is for how long after the end of an unseen pop a desk may
	// still report that it was drawn, before it becomes expired; default 5 s.
	ShownTimeout time.Duration
	// DrainTimeout is for how long Run writes what is left after its context
	// ended; default 3 s.
	DrainTimeout time.Duration

	// Normalize brings a number as the PBX gave it into E.164; default none.
	// An empty result keeps the number as it was.
	Normalize func(bridge.PBX, bridge.Number) bridge.Number
	// TicketRule turns keyed digits into the directory's ticket number;
	// default none. The agent goes on seeing what was keyed.
	TicketRule func(bridge.TicketNumber) bridge.TicketNumber
	// Tell takes facts for the explanation of calls; it must not block. Default
	// none.
	Tell func(Told)
	// Reference gives the keyed reference of a number for the log; default
	// none, and then the log has none.
	Reference func(bridge.Number) string
}

func (o *PopperOptions) setDefaults() {
	setInt := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	setTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	setInt(&o.Workers, 4)
	setInt(&o.Queue, 4096)
	setInt(&o.Backlog, 65536)
	setTime(&o.WatchEvery, 400*time.Millisecond)
	setTime(&o.LookupDeadline, 250*time.Millisecond)
	setTime(&o.OfferBudget, 300*time.Millisecond)
	setTime(&o.StoreTimeout, 2*time.Second)
	setTime(&o.ShownTimeout, 5*time.Second)
	setTime(&o.DrainTimeout, 3*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
}

// Popper turns the engine's effects into rows and pushes.
//
// One goroutine, the one in Run, owns the state of every live call and pop; it
// never waits for the store or the directory. Two small pools of workers write
// rows and ask the directory for it, and hand the answers back; with Watch, one
// more goroutine reads what other replicas made of the pops. What a pop still
// owes the store is kept with the pop, one write at a time and in order,
// until the store has it: while the store is away pops go on, and the rows
// follow.
type Popper struct {
	o    PopperOptions
	box  mailbox
	done chan struct{} // closed when Run has returned

	// Below: owned by Run's goroutine.
	calls map[bridge.CallID]*liveCall
	pops  map[bridge.PopID]*livePop
	rows  rowQueue
	asks  askQueue
	watch watch
}

// NewPopper checks the options and starts nothing.
func NewPopper(o PopperOptions) (*Popper, error) {
	var errs []error
	if o.Pops == nil {
		errs = append(errs, errors.New("popper needs Pops"))
	}
	if o.Directory == nil {
		errs = append(errs, errors.New("popper needs Directory"))
	}
	if o.Hub == nil {
		errs = append(errs, errors.New("popper needs Hub"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	o.setDefaults()
	p := &Popper{
		o:     o,
		done:  make(chan struct{}),
		calls: make(map[bridge.CallID]*liveCall),
		pops:  make(map[bridge.PopID]*livePop),
	}
	p.box = mailbox{limit: o.Queue, wake: make(chan struct{}, 1), metrics: o.Metrics}
	return p, nil
}

// Handle takes an effect of the engine and never blocks. With the queue full
// an effect is folded into the waiting one that it replaces where there is
// one; a new ringing notice is dropped; all else is kept beyond the bound,
// because a lost end would leave a ghost on a desk: those are at most a few for
// each call that the engine itself keeps. Each case is counted.
func (p *Popper) Handle(e bridge.Effect) { p.box.put(e) }

// Run serves until the context ends, then writes what is left for at most
// DrainTimeout, and returns nil. It may be called once.
func (p *Popper) Run(ctx context.Context) error {
	io, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var workers sync.WaitGroup
	p.rows.jobs = make(chan func(context.Context), p.o.Workers)
	p.asks.jobs = make(chan func(context.Context), p.o.Workers)
	for _, jobs := range []chan func(context.Context){p.rows.jobs, p.asks.jobs} {
		for range p.o.Workers {
			workers.Go(func() {
				for job := range jobs {
					job(io)
				}
			})
		}
	}
	if p.o.Watch != nil {
		workers.Go(func() { p.runWatch(ctx) })
	}
	defer func() {
		p.box.close()
		close(p.done)
		cancel()
		close(p.rows.jobs)
		close(p.asks.jobs)
		workers.Wait()
	}()
	for {
		select {
		case <-ctx.Done():
			p.drain()
			return nil
		case <-p.box.wake:
			p.step()
		}
	}
}

// step does what waits in the mailbox, then hands out what became due. Effects
// come first: CloseStale must find what the engine offered before it.
func (p *Popper) step() {
	effects, posts := p.box.take()
	for i := range effects {
		p.guard("effect", func() { p.apply(&effects[i]) })
	}
	for _, post := range posts {
		p.guard("post", post)
	}
	p.dispatchAsks()
	p.dispatchRows()
	p.o.Metrics.backlog.Set(float64(p.rows.owing))
}

// guard keeps one bad call from ending all others.
func (p *Popper) guard(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			// The value may hold personal data: only its type is logged.
			p.o.Logger.Error("recovering from a panic in the popper", "while", what, "type", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// drain ends what waits for a desk and gives the store DrainTimeout to take
// what it is owed. Pops of running calls stay as they are: after a restart the
// engine offers them again and the row is found.
func (p *Popper) drain() {
	p.step()
	for _, lp := range p.pops {
		if lp.final != nil {
			p.graceOver(lp)
		}
	}
	p.step()
	limit := time.NewTimer(p.o.DrainTimeout)
	defer limit.Stop()
	for p.rows.owing > 0 || p.rows.busy > 0 {
		select {
		case <-p.box.wake:
			p.step()
		case <-limit.C:
			p.o.Metrics.rowsLost.Add(float64(p.rows.owing))
			p.o.Logger.Error("stopping with pops that the store never took", "pops", p.rows.owing)
			p.stopTimers()
			return
		}
	}
	p.stopTimers()
}

// stopTimers keeps timers from firing into a mailbox that nobody empties.
func (p *Popper) stopTimers() {
	for _, lp := range p.pops {
		lp.stopTimers()
	}
	for _, c := range p.calls {
		stop(c.retry)
	}
	stop(p.rows.retry)
}

// after posts f to the loop when d is over.
func (p *Popper) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { p.box.post(f) })
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// now is the loop's time. It keeps the monotonic reading for durations.
func (p *Popper) now() time.Time { return p.o.Clock() }
