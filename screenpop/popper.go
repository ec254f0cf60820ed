package screenpop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
type Popper struct {
	o  PopperOptions
	mu sync.Mutex
}

// NewPopper checks the options and starts nothing.
func NewPopper(o PopperOptions) (*Popper, error) {
	return nil, fmt.Errorf("popper is not built yet")
}

// Handle takes an effect of the engine and never blocks.
func (p *Popper) Handle(e bridge.Effect) {}

// Run serves until the context ends.
func (p *Popper) Run(ctx context.Context) error { return nil }

// Shown says that a desk of the agent drew the pop.
func (p *Popper) Shown(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return ErrStopped
}

// Acknowledge says that the agent opened the pop or put it away.
func (p *Popper) Acknowledge(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error {
	return ErrStopped
}

// Pop returns the agent's pop, or ErrNotFound.
func (p *Popper) Pop(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (Pop, error) {
	return Pop{}, ErrStopped
}
