package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configures an Engine. PBXs and Handle are required.
type Options struct {
	PBXs   []PBXOptions
	Limits Limits
	// Handle takes one effect. It runs on the engine's goroutine and must not
	// block.
	Handle func(Effect)
	// Observe, if set, sees each event after it was applied, with its effects.
	// It runs on the engine's goroutine and must not block or keep effects.
	Observe func(*Event, []Effect)
	// Trails, if set, gathers what happens to each call.
	Trails *Trails
	// Queue is how many events may wait; default 8192. When it is full Emit
	// reports false and the source declares a gap.
	Queue      int
	Clock      func() time.Time // default time.Now
	Logger     *slog.Logger     // default: nothing is logged
	Registerer prometheus.Registerer
}

// Engine owns the state of every call. Emit may be called from any goroutine;
// the state belongs to the goroutine in Run.
type Engine struct {
	opts    Options
	events  chan Event
	state   *State
	metrics *metrics
}

// New checks the options and starts nothing.
func New(o Options) (*Engine, error) {
	var errs []error
	if o.Handle == nil {
		errs = append(errs, errors.New("bridge.Options.Handle is missing"))
	}
	if len(o.PBXs) == 0 {
		errs = append(errs, errors.New("bridge.Options.PBXs is empty"))
	}
	for _, p := range o.PBXs {
		if p.Outside == nil {
			errs = append(errs, fmt.Errorf("bridge.Options.PBXs: %s has no Outside", p.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if o.Queue == 0 {
		o.Queue = 8192
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{opts: o, events: make(chan Event, o.Queue), state: NewState(o.PBXs, o.Limits)}
	e.metrics = newMetrics(o.Registerer, func() int { return len(e.events) })
	return e, nil
}

// Emit hands an event to the engine. It never blocks: false means that the
// queue is full and the event is lost, so that the source must declare a gap
// and resync.
func (e *Engine) Emit(ev Event) bool {
	select {
	case e.events <- ev:
		return true
	default:
		e.metrics.overflow.Inc()
		return false
	}
}

// Deliver hands over an event that must not be lost and may wait, as the
// devices after a change of the store.
func (e *Engine) Deliver(ctx context.Context, ev Event) error {
	select {
	case e.events <- ev:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run applies events until ctx ends, then applies those that wait already and
// returns nil.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var effects []Effect
	for {
		select {
		case <-ctx.Done():
			for {
				select {
				case ev := <-e.events:
					effects = e.step(&ev, effects)
				default:
					return nil
				}
			}
		case ev := <-e.events:
			effects = e.step(&ev, effects)
		case <-tick.C:
			effects = e.step(&Event{Kind: EventTick, Received: e.opts.Clock()}, effects)
			e.metrics.calls.Set(float64(e.state.Calls()))
			e.metrics.legs.Set(float64(e.state.Legs()))
		}
	}
}

func (e *Engine) step(ev *Event, effects []Effect) []Effect {
	refused := e.state.Refused()
	effects = e.state.Apply(ev, e.opts.Clock(), effects[:0])
	for i := range effects {
		e.opts.Handle(effects[i])
	}
	if e.opts.Observe != nil {
		e.opts.Observe(ev, effects)
	}
	if e.opts.Trails != nil {
		e.opts.Trails.Observe(e.state, ev, effects)
	}
	if e.state.Refused() != refused {
		e.metrics.refused.Add(float64(e.state.Refused() - refused))
		if refused == 0 {
			e.opts.Logger.Error("too many channels at once, new ones are not followed", "limit", e.opts.Limits.withDefaults().Channels)
		}
	}
	clear(effects)
	return effects
}
