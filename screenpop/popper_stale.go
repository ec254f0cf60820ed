package screenpop

import (
	"context"
	"fmt"
	"time"

	"ringlink/bridge"
)

// CloseStale ends rows that a run of before left open: the pops of the PBX
// that were offered before the given time and that the engine did not offer
// again. Call it once the engine has taken in the PBX's first snapshot after
// the start, so that what still goes on is known. Unseen ones expire, others
// end with the cause "gap". It returns how many it found; their writes follow
// like any other.
func (p *Popper) CloseStale(ctx context.Context, rows PopLister, pbx bridge.PBX, before time.Time) (int, error) {
	list, err := rows.ListPops(ctx, PopQuery{PBX: pbx, Active: true, Limit: 10000})
	if err != nil {
		return 0, fmt.Errorf("listing pops of before the start: %w", err)
	}
	found := 0
	for _, row := range list {
		if !row.Offered.Before(before) {
			continue
		}
		stale := false
		if err := p.inLoop(ctx, func() error {
			if stale = p.pops[row.ID] == nil; stale {
				p.endUnknown(&bridge.Effect{
					Call: row.Call, Pop: row.ID, Agent: row.Agent, Device: row.Device, Facts: row.Facts,
					State: bridge.PopEnded, Cause: "gap", At: p.now(),
				})
			}
			return nil
		}); err != nil {
			return found, err
		}
		if stale {
			found++
		}
	}
	return found, nil
}
