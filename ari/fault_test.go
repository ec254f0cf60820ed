package ari

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringlink/ari/aritest"
	"ringlink/bridge"
)

// The names of the tests give the rows of the fault matrix that they cover.

func TestRow27And28BadMessagesKeepTheStream(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil).start()
	r.ups(1)
	r.ready()
	for _, bad := range []string{
		`{"type":"ChannelTeleported","channel":{}}`, "GET / HTTP/1.1", "", "\x00\xff\xfe",
		`{"type":"ChannelCreated","channel":5}`, `{"type":"ChannelCreated","timestamp":null}`, `{"type":`,
	} {
		fake.Send([]byte(bad))
	}
	fake.Send(aritest.Giant(1 << 20))
	r.play(
		[]byte(`{"type":"ChannelCreated","timestamp":null,"channel":{"id":"a"}}`),
		[]byte(`{"type":"ChannelCreated","timestamp":"2026-11-22T12:51:54Z","channel":{"id":"b","creationtime":null}}`),
		[]byte(`{"type":"ChannelCreated","timestamp":[],"channel":{"id":"c"}}`),
		[]byte(`{"type":"ChannelCreated","channel":{"id":"d"}}`),
	)
	events := r.await("the last", func(ev []bridge.Event) bool { return countKind(ev, bridge.EventChannel, "d") == 1 })
	if len(events) != 5 || !events[1].Stamp.IsZero() || events[2].Stamp.IsZero() {
		t.Errorf("events: %v", kinds(events))
	}
	if r.results("unknown") != 1 || r.results("malformed") != 6 || r.results("skipped") != 1 || r.results("decoded") != 4 {
		t.Errorf("unknown %v, malformed %v, skipped %v, decoded %v", r.results("unknown"), r.results("malformed"), r.results("skipped"), r.results("decoded"))
	}
	if n := testutil.ToFloat64(r.src.m.reconnects); n != 0 {
		t.Errorf("%v reconnects", n)
	}
	if st := r.src.Status(); !st.Ready() || st.HasVars != VarsMissing {
		t.Errorf("status: %+v", st)
	}
}

func TestMessageOverTheLimitIsAGap(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, func(o *Options) { o.ReadLimit = 64 << 10 }).start()
	r.ups(1)
	fake.Send(aritest.Giant(128 << 10))
	r.ups(2)
	if r.results("too_big") != 1 || r.gaps(gapTooBig) != 1 {
		t.Errorf("too big %v, gaps %v", r.results("too_big"), r.gaps(gapTooBig))
	}
}

func TestRow29FullQueueIsAGapAndAResync(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil).start()
	r.ups(1)
	r.ready()
	r.setFull(true)
	r.play(event("ChannelCreated", 1, "Ring"), event("ChannelStateChange", 1, "Up"))
	r.reason(ReasonCatchingUp)
	r.play(event("ChannelCreated", 2, "Ring"))
	r.setFull(false)
	up := r.ups(2)
	if up.Snapshot.Gap <= 0 || len(up.Snapshot.Channels) != 2 || up.Snapshot.Channels[0].State != bridge.StateUp {
		t.Errorf("snapshot: %+v", up.Snapshot)
	}
	r.ready()
	r.play(event("ChannelDestroyed", 1, "Up"))
	r.await("an event after it", func(ev []bridge.Event) bool { return countKind(ev, bridge.EventChannelDestroyed, channelID(1)) == 1 })
	if r.gaps(gapQueueFull) != 1 || testutil.ToFloat64(r.src.m.reconnects) != 0 {
		t.Errorf("gaps %v", r.gaps(gapQueueFull))
	}
}

func TestRow30SilentPeerIsFound(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, func(o *Options) { o.PingInterval = 200 * time.Millisecond }).start()
	r.ups(1)
	r.ready()
	fake.Stall(true)
	r.play(event("ChannelCreated", 1, "Ring")) // nobody hears it
	r.status("no longer ready", func(st Status) bool { return !st.Ready() })
	r.status("lost to silence", func(Status) bool { return r.gaps(gapDeadPeer) >= 1 })
	fake.Stall(false)
	r.await("a snapshot with the call", func(events []bridge.Event) bool {
		last := events[len(events)-1]
		return last.Kind == bridge.EventSourceUp && len(last.Snapshot.Channels) == 1 && last.Snapshot.Gap > 0
	})
	r.ready()
	if r.logs.said(ReasonDeadPeer) == 0 {
		t.Error("the log does not say why")
	}
}

func TestRow31AnotherClientTakesTheName(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil).start()
	r.ups(1)
	r.ready()
	thief := newRig(t, fake, nil).start()
	thief.ups(1)
	st := r.reason(ReasonReplaced)
	if st.Connected || st.Ready() {
		t.Errorf("status: %+v", st)
	}
	r.await("source down", func(ev []bridge.Event) bool { return ev[len(ev)-1].Kind == bridge.EventSourceDown })
	asked := fake.Requests("/ari/events")
	thief.ready()
	thief.play(event("ChannelCreated", 1, "Ring"))
	thief.await("an event", func(ev []bridge.Event) bool { return countKind(ev, bridge.EventChannel, channelID(1)) == 1 })
	sleep(r.ctx, 10*r.src.opt.RetryMax) // a reclaim would come in this time; that none does cannot be waited for
	if n := fake.Requests("/ari/events"); n != asked {
		t.Errorf("%d attempts to reclaim", n-asked)
	}
	if r.logs.said(ReasonReplaced) != 1 || r.logs.count("level=ERROR") != 1 {
		t.Error("not logged once as an error")
	}
	if st := r.src.Status(); st.Reason != ReasonReplaced {
		t.Errorf("status: %+v", st)
	}
}

