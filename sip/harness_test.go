package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"ringlink/bridge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// door is a Server that runs on loopback, and what it emitted.
type door struct {
	*Server
	t        *testing.T
	registry *prometheus.Registry
	events   chan bridge.Event
	run      chan error
	cancel   context.CancelFunc
}

func open(t *testing.T, change func(*Options)) *door {
	t.Helper()
	d := &door{t: t, registry: prometheus.NewRegistry(), events: make(chan bridge.Event, 4096), run: make(chan error, 1)}
	o := Options{
		PBX: "pbx1", Listen: "127.0.0.1:0", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		CallNumberHeaders: []string{"X-Call-Number"}, FinalAfter: time.Minute, Ring: true, Registerer: d.registry,
		Emit: func(ev bridge.Event) bool { d.events <- ev; return true },
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	go func() { d.run <- s.Run(ctx) }()
	t.Cleanup(d.stop)
	return d
}

// stop ends the Server once and demands that it ends well.
func (d *door) stop() {
	if d.cancel == nil {
		return
	}
	d.cancel()
	d.cancel = nil
	select {
	case err := <-d.run:
		if err != nil {
			d.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		d.t.Error("Run does not return")
	}
}

func (d *door) event(kind bridge.EventKind) bridge.Event {
	d.t.Helper()
	select {
	case ev := <-d.events:
		if ev.Kind != kind || ev.PBX != "pbx1" || ev.Received.IsZero() || ev.Invite == nil {
			d.t.Fatalf("got event %+v, want kind %d", ev, kind)
		}
		return ev
	case <-time.After(patience):
		d.t.Fatalf("no event of kind %d", kind)
		return bridge.Event{}
	}
}

// none demands that nothing was emitted; the caller has seen a later answer.
func (d *door) none() {
	d.t.Helper()
	select {
	case ev := <-d.events:
		d.t.Fatalf("unexpected event %+v of %+v", ev, ev.Invite)
	default:
	}
}

// counter sums a metric's series whose labels hold result.
func (d *door) counter(name, result string) float64 {
	d.t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			match := result == ""
			for _, l := range m.GetLabel() {
				match = match || l.GetName() == "result" && l.GetValue() == result
			}
			if f.GetName() == name && match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// phone is a raw socket that speaks to a door.
type phone struct {
	t    *testing.T
	conn net.PacketConn
	to   net.Addr
}

func (d *door) phone(from string) *phone {
	d.t.Helper()
	conn, err := net.ListenPacket("udp", from)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return &phone{d.t, conn, d.Addr()}
}

func (p *phone) send(msg string) {
	p.t.Helper()
	if _, err := p.conn.WriteTo([]byte(msg), p.to); err != nil {
		p.t.Fatal(err)
	}
}

// answer reads the next answer and demands its status.
func (p *phone) answer(code int) *gosip.Response {
	p.t.Helper()
	buf := make([]byte, 65536)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	n, _, err := p.conn.ReadFrom(buf)
	if err != nil {
		p.t.Fatalf("no answer, want %d: %v", code, err)
	}
	msg, err := gosip.ParseMessage(buf[:n])
	if err != nil {
		p.t.Fatal(err)
	}
	res, ok := msg.(*gosip.Response)
	if !ok || res.StatusCode != code {
		p.t.Fatalf("got %q, want %d", buf[:n], code)
	}
	return res
}

// until reads answers up to one with this Call-ID.
func (p *phone) until(callID string) {
	p.t.Helper()
	buf := make([]byte, 65536)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			p.t.Fatalf("no answer to %s: %v", callID, err)
		}
		if strings.Contains(string(buf[:n]), "\r\nCall-ID: "+callID+"\r\n") {
			return
		}
	}
}

// probe proves by an OPTIONS that all that was sent before is handled and that
// it got no answer.
func (p *phone) probe() {
	p.t.Helper()
	p.send(request("OPTIONS", "probe"))
	if id := p.answer(200).CallID().Value(); id != "probe" {
		p.t.Fatalf("the answer is to %q", id)
	}
}

// request writes a request whose transaction is named by id.
func request(method, id string, headers ...string) string {
	lines := []string{
		fmt.Sprintf("%s sip:+12025550142@ringlink.example.com SIP/2.0", method),
		"Via: SIP/2.0/UDP pbx.example.com:5060;branch=z9hG4bK" + id + ";rport",
		"Max-Forwards: 70",
		`From: "Ann Example" <sip:+12025550123@pbx.example.com>;tag=a1`,
		"To: <sip:+12025550142@ringlink.example.com>",
		"Call-ID: " + id,
		"CSeq: 1 " + method,
	}
	return strings.Join(append(append(lines, headers...), "Content-Length: 0"), "\r\n") + "\r\n\r\n"
}

// tagOf returns the To tag of an answer.
func tagOf(t *testing.T, res *gosip.Response) string {
	t.Helper()
	tag, ok := res.To().Params.Get("tag")
	if !ok || tag == "" {
		t.Fatalf("no To tag in %s", res)
	}
	return tag
}
