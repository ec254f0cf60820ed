package screenpop_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/screenpop/screenpoptest"
)

// onePop is a LinkPops with one pop of agent one.
type onePop struct {
	degraded     bool
	acknowledged atomic.Int32
}

func (o *onePop) Pop(_ context.Context, agent bridge.AgentID, id bridge.PopID) (screenpop.Pop, error) {
	if agent != agentOne || id != popA1 {
		return screenpop.Pop{}, screenpop.ErrNotFound
	}
	return screenpop.Pop{ID: id, Agent: agent, Degraded: o.degraded}, nil
}

func (o *onePop) Acknowledge(context.Context, bridge.AgentID, bridge.PopID) error {
	o.acknowledged.Add(1)
	return nil
}

func newLinker(t *testing.T, store *screenpoptest.Store, pops *onePop, log *bytes.Buffer, now *time.Time) *screenpop.Linker {
	t.Helper()
	l, err := screenpop.NewLinker(screenpop.LinkerOptions{
		Links: store, Pops: pops, Audit: store, Clock: func() time.Time { return *now },
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLinkRedeem(t *testing.T) {
	for name, c := range map[string]struct {
		agent  bridge.AgentID
		token  func(string) string
		later  time.Duration
		twice  bool
		err    error
		detail string
	}{
		"good":            {agent: agentOne},
		"last moment":     {agent: agentOne, later: 60*time.Second - 1},
		"expired":         {agent: agentOne, later: 60 * time.Second, err: screenpop.ErrLinkExpired, detail: "expired"},
		"replayed":        {agent: agentOne, twice: true, err: screenpop.ErrLinkUsed, detail: "used"},
		"foreign":         {agent: agentTwo, err: screenpop.ErrLinkForeign, detail: "foreign"},
		"unknown":         {agent: agentOne, token: func(string) string { return strings.Repeat("A", 43) }, err: screenpop.ErrLinkUnknown, detail: "unknown"},
		"empty":           {agent: agentOne, token: func(string) string { return "" }, err: screenpop.ErrLinkUnknown, detail: "malformed"},
		"too long":        {agent: agentOne, token: func(s string) string { return s + "A" }, err: screenpop.ErrLinkUnknown, detail: "malformed"},
		"line break":      {agent: agentOne, token: func(s string) string { return s + "\n" }, err: screenpop.ErrLinkUnknown, detail: "malformed"},
		"other alphabet":  {agent: agentOne, token: func(string) string { return strings.Repeat("/", 43) }, err: screenpop.ErrLinkUnknown, detail: "malformed"},
		"loose last bits": {agent: agentOne, token: func(string) string { return strings.Repeat("A", 42) + "B" }, err: screenpop.ErrLinkUnknown, detail: "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			store, pops, now := &screenpoptest.Store{}, &onePop{}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			var log bytes.Buffer
			l := newLinker(t, store, pops, &log, &now)
			token, expires, err := l.Mint(t.Context(), agentOne, popA1)
			if err != nil || !expires.Equal(now.Add(time.Minute)) {
				t.Fatalf("Mint: %v, %v", expires, err)
			}
			if raw, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(raw) != 32 {
				t.Fatalf("token has %d bytes, %v", len(raw), err)
			}
			ctx := screenpop.WithActor(t.Context(), screenpop.Actor{User: "u1", Remote: "192.0.2.1"})
			if c.twice {
				if _, err := l.Redeem(ctx, c.agent, token); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(c.later)
			if c.token != nil {
				token = c.token(token)
			}
			calls := store.Calls()
			id, err := l.Redeem(ctx, c.agent, token)
			if err != c.err { // the bare sentinel: nothing more is told
				t.Errorf("Redeem: %v, want %v", err, c.err)
			}
			want := screenpop.AuditEntry{At: now, Actor: "u1", Remote: "192.0.2.1", Action: "link_redeemed", Object: "a1"}
			if c.err != nil {
				want.Action, want.Object, want.Detail = "link_refused", "", c.detail
			} else if id != popA1 || pops.acknowledged.Load() != 1 {
				t.Errorf("pop %q, acknowledged %d times", id, pops.acknowledged.Load())
			}
			trail := store.Trail()
			if diff := cmp.Diff(want, trail[len(trail)-1]); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			if c.detail == "malformed" && store.Calls() != calls+1 { // the audit row alone
				t.Error("a malformed token reached the store")
			}
			if log.Len() != 0 {
				t.Errorf("logged %s", &log)
			}
		})
	}
}

func TestLinkMint(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		agent    bridge.AgentID
		id       bridge.PopID
		degraded bool
		err      error
	}{
		"another agent's": {agent: agentTwo, id: popA1, err: screenpop.ErrNotFound},
		"no such pop":     {agent: agentOne, id: "x", err: screenpop.ErrNotFound},
		"degraded":        {agent: agentOne, id: popA1, degraded: true, err: screenpop.ErrNoLink},
	} {
		t.Run(name, func(t *testing.T) {
			store := &screenpoptest.Store{}
			l := newLinker(t, store, &onePop{degraded: c.degraded}, &bytes.Buffer{}, &now)
			if token, _, err := l.Mint(t.Context(), c.agent, c.id); !errors.Is(err, c.err) || token != "" {
				t.Errorf("Mint = %q, %v; want %v", token, err, c.err)
			}
			if store.Links() != 0 {
				t.Error("a link was saved")
			}
		})
	}
}

func TestLinkConcurrentRedemptions(t *testing.T) {
	store, pops, now := &screenpoptest.Store{}, &onePop{}, time.Now()
	l := newLinker(t, store, pops, &bytes.Buffer{}, &now)
	token, _, err := l.Mint(t.Context(), agentOne, popA1)
	if err != nil {
		t.Fatal(err)
	}
	var good, used atomic.Int32
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			switch _, err := l.Redeem(t.Context(), agentOne, token); err {
			case nil:
				good.Add(1)
			case screenpop.ErrLinkUsed:
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 || used.Load() != 499 {
		t.Errorf("%d redeemed, %d refused", good.Load(), used.Load())
	}
}

func TestLinkStoreAway(t *testing.T) {
	store, now := &screenpoptest.Store{}, time.Now()
	var log bytes.Buffer
	l := newLinker(t, store, &onePop{}, &log, &now)
	token, _, err := l.Mint(t.Context(), agentOne, popA1)
	if err != nil {
		t.Fatal(err)
	}
	store.Fail(screenpoptest.ErrAway)
	if _, err := l.Redeem(t.Context(), agentOne, token); !errors.Is(err, screenpoptest.ErrAway) {
		t.Errorf("Redeem = %v", err)
	}
	if strings.Contains(log.String(), token) {
		t.Error("the token is in the log")
	}
	store.Fail(nil)
	if _, err := l.Redeem(t.Context(), agentOne, token); err != nil {
		t.Errorf("Redeem with the store back: %v", err)
	}
}

func TestNewLinkerFaults(t *testing.T) {
	_, err := screenpop.NewLinker(screenpop.LinkerOptions{TTL: time.Hour})
	for _, want := range []string{"Links", "Pops", "Audit", "1h0m0s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}
