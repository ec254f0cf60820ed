package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// Bounds of the keeper of explanations.
const (
	explainQueue  = 8192             // trails and facts that wait
	explainCalls  = 20_000           // calls that are held to be written, or for what may still be told of them
	explainGrace  = 15 * time.Second // for how long facts are awaited after a call's end
	explainEvery  = time.Second      // how often facts that came after the trail, and what the store refused, are written
	explainDrain  = 2 * time.Second  // for writing what is left at the end
	explainKept   = 64               // facts of one call; the first ones go
	explainBudget = 2 * time.Second  // for one write
)

// explainStore is what the keeper needs of the store.
type explainStore interface {
	SaveExplanation(context.Context, store.Explanation) error
}

// explainKeeper writes the explanations of calls to the store, off the hot
// path: who tells it something never waits, and what it has no room for is
// dropped and counted.
type explainKeeper struct {
	to        explainStore
	normalize func(bridge.PBX, bridge.Number) bridge.Number
	log       *slog.Logger
	in        chan explainNews
	dropped   prometheus.Counter

	calls map[bridge.CallID]*keptCall // owned by Run's goroutine
	away  bool                        // the store refused the last write; owned by Run's goroutine
}

// explainNews is a trail, or a fact.
type explainNews struct {
	trail *bridge.Trail
	told  screenpop.Told
}

type keptCall struct {
	trail    bridge.Trail
	delivery []screenpop.Told
	dirty    bool
	until    time.Time // forgotten then; zero while the call runs
}

func newExplainKeeper(to explainStore, normalize func(bridge.PBX, bridge.Number) bridge.Number, log *slog.Logger, reg prometheus.Registerer) *explainKeeper {
	k := &explainKeeper{
		to: to, normalize: normalize, log: log, in: make(chan explainNews, explainQueue), calls: map[bridge.CallID]*keptCall{},
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_explanations_dropped_total", Help: "Trails and facts of calls that were dropped because the store or the queue had no room."}),
	}
	if reg != nil {
		reg.MustRegister(k.dropped)
	}
	return k
}

// Trail takes a call's trail and never blocks.
func (k *explainKeeper) Trail(t bridge.Trail) { k.put(explainNews{trail: &t}) }

// Tell takes a fact and never blocks.
func (k *explainKeeper) Tell(t screenpop.Told) { k.put(explainNews{told: t}) }

func (k *explainKeeper) put(n explainNews) {
	select {
	case k.in <- n:
	default:
		k.dropped.Inc()
	}
}

// Run writes until ctx ends, then what is left for at most explainDrain.
func (k *explainKeeper) Run(ctx context.Context) error {
	tick := time.NewTicker(explainEvery)
	defer tick.Stop()
	for {
		select {
		case n := <-k.in:
			k.take(ctx, n, time.Now())
		case now := <-tick.C:
			k.sweep(ctx, now)
		case <-ctx.Done():
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainDrain)
			defer cancel()
			for len(k.in) > 0 {
				k.take(limit, <-k.in, time.Now())
			}
			k.sweep(limit, time.Now())
			return nil
		}
	}
}

// take notes the news. A trail is written at once: trails of a running call
// come seconds apart.
func (k *explainKeeper) take(ctx context.Context, n explainNews, now time.Time) {
	id := n.told.Call
	if n.trail != nil {
		id = n.trail.Call
	}
	c := k.calls[id]
	if c == nil {
		if len(k.calls) >= explainCalls {
			k.dropped.Inc()
			return
		}
		c = &keptCall{until: now.Add(explainGrace)} // until its trail comes
		k.calls[id] = c
	}
	c.dirty = true
	if n.trail == nil {
		if len(c.delivery) >= explainKept {
			c.delivery = c.delivery[1:]
		}
		c.delivery = append(c.delivery, n.told)
		return
	}
	c.trail, c.until = *n.trail, time.Time{}
	if !c.trail.Ended.IsZero() {
		c.until = now.Add(explainGrace)
	}
	if !k.away {
		k.write(ctx, c)
	}
}

// sweep writes what is owed and forgets calls that are over.
func (k *explainKeeper) sweep(ctx context.Context, now time.Time) {
	k.away = false
	for id, c := range k.calls {
		if c.dirty && c.trail.Call != "" && !k.away {
			k.write(ctx, c)
		}
		if !c.until.IsZero() && now.After(c.until) && (!c.dirty || c.trail.Call == "") {
			delete(k.calls, id)
		}
	}
}

func (k *explainKeeper) write(ctx context.Context, c *keptCall) {
	ctx, cancel := context.WithTimeout(ctx, explainBudget)
	defer cancel()
	e := store.Explanation{Trail: c.trail, Delivery: c.delivery, Keys: explainKeys(&c.trail, k.normalize)}
	err := k.to.SaveExplanation(ctx, e)
	switch {
	case err == nil:
		c.dirty = false
	case store.Unavailable(err) || ctx.Err() != nil:
		k.away = true // the store's own word is in the log already; written later
	default:
		c.dirty = false
		k.dropped.Inc()
		k.log.Warn("keeping an explanation", "call_id", string(c.trail.Call), "error", err)
	}
}

// explainKeys is what a call can be asked for by: the ids and endpoints of its
// legs, and the number of who called (of an outgoing call: who was called),
// both as it came and as calls are normalised.
func explainKeys(t *bridge.Trail, normalize func(bridge.PBX, bridge.Number) bridge.Number) []string {
	keys := []string{t.UniqueID, t.SIPCallID}
	numbers := []bridge.Number{t.NumberAt(t.Caller)}
	if t.Direction != bridge.DirectionInbound.String() {
		numbers = append(numbers, t.NumberAt(t.Dialled))
	}
	for _, n := range numbers {
		if n != "" {
			keys = append(keys, n.Reveal(), normalize(t.Call.PBX(), n).Reveal())
		}
	}
	for i := range t.Legs {
		l := &t.Legs[i]
		keys = append(keys, string(l.ID), l.SIPCallID)
		if l.Endpoint != "" {
			keys = append(keys, l.Endpoint, deviceKey(t.Call.PBX(), l.Endpoint))
		}
	}
	return keys
}

func deviceKey(pbx bridge.PBX, endpoint string) string { return string(pbx) + " " + endpoint }
