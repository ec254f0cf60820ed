package ari

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"ringlink/ari/aritest"
	"ringlink/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of the tests; none waits for it to pass.
const patience = 20 * time.Second

// rig is a Source that listens to a fake Asterisk.
type rig struct {
	t    *testing.T
	ctx  context.Context
	fake *aritest.Asterisk
	src  *Source
	reg  *prometheus.Registry
	logs *logLines
	stop func() // ends the Source and waits for it

	mu     sync.Mutex // guards what follows
	full   bool       // Emit refuses
	events []bridge.Event
	came   chan struct{}
}

// emit is the engine's queue.
func (r *rig) emit(ev bridge.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return false
	}
	r.events = append(r.events, ev)
	close(r.came)
	r.came = make(chan struct{})
	return true
}

func (r *rig) setFull(full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full = full
}

// logLines collects what is logged.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func newFake(t *testing.T) *aritest.Asterisk {
	t.Helper()
	fake, err := aritest.New(aritest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fake.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return fake
}

// newRig makes a Source with the short times that the tests need; change may
// change its options. It is started by start.
func newRig(t *testing.T, fake *aritest.Asterisk, change func(*Options)) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, fake: fake, reg: prometheus.NewRegistry(), logs: new(logLines), came: make(chan struct{})}
	opt := Options{
		PBX: "pbx1", URL: fake.URL(), User: "ringlink", Password: "secret", App: "ringlink-1",
		Emit: r.emit, Registerer: r.reg, Logger: testLogger(r.logs),
		RequestTimeout: patience / 4, // a busy machine is no fault; the tests of time-outs set their own
		RetryMin:       5 * time.Millisecond, RetryMax: 20 * time.Millisecond, RetryRefused: 20 * time.Millisecond,
	}
	if change != nil {
		change(&opt)
	}
	src, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r.src = src
	return r
}

func (r *rig) start() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.src.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// await waits until the events since from satisfy ok and returns all events.
func (r *rig) await(what string, ok func([]bridge.Event) bool) []bridge.Event {
	r.t.Helper()
	for {
		r.mu.Lock()
		events, came := r.events[:len(r.events):len(r.events)], r.came
		r.mu.Unlock()
		if ok(events) {
			return events
		}
		select {
		case <-came:
		case <-r.ctx.Done():
			r.t.Fatalf("no %s; status %+v; events %v", what, r.src.Status(), kinds(events))
		}
	}
}

// ups waits for the n-th EventSourceUp and returns it.
func (r *rig) ups(n int) bridge.Event {
	r.t.Helper()
	var found bridge.Event
	r.await("source up", func(events []bridge.Event) bool {
		seen := 0
		for _, ev := range events {
			if ev.Kind == bridge.EventSourceUp {
				if seen++; seen == n {
					found = ev
				}
			}
		}
		return seen >= n
	})
	return found
}

// status waits for a status; it is polled, as nothing announces it.
func (r *rig) status(what string, ok func(Status) bool) Status {
	r.t.Helper()
	for {
		st := r.src.Status()
		if ok(st) {
			return st
		}
		select {
		case <-time.After(time.Millisecond):
		case <-r.ctx.Done():
			r.t.Fatalf("status never %s: %+v", what, st)
		}
	}
}

func (r *rig) reason(reason string) Status {
	r.t.Helper()
	return r.status(reason, func(st Status) bool { return st.Reason == reason })
}

func (r *rig) ready() Status {
	r.t.Helper()
	return r.status("ready", Status.Ready)
}

func (r *rig) play(events ...[]byte) {
	r.t.Helper()
	if err := r.fake.Play(r.ctx, events, 0); err != nil {
		r.t.Fatal(err)
	}
}

func kinds(events []bridge.Event) []bridge.EventKind {
	var out []bridge.EventKind
	for _, ev := range events {
		out = append(out, ev.Kind)
	}
	return out
}

// countKind tells how many events of a kind, about a channel, there are.
func countKind(events []bridge.Event, kind bridge.EventKind, id bridge.ChannelID) int {
	n := 0
	for _, ev := range events {
		if ev.Kind == kind && ev.Channel.ID == id {
			n++
		}
	}
	return n
}

func (r *rig) results(result string) float64 {
	return testutil.ToFloat64(r.src.opt.Metrics.events.WithLabelValues("pbx1", result))
}

func (r *rig) gaps(cause string) float64 {
	return testutil.ToFloat64(r.src.opt.Metrics.gaps.WithLabelValues("pbx1", cause))
}

// said tells how often a reason was logged.
func (l *logLines) said(reason string) int { return l.count(fmt.Sprintf("reason=%q", reason)) }
