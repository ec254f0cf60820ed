package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

func link(n byte, pop, agent string) screenpop.Link {
	return screenpop.Link{
		Hash: [32]byte{n, 0, '\'', 0xff}, Pop: bridge.PopID(pop), Agent: bridge.AgentID(agent),
		Minted: epoch, Expires: epoch.Add(time.Minute),
	}
}

func mustSave(t *testing.T, db *store.DB, l screenpop.Link) {
	t.Helper()
	if err := db.SaveLink(t.Context(), l); err != nil {
		t.Fatalf("SaveLink: %v", err)
	}
}

func testLink(t *testing.T, db *store.DB) {
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
	mustSave(t, db, link(1, "p1", "ann"))
	mustSave(t, db, link(2, "p1", "ann"))
	isError(t, "saving a hash twice", db.SaveLink(t.Context(), link(1, "p1", "ann")), store.ErrExists)
	isError(t, "saving a link of no pop", db.SaveLink(t.Context(), link(3, "p2", "ann")), screenpop.ErrNotFound)

	l := link(1, "p1", "ann")
	just := l.Expires.Add(-time.Microsecond)
	redeem := func(l screenpop.Link, agent bridge.AgentID, at time.Time, want error) {
		t.Helper()
		pop, err := db.RedeemLink(t.Context(), l.Hash, agent, at)
		isError(t, "RedeemLink", err, want)
		if want == nil && pop != l.Pop || want != nil && pop != "" {
			t.Errorf("RedeemLink = %q, %v", pop, err)
		}
	}
	redeemed := func(agent bridge.AgentID, want bool) {
		t.Helper()
		if got, err := db.PopRedeemed(t.Context(), "p1", agent); got != want || err != nil {
			t.Errorf("PopRedeemed(%s) = %v, %v; want %v", agent, got, err, want)
		}
	}
	redeem(link(9, "p1", "ann"), "ann", epoch, screenpop.ErrLinkUnknown)
	redeem(l, "bob", epoch, screenpop.ErrLinkForeign)
	redeem(l, "ann", l.Expires, screenpop.ErrLinkExpired)
	redeemed("ann", false)
	redeem(l, "ann", just, nil)
	redeem(l, "ann", just, screenpop.ErrLinkUsed)
	redeem(l, "ann", l.Expires.Add(time.Hour), screenpop.ErrLinkUsed)
	redeem(l, "bob", just, screenpop.ErrLinkForeign)
	redeemed("ann", true)
	redeemed("bob", false)
	redeem(link(2, "p1", "ann"), "ann", epoch, nil)
}

func testRedeemMany(t *testing.T, db *store.DB) {
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
	l := link(1, "p1", "ann")
	mustSave(t, db, l)
	var won, used atomic.Int32
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			_, err := db.RedeemLink(t.Context(), l.Hash, "ann", epoch)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, screenpop.ErrLinkUsed):
				used.Add(1)
			default:
				t.Errorf("RedeemLink: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || used.Load() != 499 {
		t.Errorf("%d won and %d came late, want 1 and 499", won.Load(), used.Load())
	}
}
