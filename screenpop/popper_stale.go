package screenpop

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ringlink/bridge"
)

// Stale lists rows that a run of before may have left open: the pops of the
// PBX that were offered before the given time and that the engine did not
// offer again. Call it once the engine has taken in the PBX's first snapshot
// after the start, so that what still goes on is known.
func (p *Popper) Stale(ctx context.Context, rows PopLister, pbx bridge.PBX, before time.Time) ([]Pop, error) {
	list, err := rows.ListPops(ctx, PopQuery{PBX: pbx, Active: true, Limit: 10000})
	if err != nil {
		return nil, fmt.Errorf("listing pops of before the start: %w", err)
	}
	list = slices.DeleteFunc(list, func(row Pop) bool { return !row.Offered.Before(before) })
	err = p.inLoop(ctx, func() error {
		list = slices.DeleteFunc(list, func(row Pop) bool { return p.pops[row.ID] != nil })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// CloseStale ends those rows of Stale that the engine has not offered since:
// unseen ones expire, others end with the cause "gap"; what was ended meanwhile
// stays as it is. Leave a moment between the two, in which another replica can
// end its own. It returns how many it found; their writes follow like any
// other.
func (p *Popper) CloseStale(ctx context.Context, stale []Pop) (int, error) {
	found := 0
	for _, row := range stale {
		if err := p.inLoop(ctx, func() error {
			if p.pops[row.ID] == nil {
				found++
				p.endUnknown(&bridge.Effect{
					Call: row.Call, Pop: row.ID, Agent: row.Agent, Device: row.Device, Facts: row.Facts,
					State: bridge.PopEnded, Cause: "gap", At: p.now(),
				})
			}
			return nil
		}); err != nil {
			return 0, err // the loop may be counting yet
		}
	}
	return found, nil
}
