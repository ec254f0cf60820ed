package sip

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

func TestCancel(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1", "X-Call-Number: 48213"))
	tag := tagOf(t, p.answer(180))
	got := d.event(bridge.EventInvite).Invite
	want := &bridge.Invite{CallID: "c1", Caller: "+12025550123", CallerName: "Ann Example", Dialled: "+12025550142",
		CallNumber: "48213", Source: p.conn.LocalAddr().String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	p.send(request("CANCEL", "c1", `Reason: SIP;cause=200;text="Call completed elsewhere"`))
	if ok := p.answer(200); tagOf(t, ok) != tag || ok.CSeq().MethodName != "CANCEL" {
		t.Errorf("the answer to the CANCEL is %s", ok)
	}
	if final := p.answer(487); tagOf(t, final) != tag || final.CSeq().MethodName != "INVITE" {
		t.Errorf("the final answer is %s", final)
	}
	if ev := d.event(bridge.EventInviteEnded); ev.Cause != causeAnsweredElsewhere || ev.Invite.CallID != "c1" {
		t.Errorf("ended as %+v", ev)
	}
	p.send(request("ACK", "c1"))
	p.send(request("CANCEL", "c1")) // a second one changes nothing
	p.answer(200)
	p.probe()
	d.none()
}

func TestFinalAndRetransmissions(t *testing.T) {
	d := open(t, func(o *Options) { o.FinalAfter = 300 * time.Millisecond })
	p := d.phone("127.0.0.1:0")
	for range 4 {
		p.send(request("INVITE", "c1"))
	}
	tag := tagOf(t, p.answer(180))
	for range 3 {
		if again := tagOf(t, p.answer(180)); again != tag {
			t.Errorf("tag %q, then %q", tag, again)
		}
	}
	d.event(bridge.EventInvite)
	if again := tagOf(t, p.answer(480)); again != tag {
		t.Errorf("tag %q, then %q", tag, again)
	}
	d.event(bridge.EventInviteEnded)
	p.send(request("ACK", "c1"))
	p.send(request("INVITE", "c1")) // late, after the ACK: absorbed
	p.send(request("CANCEL", "c1"))
	p.answer(200)
	p.probe()
	d.none()
	if n := d.counter("ringlink_sip_requests_total", "retransmission"); n != 4 {
		t.Errorf("%v retransmissions, want 4", n)
	}
}

func TestForkedBranchesAreOneCall(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	first := request("INVITE", "c1")
	second := strings.Replace(first, "z9hG4bKc1", "z9hG4bKother", 1)
	p.send(first)
	p.answer(180)
	p.send(second)
	p.answer(180)
	d.event(bridge.EventInvite)
	p.send(request("CANCEL", "c1"))
	p.answer(200)
	p.answer(487)
	p.send(request("ACK", "c1"))
	p.probe()
	d.none()
	p.send(strings.Replace(request("CANCEL", "c1"), "z9hG4bKc1", "z9hG4bKother", 1))
	p.answer(200)
	p.answer(487)
	d.event(bridge.EventInviteEnded)
}

func TestAnswers(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	inDialog := func(method string) string {
		return strings.Replace(request(method, "x"), "To: <sip:+12025550142@ringlink.example.com>", "To: <sip:+12025550142@ringlink.example.com>;tag=b2", 1)
	}
	without := func(header string) string {
		lines := strings.Split(request("INVITE", "x"), "\r\n")
		var kept []string
		for _, l := range lines {
			if !strings.HasPrefix(l, header+":") {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "\r\n")
	}
	for _, tc := range []struct {
		name, msg string
		code      int
		header    string // that the answer must hold
	}{
		{"options", request("OPTIONS", "x"), 200, "Allow: " + allow},
		{"register", request("REGISTER", "x"), 405, "Allow: " + allow},
		{"message", request("MESSAGE", "x"), 405, "Allow: " + allow},
		{"a method of its own", request("invite", "x"), 405, "Allow: " + allow},
		{"stray CANCEL", request("CANCEL", "x"), 481, ""},
		{"stray BYE", request("BYE", "x"), 481, ""},
		{"BYE in a dialog", inDialog("BYE"), 481, ""},
		{"re-INVITE", inDialog("INVITE"), 481, ""},
		{"UPDATE in a dialog", inDialog("UPDATE"), 481, ""},
		{"no From", without("From"), 400, ""},
		{"no To", without("To"), 400, ""},
		{"no Call-ID", without("Call-ID"), 400, ""},
		{"long Call-ID", request("INVITE", strings.Repeat("x", maxCallID+1)), 400, ""},
		{"Require", request("INVITE", "x", "Require: 100rel"), 420, "Unsupported: 100rel"},
		{"scheme", strings.Replace(request("INVITE", "x"), "INVITE sip:", "INVITE nobody:", 1), 416, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p.t = t
			p.send(tc.msg)
			res := p.answer(tc.code)
			if !strings.Contains(res.String(), tc.header) {
				t.Errorf("%q is not in %s", tc.header, res)
			}
			for _, banner := range []string{"Server", "User-Agent"} {
				if res.GetHeader(banner) != nil {
					t.Errorf("%s has a banner", res)
				}
			}
		})
	}
	p.t = t
	p.send(request("ACK", "stray"))
	p.send(without("Via"))
	p.send(strings.Replace(request("INVITE", "x"), "pbx.example.com:5060", "pbx.example.com:port", 1))
	p.probe()
	d.none()
	if n := d.counter("ringlink_sip_requests_total", "unanswerable"); n != 2 {
		t.Errorf("%v unanswerable, want 2", n)
	}
}

func TestTryingOnly(t *testing.T) {
	d := open(t, func(o *Options) { o.Ring = false })
	p := d.phone("127.0.0.1:0")
	p.send(request("INVITE", "c1"))
	p.answer(100)
	d.event(bridge.EventInvite)
}

func TestOverload(t *testing.T) {
	d := open(t, func(o *Options) { o.Invites = 2 })
	p := d.phone("127.0.0.1:0")
	for _, id := range []string{"c1", "c2"} {
		p.send(request("INVITE", id))
		p.answer(180)
		d.event(bridge.EventInvite)
	}
	for range 3 {
		p.send(request("INVITE", "c3"))
		if res := p.answer(503); res.GetHeader("Retry-After") == nil {
			t.Errorf("no Retry-After in %s", res)
		}
	}
	p.send(request("ACK", "c3"))
	p.probe()
	d.none()
	if n := d.counter("ringlink_sip_invites", ""); n != 2 {
		t.Errorf("%v transactions are held", n)
	}
}

func TestUnlistedSourceHearsNothing(t *testing.T) {
	d := open(t, func(o *Options) { o.Allow = []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.2/128")} })
	stranger, friend := d.phone("127.0.0.1:0"), d.phone("127.0.0.2:0")
	for _, method := range []string{"INVITE", "OPTIONS", "REGISTER", "CANCEL"} {
		stranger.send(request(method, "x"))
	}
	friend.probe() // loopback keeps order: all of the stranger's is handled
	d.none()
	if n := d.counter("ringlink_sip_datagrams_total", "unlisted"); n != 4 {
		t.Errorf("%v unlisted, want 4", n)
	}
	if err := stranger.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := stranger.conn.ReadFrom(make([]byte, 2048)); err == nil {
		t.Errorf("the stranger got %d bytes", n)
	}
}

// A claim of "received" and a Via that names another host change nothing in
// where the answer goes; without rport it goes to the Via's port (RFC 3261
// section 18.2.2).
func TestWhereAnswersGo(t *testing.T) {
	d := open(t, nil)
	p, other := d.phone("127.0.0.1:0"), d.phone("127.0.0.1:0")
	_, port, err := net.SplitHostPort(other.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	p.send(strings.NewReplacer("pbx.example.com:5060", "192.0.2.99:"+port, ";rport", ";received=192.0.2.77;maddr=192.0.2.66").Replace(request("OPTIONS", "x")))
	via := other.answer(200).Via()
	if got, _ := via.Params.Get("received"); got != "127.0.0.1" || via.Params.Has("rport") {
		t.Errorf("Via is %s", via)
	}
	p.send(request("OPTIONS", "x"))
	via = p.answer(200).Via()
	_, port, err = net.SplitHostPort(p.conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := via.Params.Get("rport"); got != port {
		t.Errorf("Via is %s, want rport %s", via, port)
	}
}

func TestIPv6(t *testing.T) {
	d := open(t, func(o *Options) {
		o.Listen = "[::]:0"
		o.Allow = append(o.Allow, netip.MustParsePrefix("::1/128"))
	})
	_, port, err := net.SplitHostPort(d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "::1"} { // the first arrives as ::ffff:127.0.0.1
		p := d.phone(net.JoinHostPort(host, "0"))
		if p.to, err = net.ResolveUDPAddr("udp", net.JoinHostPort(host, port)); err != nil {
			t.Fatal(err)
		}
		p.send(request("INVITE", host))
		p.answer(180)
		if src := netip.MustParseAddrPort(d.event(bridge.EventInvite).Invite.Source); src.Addr().String() != host {
			t.Errorf("source %s, want %s", src, host)
		}
	}
}

// An answer that carries 40 Vias is larger than what sipgo would send (S9).
func TestLargeAnswer(t *testing.T) {
	d := open(t, nil)
	p := d.phone("127.0.0.1:0")
	vias := make([]string, 40)
	for i := range vias {
		vias[i] = "Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bK" + strings.Repeat("v", 50)
	}
	for range 4 {
		p.send(request("INVITE", "c1", vias...))
		if res := p.answer(180); len(res.GetHeaders("Via")) != 41 {
			t.Errorf("%d Vias", len(res.GetHeaders("Via")))
		}
	}
	d.event(bridge.EventInvite)
	d.none()
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Options{FinalAfter: time.Hour, Invites: -1, CallNumberHeaders: []string{"X Y"}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"PBX", "Emit", "Listen or Conn", "Allow", "FinalAfter", "Invites", "CallNumberHeaders"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
}
