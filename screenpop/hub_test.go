package screenpop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"ringlink/bridge"
	"ringlink/screenpop"
)

func talking(call string) screenpop.CallView {
	return screenpop.CallView{Call: call, State: "talking", Since: time.Now(), Pop: "p" + call}
}

func next(t *testing.T, s *screenpop.Stream) screenpop.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m, err := s.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHubStateFirst(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := screenpop.NewHub(screenpop.HubOptions{})
	defer h.Close()
	empty, err := h.Subscribe(agentOne)
	if err != nil {
		t.Fatal(err)
	}
	if m := next(t, empty); m.Event != "state" || string(m.Data) != "[]" || m.ID != 0 {
		t.Errorf("first message = %+v %s", m, m.Data)
	}
	h.Publish(agentOne, talking("1"))
	h.Publish(agentTwo, talking("2"))
	if m := next(t, empty); m.Event != "call" || m.ID != 1 {
		t.Errorf("second message = %+v", m)
	}
	late, err := h.Subscribe(agentOne)
	if err != nil {
		t.Fatal(err)
	}
	m := next(t, late)
	var list []screenpop.CallView
	if err := json.Unmarshal(m.Data, &list); err != nil || len(list) != 1 || list[0].Call != "1" || m.Event != "state" || m.ID != 1 {
		t.Errorf("state of a late stream = %+v %s %v", m, m.Data, err)
	}
	select {
	case m := <-empty.C():
		t.Errorf("agent one got agent two's call: %s", m.Data)
	default:
	}
}

func TestHubSlowStreamIsCut(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := screenpop.NewHub(screenpop.HubOptions{QueueLength: 3, Metrics: screenpop.NewMetrics(reg)})
	slow, err := h.Subscribe(agentOne)
	if err != nil {
		t.Fatal(err)
	}
	quick, err := h.Subscribe(agentOne)
	if err != nil {
		t.Fatal(err)
	}
	next(t, quick)
	for i := range 10 {
		h.Publish(agentOne, talking(fmt.Sprint(i)))
		if m := next(t, quick); m.ID != uint64(i+1) {
			t.Errorf("message %d has id %d", i+1, m.ID)
		}
	}
	for range 4 { // what was queued before is still there
		next(t, slow)
	}
	if _, err := slow.Next(t.Context()); !errors.Is(err, screenpop.ErrStreamCut) {
		t.Errorf("slow stream ended with %v", err)
	}
	slow.Close() // does nothing
	if n := h.Streams(agentOne); n != 1 {
		t.Errorf("%d streams are open, want 1", n)
	}
	h.Close()
	if n, err := testutil.GatherAndCount(reg, "ringlink_desk_streams_cut_total"); err != nil || n != 1 {
		t.Errorf("%d series, %v", n, err)
	}
}

