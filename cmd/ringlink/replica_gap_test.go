package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/screenpop"
)

// transferStream is a recorded blind transfer from ann to bob as a new call:
// the events until ann has the caller, until bob has, and the rest.
func transferStream(t *testing.T, number int) (parts [3][][]byte) {
	t.Helper()
	const flow = "blind_transfer_refer"
	r := recordCall(t, flow)
	events, err := aritest.Load(streamFile(flow))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.pops) != 2 || r.pops[0].Agent != "ann" || r.pops[1].Agent != "bob" {
		t.Fatalf("%s has other pops: %v", flow, r.pops)
	}
	ann, bob := r.from[r.pops[0].Pop], r.from[r.pops[1].Pop]
	for i, e := range events {
		part := 2
		switch {
		case i <= ann:
			part = 0
		case i <= bob:
			part = 1
		}
		parts[part] = append(parts[part], []byte(rename(string(e), number*replayTeams, 0)))
	}
	return parts
}

// A replica whose own line to the PBX is cut shows its desks what another one
// sees: new pops, and where a caller went. Mended, it repeats nothing.
func TestReplicaWithoutPBX(t *testing.T) {
	r := newReplicas(t)
	line := newCable(t, r.fake.URL())
	r.b = streamGateway(t, replicaStore, line.url())
	r.serve(r.a, r.b)
	ann, bob, cleo := r.b.desk("ann"), r.b.desk("bob"), r.b.desk("cleo")
	before := r.play.answered("+12025550103", "", "PJSIP/103")
	old := sees(t, cleo, "+12025550103")
	if err := cleo.shown(t.Context(), old.Pop); err != nil { // an unseen one would wait for a desk's word
		t.Fatal(err)
	}
	line.cut(true)
	r.b.notReady("ari lab", "")
	parts := transferStream(t, 1)
	play := func(events [][]byte) {
		t.Helper()
		if err := r.fake.Play(t.Context(), events, 0); err != nil {
			t.Fatal(err)
		}
	}
	play(parts[0])
	v := within(t, ann, "a pop that only A saw", talking)
	if err := ann.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	within(t, ann, "its state", func(w screenpop.CallView) bool { return w.Pop == v.Pop && w.PopState == string(bridge.PopShown) })
	opens(t, ann, v)
	play(parts[1])
	within(t, ann, "where the caller went", func(w screenpop.CallView) bool {
		return w.Pop == v.Pop && w.State == "ended" && w.PopState == string(bridge.PopSuperseded) && w.To == "Agent Bob" && w.Cause == "transfer"
	})
	w := within(t, bob, "bob's pop", talking)
	r.play.play(before.Hangup())
	within(t, cleo, "the end of a call of before the cut", func(c screenpop.CallView) bool { return c.Pop == old.Pop && c.State == "ended" && c.Cause == "hangup" })
	line.cut(false)
	within(t, bob, "the call that B's own engine has again", func(c screenpop.CallView) bool { return c.Pop == w.Pop && c.State == "talking" && c.Late })
	if err := bob.shown(t.Context(), w.Pop); err != nil {
		t.Fatal(err)
	}
	play(parts[2])
	within(t, bob, "the end", func(c screenpop.CallView) bool { return c.Pop == w.Pop && c.State == "ended" })
	for login, d := range map[string]*deskClient{"ann": ann, "bob": bob, "cleo": cleo} {
		if n := len(d.pops()); n != 1 {
			t.Errorf("%s saw %d pops", login, n)
		}
	}
	if n := len(r.rows()); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// cable carries TCP to a fixed address until it is cut.
type cable struct {
	l  net.Listener
	to string
	wg sync.WaitGroup

	mu    sync.Mutex // guards below
	down  bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{l: l, to: strings.TrimPrefix(to, "http://"), conns: map[net.Conn]bool{}}
	c.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.carry(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); c.cut(true); c.wg.Wait() })
	return c
}

func (c *cable) url() string { return "http://" + c.l.Addr().String() }

// keep notes a connection, or closes it when the cable is cut.
func (c *cable) keep(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		_ = conn.Close()
		return false
	}
	c.conns[conn] = true
	return true
}

func (c *cable) carry(near net.Conn) {
	defer near.Close()
	if !c.keep(near) {
		return
	}
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !c.keep(far) {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(far, near); _ = far.Close() }()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, near)
	delete(c.conns, far)
}

// cut(true) ends every connection and takes no new ones; cut(false) mends.
func (c *cable) cut(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	for conn := range c.conns {
		if down {
			_ = conn.Close()
		}
	}
}
