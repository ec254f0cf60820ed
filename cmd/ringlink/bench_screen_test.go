package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ringlink/cmd/internal/figures"
	"ringlink/cmd/internal/lab"
)

// drawnMarks is what the desk's page noted of each pop, in ms since 1970, and by
// how much the page's clock is off by now: it counts from when the page was loaded.
const drawnMarks = `({
	drawn: Object.fromEntries(performance.getEntriesByName('ringlink:drawn').map(m => [m.detail.pop, performance.timeOrigin + m.startTime])),
	off: performance.timeOrigin + performance.now() - Date.now(),
})`

// figureScreen is the time from Asterisk's own timestamp of the event that
// connects caller and agent to the card standing drawn in a real Chromium; and
// on the way, to a bare reader's read of that event, which is the peer: nobody
// can be sooner, and to the read of the pop by a desk without a browser.
func figureScreen(t *testing.T, table *figures.Table) {
	const callsEach = 10
	a, g := newLoad(t)
	g.startReleased()
	d := g.desk(loadAgent)
	tab := lab.StartChromium(t)
	g.signIn(tab, loadAgent)
	watch := watchConnects(t, a)

	lab.SIPpRate(t, a, "5030", 1, 2) // the first are slower for all: code is loaded
	expected := 2
	var drawn, desk, bare []latencies
	for range rounds {
		from := expected
		lab.SIPpRate(t, a, "5030", 1, callsEach)
		expected += callsEach
		var marks struct {
			Drawn map[string]float64
			Off   float64
		}
		g.until("the cards", func() error {
			marks = look(t, tab, chromedp.Evaluate[struct {
				Drawn map[string]float64
				Off   float64
			}](drawnMarks))
			if len(marks.Drawn) != expected || len(d.pops()) != expected {
				return fmt.Errorf("%d calls, %d pops, %d cards", expected, len(d.pops()), len(marks.Drawn))
			}
			return nil
		})
		if math.Abs(marks.Off) > 2 {
			t.Logf("the page's clock is off by %.1f ms", marks.Off)
		}
		unique := map[string]string{}
		for _, row := range g.pops() {
			unique[row.Pop] = row.UniqueID
		}
		var ofCards, ofDesk, ofBare latencies
		for _, pop := range d.pops()[from:] {
			c, ok := watch.connect(unique[pop])
			if !ok {
				t.Fatalf("pop %s: nothing connected call %q", pop, unique[pop])
			}
			ofCards = append(ofCards, marks.Drawn[pop]-float64(c.stamp.UnixMicro())/1000)
			ofDesk = append(ofDesk, milliseconds(d.arrived(pop).Sub(c.stamp)))
			ofBare = append(ofBare, milliseconds(c.read.Sub(c.stamp)))
		}
		drawn, desk, bare = append(drawn, ofCards), append(desk, ofDesk), append(bare, ofBare)
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p95", 0.95}, {"max", 1}} {
		table.Add(figures.Figure{
			Name: "real Asterisk's event to drawn in Chromium: " + q.name, Unit: "ms", Ours: quantiles(drawn, q.at),
			PeerName: "bare reader of ARI", Peer: quantiles(bare, q.at),
		})
	}
	table.Note("all %d calls: drawn %s", rounds*callsEach, pooled(drawn))
	table.Note("to the desk's stream, no browser: %s", pooled(desk))
	table.Note("to a bare reader of ARI: %s", pooled(bare))
}

// connects are the moments at which an outside channel and another came to
// share a bridge, as an ARI reader of its own saw them.
type connects struct {
	mu  sync.Mutex // guards below
	all map[string]connect
}

// connect is such a moment: by Asterisk's clock, and when we had read of it.
type connect struct{ stamp, read time.Time }

func (c *connects) connect(channel string) (connect, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.all[channel]
	return found, ok
}

func watchConnects(t testing.TB, a *lab.Asterisk) *connects {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := dialEvents(ctx, eventsAddress(site{a.URL(), a.User(), a.Password()}, "bench-watch"))
	if err != nil {
		t.Fatal(err)
	}
	c := &connects{all: map[string]connect{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			c.note(text, time.Now())
		}
	}()
	t.Cleanup(func() { cancel(); <-done; _ = conn.CloseNow() })
	return c
}

// note keeps the first event by which a bridge has two channels.
func (c *connects) note(text []byte, now time.Time) {
	var e struct {
		Type, Timestamp string
		Bridge          struct{ Channels []string }
	}
	if json.Unmarshal(text, &e) != nil || e.Type != "ChannelEnteredBridge" || len(e.Bridge.Channels) < 2 {
		return
	}
	stamp, err := time.Parse(stampLayout, e.Timestamp)
	if err != nil {
		return // a call without its moment is missed later
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range e.Bridge.Channels {
		if _, again := c.all[id]; !again {
			c.all[id] = connect{stamp, now}
		}
	}
}
