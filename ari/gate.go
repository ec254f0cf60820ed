package ari

import (
	"sync"
	"time"

	"ringlink/bridge"
)

// gateMode says what becomes of an event that was read.
type gateMode uint8

const (
	gateShut    gateMode = iota // no stream, or a gap: dropped until a resync begins
	gateHolding                 // kept until the snapshot is there
	gateBoth                    // emitted, and kept to be repeated after the snapshot
	gateOpen                    // emitted
)

// gate stands between the reader and the engine and keeps the order: what was
// read while the snapshot was fetched comes after it. It also knows since when
// events were missed.
type gate struct {
	emit    func(bridge.Event) bool // never blocks
	clock   func() time.Time
	limit   int           // of held
	missing chan struct{} // capacity 1: a gap opened, a resync is due
	onGap   func(cause string)

	mu       sync.Mutex // guards what follows, and is held while emitting
	mode     gateMode
	held     []bridge.Event
	overflow bool      // held was over its limit and is void
	gapFrom  time.Time // since when events were missed; zero: none were
}

// deliver passes an event on, in the order of the calls. It copies ev.
func (g *gate) deliver(ev *bridge.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mode == gateHolding || g.mode == gateBoth {
		if len(g.held) < g.limit {
			g.held = append(g.held, *ev)
		} else if !g.overflow {
			g.overflow = true
			g.miss(gapHoldFull)
		}
	}
	if g.mode != gateOpen && g.mode != gateBoth || g.emit(*ev) {
		return
	}
	if g.mode == gateOpen {
		g.mode = gateShut
	}
	g.miss(gapQueueFull)
}

// miss notes that events are missed from now on and asks for a resync. A gap
// that is open already goes on.
func (g *gate) miss(cause string) {
	if g.gapFrom.IsZero() {
		g.gapFrom = g.clock()
		g.onGap(cause)
	}
	select {
	case g.missing <- struct{}{}:
	default:
	}
}

// begin starts to keep events, before the snapshot is asked for. flowing
// passes them on at once too.
func (g *gate) begin(flowing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mode = gateHolding
	if flowing {
		g.mode = gateBoth
	}
	g.held, g.overflow = g.held[:0], false
	select { // what was missed before is what this snapshot is for
	case <-g.missing:
	default:
	}
}

// abandon gives up waiting for the snapshot: events flow without it, those
// that were kept first.
func (g *gate) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mode == gateShut {
		return
	}
	was := g.mode
	g.mode = gateOpen
	if was == gateHolding {
		g.flush()
	}
	g.forget()
}

// settle emits the snapshot and what was kept. It returns the length of the
// gap that this ends, and false if the gap goes on because too much was kept
// or the engine's queue is still full.
func (g *gate) settle(up bridge.Event) (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.forget()
	now := g.clock()
	if !g.gapFrom.IsZero() {
		up.Snapshot.Gap = max(now.Sub(g.gapFrom), time.Nanosecond)
	}
	up.Received = now
	if g.overflow || !g.emit(up) {
		if g.mode == gateBoth {
			g.mode = gateOpen
		} else {
			g.mode = gateShut
		}
		g.miss(gapQueueFull)
		return 0, false
	}
	g.gapFrom = time.Time{}
	select {
	case <-g.missing: // of before the snapshot
	default:
	}
	g.mode = gateOpen
	g.flush()
	return up.Snapshot.Gap, true
}

// flush emits what was kept, as far as the queue takes it.
func (g *gate) flush() {
	for i := range g.held {
		if !g.emit(g.held[i]) {
			g.mode = gateShut
			g.miss(gapQueueFull)
			return
		}
	}
}

// forget drops the kept events and lets their strings go.
func (g *gate) forget() {
	clear(g.held)
	g.held = g.held[:0]
	const keep = 64
	if cap(g.held) > keep {
		g.held = nil
	}
}

// shut ends a stream: events were missed since then. A zero time means that
// the stream never carried any.
func (g *gate) shut(since time.Time, cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mode = gateShut
	g.forget()
	if !since.IsZero() && g.gapFrom.IsZero() {
		g.gapFrom = since
		g.onGap(cause)
	}
}
