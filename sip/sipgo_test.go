package sip

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"ringlink/bridge"
)

// A sipgo client, as the demo's caller is one: it sees 180 and, on the final
// answer, its transaction sends the ACK that ends ours.
func TestSipgoClient(t *testing.T) {
	d := open(t, func(o *Options) { o.FinalAfter = 200 * time.Millisecond })
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("caller"))
	if err != nil {
		t.Fatal(err)
	}
	defer ua.Close()
	client, err := sipgo.NewClient(ua, sipgo.WithClientHostname("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, port, err := net.SplitHostPort(d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	to := gosip.Uri{Scheme: "sip", User: "+12025550142", Host: "127.0.0.1"}
	if to.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	req := gosip.NewRequest(gosip.INVITE, to)
	req.AppendHeader(gosip.NewHeader("P-Asserted-Identity", "<sip:+12025550123@example.com>"))
	req.AppendHeader(gosip.NewHeader("X-Call-Number", "48213"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tx, err := client.TransactionRequest(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Terminate()
	for _, want := range []int{180, 480} {
		select {
		case res := <-tx.Responses():
			if res.StatusCode != want {
				t.Errorf("got %s, want %d", res, want)
			}
		case <-ctx.Done():
			t.Fatalf("no %d", want)
		}
	}
	ev := d.event(bridge.EventInvite)
	if got := ev.Invite; got.Caller != "+12025550123" || got.CallNumber != "48213" || got.Dialled != "+12025550142" || got.CallID != req.CallID().Value() {
		t.Errorf("%+v", got)
	}
	d.event(bridge.EventInviteEnded)
	for deadline := time.Now().Add(patience); d.counter("ringlink_sip_requests_total", "ack") != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no ACK came")
		}
	}
}
