package main

import (
	"context"

	"ringlink/bridge"
)

// makeExplain makes what keeps the explanations of calls, before the parts
// that tell it something.
func (a *app) makeExplain() (err error) {
	a.explain = newExplainKeeper(a.db, normalizer(a.cfg), a.log, a.registry)
	a.trails, err = bridge.NewTrails(bridge.TrailOptions{Keep: a.explain.Trail, Registerer: a.registry})
	return err
}

// runEngine runs the engine and, when it ends, hands out the trails of the
// calls that still run.
func (a *app) runEngine(ctx context.Context) error {
	err := a.engine.Run(ctx)
	a.trails.Close()
	return err
}
