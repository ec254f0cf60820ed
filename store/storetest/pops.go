package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

func testOffer(t *testing.T, db *store.DB) {
	want := Pop("p1", "pbx1/1.0", "ann")
	got, inserted, err := db.OfferPop(t.Context(), want)
	if err != nil || !inserted {
		t.Fatalf("OfferPop = inserted %v, %v", inserted, err)
	}
	same(t, "the pop offered", got, want)

	other := Pop("p1", "pbx1/1.0", "ann")
	other.Facts.Caller.Number, other.State = "+12025550102", bridge.PopEnded
	got, inserted, err = db.OfferPop(t.Context(), other)
	if err != nil || inserted {
		t.Fatalf("offering again = inserted %v, %v", inserted, err)
	}
	same(t, "the pop offered twice", got, want)

	got, err = db.PopByID(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the pop read", got, want)

	_, err = db.PopByID(t.Context(), "p2")
	isError(t, "reading no pop", err, screenpop.ErrNotFound)

	if _, _, err := db.OfferPop(t.Context(), screenpop.Pop{ID: "p3"}); err == nil {
		t.Error("a pop without call and agent was taken")
	}
}

func testOfferMany(t *testing.T, db *store.DB) {
	var inserted atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, won, err := db.OfferPop(t.Context(), Pop("p1", "pbx1/1.0", "ann"))
			if err != nil {
				t.Errorf("OfferPop: %v", err)
			}
			if won {
				inserted.Add(1)
			}
		})
	}
	wg.Wait()
	if n := inserted.Load(); n != 1 {
		t.Errorf("%d of 50 offers inserted the pop, want 1", n)
	}
}

// testHostileText offers what a network may send: it must not keep the pop
// from its row.
func testHostileText(t *testing.T, db *store.DB) {
	p := Pop("p1", "pbx1/1.0", "ann")
	p.Facts.Caller.Name = "a\x00b\xff'; DROP TABLE pops; -- <b>\u202e"
	p.Facts.CallNumber = "1\x00"
	mustOffer(t, db, p)
	got, err := db.PopByID(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	if want := "ab\uFFFD'; DROP TABLE pops; -- <b>\u202e"; got.Facts.Caller.Name.Reveal() != want {
		t.Errorf("name %q, want %q", got.Facts.Caller.Name.Reveal(), want)
	}
	if _, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "1\x00\xff", CallNumber: "' OR 1=1 --"}); err != nil {
		t.Errorf("looking up hostile text: %v", err)
	}
}

func testUpdate(t *testing.T, db *store.DB) {
	Import(t, db, directory)
	p := Pop("p1", "pbx1/1.0", "ann")
	mustOffer(t, db, p)
	if _, err := db.AdvancePop(t.Context(), "p1", bridge.PopShown, "", "", epoch); err != nil {
		t.Fatal(err)
	}
	found, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "+12025550101", Dialled: "+12025550199", CallNumber: "4711"})
	if err != nil || found.Person == nil || found.Organization == nil || found.Dialled == nil || found.Ticket == nil {
		t.Fatalf("Lookup = %+v, %v", found, err)
	}
	p.Found = found
	p.Facts.Caller.Name = "Ann"
	p.Facts.CallNumber = "4712"
	p.Decision = bridge.Decision{Mode: bridge.ModeIVR, Opens: bridge.OpensTicket, Reasons: []string{"ticket found"}}
	p.State = bridge.PopEnded // not to be written
	if err := db.UpdatePop(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	got, err := db.PopByID(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	p.State, p.Shown = bridge.PopShown, epoch
	same(t, "the pop updated", got, p)

	p.ID = "p2"
	isError(t, "updating no pop", db.UpdatePop(t.Context(), p), screenpop.ErrNotFound)
}

// testAdvance tries every step from every state.
func testAdvance(t *testing.T, db *store.DB) {
	const (
		o = bridge.PopOffered
		s = bridge.PopShown
		a = bridge.PopAcknowledged
		e = bridge.PopEnded
		u = bridge.PopSuperseded
		r = bridge.PopRetracted
		x = bridge.PopExpired
	)
	all := []bridge.PopState{o, s, a, e, u, r, x}
	moves := map[bridge.PopState][]bridge.PopState{o: {s, a, e, u, r, x}, s: {a, e, u, r}, a: {e, u, r}}
	for i, from := range all {
		for j, to := range all {
			id := fmt.Sprintf("p%d-%d", i, j)
			mustOffer(t, db, Pop(id, "pbx1/1.0", "ann"))
			if from != o {
				if moved, err := db.AdvancePop(t.Context(), bridge.PopID(id), from, "hangup", "bob", epoch); !moved || err != nil {
					t.Fatalf("offered → %s = %v, %v", from, moved, err)
				}
			}
			want := false
			for _, state := range moves[from] {
				want = want || state == to
			}
			at := epoch.Add(time.Minute)
			moved, err := db.AdvancePop(t.Context(), bridge.PopID(id), to, "transfer", "cleo", at)
			if err != nil || moved != want {
				t.Errorf("%s → %s = %v, %v; want %v", from, to, moved, err, want)
			}
			if want {
				checkStep(t, db, bridge.PopID(id), to, at)
			}
		}
	}
	_, err := db.AdvancePop(t.Context(), "none", bridge.PopShown, "", "", epoch)
	isError(t, "advancing no pop", err, screenpop.ErrNotFound)
	if _, err := db.AdvancePop(t.Context(), "p0-0", "lost", "", "", epoch); err == nil {
		t.Error("a state that does not exist was taken")
	}
}

func checkStep(t *testing.T, db *store.DB, id bridge.PopID, to bridge.PopState, at time.Time) {
	t.Helper()
	p, err := db.PopByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stamp, cause := p.Ended, "transfer"
	switch to {
	case bridge.PopShown:
		stamp, cause = p.Shown, ""
	case bridge.PopAcknowledged:
		stamp, cause = p.Acknowledged, ""
	}
	if p.State != to || !stamp.Equal(at) || p.Cause != cause || to.Final() == p.Ended.IsZero() {
		t.Errorf("%s: state %s, stamp %v, cause %q, ended %v", to, p.State, stamp, p.Cause, p.Ended)
	}
	if (to == bridge.PopSuperseded) && p.To != "cleo" {
		t.Errorf("%s: to %q", to, p.To)
	}
}

func testAdvanceMany(t *testing.T, db *store.DB) {
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
	final := []bridge.PopState{bridge.PopEnded, bridge.PopSuperseded, bridge.PopRetracted}
	var moved atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			ok, err := db.AdvancePop(t.Context(), "p1", final[i%len(final)], "hangup", "", epoch)
			if err != nil {
				t.Errorf("AdvancePop: %v", err)
			}
			if ok {
				moved.Add(1)
			}
		})
	}
	wg.Wait()
	if n := moved.Load(); n != 1 {
		t.Errorf("%d of 30 ended the pop, want 1", n)
	}
}