func TestRow32And37RestartIsANewStart(t *testing.T) {
	fake := newFake(t)
	r := newRig(t, fake, nil).start()
	first := r.ups(1)
	r.play(event("ChannelCreated", 1, "Ring"))
	booted := first.Snapshot.Booted.Add(time.Millisecond) // in the same second
	fake.RestartAt(booted)
	second := r.ups(2)
	if len(second.Snapshot.Channels) != 0 || !second.Snapshot.Booted.Equal(booted) || second.Snapshot.Booted.Equal(first.Snapshot.Booted) {
		t.Errorf("first %+v, second %+v", first.Snapshot, second.Snapshot)
	}
}

func TestRow33BootingIsAwaited(t *testing.T) {
	fake := newFake(t)
	fake.Booting(true)
	r := newRig(t, fake, nil).start()
	r.reason(ReasonBooting)
	n := fake.Requests("/ari/events")
	r.status("retried", func(Status) bool { return fake.Requests("/ari/events") > n+3 })
	fake.Booting(false)
	r.ups(1)
	r.ready()
	if r.logs.said(ReasonBooting) != 1 || r.logs.count("level=ERROR") != 0 {
		t.Errorf("logged %d times", r.logs.said(ReasonBooting))
	}
}

func TestRow35WrongPasswordAndOtherRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil, mend func(*aritest.Asterisk)
		reason      string
	}{
		"password": {func(a *aritest.Asterisk) { a.SetPassword("other") }, func(a *aritest.Asterisk) { a.SetPassword("secret") }, ReasonPassword},
		"no ARI":   {func(a *aritest.Asterisk) { a.NoARI(true) }, func(a *aritest.Asterisk) { a.NoARI(false) }, ReasonNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake(t)
			tt.spoil(fake)
			r := newRig(t, fake, nil).start()
			r.reason(tt.reason)
			n := fake.Requests("/ari/events")
			r.status("retried", func(Status) bool { return fake.Requests("/ari/events") > n+2 })
			if r.logs.said(tt.reason) != 1 || r.logs.count("level=ERROR") != 1 || r.logs.count("secret") != 0 {
				t.Errorf("log:\n%s", r.logs.text.String())
			}
			tt.mend(fake)
			r.ups(1)
			r.ready()
		})
	}
}

func TestRow36HungRESTLetsEventsFlow(t *testing.T) {
	fake := newFake(t)
	fake.HangREST(true)
	r := newRig(t, fake, func(o *Options) { o.RequestTimeout = 100 * time.Millisecond }).start()
	r.reason(ReasonResync + ReasonTimeout)
	r.play(event("ChannelCreated", 1, "Ring"))
	r.await("an event", func(ev []bridge.Event) bool { return countKind(ev, bridge.EventChannel, channelID(1)) == 1 })
	if st := r.src.Status(); !st.Connected || st.Ready() {
		t.Errorf("status: %+v", st)
	}
	fake.HangREST(false)
	if up := r.ups(1); len(up.Snapshot.Channels) != 1 {
		t.Errorf("snapshot: %+v", up.Snapshot)
	}
	r.ready()
	if testutil.ToFloat64(r.src.m.reconnects) != 0 {
		t.Error("the stream was given up")
	}
}

func TestAddressThatIsNotAsterisk(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // answers each connection with an SSH banner
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	r := newRig(t, newFake(t), func(o *Options) { o.URL = "http://" + l.Addr().String() }).start()
	r.status("given a reason", func(st Status) bool { return st.Reason == ReasonNetwork || st.Reason == ReasonBadAnswer })
}

func TestNewRefusesBadOptions(t *testing.T) {
	_, err := New(Options{})
	for _, part := range []string{"PBX", "app", "Emit", "URL", "password"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %q in: %v", part, err)
		}
	}
	ok := Options{PBX: "a", App: "b", Emit: func(bridge.Event) bool { return true }, User: "u", Password: "pass-word"}
	for url, good := range map[string]bool{
		"http://127.0.0.1:8088": true, "https://pbx.example.com/asterisk/": true, "http://127.0.0.1:8088/ari": true,
		"127.0.0.1:8088": false, "ws://127.0.0.1": false, "http://u:p@127.0.0.1": false, "http://h/?x=1": false, "http://\x7f": false,
	} {
		ok.URL = url
		src, err := New(ok)
		if (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil && (!strings.Contains(src.stream, "/ari/events?app=b&subscribeAll=true") || strings.Contains(src.stream, "pass-word") || strings.Contains(src.stream, "/ari/ari")) {
			t.Errorf("%s gives %s", url, src.stream)
		}
	}
}
