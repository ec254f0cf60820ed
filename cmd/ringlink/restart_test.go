package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

// pastTurns is what the store has of the pops that the teller made.
func (p *teller) pastTurns() (list []bridge.PastTurn) {
	for i, pop := range p.pops {
		list = append(list, bridge.PastTurn{
			Call: pop.Call, Pop: pop.Pop, Agent: pop.Agent, Device: bridge.Device{PBX: "lab", Endpoint: pop.Device},
			Facts: pop.Facts, Answered: p.offered[i], Open: pop.End == "",
		})
	}
	return list
}

// A process that dies after any event of any recorded stream, and one that
// starts then with what the store has: together they make the pops that one
// alone makes, none twice, none lost, each with its end.
func TestRestartGoesOnWithTurns(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		for i := 1; i < len(r.list); i++ {
			first := newTeller()
			first.play(t, eventsOf(r.list[:i])...)
			for _, late := range []bool{false, true} { // the store answers before the PBX does, or after
				second := newTeller()
				turns := bridge.Event{Kind: bridge.EventTurns, PBX: "lab", Turns: first.pastTurns()}
				up := bridge.Event{Kind: bridge.EventSourceUp, PBX: "lab", Snapshot: r.list[i-1].after}
				if late {
					second.play(t, up, turns)
				} else {
					second.play(t, turns, up)
				}
				if late && !cmp.Equal(ids(second.pops), ids(openPops(first.pops))) {
					continue // named anew before the store was heard: as good as can be
				}
				second.play(t, eventsOf(r.list[i:])...)
				if diff := cmp.Diff(r.pops, joined(t, first.pops, second.pops)); diff != "" {
					t.Fatalf("killed after event %d (store late: %v; -want +got):\n%s", i, late, diff)
				}
			}
		}
	})
}

func ids(pops []told) (list []bridge.PopID) {
	for _, p := range pops {
		list = append(list, p.Pop)
	}
	return list
}

func openPops(pops []told) []told {
	return slices.DeleteFunc(slices.Clone(pops), func(p told) bool { return p.End != "" })
}

// joined is what the store has after both runs.
func joined(t *testing.T, first, second []told) []told {
	t.Helper()
	all := slices.Clone(first)
	for _, p := range second {
		i := slices.IndexFunc(all, func(o told) bool { return o.Pop == p.Pop })
		switch {
		case i < 0:
			all = append(all, p)
		case all[i].End != "":
			t.Errorf("pop %s of %s had ended and came again", p.Pop, p.Agent)
		default:
			all[i] = p
		}
	}
	return all
}