func testList(t *testing.T, db *store.DB) {
	for i := range 6 {
		p := Pop(fmt.Sprintf("p%d", i), fmt.Sprintf("pbx%d/%d.0", i%2+1, i/2), []string{"ann", "bob", "cleo"}[i%3])
		p.Offered = epoch.Add(time.Duration(6-i) * time.Second) // the last is the oldest
		mustOffer(t, db, p)
	}
	for id, to := range map[bridge.PopID]bridge.PopState{"p0": bridge.PopEnded, "p1": bridge.PopAcknowledged} {
		if _, err := db.AdvancePop(t.Context(), id, to, "hangup", "", epoch); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		q    screenpop.PopQuery
		want []string
	}{
		{"all", screenpop.PopQuery{}, []string{"p5", "p4", "p3", "p2", "p1", "p0"}},
		{"pbx", screenpop.PopQuery{PBX: "pbx1"}, []string{"p4", "p2", "p0"}},
		{"agent", screenpop.PopQuery{Agent: "ann"}, []string{"p3", "p0"}},
		{"call", screenpop.PopQuery{Call: "pbx1/1.0"}, []string{"p2"}},
		{"state", screenpop.PopQuery{State: bridge.PopAcknowledged}, []string{"p1"}},
		{"since", screenpop.PopQuery{Since: epoch.Add(5 * time.Second)}, []string{"p1", "p0"}},
		{"active", screenpop.PopQuery{Active: true, Agent: "ann"}, []string{"p3"}},
		{"limit", screenpop.PopQuery{Limit: 2}, []string{"p1", "p0"}},
		{"none", screenpop.PopQuery{Agent: "dan"}, []string{}},
	} {
		pops, err := db.ListPops(t.Context(), test.q)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		ids := []string{}
		for _, p := range pops {
			ids = append(ids, string(p.ID))
		}
		same(t, test.name, ids, test.want)
	}
	if _, err := db.ListPops(t.Context(), screenpop.PopQuery{Limit: 10001}); err == nil {
		t.Error("a limit of 10001 was taken")
	}
}

// testFoundGone offers a pop that names rows the directory does not have.
func testFoundGone(t *testing.T, db *store.DB) {
	p := Pop("p1", "pbx1/1.0", "ann")
	p.Found = screenpop.Found{
		Done: true, Person: &screenpop.Person{ID: "gone"}, Candidates: 1, Organization: &screenpop.Organization{ID: "gone"},
		Dialled: &screenpop.Organization{ID: "gone"}, Ticket: &screenpop.Ticket{ID: "gone"}, Foreign: true, Via: "e164",
	}
	mustOffer(t, db, p)
	got, err := db.PopByID(t.Context(), "p1")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what was found", got.Found, screenpop.Found{Done: true, Candidates: 1, Foreign: true, Via: "e164"})
}

// testWriters has 16 writers at once: none may see the database busy.
func testWriters(t *testing.T, db *store.DB) {
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 25 {
				id := fmt.Sprintf("p%d-%d", w, i)
				if _, _, err := db.OfferPop(t.Context(), Pop(id, "pbx1/1.0", "ann")); err != nil {
					t.Errorf("OfferPop: %v", err)
				}
				if _, err := db.AdvancePop(t.Context(), bridge.PopID(id), bridge.PopEnded, "hangup", "", epoch); err != nil {
					t.Errorf("AdvancePop: %v", err)
				}
				if _, err := db.PopByID(t.Context(), bridge.PopID(id)); err != nil {
					t.Errorf("PopByID: %v", err)
				}
			}
		})
	}
	wg.Wait()
	pops, err := db.ListPops(t.Context(), screenpop.PopQuery{State: bridge.PopEnded})
	if err != nil || len(pops) != 16*25 {
		t.Errorf("%d pops ended, %v; want %d", len(pops), err, 16*25)
	}
}
