package store

import (
	"context"
	"strings"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

var _ screenpop.PopWatcher = (*DB)(nil)

// watchAgents is how many agents one statement of WatchPops asks for: one text,
// which stays prepared.
const watchAgents = 50

var watchPops = selectPop + `
WHERE w.agent_id IN (?` + strings.Repeat(", ?", watchAgents-1) + `)
  AND (w.state IN ('offered', 'shown', 'acknowledged') OR w.offered >= ? AND w.ended >= ?)
ORDER BY w.offered, w.id LIMIT ?`

// longCall bounds how far back an ended pop's offer is looked for: a longer
// turn's end is shown by the replica that saw it alone.
const longCall = 12 * time.Hour

// WatchPops implements screenpop.PopWatcher.
func (db *DB) WatchPops(ctx context.Context, agents []bridge.AgentID, since time.Time) ([]screenpop.Pop, error) {
	var pops []screenpop.Pop
	err := db.run(ctx, opListPops, func(ctx context.Context) error {
		for len(agents) > 0 {
			n := min(len(agents), watchAgents)
			args := make([]any, 0, watchAgents+3)
			for i := range watchAgents {
				args = append(args, string(agents[min(i, n-1)]))
			}
			args = append(args, micros(since.Add(-longCall)), micros(since), maxPops)
			agents = agents[n:]
			var rows []popRow
			if err := db.rows(ctx, db.read, &rows, watchPops, args...); err != nil {
				return err
			}
			for _, row := range rows {
				p, err := row.pop()
				if err != nil {
					return err
				}
				pops = append(pops, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pops, nil
}

// maxTurns bounds PastTurns: the newest are those of calls that may still run.
const maxTurns = 20000

const selectTurns = `
SELECT id, call_id, agent_id, pbx, endpoint,
  caller_number, caller_name, withheld, dialled, call_number, unique_id, sip_call_id, state, answered
FROM pops WHERE pbx = ? AND offered >= ? ORDER BY offered DESC, id DESC LIMIT ?`

// PastTurns returns the turns of a PBX that began after since, as the engine
// takes them in when it starts (bridge.EventTurns): the 20,000 newest.
func (db *DB) PastTurns(ctx context.Context, pbx bridge.PBX, since time.Time) ([]bridge.PastTurn, error) {
	var turns []bridge.PastTurn
	err := db.run(ctx, opListPops, func(ctx context.Context) error {
		var rows []turnRow
		if err := db.rows(ctx, db.read, &rows, selectTurns, string(pbx), micros(since), maxTurns); err != nil {
			return err
		}
		turns = make([]bridge.PastTurn, 0, len(rows))
		for _, r := range rows {
			p := r.pop()
			turns = append(turns, bridge.PastTurn{
				Call: p.Call, Pop: p.ID, Agent: p.Agent, Device: p.Device, Facts: p.Facts,
				Answered: p.Answered, Open: !p.State.Final(),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return turns, nil
}
