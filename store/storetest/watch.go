package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/store"
)

// testWatch reads what other replicas made of the pops of some agents, and
// the turns of before.
func testWatch(t *testing.T, db *store.DB) {
	states := []bridge.PopState{bridge.PopOffered, bridge.PopShown, bridge.PopAcknowledged, bridge.PopEnded, bridge.PopSuperseded, bridge.PopEnded}
	ended := []int{0, 0, 0, 1, 60, 0} // seconds after the epoch
	for i, to := range states {
		p := Pop(fmt.Sprintf("p%d", i), fmt.Sprintf("pbx1/%d.0", i), []string{"ann", "bob"}[i%2])
		p.Offered = epoch.Add(-time.Duration(i) * time.Minute)
		mustOffer(t, db, p)
		if to != bridge.PopOffered {
			if _, err := db.AdvancePop(t.Context(), p.ID, to, "transfer", "cleo", epoch.Add(time.Duration(ended[i])*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var many []bridge.AgentID
	for i := range 120 {
		many = append(many, bridge.AgentID(fmt.Sprintf("nobody%d", i)))
	}
	for _, test := range []struct {
		name   string
		agents []bridge.AgentID
		want   []string
	}{
		{"one", []bridge.AgentID{"ann"}, []string{"p4", "p2", "p0"}},
		{"two", []bridge.AgentID{"ann", "bob"}, []string{"p4", "p3", "p2", "p1", "p0"}},
		{"many", append(slices.Clone(many), "bob"), []string{"p3", "p1"}},
		{"nobody", []bridge.AgentID{"dan"}, []string{}},
	} {
		pops, err := db.WatchPops(t.Context(), test.agents, epoch.Add(time.Second))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		ids := []string{}
		for _, p := range pops {
			ids = append(ids, string(p.ID))
			row, err := db.PopByID(t.Context(), p.ID)
			if err != nil {
				t.Fatal(err)
			}
			same(t, test.name+": "+string(p.ID), p, row)
		}
		same(t, test.name, ids, test.want)
	}
	turns, err := db.PastTurns(t.Context(), "pbx1", epoch.Add(-3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, turn := range turns {
		row, err := db.PopByID(t.Context(), turn.Pop)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "turn", turn, bridge.PastTurn{
			Call: row.Call, Pop: row.ID, Agent: row.Agent, Device: row.Device, Facts: row.Facts, Answered: row.Answered, Open: !row.State.Final(),
		})
		got = append(got, fmt.Sprintf("%s %v", turn.Pop, turn.Open))
	}
	same(t, "turns", got, []string{"p0 true", "p1 true", "p2 true", "p3 false"})
	if turns, err := db.PastTurns(t.Context(), "pbx2", time.Time{}); len(turns) > 0 || err != nil {
		t.Errorf("turns of another PBX: %v, %v", turns, err)
	}
}
