package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// epoch is the time that the suite's rows begin at.
var epoch = time.Date(2026, 5, 1, 8, 0, 0, 123456000, time.UTC)

// Run puts a store through the whole suite. open gives a new, migrated and
// empty store each time and closes it with the test.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *store.DB)
	}{
		{"offer", testOffer},
		{"offer from many", testOfferMany},
		{"hostile text", testHostileText},
		{"update", testUpdate},
		{"advance", testAdvance},
		{"advance from many", testAdvanceMany},
		{"list", testList},
		{"watch", testWatch},
		{"deleted directory", testFoundGone},
		{"link", testLink},
		{"500 redemptions", testRedeemMany},
		{"lookup", testLookup},
		{"import", testImport},
		{"import of faults", testImportFaults},
		{"import of many", testImportMany},
		{"users", testUsers},
		{"devices", testDevices},
		{"sessions", testSessions},
		{"sweep", testSweep},
		{"audit", testAudit},
		{"writers", testWriters},
		{"cancelled", testCancelled},
		{"migrated again", testMigrateAgain},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
	runExplanations(t, open)
}

// Pop returns a pop with every field filled but what a lookup finds.
func Pop(id, call, agent string) screenpop.Pop {
	return screenpop.Pop{
		ID: bridge.PopID(id), Call: bridge.CallID(call), Agent: bridge.AgentID(agent),
		Device: bridge.Device{PBX: bridge.CallID(call).PBX(), Endpoint: "PJSIP/101"},
		Facts: bridge.Facts{
			Caller:  bridge.Caller{Number: "+12025550101", Name: "Ann Ünal"},
			Dialled: "+12025550199", CallNumber: "4711", UniqueID: bridge.CallID(call).UniqueID(), SIPCallID: "abc@192.0.2.1",
		},
		Decision: bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensPending, Reasons: []string{"caller ID present", "call number present"}},
		State:    bridge.PopOffered,
		Late:     true, Degraded: true,
		Answered: epoch, Offered: epoch.Add(time.Millisecond),
	}
}

func mustOffer(t *testing.T, db *store.DB, p screenpop.Pop) {
	t.Helper()
	if _, inserted, err := db.OfferPop(t.Context(), p); err != nil || !inserted {
		t.Fatalf("OfferPop(%s) = inserted %v, %v", p.ID, inserted, err)
	}
}

// Import puts a CSV into the store and fails the test if it is refused.
func Import(tb testing.TB, db *store.DB, csv string) store.ImportReport {
	tb.Helper()
	report, err := db.Import(tb.Context(), strings.NewReader(csv), store.ImportOptions{Name: "test.csv", Region: "US"})
	if err != nil {
		tb.Fatalf("importing: %v", err)
	}
	return report
}

// same compares values whose String hides them.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Transformer("number", bridge.Number.Reveal), cmp.Transformer("name", bridge.PersonName.Reveal)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func isError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

func testCancelled(t *testing.T, db *store.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := db.OfferPop(ctx, Pop("p1", "pbx1/1.0", "ann"))
	isError(t, "offering with a cancelled context", err, context.Canceled)
	if store.Unavailable(err) {
		t.Error("a cancelled context is not the database's fault")
	}
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
}

func testMigrateAgain(t *testing.T, db *store.DB) {
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("migrating a store that is up to date: %v", err)
	}
	current, newest, err := db.SchemaVersion(t.Context())
	if err != nil || current != newest || current < 1 {
		t.Errorf("SchemaVersion = %d, %d, %v", current, newest, err)
	}
}
