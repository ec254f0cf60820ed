package screenpop

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Failed sign-ins are limited per login and per remote address. A success
// costs nothing, so that a whole office behind one address can sign in at
// nine o'clock.
const (
	loginFailures    = 5                // per login at once
	loginRefill      = 30 * time.Second // one more every
	addressFailures  = 20               // per address (IPv6: per /64) at once
	addressRefill    = 6 * time.Second
	limitEntries     = 8192 // per map; the least lately used entry is forgotten
	longestLoginKept = 64   // runes of a login that stand in the key
)

// failureLimit counts failures by key in a bounded map.
type failureLimit struct {
	every time.Duration
	burst int
	max   int

	mu   sync.Mutex // guards keys
	keys map[string]*failures
}

type failures struct {
	bucket  *rate.Limiter
	pending int  // attempts that have begun and not ended
	told    bool // the refusals since the last leave are in the audit trail
	used    time.Time
}

func newFailureLimit(every time.Duration, burst, maxKeys int) *failureLimit {
	return &failureLimit{every: every, burst: burst, max: maxKeys, keys: make(map[string]*failures)}
}

// begin asks leave for one attempt. If there is none, it returns how long to
// wait, and whether this is the first refusal since the last leave, so that
// whoever hammers does not fill the audit trail; otherwise 0, and finish is due.
func (l *failureLimit) begin(key string, now time.Time) (wait time.Duration, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.keys[key]
	if f == nil {
		l.makeRoom(now)
		f = &failures{bucket: rate.NewLimiter(rate.Every(l.every), l.burst)}
		l.keys[key] = f
	}
	f.used = now
	left := f.bucket.TokensAt(now) - float64(f.pending)
	if left < 1 {
		first, f.told = !f.told, true
		return time.Duration((1 - left) * float64(l.every)), first
	}
	f.told = false
	f.pending++
	return 0, false
}

// finish ends an attempt that begin gave leave for.
func (l *failureLimit) finish(key string, failed bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.keys[key]
	if f == nil {
		return
	}
	f.pending = max(f.pending-1, 0)
	if failed {
		f.bucket.AllowN(now, 1)
	}
}

// forget clears a key's failures, as a good password does.
func (l *failureLimit) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
}

// makeRoom drops what has recovered and, if that is not enough, the key that
// was used least lately. The caller holds mu.
func (l *failureLimit) makeRoom(now time.Time) {
	if len(l.keys) < l.max {
		return
	}
	var oldest string
	var at time.Time
	for key, f := range l.keys {
		if f.pending > 0 {
			continue
		}
		if f.bucket.TokensAt(now) >= float64(l.burst) {
			delete(l.keys, key)
			continue
		}
		if oldest == "" || f.used.Before(at) {
			oldest, at = key, f.used
		}
	}
	if len(l.keys) >= l.max {
		delete(l.keys, oldest)
	}
}

// loginLimits holds the two limits of the login page.
type loginLimits struct {
	logins    *failureLimit
	addresses *failureLimit
}

func newLoginLimits() *loginLimits {
	return &loginLimits{
		logins:    newFailureLimit(loginRefill, loginFailures, limitEntries),
		addresses: newFailureLimit(addressRefill, addressFailures, limitEntries),
	}
}

// leave is the answer to whoever wants to try a password or a token.
type leave struct {
	wait  time.Duration                // above 0: refused for so long
	first bool                         // the first refusal of its run
	done  func(ok bool, now time.Time) // with wait 0: to be called with the result
}

// begin asks leave to try a password.
func (l *loginLimits) begin(login string, from netip.Addr, now time.Time) leave {
	login, address := loginKey(login), addressKey(from)
	if wait, first := l.addresses.begin(address, now); wait > 0 {
		return leave{wait: wait, first: first}
	}
	if wait, first := l.logins.begin(login, now); wait > 0 {
		l.addresses.finish(address, true, now)
		return leave{wait: wait, first: first}
	}
	return leave{done: func(ok bool, now time.Time) {
		l.addresses.finish(address, !ok, now)
		l.logins.finish(login, !ok, now)
		if ok {
			l.logins.forget(login)
		}
	}}
}

// beginToken asks leave to try a one-time token, which names no login.
func (l *loginLimits) beginToken(from netip.Addr, now time.Time) leave {
	address := addressKey(from)
	wait, first := l.addresses.begin(address, now)
	return leave{wait: wait, first: first, done: func(ok bool, now time.Time) { l.addresses.finish(address, !ok, now) }}
}

func loginKey(login string) string {
	runes := []rune(strings.ToLower(login))
	return string(runes[:min(len(runes), longestLoginKept)])
}

// addressKey is the address itself or, since a host has as many IPv6
// addresses as it likes, the /64 that it is in.
func addressKey(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
