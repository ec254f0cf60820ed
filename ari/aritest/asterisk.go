package aritest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options configures a fake Asterisk. The zero value listens on a free port of
// loopback.
type Options struct {
	Listener       net.Listener     // default: 127.0.0.1, a free port; owned by the Asterisk from New on
	User, Password string           // default "ringlink", "secret"
	Version        string           // default "22.10.1"
	Endpoints      []string         // what GET /endpoints lists; default PJSIP/trunk, PJSIP/101, PJSIP/102
	Clock          func() time.Time // default time.Now
	// WriteTimeout cuts a reader that stalls, as ari.conf's
	// websocket_write_timeout does. Default 5 s.
	WriteTimeout time.Duration
}

// Asterisk is the fake. Its methods may be called from any goroutine, before
// and while Run runs.
type Asterisk struct {
	opt    Options
	addr   net.Addr
	server *http.Server
	wg     sync.WaitGroup // Serve loops and requests

	sendMu sync.Mutex // one event at a time, so that all sockets see one order

	mu       sync.Mutex // guards what follows
	state    state
	started  time.Time
	listener net.Listener // nil while refusing
	running  bool
	closed   bool
	booting  bool
	noARI    bool
	hang     chan struct{} // closed to let hung REST requests go; nil: none hang
	stalled  bool
	password string
	apps     map[string]*socket // who has each application's name
	sockets  map[*socket]bool   // all that are open, replaced ones too
	changed  chan struct{}      // closed and renewed when apps changes
	requests map[string]int     // by path
}

// New binds the listener. Nothing is answered until Run.
func New(opt Options) (*Asterisk, error) {
	if opt.User == "" {
		opt.User = "ringlink"
	}
	if opt.Password == "" {
		opt.Password = "secret"
	}
	if opt.Version == "" {
		opt.Version = "22.10.1"
	}
	if opt.Endpoints == nil {
		opt.Endpoints = []string{"PJSIP/trunk", "PJSIP/101", "PJSIP/102"}
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.WriteTimeout <= 0 {
		opt.WriteTimeout = 5 * time.Second
	}
	if opt.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("binding the fake Asterisk: %w", err)
		}
		opt.Listener = l
	}
	a := &Asterisk{
		opt: opt, addr: opt.Listener.Addr(), listener: opt.Listener, password: opt.Password,
		started: opt.Clock(), apps: make(map[string]*socket), sockets: make(map[*socket]bool),
		changed: make(chan struct{}), requests: make(map[string]int),
	}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: 5 * time.Second}
	return a, nil
}

// URL is the root of the fake's HTTP server, without "/ari".
func (a *Asterisk) URL() string { return "http://" + a.addr.String() }

// Run serves until ctx ends, and then closes every connection and waits for
// its goroutines. It can run once.
func (a *Asterisk) Run(ctx context.Context) error {
	a.mu.Lock()
	if a.running || a.closed {
		a.mu.Unlock()
		return errors.New("running the fake Asterisk: it ran before")
	}
	a.running = true
	if a.listener != nil {
		a.serve(a.listener)
	}
	a.mu.Unlock()
	<-ctx.Done()
	a.Close()
	return nil
}

// Close ends the fake, whether it ran or not.
func (a *Asterisk) Close() {
	a.mu.Lock()
	a.closed = true
	if a.listener != nil {
		_ = a.listener.Close()
	}
	a.mu.Unlock()
	a.HangREST(false)
	a.Cut()
	_ = a.server.Close()
	a.wg.Wait()
}

// serve starts to accept on l; the caller holds mu.
func (a *Asterisk) serve(l net.Listener) {
	a.wg.Go(func() { _ = a.server.Serve(l) })
}

// Cut closes all websockets without a word, as a broken network does.
func (a *Asterisk) Cut() {
	a.cutOpen() // a write that is stuck lets go of sendMu
	a.sendMu.Lock()
	open := a.cutOpen() // those that were just joining
	a.sendMu.Unlock()
	for _, s := range open {
		<-s.gone
	}
}

func (a *Asterisk) cutOpen() []*socket {
	a.mu.Lock()
	open := slices.Collect(maps.Keys(a.sockets))
	a.mu.Unlock()
	for _, s := range open {
		_ = s.conn.CloseNow()
	}
	return open
}

// Refuse(true) cuts everything and stops listening, so that connections are
// refused; Refuse(false) listens on the same address again.
func (a *Asterisk) Refuse(refuse bool) error {
	a.mu.Lock()
	if refuse {
		if a.listener != nil {
			_ = a.listener.Close()
			a.listener = nil
		}
		a.mu.Unlock()
		a.Cut()
		return nil
	}
	defer a.mu.Unlock()
	if a.listener != nil || a.closed {
		return nil
	}
	l, err := net.Listen("tcp", a.addr.String())
	if err != nil {
		return fmt.Errorf("listening again: %w", err)
	}
	a.listener = l
	if a.running {
		a.serve(l)
	}
	return nil
}

// Booting makes every request get 503, as in the second before an Asterisk is
// fully booted.
func (a *Asterisk) Booting(booting bool) { a.flag(&a.booting, booting) }

// NoARI makes every request get 404, as with ari.conf's enabled = no.
func (a *Asterisk) NoARI(off bool) { a.flag(&a.noARI, off) }

// Stall(true) stops everything on open websockets without closing them (no
// event, no pong), as kill -STOP does. Events played meanwhile are lost to
// the sockets.
func (a *Asterisk) Stall(stall bool) { a.flag(&a.stalled, stall) }

func (a *Asterisk) flag(f *bool, v bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*f = v
}

// SetPassword changes the password that is accepted from now on.
func (a *Asterisk) SetPassword(password string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password = password
}

// HangREST(true) lets REST requests wait for an answer until HangREST(false)
// or the client goes away. Websockets are not concerned.
func (a *Asterisk) HangREST(hang bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case hang && a.hang == nil:
		a.hang = make(chan struct{})
	case !hang && a.hang != nil:
		close(a.hang)
		a.hang = nil
	}
}

// Restart is a crash and a new start: sockets are cut, channels and bridges are
// gone, the startup time is now. A Script's ids begin again at .0 by its own
// Restart.
func (a *Asterisk) Restart() { a.RestartAt(a.opt.Clock()) }

// RestartAt is Restart with a given startup time.
func (a *Asterisk) RestartAt(started time.Time) {
	a.mu.Lock()
	a.state, a.started = state{}, started
	a.mu.Unlock()
	a.Cut()
}

// Requests tells how often a path was asked for, as "/ari/channels".
func (a *Asterisk) Requests(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests[path]
}

// WaitApp waits until somebody holds an application's name (or, with
// connected false, nobody).
func (a *Asterisk) WaitApp(ctx context.Context, app string, connected bool) error {
	for {
		a.mu.Lock()
		have, changed := a.apps[app] != nil, a.changed
		a.mu.Unlock()
		if have == connected {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for application %q: %w", app, ctx.Err())
		}
	}
}
