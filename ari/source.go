package ari

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringlink/bridge"
)

// Options configures the Source of one PBX.
type Options struct {
	PBX bridge.PBX
	// URL is the root of Asterisk's HTTP server, as "http://127.0.0.1:8088",
	// with http.conf's prefix if there is one; "/ari" is added if it is not
	// there.
	URL string
	// User and Password are those of a user in ari.conf; reading is enough.
	User, Password string
	// App is the ARI application's name; each replica needs its own, for of
	// two sockets on one name the older goes silent.
	App string
	// CallNumberVariables are the channel variables that hold a call number,
	// the best first. Default CALL_NUMBER.
	CallNumberVariables []string
	// Emit takes an event and must not block; false means that it was lost
	// (the queue is full), whereupon the Source declares a gap.
	Emit func(bridge.Event) bool

	Logger *slog.Logger // default: nothing is logged
	// Metrics are shared by the Sources of a process; without them they are
	// made here and registered with Registerer, which may be nil.
	Metrics    *Metrics
	Registerer prometheus.Registerer
	Clock      func() time.Time // default time.Now

	// PingInterval is the pause between pings and how long a pong may take: a
	// dead peer is found within twice that. Default 5 s.
	PingInterval time.Duration
	// RequestTimeout bounds the handshake and each REST request. Default 2 s.
	RequestTimeout time.Duration
	// RetryMin and RetryMax bound the pause between attempts, which grows and
	// has jitter. Defaults 0.2 s and 2 s, so that an Asterisk that has booted
	// is seen within 2 s.
	RetryMin, RetryMax time.Duration
	// RetryRefused is the pause where somebody has to act first (wrong
	// password, a certificate). Default 5 s.
	RetryRefused time.Duration
	// RefreshEvery is how often channels and bridges are listed anew while
	// nothing is wrong, so that no mistake lives for ever and a call without a
	// word is known to be still there. Default 1 h.
	RefreshEvery time.Duration
	// HoldLimit bounds the events that are kept while a snapshot is fetched.
	// Default 8192.
	HoldLimit int
	// ReadLimit bounds one message, in bytes; a bigger one ends the stream.
	// Default 4 MiB.
	ReadLimit int64
}

// Status is what a Source can say of itself.
type Status struct {
	// Connected: the event stream is open.
	Connected bool
	// Reason says why the Source is not of full use, empty if it is. It is one
	// of the Reason constants, or ReasonResync and one of them.
	Reason    string
	Since     time.Time // of this Connected and Reason
	LastEvent time.Time // zero if none was read yet
	HasVars   HasVars
}

// Ready tells whether events flow and the PBX's state is known.
func (s Status) Ready() bool { return s.Connected && s.Reason == "" }

// HasVars tells whether ari.conf has the line "channelvars" that puts
// CHANNEL(linkedid) and its companions on every channel. Only a live channel
// can tell.
type HasVars uint8

// What is known of the line.
const (
	VarsUnknown HasVars = iota
	VarsPresent
	VarsMissing
)

// String names what is known.
func (v HasVars) String() string { return [...]string{"unknown", "present", "missing"}[v] }

// Source reads the events of one PBX. Run does the work; Status may be called
// from any goroutine.
type Source struct {
	opt    Options
	log    *slog.Logger
	m      pbxMetrics
	rest   *REST
	stream string // URL of the websocket
	gate   gate
	dec    *Decoder // of the reader goroutine
	seen   bool     // of Run: a stream was open before
	vars   atomic.Uint32
	last   atomic.Int64 // UnixNano of the last message

	mu     sync.Mutex // guards what follows
	status Status
	said   map[string]bool // reasons logged since it was last up
}

// New checks the options. It opens nothing.
func New(opt Options) (*Source, error) {
	opt.defaults()
	var faults []error
	if opt.PBX == "" {
		faults = append(faults, errors.New("no PBX name"))
	}
	if opt.App == "" || strings.ContainsAny(opt.App, ", ") {
		faults = append(faults, errors.New("the app needs a name without commas and blanks"))
	}
	if opt.Emit == nil {
		faults = append(faults, errors.New("no Emit"))
	}
	rest, err := NewREST(opt)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("setting up ARI of PBX %q: %w", opt.PBX, errors.Join(faults...))
	}
	s := &Source{
		opt: opt, rest: rest, dec: NewDecoder(opt.CallNumberVariables),
		log: opt.Logger.With("pbx", string(opt.PBX)), m: opt.Metrics.forPBX(opt.PBX),
		status: Status{Reason: ReasonConnecting, Since: opt.Clock()}, said: make(map[string]bool),
	}
	s.stream = rest.url("/events") + "?" + url.Values{"app": {opt.App}, "subscribeAll": {"true"}}.Encode()
	s.gate = gate{emit: opt.Emit, clock: opt.Clock, limit: opt.HoldLimit, missing: make(chan struct{}, 1), onGap: s.countGap}
	return s, nil
}

