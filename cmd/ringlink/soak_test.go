package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// soakWorkers is how many calls there are at any time.
const soakWorkers = 10

// TestSoak plays calls for as long as RINGLINK_SOAK says (make soak), with the
// websocket cut every ten seconds. Each answered call must have exactly one
// pop, every pop must reach a final state, and neither memory nor goroutines
// may grow.
func TestSoak(t *testing.T) {
	limit, err := time.ParseDuration(os.Getenv("RINGLINK_SOAK"))
	if err != nil {
		t.Skip("RINGLINK_SOAK names no time: make soak runs this")
	}
	file := filepath.Join(t.TempDir(), "ringlink.db")
	fake := runFake(t, aritest.Options{})
	g := fakeGateway(t, fmt.Sprintf("{driver: sqlite, path: %s}", file), fake)
	g.people()
	g.start()
	g.ready()
	g.desks()
	db, err := store.Open(t.Context(), store.Options{Driver: store.SQLite, Path: file})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	s := &soak{g: g, fake: fake, player: newPlayer(t, fake), answered: map[bridge.CallID]bool{}}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for n := range soakWorkers {
		workers.Go(func() { s.work(n, stop) })
	}
	started := time.Now()
	cut, look := time.NewTicker(10*time.Second), time.NewTicker(time.Minute)
	defer cut.Stop()
	defer look.Stop()
	warm := g.metrics()
	for since := started; time.Since(started) < limit; {
		select {
		case <-cut.C:
			s.cut()
		case <-look.C:
			m := g.metrics()
			t.Logf("%v: %d calls, %.1f MB, %.0f goroutines", time.Since(started).Round(time.Second), s.calls.Load(),
				m["process_resident_memory_bytes"]/1e6, m["go_goroutines"])
			if time.Since(started) < limit/4 {
				warm = m
			}
			s.verify(t, db, since.Add(-10*time.Second))
			since = time.Now()
		case <-time.After(time.Until(started.Add(limit))):
		}
	}
	close(stop)
	workers.Wait()
	s.verify(t, db, started.Add(-time.Minute))
	g.until("the end of all calls", func() error {
		if n := g.metrics()["ringlink_engine_calls"]; n != 0 {
			return fmt.Errorf("%v calls", n)
		}
		return nil
	})
	m := g.metrics()
	t.Logf("%d calls in %v; memory %.1f MB when warm, %.1f MB at the end; goroutines %.0f and %.0f", s.calls.Load(), limit,
		warm["process_resident_memory_bytes"]/1e6, m["process_resident_memory_bytes"]/1e6, warm["go_goroutines"], m["go_goroutines"])
	if m["go_goroutines"] > warm["go_goroutines"]+20 {
		t.Errorf("goroutines grew from %v to %v", warm["go_goroutines"], m["go_goroutines"])
	}
}

// soak is what the workers share.
type soak struct {
	g      *gateway
	fake   *aritest.Asterisk
	player player
	calls  atomic.Int64

	playing sync.RWMutex // held for reading while an event is played, for writing during a gap

	mu       sync.Mutex             // guards answered
	answered map[bridge.CallID]bool // not verified yet
}

// work plays calls to one agent after the other until stop is closed.
func (s *soak) work(n int, stop <-chan struct{}) {
	endpoint := labAgents[[]string{"ann", "bob", "cleo"}[n%3]]
	for {
		select {
		case <-stop:
			return
		default:
		}
		s.calls.Add(1)
		var call *aritest.Call
		s.step(func() { call = s.player.inbound("+12025550101", "Ada", endpoint) })
		pause(150)
		if rand.IntN(5) == 0 {
			s.step(func() { s.player.play(call.CallerGivesUp()) })
			continue
		}
		s.step(func() { s.player.play(call.Answer(endpoint)) })
		pause(400)
		s.step(func() { s.player.play(call.Hangup()) })
		s.mu.Lock()
		s.answered[bridge.MakeCallID("lab", bridge.ChannelID(call.ID()))] = true
		s.mu.Unlock()
	}
}

// pause waits as people do, up to so many milliseconds.
func pause(most int) { time.Sleep(time.Duration(rand.IntN(most)) * time.Millisecond) }

func (s *soak) step(f func()) {
	s.playing.RLock()
	defer s.playing.RUnlock()
	f()
}

// cut cuts the websocket and lets nothing happen until it is back: what is
// answered and ended within a gap cannot be known to anybody.
func (s *soak) cut() {
	s.playing.Lock()
	defer s.playing.Unlock()
	gaps := s.g.metrics()[`ringlink_ari_reconnects_total{pbx="lab"}`]
	s.fake.Cut()
	s.g.until("the reconnect", func() error {
		if n := s.g.metrics()[`ringlink_ari_reconnects_total{pbx="lab"}`]; n <= gaps {
			return fmt.Errorf("%v reconnects", n)
		}
		return nil
	})
	s.g.ready()
}

// verify checks the calls that have ended since it was last called.
func (s *soak) verify(t *testing.T, db *store.DB, since time.Time) {
	t.Helper()
	s.mu.Lock()
	ended := s.answered
	s.answered = map[bridge.CallID]bool{}
	s.mu.Unlock()
	s.g.until("the pops of the ended calls", func() error {
		rows, err := db.ListPops(t.Context(), screenpop.PopQuery{Since: since, Limit: 10000})
		if err != nil {
			return err
		}
		pops, final := map[bridge.CallID]int{}, map[bridge.CallID]bool{}
		for _, r := range rows {
			pops[r.Call]++
			final[r.Call] = r.State.Final()
		}
		for id := range ended {
			if pops[id] != 1 || !final[id] {
				return fmt.Errorf("call %s has %d pops, final %v", id, pops[id], final[id])
			}
		}
		return nil
	})
	t.Logf("%d answered calls have one pop each, all final", len(ended))
}
