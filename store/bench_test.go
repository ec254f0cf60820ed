package store_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
	"ringlink/store/storetest"
)

// The benchmarks run beside Ping, which is a bare SELECT through the same
// pool: figures count as ratios to it.

const benchPeople = 20_000

func benchStores(b *testing.B, f func(b *testing.B, db *store.DB)) {
	b.Run("sqlite", func(b *testing.B) { f(b, open(b, fileOptions(b))) })
	b.Run("postgres", func(b *testing.B) {
		f(b, open(b, store.Options{Driver: store.Postgres, DSN: storetest.Postgres(b)}))
	})
}

func BenchmarkPing(b *testing.B) {
	benchStores(b, func(b *testing.B, db *store.DB) {
		for b.Loop() {
			if err := db.Ping(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	var csv strings.Builder
	csv.WriteString("kind,id,name,organization,person,number,type,title\norganization,o,Example,,,,,\nnumber,,,o,,+12025559999,dialled,\n")
	for i := range benchPeople {
		fmt.Fprintf(&csv, "person,p%d,Person %d,o,,,,\nnumber,,,,p%d,+120255%05d,work,\nticket,,,,p%d,%d,,Title\n", i, i, i, i, i, 100000+i)
	}
	benchStores(b, func(b *testing.B, db *store.DB) {
		storetest.Import(b, db, csv.String())
		i := 0
		for b.Loop() {
			i = (i + 7919) % benchPeople
			f, err := db.Lookup(b.Context(), screenpop.DirectoryQuery{
				Caller: bridge.Number(fmt.Sprintf("+120255%05d", i)), Dialled: "+12025559999", CallNumber: bridge.TicketNumber(fmt.Sprint(100000 + i)),
			})
			if err != nil || f.Person == nil || f.Ticket == nil || f.Dialled == nil {
				b.Fatal(f, err)
			}
		}
	})
}

func BenchmarkOfferPop(b *testing.B) {
	benchStores(b, func(b *testing.B, db *store.DB) {
		for b.Loop() {
			if _, inserted, err := db.OfferPop(b.Context(), storetest.Pop(rand.Text(), "pbx1/1.0", "ann")); err != nil || !inserted {
				b.Fatal(inserted, err)
			}
		}
	})
}

func BenchmarkAdvancePop(b *testing.B) {
	benchStores(b, func(b *testing.B, db *store.DB) {
		p := storetest.Pop("p", "pbx1/1.0", "ann")
		for b.Loop() {
			b.StopTimer()
			p.ID = bridge.PopID(rand.Text())
			if _, _, err := db.OfferPop(b.Context(), p); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if moved, err := db.AdvancePop(b.Context(), p.ID, bridge.PopShown, "", "", time.Now()); err != nil || !moved {
				b.Fatal(moved, err)
			}
		}
	})
}

func BenchmarkRedeemLink(b *testing.B) {
	benchStores(b, func(b *testing.B, db *store.DB) {
		if _, _, err := db.OfferPop(b.Context(), storetest.Pop("p", "pbx1/1.0", "ann")); err != nil {
			b.Fatal(err)
		}
		l := screenpop.Link{Pop: "p", Agent: "ann", Minted: time.Now(), Expires: time.Now().Add(time.Hour)}
		for b.Loop() {
			b.StopTimer()
			_, _ = rand.Read(l.Hash[:]) // never fails
			if err := db.SaveLink(b.Context(), l); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := db.RedeemLink(b.Context(), l.Hash, "ann", time.Now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