func (o *Options) defaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.PingInterval, 5*time.Second)
	def(&o.RequestTimeout, 2*time.Second)
	def(&o.RetryMin, 200*time.Millisecond)
	def(&o.RetryMax, 2*time.Second)
	def(&o.RetryRefused, 5*time.Second)
	def(&o.RefreshEvery, time.Hour)
	if o.HoldLimit <= 0 {
		o.HoldLimit = 8192
	}
	if o.ReadLimit <= 0 {
		o.ReadLimit = 4 << 20
	}
	if len(o.CallNumberVariables) == 0 {
		o.CallNumberVariables = []string{"CALL_NUMBER"}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(o.Registerer)
	}
}

// Status returns the present state.
func (s *Source) Status() Status {
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	if n := s.last.Load(); n != 0 {
		st.LastEvent = time.Unix(0, n).UTC()
	}
	st.HasVars = HasVars(s.vars.Load())
	return st
}

// Run keeps the event stream open until ctx ends, and then returns nil with no
// goroutine left. It never blocks on the PBX. When another client takes the
// application's name it closes the stream and leaves it at that until it is
// started anew: two that reclaim a name would fight for ever.
func (s *Source) Run(ctx context.Context) error {
	defer s.rest.Close()
	defer func() {
		s.m.up.Set(0)
		s.set(false, ReasonStopped, nil)
	}()
	retry := s.newBackOff()
	for ctx.Err() == nil {
		started := s.opt.Clock()
		err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		reason := s.set(false, downReason(err), err)
		if reason == ReasonReplaced {
			<-ctx.Done()
			break
		}
		if s.opt.Clock().Sub(started) > 2*s.opt.RetryMax {
			retry.Reset()
		}
		sleep(ctx, s.pause(retry, reason))
	}
	return nil
}

// downReason says why a stream ended or could not be opened.
func downReason(err error) string {
	if lost := (*lostError)(nil); errors.As(err, &lost) && lost.cause != gapDeadPeer {
		return ReasonLost
	}
	return Reason(err)
}

func (s *Source) newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = s.opt.RetryMin, s.opt.RetryMax
	b.Reset()
	return b
}

// pause returns how long to wait before the next attempt.
func (s *Source) pause(b *backoff.ExponentialBackOff, reason string) time.Duration {
	switch {
	case reason == ReasonBooting, reason == ReasonNotFound: // Asterisk's HTTP server is up, ARI is about to be
		b.Reset()
	case mustAct(reason):
		b.Reset()
		return s.opt.RetryRefused
	}
	return min(b.NextBackOff(), s.opt.RetryMax)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// set notes a state and logs it if its reason was not logged since the Source
// was last up. It returns the reason.
func (s *Source) set(connected bool, reason string, err error) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Connected != connected || s.status.Reason != reason {
		s.status.Connected, s.status.Reason, s.status.Since = connected, reason, s.opt.Clock()
	}
	switch {
	case reason == "":
		clear(s.said)
		return reason
	case err == nil || s.said[reason]:
		return reason
	}
	s.said[reason] = true
	level := slog.LevelWarn
	if mustAct(strings.TrimPrefix(reason, ReasonResync)) {
		level = slog.LevelError
	}
	s.log.Log(context.Background(), level, "ari not ready", "reason", reason, "error", err)
	return reason
}

// countGap is called with the gate's mutex held.
func (s *Source) countGap(cause string) { s.m.gaps[cause].Inc() }

// noteVars remembers whether channels carry our variables.
func (s *Source) noteVars(present bool) {
	v := VarsMissing
	if present {
		v = VarsPresent
	}
	if HasVars(s.vars.Swap(uint32(v))) != v && v == VarsMissing {
		s.log.Warn("ari channels lack the channelvars of ari.conf")
	}
}
