package sip

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ringlink/bridge"
)

func TestPanicIsAnswered(t *testing.T) {
	var fuse atomic.Bool
	fuse.Store(true)
	d := open(t, func(o *Options) {
		emit := o.Emit
		o.Emit = func(ev bridge.Event) bool {
			if fuse.Load() {
				panic("+12025550123")
			}
			return emit(ev)
		}
	})
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1"))
	p.answer(180)
	p.answer(500)
	p.send(request("INVITE", "c1"))
	p.answer(500) // the transaction's last answer
	p.send(request("ACK", "c1"))
	fuse.Store(false)
	p.send(request("INVITE", "c2"))
	p.answer(180)
	if id := d.event(bridge.EventInvite).Invite.CallID; id != "c2" {
		t.Errorf("event of %s", id)
	}
	fuse.Store(true) // and where the CANCEL's event panics
	p.send(request("CANCEL", "c2"))
	p.answer(200)
	p.answer(487)
	p.send(request("ACK", "c2"))
	p.probe() // no 500: both have their final answer
	fuse.Store(false)
	if n := d.counter("ringlink_sip_panics_total", ""); n != 2 {
		t.Errorf("%v panics counted, want 2", n)
	}
}

func TestFullQueueIsCounted(t *testing.T) {
	d := open(t, func(o *Options) { o.Emit = func(bridge.Event) bool { return false } })
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1"))
	p.answer(180)
	p.probe()
	if n := d.counter("ringlink_sip_events_lost_total", ""); n != 1 {
		t.Errorf("%v events lost, want 1", n)
	}
}

func TestListenerComesBack(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1"))
	p.answer(180)
	d.event(bridge.EventInvite)
	d.mu.Lock()
	conn := d.conn
	d.mu.Unlock()
	began := time.Now()
	conn.Close()
	for d.counter("ringlink_sip_listener_restarts_total", "") == 0 || d.Ready() != nil {
		if time.Since(began) > time.Second {
			t.Fatalf("not back after a second: %v", d.Ready())
		}
		time.Sleep(time.Millisecond)
	}
	p.send(request("CANCEL", "c1")) // the call has outlived its socket
	p.answer(200)
	p.answer(487)
	d.event(bridge.EventInviteEnded)
}

func TestStopGivesBranchesBack(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1"))
	p.answer(180)
	d.event(bridge.EventInvite)
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	d.stop()
	p.answer(480)
	d.event(bridge.EventInviteEnded)
	if d.Ready() == nil {
		t.Error("ready after its end")
	}
	conn, err := net.ListenPacket("udp", d.Addr().String())
	if err != nil {
		t.Fatalf("the socket is not closed: %v", err)
	}
	conn.Close()
}

func TestCloseIsForGood(t *testing.T) {
	d := open(t, nil)
	d.phone("127.0.0.1:0").probe()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-d.run; err != nil {
		t.Error(err)
	}
	if err := d.Run(context.Background()); err != nil {
		t.Error(err)
	}
	d.cancel()
	d.cancel = nil // Run has ended already
}

func TestForeignConnThatIsClosed(t *testing.T) {
	wire := newWire()
	s, err := New(Options{PBX: "pbx1", Conn: wire, Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Emit: func(bridge.Event) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	wire.Close()
	if err := s.Run(context.Background()); err == nil {
		t.Error("Run returns nil without a socket")
	}
}

// wire is a net.PacketConn without a kernel, so that time can be false.
type wire struct {
	in     chan string
	out    chan string
	closed chan struct{}
	late   chan struct{}
	once   sync.Once
	over   sync.Once
}

func newWire() *wire {
	return &wire{in: make(chan string), out: make(chan string, 100), closed: make(chan struct{}), late: make(chan struct{})}
}

func (w *wire) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case msg := <-w.in:
		return copy(p, msg), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5060}, nil
	case <-w.closed:
		return 0, nil, net.ErrClosed
	case <-w.late:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (w *wire) WriteTo(p []byte, _ net.Addr) (int, error) {
	w.out <- string(p)
	return len(p), nil
}

func (w *wire) Close() error { w.once.Do(func() { close(w.closed) }); return nil }

func (w *wire) SetReadDeadline(time.Time) error { w.over.Do(func() { close(w.late) }); return nil }

func (w *wire) SetDeadline(time.Time) error { return nil }

func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060} }

// The default of 5 s, the repeated 480 (Timer G) until Timer H gives up, and
// then nothing is held; the bubble sees to it that no goroutine is left.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newWire()
		var kinds []bridge.EventKind
		s, err := New(Options{PBX: "pbx1", Conn: wire, Ring: true, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
			Emit: func(ev bridge.Event) bool { kinds = append(kinds, ev.Kind); return true }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		run := make(chan error)
		go func() { run <- s.Run(ctx) }()
		began := time.Now()
		wire.in <- request("INVITE", "c1")
		if got := <-wire.out; !strings.HasPrefix(got, "SIP/2.0 180 ") {
			t.Error(got)
		}
		if got, after := <-wire.out, time.Since(began); !strings.HasPrefix(got, "SIP/2.0 480 ") || after != defaultFinalAfter {
			t.Errorf("%s after %s", got, after)
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := len(wire.out); n < 9 || n > 11 || s.pending() != 1 {
			t.Errorf("480 was repeated %d times, %v held", n, s.pending())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.pending() != 0 || len(s.calls) != 0 {
			t.Errorf("%v held after Timer H, %d calls", s.pending(), len(s.calls))
		}
		wire.in <- request("INVITE", "c2")
		synctest.Wait()
		cancel()
		if err := <-run; err != nil {
			t.Error(err)
		}
		if len(kinds) != 4 || kinds[2] != bridge.EventInvite || kinds[3] != bridge.EventInviteEnded {
			t.Errorf("events %v", kinds)
		}
	})
}
