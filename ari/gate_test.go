package ari

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

// queue is an engine's queue of a given room.
type queue struct {
	room int
	got  []string
	gap  time.Duration
}

func (q *queue) emit(ev bridge.Event) bool {
	if q.room == 0 {
		return false
	}
	q.room--
	name := string(ev.Channel.ID)
	if ev.Kind == bridge.EventSourceUp {
		name, q.gap = "UP", ev.Snapshot.Gap
	}
	q.got = append(q.got, name)
	return true
}

func TestGate(t *testing.T) {
	up := func() bridge.Event { return bridge.Event{Kind: bridge.EventSourceUp, Snapshot: &bridge.Snapshot{}} }
	for name, tt := range map[string]struct {
		room   int
		do     func(g *gate, q *queue, deliver func(string))
		want   []string
		gap    time.Duration
		gaps   []string
		asking bool // a resync is asked for at the end
	}{
		"kept until the snapshot": {room: 9, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			deliver("a")
			deliver("b")
			g.settle(up())
			deliver("c")
		}, want: []string{"UP", "a", "b", "c"}},
		"without a snapshot": {room: 9, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			deliver("a")
			g.abandon()
			deliver("b")
			g.begin(true)
			deliver("c")
			g.settle(up())
			deliver("d")
		}, want: []string{"a", "b", "c", "UP", "c", "d"}},
		"queue full, then room": {room: 1, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			g.settle(up())
			deliver("lost")
			q.room = 9
			sleep(context.Background(), 3*time.Second)
			deliver("lost too")
			g.begin(false)
			deliver("a")
			g.settle(up())
		}, want: []string{"UP", "UP", "a"}, gap: 3 * time.Second, gaps: []string{gapQueueFull}},
		"queue full again while the kept ones are emitted": {room: 2, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			deliver("a")
			deliver("lost")
			g.settle(up())
		}, want: []string{"UP", "a"}, gaps: []string{gapQueueFull}, asking: true},
		"no room for the snapshot": {room: 0, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			if _, done := g.settle(up()); done {
				t.Error("settled")
			}
		}, gaps: []string{gapQueueFull}, asking: true},
		"too many kept": {room: 9, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			for range 5 {
				deliver("lost")
			}
			if _, done := g.settle(up()); done {
				t.Error("settled")
			}
			sleep(context.Background(), time.Second)
			g.begin(false)
			deliver("a")
			g.settle(up())
		}, want: []string{"UP", "a"}, gap: time.Second, gaps: []string{gapHoldFull}},
		"a stream that ends": {room: 9, do: func(g *gate, q *queue, deliver func(string)) {
			g.begin(false)
			g.settle(up())
			g.shut(g.clock(), gapDisconnected)
			sleep(context.Background(), time.Minute)
			g.shut(g.clock(), gapDisconnected) // of a stream that never got far: the gap is the same one
			g.begin(false)
			g.settle(up())
			g.settle(up())
		}, want: []string{"UP", "UP", "UP"}, gaps: []string{gapDisconnected}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{room: tt.room}
				var gaps []string
				g := &gate{emit: q.emit, clock: time.Now, limit: 4, missing: make(chan struct{}, 1), onGap: func(c string) { gaps = append(gaps, c) }}
				tt.do(g, q, func(id string) { g.deliver(&bridge.Event{Channel: bridge.Channel{ID: bridge.ChannelID(id)}}) })
				if d := cmp.Diff(tt.want, q.got); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(tt.gaps, gaps); d != "" {
					t.Error(d)
				}
				if q.gap != tt.gap {
					t.Errorf("gap of %v", q.gap)
				}
				if (len(g.missing) == 1) != tt.asking {
					t.Errorf("asking: %v", len(g.missing) == 1)
				}
			})
		})
	}
}
