package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// keepStore waits for the database, brings its schema up to date, and then
// keeps the engine told who uses which device and the store swept.
func (a *app) keepStore(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = 200*time.Millisecond, 5*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := a.db.Migrate(ctx)
		if err != nil && !store.Unavailable(err) {
			err = backoff.Permanent(err)
		}
		a.storeState(err)
		return struct{}{}, err
	}, backoff.WithBackOff(retry), backoff.WithMaxElapsedTime(0))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	devices, sweep := time.NewTicker(devicesEvery), time.NewTicker(sweepEvery)
	defer devices.Stop()
	defer sweep.Stop()
	told := false
	for last := ""; ; {
		if !told {
			told = a.tellTurns(ctx)
		}
		if told { // before it nothing is stale
			last = a.tellDevices(ctx, last)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-devices.C:
		case pbx := <-a.synced:
			a.findStale(ctx, pbx)
		case pbx := <-a.gaps:
			a.tellTurnsOf(ctx, pbx)
		case pops := <-a.stale:
			a.closeStale(ctx, pops)
		case <-sweep.C:
			if _, err := a.db.Sweep(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
				a.log.Warn("sweeping the store", "error", err)
			}
		}
	}
}

// awaitTurns holds ARI back until the engine knows the turns of before, so that
// the first snapshot goes on with them; not for long where the store is away.
func (a *app) awaitTurns(ctx context.Context) {
	limit := time.NewTimer(turnsWait)
	defer limit.Stop()
	select {
	case <-a.seeded:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// tellTurns hands the engine what the store knows of each PBX's turns, of a
// run of before or of other replicas, and tells whether that was done.
func (a *app) tellTurns(ctx context.Context) bool {
	for i := range a.cfg.PBXs {
		if !a.tellTurnsOf(ctx, bridge.PBX(a.cfg.PBXs[i].Name)) {
			return false
		}
	}
	return true
}

func (a *app) tellTurnsOf(ctx context.Context, pbx bridge.PBX) bool {
	turns, err := a.db.PastTurns(ctx, pbx, time.Now().Add(-turnsAge))
	if err != nil {
		if ctx.Err() == nil {
			a.storeState(err)
		}
		return false
	}
	return a.engine.Deliver(ctx, bridge.Event{Kind: bridge.EventTurns, PBX: pbx, Received: time.Now(), Turns: turns}) == nil
}

// findStale lists what a run of before left open at a PBX, to be ended in a
// moment; with the store away it is tried again.
func (a *app) findStale(ctx context.Context, pbx bridge.PBX) {
	pops, err := a.popper.Stale(ctx, a.db, pbx, a.started)
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Warn("listing pops of the last run", "pbx", string(pbx), "error", err)
		time.AfterFunc(devicesEvery, func() { a.synced <- pbx }) // never blocks: room for each PBX
	case len(pops) > 0:
		time.AfterFunc(staleWait, func() { a.stale <- pops }) // the same
	}
}

func (a *app) closeStale(ctx context.Context, pops []screenpop.Pop) {
	if n, err := a.popper.CloseStale(ctx, pops); err == nil && n > 0 {
		a.log.Info("pops of the last run have ended meanwhile", "pbx", string(pops[0].Call.PBX()), "pops", n)
	}
}

// tellDevices hands the engine the devices if they are not those of last, and
// returns what stands for them now.
func (a *app) tellDevices(ctx context.Context, last string) string {
	list, err := a.db.Devices(ctx)
	if err == nil {
		var names map[bridge.AgentID]string
		if names, err = a.db.AgentNames(ctx); err == nil {
			for id, name := range names {
				a.names.Store(id, name)
			}
		}
	}
	if ctx.Err() != nil {
		return last
	}
	a.storeState(err)
	if err != nil {
		return last
	}
	now := fmt.Sprint(list)
	if now != last {
		_ = a.engine.Deliver(ctx, bridge.Event{Kind: bridge.EventDevices, Received: time.Now(), Devices: list}) // only ctx ends it
	}
	a.seedOnce.Do(func() { close(a.seeded) })
	return now
}

// storeState notes for /readyz whether the store answers, and logs each change
// once.
func (a *app) storeState(err error) {
	a.mu.Lock()
	was := a.store.Why
	if err != nil {
		a.store.Why = err.Error()
		if was == "" {
			a.store = reason{Part: "store", Why: err.Error(), When: time.Now().UTC()}
		}
	} else {
		a.store = reason{}
	}
	a.mu.Unlock()
	switch {
	case err != nil && was != err.Error():
		a.log.Error("the store does not answer", "error", err)
	case err == nil && was != "":
		a.log.Info("the store answers", "driver", a.db.Driver())
	}
}
