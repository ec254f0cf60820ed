package screenpop

import (
	"sync"

	"ringlink/bridge"
)

// mailbox is what waits for the popper's loop: the engine's effects in their
// order, and posts, which are answers of workers, timers and desks' reports.
// Posts are bounded by what is live: one write and one lookup at a time for a
// pop or call, and one report for each open request.
type mailbox struct {
	limit   int           // of effects
	wake    chan struct{} // one place: something is there
	metrics *Metrics

	mu      sync.Mutex // guards all below
	effects []bridge.Effect
	spare   []bridge.Effect // the slice that the loop is done with
	posts   []func()
	fold    map[foldKey]int // where the last foldable effect of a key stands; made when the queue is full
	closed  bool
}

// foldKey names what a later effect replaces.
type foldKey struct {
	kind  bridge.EffectKind
	call  bridge.CallID
	agent bridge.AgentID
	pop   bridge.PopID
}

func (b *mailbox) put(e bridge.Effect) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if len(b.effects) >= b.limit && b.squeeze(e) {
		return
	}
	b.effects = append(b.effects, e)
	if b.fold != nil {
		b.note(len(b.effects) - 1)
	}
	b.metrics.queue.Set(float64(len(b.effects)))
	b.ring()
}

// squeeze deals with an effect that meets a full queue and tells whether it is
// done with.
func (b *mailbox) squeeze(e bridge.Effect) bool {
	if b.fold == nil {
		b.fold = make(map[foldKey]int)
		for i := range b.effects {
			b.note(i)
		}
	}
	switch e.Kind {
	case bridge.EffectRinging:
		b.metrics.folded.WithLabelValues("dropped").Inc()
		return true
	case bridge.EffectPopUpdated, bridge.EffectHeld:
		if i, ok := b.fold[keyOf(e)]; ok {
			old := &b.effects[i]
			if e.Kind == bridge.EffectHeld {
				old.Held, old.At = e.Held, e.At
			}
			old.Facts = e.Facts
			b.metrics.folded.WithLabelValues("folded").Inc()
			return true
		}
	}
	b.metrics.folded.WithLabelValues("kept").Inc()
	return false
}

// note remembers where an effect stands that a later one can be folded into:
// better facts into an offer or into earlier ones, a hold into a hold.
func (b *mailbox) note(i int) {
	switch e := b.effects[i]; e.Kind {
	case bridge.EffectPopOffered, bridge.EffectPopUpdated, bridge.EffectHeld:
		b.fold[keyOf(e)] = i
	}
}

func keyOf(e bridge.Effect) foldKey {
	k := foldKey{kind: e.Kind, call: e.Call, agent: e.Agent, pop: e.Pop}
	if e.Kind == bridge.EffectPopOffered {
		k.kind = bridge.EffectPopUpdated
	}
	return k
}

// post puts f before the loop, or tells that there is no loop any more.
func (b *mailbox) post(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.posts = append(b.posts, f)
	b.ring()
	return true
}

// take empties the mailbox. The effects are good until the next take.
func (b *mailbox) take() ([]bridge.Effect, []func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	effects, posts := b.effects, b.posts
	b.effects, b.spare = b.spare[:0], effects
	b.posts, b.fold = nil, nil
	b.metrics.queue.Set(0)
	return effects, posts
}

func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.effects, b.spare, b.posts, b.fold = nil, nil, nil, nil
}

// ring wakes the loop. mu is held.
func (b *mailbox) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
