package ari

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"ringlink/bridge"
)

func testLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

const testStamp = "2026-11-22T12:51:54.400+0000"

// channelJSON is a channel as Asterisk writes it.
func channelJSON(n int, state string) string {
	id := fmt.Sprintf("lab-1795351914.%d", n)
	return `{"id":"` + id + `","name":"PJSIP/trunk-0000000` + fmt.Sprint(n) + `","state":"` + state + `","protocol_id":"call-` + fmt.Sprint(n) +
		`","caller":{"name":"Ada Example","number":"+15555550101"},"connected":{"name":"","number":""},"accountcode":"",` +
		`"dialplan":{"context":"from-trunk","exten":"5000","priority":1,"app_name":"Dial","app_data":"PJSIP/101"},"creationtime":"` + testStamp +
		`","language":"en","channelvars":{"CALL_NUMBER":"","CHANNEL(linkedid)":"` + id + `","CALLERID(num-pres)":"allowed_not_screened","CALLERID(dnid)":"5000","CALLERID(rdnis)":""}}`
}

// event is an event about channel n.
func event(kind string, n int, state string) []byte {
	return []byte(`{"type":"` + kind + `","timestamp":"` + testStamp + `","channel":` + channelJSON(n, state) +
		`,"asterisk_id":"02:fc:00:00:00:01","application":"ringlink"}`)
}

func channelID(n int) bridge.ChannelID { return bridge.ChannelID(fmt.Sprintf("lab-1795351914.%d", n)) }

func TestSourceUpThenEvents(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil)
	r.play(event("ChannelCreated", 1, "Ring"))
	r.start()
	up := r.ups(1)
	if len(up.Snapshot.Channels) != 1 || up.Snapshot.Channels[0].ProtocolID != "call-1" || up.Snapshot.Gap != 0 || up.Snapshot.Booted.IsZero() {
		t.Fatalf("first snapshot: %+v", up.Snapshot)
	}
	r.ready()
	r.play(event("ChannelStateChange", 1, "Up"), event("ChannelDestroyed", 1, "Up"))
	events := r.await("destroyed", func(ev []bridge.Event) bool { return countKind(ev, bridge.EventChannelDestroyed, channelID(1)) == 1 })
	if got := kinds(events); len(got) != 3 {
		t.Errorf("events: %v", got)
	}
	if st := r.src.Status(); st.HasVars != VarsPresent || st.LastEvent.IsZero() {
		t.Errorf("status: %+v", st)
	}
	r.stop()
	if st := r.src.Status(); st.Connected || st.Reason != ReasonStopped {
		t.Errorf("after Run: %+v", st)
	}
}

func TestCutIsAGapWithASnapshot(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil).start()
	r.ups(1)
	r.ready()
	if err := fake.Refuse(true); err != nil {
		t.Fatal(err)
	}
	r.reason(ReasonRefused)
	r.play(event("ChannelCreated", 2, "Ring"), event("ChannelStateChange", 2, "Up")) // answered in the gap
	if err := fake.Refuse(false); err != nil {
		t.Fatal(err)
	}
	up := r.ups(2)
	if up.Snapshot.Gap <= 0 || len(up.Snapshot.Channels) != 1 || up.Snapshot.Channels[0].State != bridge.StateUp {
		t.Fatalf("snapshot after the gap: %+v", up.Snapshot)
	}
	r.ready()
	if r.gaps(gapDisconnected) != 1 || r.logs.said(ReasonRefused) != 1 || r.logs.count("ari up") != 2 {
		t.Errorf("gaps %v, refused logged %d times, up %d", r.gaps(gapDisconnected), r.logs.said(ReasonRefused), r.logs.count("ari up"))
	}
}

// Channels and bridges are listed anew now and then, with no gap and without
// leaving readiness.
func TestRefresh(t *testing.T) {
	r := newRig(t, newFake(t), func(o *Options) { o.RefreshEvery = 5 * time.Millisecond }).start()
	events := r.await("three snapshots", func(events []bridge.Event) bool {
		n := 0
		for _, e := range events {
			if e.Kind == bridge.EventSourceUp {
				n++
			}
		}
		return n >= 3
	})
	for _, e := range events {
		if e.Kind == bridge.EventSourceDown || e.Kind == bridge.EventSourceUp && e.Snapshot.Gap != 0 {
			t.Errorf("event %+v", e)
		}
	}
	if !r.src.Status().Ready() {
		t.Errorf("status %+v", r.src.Status())
	}
	if n := r.logs.count("level=INFO"); n != 1 {
		t.Errorf("%d lines are logged, want one", n)
	}
}
