package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/figures"
	"ringlink/store/storetest"
)

// figureEvents is the time from the PBX's write of the event that answers a
// call to the desk's read of its pop, over a replay of recorded streams: once at
// a busy site's pace, once as fast as the PBX can write. The peer, which is a
// floor, does nothing but read the websocket and write to an open response.
func figureEvents(t *testing.T, table *figures.Table) {
	subjects := []struct {
		name string
		aim  float64 // ms, of the p99
		take func(pace bool) (latencies, time.Duration)
		slow []latencies // a round each
		flat []latencies
		rate []float64
	}{
		{name: "SQLite", aim: 2, take: newReplayed(t, "").round},
		{name: "Postgres", aim: 5, take: newReplayed(t, storetest.Postgres(t)).round},
		{name: "relay", take: newRelay(t).round},
	}
	for range rounds {
		for i := range subjects {
			s := &subjects[i]
			l, _ := s.take(true)
			s.slow = append(s.slow, l)
			l, took := s.take(false)
			s.flat = append(s.flat, l)
			s.rate = append(s.rate, replayEvents/took.Seconds())
		}
	}
	relay := subjects[2]
	for _, s := range subjects[:2] {
		for _, q := range []float64{0.5, 0.99} {
			f := figures.Figure{
				Name: fmt.Sprintf("event to desk, %s, %d calls/s: p%.0f", s.name, replayRate, q*100), Unit: "ms",
				Ours: quantiles(s.slow, q), PeerName: "bare relay", Peer: quantiles(relay.slow, q),
			}
			if q == 0.99 {
				f.Aim, f.Met = below(s.aim, "ms", f.Ours)
			}
			table.Add(f)
		}
		table.Note("all rounds: %s; bare relay: %s", pooled(s.slow), pooled(relay.slow))
		for _, q := range []float64{0.5, 0.99} {
			table.Add(figures.Figure{
				Name: fmt.Sprintf("event to desk, %s, flat out: p%.0f", s.name, q*100), Unit: "ms",
				Ours: quantiles(s.flat, q), PeerName: "bare relay", Peer: quantiles(relay.flat, q),
			})
		}
		table.Note("all rounds: %s; flat out is %.0f events/s", pooled(s.flat), figures.Median(s.rate))
	}
}

// play writes a replay to every application and says when each event was
// written. With pace it goes by the recorded times; else as fast as it can.
func play(t testing.TB, fake *aritest.Asterisk, list []replayed, pace bool) (sent []time.Time, took time.Duration) {
	t.Helper()
	sent = make([]time.Time, len(list))
	timer := time.NewTimer(0)
	<-timer.C
	began := time.Now()
	for i, r := range list {
		if wait := r.at - time.Since(began); pace && wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-t.Context().Done():
				t.Fatal("the test ended")
			}
		}
		sent[i] = time.Now()
		fake.Send(r.text) // its state does not follow: nobody asks for it
	}
	return sent, time.Since(began)
}

// replayedGateway is a gateway with desks, its fake Asterisk, and the number
// of the calls that it has had.
type replayedGateway struct {
	t     *testing.T
	g     *gateway
	fake  *aritest.Asterisk
	desks map[string]*deskClient
	calls int
}

func newReplayed(t *testing.T, dsn string) *replayedGateway {
	t.Helper()
	fake, at := startFake(t)
	r := &replayedGateway{t: t, g: newBenchGateway(t, at, dsn), fake: fake, desks: map[string]*deskClient{}, calls: 1}
	for team := range replayTeams {
		for login := range labAgents {
			name, endpoint := replayAgent(login, team)
			r.g.ringlink(labPassword(name)+"\n", "user", "add", name)
			r.g.ringlink("", "agent", "map", name, "lab", endpoint)
		}
	}
	r.g.importText(labDirectory)
	r.g.startReleased()
	for team := range replayTeams {
		for login := range labAgents {
			name, _ := replayAgent(login, team)
			r.desks[name] = r.g.reportingDesk(name)
		}
	}
	return r
}

// round plays a replay and returns each pop's delay.
func (r *replayedGateway) round(pace bool) (delays latencies, took time.Duration) {
	r.t.Helper()
	list, calls := replay(r.t, r.calls, replayEvents, time.Now())
	r.calls += calls
	sent, took := play(r.t, r.fake, list, pace)
	for i, e := range list {
		for n, id := range e.pops {
			arrived := r.await(e.who[n], id)
			delays = append(delays, milliseconds(arrived.Sub(sent[i])))
		}
	}
	return delays, took
}

func (r *replayedGateway) await(agent string, id bridge.PopID) time.Time {
	r.t.Helper()
	r.g.until("a pop of "+agent, func() error {
		if r.desks[agent].arrived(string(id)).IsZero() {
			return fmt.Errorf("pop %s has not come", id)
		}
		return nil
	})
	return r.desks[agent].arrived(string(id))
}

// relay is the floor: what comes in on the websocket goes out on an open HTTP
// response if it has to do with a bridge, with no thought in between. It is in
// the test's own process, so that one change of process less is in its times.
type relay struct {
	t    *testing.T
	fake *aritest.Asterisk

	mu      sync.Mutex // guards below
	arrived []time.Time
	changed chan struct{} // closed and renewed when arrived grows
}

var enters = []byte(`"type":"ChannelEnteredBridge"`)

func newRelay(t *testing.T) *relay {
	t.Helper()
	fake, at := startFake(t)
	r := &relay{t: t, fake: fake, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := dialEvents(ctx, eventsAddress(at, "relay"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { pass(ctx, conn, w) })}
	var parts sync.WaitGroup
	parts.Go(func() { _ = srv.Serve(l) })
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	parts.Go(func() { r.read(resp) })
	t.Cleanup(func() {
		cancel()
		_ = conn.CloseNow()
		_ = resp.Body.Close()
		_ = srv.Close()
		parts.Wait()
	})
	return r
}

// pass writes a message for each event of a bridge, as server-sent events are.
func pass(ctx context.Context, conn *websocket.Conn, w http.ResponseWriter) {
	c := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	_ = c.Flush()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if bytes.Contains(text, enters) {
			fmt.Fprintf(w, "data: %s\n\n", text)
			_ = c.Flush()
		}
	}
}

func (r *relay) read(resp *http.Response) {
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("data: ")) {
			continue
		}
		now := time.Now()
		r.mu.Lock()
		r.arrived = append(r.arrived, now)
		close(r.changed)
		r.changed = make(chan struct{})
		r.mu.Unlock()
	}
}

// round plays a replay; what comes back is in the order of what went out.
func (r *relay) round(pace bool) (delays latencies, took time.Duration) {
	r.t.Helper()
	list, _ := replay(r.t, 1, replayEvents, time.Now())
	r.mu.Lock()
	r.arrived = nil
	r.mu.Unlock()
	sent, took := play(r.t, r.fake, list, pace)
	var due []time.Time
	for i, e := range list {
		if bytes.Contains(e.text, enters) {
			due = append(due, sent[i])
		}
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for {
		r.mu.Lock()
		arrived, changed := r.arrived, r.changed
		r.mu.Unlock()
		if len(arrived) >= len(due) {
			for i := range due {
				delays = append(delays, milliseconds(arrived[i].Sub(due[i])))
			}
			return delays, took
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("%d of %d events came through the relay", len(arrived), len(due))
		}
	}
}