func TestHubEnds(t *testing.T) {
	h := screenpop.NewHub(screenpop.HubOptions{StreamsPerAgent: 2})
	one, _ := h.Subscribe(agentOne)
	two, _ := h.Subscribe(agentTwo)
	if _, err := h.Subscribe(agentOne); err != nil {
		t.Errorf("second stream: %v", err)
	}
	if _, err := h.Subscribe(agentOne); !errors.Is(err, screenpop.ErrTooManyStreams) {
		t.Errorf("third stream: %v", err)
	}
	h.Revoke(agentOne)
	next(t, one)
	if _, err := one.Next(t.Context()); !errors.Is(err, screenpop.ErrStreamRevoked) {
		t.Errorf("revoked stream ended with %v", err)
	}
	if n := h.Streams(agentTwo); n != 1 {
		t.Errorf("agent two has %d streams, want 1", n)
	}
	h.Close()
	h.Close()
	next(t, two)
	if _, err := two.Next(t.Context()); !errors.Is(err, screenpop.ErrHubClosed) {
		t.Errorf("stream of a closed hub ended with %v", err)
	}
	if _, err := h.Subscribe(agentOne); !errors.Is(err, screenpop.ErrHubClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if n := h.Publish(agentOne, talking("1")); n != 0 {
		t.Errorf("Publish after Close reached %d", n)
	}
}

func TestHubKeeps(t *testing.T) {
	view := func(call, state, pop string) screenpop.CallView {
		return screenpop.CallView{Call: call, State: state, Pop: pop}
	}
	for name, c := range map[string]struct{ in, want []screenpop.CallView }{
		"one card per call":              {[]screenpop.CallView{view("1", "ringing", ""), view("2", "ringing", ""), view("1", "talking", "a")}, []screenpop.CallView{view("1", "talking", "a"), view("2", "ringing", "")}},
		"late end of an earlier turn":    {[]screenpop.CallView{view("1", "talking", "b"), view("1", "ended", "a")}, []screenpop.CallView{view("1", "talking", "b")}},
		"late ringing":                   {[]screenpop.CallView{view("1", "talking", "b"), view("1", "ringing", "")}, []screenpop.CallView{view("1", "talking", "b")}},
		"ringing again after the end":    {[]screenpop.CallView{view("1", "ended", "b"), view("1", "ringing", "")}, []screenpop.CallView{view("1", "ringing", "")}},
		"next turn over the running one": {[]screenpop.CallView{view("1", "talking", "a"), view("1", "talking", "b")}, []screenpop.CallView{view("1", "talking", "b")}},
	} {
		t.Run(name, func(t *testing.T) {
			h := screenpop.NewHub(screenpop.HubOptions{})
			at := time.Now()
			for _, v := range c.in {
				v.Since = at
				h.Publish(agentOne, v)
			}
			for i := range c.want {
				c.want[i].Since = at
			}
			if diff := cmp.Diff(c.want, h.Calls(agentOne)); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHubWrapUpEndsAndListIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := screenpop.NewHub(screenpop.HubOptions{})
		ended := talking("1")
		ended.State = "ended"
		h.Publish(agentOne, ended)
		time.Sleep(screenpop.WrapUp - 1)
		if n := len(h.Calls(agentOne)); n != 1 {
			t.Errorf("%d calls within the wrap-up, want 1", n)
		}
		time.Sleep(time.Nanosecond)
		if n := len(h.Calls(agentOne)); n != 0 {
			t.Errorf("%d calls after the wrap-up, want 0", n)
		}
		s, err := h.Subscribe(agentOne)
		if err != nil {
			t.Fatal(err)
		}
		next(t, s)
		h.Publish(agentOne, ended)
		if len(s.C()) != 0 || len(h.Calls(agentOne)) != 0 {
			t.Error("a late word brought an old card back")
		}
		s.Close()
		h.Publish(agentOne, talking("first"))
		ended.Call, ended.Since = "over", time.Now()
		h.Publish(agentOne, ended)
		for i := range 100 {
			h.Publish(agentOne, talking(fmt.Sprint("x", i)))
		}
		list := h.Calls(agentOne)
		if len(list) != 50 || list[49].Call != "x99" {
			t.Errorf("list has %d calls, the last %q", len(list), list[len(list)-1].Call)
		}
	})
}

// TestHubConcurrent is for the race detector: everything at once, and each
// stream's ids grow by one.
func TestHubConcurrent(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := screenpop.NewHub(screenpop.HubOptions{QueueLength: 4})
	var wg sync.WaitGroup
	for a := range 4 {
		agent := bridge.AgentID(fmt.Sprint(a % 2))
		wg.Go(func() {
			for i := range 500 {
				h.Publish(agent, talking(fmt.Sprint(i%5)))
			}
		})
		wg.Go(func() {
			for range 50 {
				s, err := h.Subscribe(agent)
				if err != nil {
					continue
				}
				first, err := s.Next(context.Background())
				if err != nil {
					continue
				}
				last := first.ID
				for range 10 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
					var m screenpop.Message
					m, err = s.Next(ctx)
					cancel()
					if err != nil {
						break
					}
					if m.ID != last+1 {
						t.Errorf("id %d follows %d", m.ID, last)
					}
					last = m.ID
				}
				s.Close()
			}
			h.Revoke(agent)
		})
	}
	wg.Wait()
	h.Close()
}
