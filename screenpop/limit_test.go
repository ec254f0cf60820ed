package screenpop

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestFailureLimitForgets(t *testing.T) {
	l := newFailureLimit(time.Minute, 2, 3)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	fail := func(key string) time.Duration {
		wait, _ := l.begin(key, now)
		if wait == 0 {
			l.finish(key, true, now)
		}
		return wait
	}
	for range 2 {
		if fail("a") != 0 {
			t.Fatal("the first two are free")
		}
	}
	if wait := fail("a"); wait != time.Minute {
		t.Errorf("wait is %v, want a minute", wait)
	}
	now = now.Add(time.Minute)
	if fail("a") != 0 {
		t.Error("one more after a minute")
	}
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		fail(fmt.Sprint("key", i))
		if len(l.keys) > 3 {
			t.Fatalf("%d keys are kept, want 3 at most", len(l.keys))
		}
	}
}

// Attempts that run side by side share what is left.
func TestFailureLimitCountsPending(t *testing.T) {
	l := newFailureLimit(time.Minute, 2, 10)
	now := time.Unix(1, 0)
	for range 2 {
		if wait, _ := l.begin("a", now); wait != 0 {
			t.Fatal("two may begin")
		}
	}
	if wait, _ := l.begin("a", now); wait == 0 {
		t.Error("a third began while two run")
	}
	l.finish("a", false, now)
	if wait, _ := l.begin("a", now); wait != 0 {
		t.Error("a success gives its place back")
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::9":      "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := addressKey(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
