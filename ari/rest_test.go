package ari

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
)

func newREST(t *testing.T, url string) *REST {
	t.Helper()
	rest, err := NewREST(Options{URL: url, User: "ringlink", Password: "secret", RequestTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rest.Close)
	return rest
}

func TestREST(t *testing.T) {
	fake := newFake(t)
	rest := newREST(t, fake.URL())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := fake.Play(ctx, [][]byte{event("ChannelCreated", 1, "Ring"), []byte(`{"type":"BridgeCreated","bridge":` + bridgeJSON + `}`)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := rest.Info(ctx)
	if err != nil || info.Version != "22.10.1" || info.EntityID == "" || info.Started.IsZero() {
		t.Errorf("info %+v, %v", info, err)
	}
	channels, err := rest.Channels(ctx)
	if d := cmp.Diff([]bridge.Channel{lab(1, bridge.StateRing)}, channels); err != nil || d != "" {
		t.Error(err, d)
	}
	bridges, err := rest.Bridges(ctx)
	if d := cmp.Diff([]bridge.Bridge{labBridge}, bridges); err != nil || d != "" {
		t.Error(err, d)
	}
	endpoints, err := rest.Endpoints(ctx)
	if d := cmp.Diff([]string{"PJSIP/trunk", "PJSIP/101", "PJSIP/102"}, endpoints); err != nil || d != "" {
		t.Error(err, d)
	}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections) // ari/v5's client uses it
	if got, err := rest.Variable(ctx, channelID(1), "CALLERID(dnid)"); err != nil || got != "5000" {
		t.Errorf("variable %q, %v", got, err)
	}
	if _, err := rest.Variable(ctx, "gone", "X"); Reason(err) != ReasonNotFound {
		t.Errorf("variable of nothing: %v", err)
	}
}

func TestRESTReasons(t *testing.T) {
	fake := newFake(t)
	rest := newREST(t, fake.URL())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	check := func(want string) {
		t.Helper()
		if _, err := rest.Info(ctx); Reason(err) != want {
			t.Errorf("%q, want %q: %v", Reason(err), want, err)
		}
	}
	check("")
	fake.SetPassword("other")
	check(ReasonPassword)
	fake.SetPassword("secret")
	fake.Booting(true)
	check(ReasonBooting)
	fake.Booting(false)
	fake.NoARI(true)
	check(ReasonNotFound)
	fake.NoARI(false)
	fake.HangREST(true)
	check(ReasonTimeout)
	fake.HangREST(false)
	if err := fake.Refuse(true); err != nil {
		t.Fatal(err)
	}
	check(ReasonRefused)
	if _, err := newREST(t, "http://no-such-host.invalid").Info(ctx); Reason(err) != ReasonNoHost && Reason(err) != ReasonTimeout {
		t.Errorf("%q: %v", Reason(err), err)
	}
}

func TestReasonsAreAClosedSet(t *testing.T) {
	for want, err := range map[string]error{
		"":              nil,
		ReasonHTTP:      &StatusError{http.StatusTeapot},
		ReasonForbidden: fmt.Errorf("asking: %w", &StatusError{http.StatusForbidden}),
		ReasonBadAnswer: fmt.Errorf("reading: %w", ErrAnswer),
		ReasonTimeout:   context.DeadlineExceeded,
		ReasonNetwork:   errors.New("whatever the network said of sip:ada@example.com"),
		ReasonDeadPeer:  errDeadPeer,
		ReasonReplaced:  errReplaced,
		ReasonTLS:       errors.New("remote error: tls: bad certificate"),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
