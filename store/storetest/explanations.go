package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// runExplanations is the part of Run about the explanations of calls.
func runExplanations(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *store.DB)
	}{
		{"save", testExplanation},
		{"bounded", testExplanationBounded},
		{"sweep", testExplanationSweep},
		{"links", testPopLinks},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

func explanation(id string, started time.Time, keys ...string) store.Explanation {
	return store.Explanation{
		Trail: bridge.Trail{
			Call: bridge.CallID(id), Started: started, Direction: "inbound", UniqueID: bridge.CallID(id).UniqueID(),
			Caller: 1, Dialled: 2, Numbers: []bridge.Number{"+12025550101", "50\x0000"},
			Legs:  []bridge.TrailLeg{{ID: "1.0", Endpoint: "PJSIP/trunk", Side: bridge.SideOutside, Joined: bridge.JoinedOrigin}},
			Steps: []bridge.TrailStep{{At: 5, Kind: bridge.StepUp, Leg: 1}},
		},
		Delivery: []screenpop.Told{{Kind: "lookup", At: epoch, TookMS: 1.5, Result: "found"}},
		Keys:     keys,
	}
}

func testExplanation(t *testing.T, db *store.DB) {
	ctx := t.Context()
	one := explanation("pbx1/1.0", epoch, "1.0", "PJSIP/101", "+12025550101", "", "1.0")
	for range 2 {
		if err := db.SaveExplanation(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	two := explanation("pbx1/2.0", epoch.Add(time.Second), "PJSIP/101")
	if err := db.SaveExplanation(ctx, two); err != nil {
		t.Fatal(err)
	}
	one.Trail.Steps = append(one.Trail.Steps, bridge.TrailStep{At: 9, Kind: bridge.StepEnded})
	one.Trail.Ended = epoch.Add(time.Minute)
	if err := db.SaveExplanation(ctx, one); err != nil {
		t.Fatal(err)
	}
	less := explanation("pbx1/1.0", epoch) // another replica that saw less
	if err := db.SaveExplanation(ctx, less); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"pbx1/1.0": "pbx1/1.0", "1.0": "pbx1/1.0", "PJSIP/101": "pbx1/2.0 pbx1/1.0", "+12025550101": "pbx1/1.0", "": "pbx1/2.0 pbx1/1.0", "nobody": "",
	} {
		list, err := db.Explanations(ctx, key, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list {
			got = append(got, string(e.Trail.Call))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Explanations(%q) = %v, want %s", key, got, want)
		}
	}
	one.Trail.Numbers[1] = "5000" // the NUL is gone
	list, err := db.Explanations(ctx, "1.0", 10)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	one.Keys = nil
	same(t, "the explanation", list[0], one)
	if list, _ := db.Explanations(ctx, "PJSIP/101", 1); len(list) != 1 || list[0].Trail.Call != "pbx1/2.0" {
		t.Errorf("the newest alone: %v", list)
	}
}

// A trail however long keeps to its bound, and says what is left out.
func testExplanationBounded(t *testing.T, db *store.DB) {
	e := explanation("pbx1/1.0", epoch)
	for i := range 2000 {
		e.Trail.Steps = append(e.Trail.Steps, bridge.TrailStep{At: int64(i), Kind: bridge.StepEnter, Leg: 1, Bridge: 2})
	}
	for i := range 200 {
		e.Trail.Legs = append(e.Trail.Legs, bridge.TrailLeg{ID: bridge.ChannelID(strings.Repeat("x", 100)), Side: bridge.SideInside, Joined: bridge.JoinedDial})
		e.Keys = append(e.Keys, fmt.Sprint("key", i))
	}
	if err := db.SaveExplanation(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	list, err := db.Explanations(t.Context(), "pbx1/1.0", 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	got := list[0].Trail
	if len(got.Steps)+got.CutSteps != 2001 || got.CutSteps == 0 || len(got.Legs)+got.CutLegs != 201 || got.CutLegs == 0 {
		t.Errorf("%d steps and %d cut, %d legs and %d cut", len(got.Steps), got.CutSteps, len(got.Legs), got.CutLegs)
	}
}

func testExplanationSweep(t *testing.T, db *store.DB) {
	now := epoch.Add(store.KeepExplanations)
	for i, at := range []time.Time{epoch.Add(-time.Second), epoch.Add(time.Second)} {
		if err := db.SaveExplanation(t.Context(), explanation(fmt.Sprintf("pbx1/%d.0", i), at, "key")); err != nil {
			t.Fatal(err)
		}
	}
	swept, err := db.Sweep(t.Context(), now)
	if err != nil || swept.Explanations != 1 {
		t.Errorf("Sweep = %+v, %v", swept, err)
	}
	if list, err := db.Explanations(t.Context(), "key", 10); err != nil || len(list) != 1 || list[0].Trail.Call != "pbx1/1.0" {
		t.Errorf("left: %v, %v", list, err)
	}
}

func testPopLinks(t *testing.T, db *store.DB) {
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
	if list, err := db.PopLinks(t.Context(), "p1"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	link := screenpop.Link{Hash: [32]byte{1}, Pop: "p1", Agent: "ann", Minted: epoch, Expires: epoch.Add(time.Minute)}
	if err := db.SaveLink(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := db.RedeemLink(t.Context(), link.Hash, "ann", epoch.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	list, err := db.PopLinks(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the links", list, []store.PopLink{{Minted: epoch, Expires: epoch.Add(time.Minute), Redeemed: epoch.Add(time.Second)}})
}
