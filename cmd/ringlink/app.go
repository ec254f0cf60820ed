package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/sip"
	"ringlink/store"
)

// Times that are not worth a setting.
const (
	stopLimit     = 10 * time.Second // an orderly end, all in all
	turnsWait     = time.Second      // for how long ARI waits at start for what the store knows of running calls
	turnsAge      = 24 * time.Hour   // how old a turn may be that still runs
	staleWait     = 2 * time.Second  // for how long another replica may still end its own pops
	devicesEvery  = 2 * time.Second  // how often the store is asked who uses which device
	sweepEvery    = time.Minute      // how often what has expired is deleted
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
)

// app is the gateway: this file is the only place that wires its parts.
type app struct {
	cfg      *config.Config
	log      *slog.Logger
	registry *prometheus.Registry

	db      *store.DB
	hub     *screenpop.Hub
	popper  *screenpop.Popper
	server  *screenpop.Server
	engine  *bridge.Engine
	trails  *bridge.Trails
	explain *explainKeeper
	sources []*ari.Source
	sip     *sip.Server

	desk, debug net.Listener

	names sync.Map // bridge.AgentID -> string, written by the upkeep

	observe  func(*bridge.Event, []bridge.Effect) // of appOptions, may be nil
	synced   chan bridge.PBX                      // PBXs whose calls are known; the upkeep reads
	stale    chan []screenpop.Pop                 // pops of a run of before, a PBX's at a time; the upkeep reads
	gaps     chan bridge.PBX                      // PBXs that were away for a while; the upkeep reads
	seeded   chan struct{}                        // closed when the engine has the store's turns and devices
	seedOnce sync.Once                            // closes seeded
	first    map[bridge.PBX]bool                  // PBXs whose first snapshot was applied: true once they were sent to synced; owned by the engine's goroutine
	seated   bool                                 // the devices are known; owned by the engine's goroutine
	started  time.Time

	mu    sync.Mutex // guards store
	store reason     // why the store is not ready; zero when it is
}

// appOptions are what the demo and tests set besides the configuration.
type appOptions struct {
	observe     func(*bridge.Event, []bridge.Effect)
	desk, debug net.Listener   // bound already
	sip         net.PacketConn // bound already
}

// newApp makes every part and binds every socket; it starts nothing.
func newApp(cfg *config.Config, log *slog.Logger, o appOptions) (*app, error) {
	a := &app{
		cfg: cfg, log: log, registry: newRegistry(), desk: o.desk, debug: o.debug, observe: o.observe,
		synced: make(chan bridge.PBX, len(cfg.PBXs)), stale: make(chan []screenpop.Pop, len(cfg.PBXs)),
		gaps: make(chan bridge.PBX, len(cfg.PBXs)), seeded: make(chan struct{}), first: map[bridge.PBX]bool{}, started: time.Now().UTC(),
	}
	a.store = reason{Part: "store", Why: "not connected yet", When: time.Now().UTC()}
	var err error
	if a.db, err = store.Open(context.Background(), storeOptions(cfg, log, a.registry)); err != nil {
		return nil, err
	}
	if err = errors.Join(a.makeExplain(), a.makeScreenpop(), a.makeIntake(o)); err == nil {
		err = a.bind()
	}
	if err != nil {
		return nil, errors.Join(err, a.closeAll())
	}
	return a, nil
}

func (a *app) makeScreenpop() (err error) {
	m := screenpop.NewMetrics(a.registry)
	a.hub = screenpop.NewHub(screenpop.HubOptions{
		StreamsPerAgent: a.cfg.Limits.StreamsPerAgent,
		AgentName:       a.agentName,
		Metrics:         m,
	})
	var watch screenpop.PopWatcher
	if a.db.Driver() == store.Postgres { // a SQLite file has one gateway
		watch = a.db
	}
	a.popper, err = screenpop.NewPopper(screenpop.PopperOptions{
		Pops: a.db, Directory: a.db, Hub: a.hub, Watch: watch, Logger: a.log, Metrics: m,
		LookupDeadline: a.cfg.Pops.LookupDeadline,
		Normalize:      normalizer(a.cfg),
		TicketRule:     ticketRule(a.cfg.Tickets),
		Reference:      referencer(a.cfg.Log),
		Tell:           a.explain.Tell,
	})
	if err != nil {
		return err
	}
	linker, err := screenpop.NewLinker(screenpop.LinkerOptions{
		Links: a.db, Pops: a.popper, Audit: a.db, TTL: a.cfg.Pops.LinkTTL, Logger: a.log, Metrics: m,
	})
	if err != nil {
		return err
	}
	a.server, err = screenpop.NewServer(screenpop.ServerOptions{
		ExternalURL:    a.cfg.ExternalURL,
		TrustedProxies: a.cfg.TrustedProxies,
		Users:          a.db, Sessions: a.db,
		Idle: a.cfg.Sessions.Idle, Absolute: a.cfg.Sessions.Absolute,
		Desks: a.hub, Pops: a.popper, Links: linker, Opened: a.db, Audit: a.db,
		Passwords: screenpop.NewPasswords(screenpop.PasswordOptions{}),
		Logger:    a.log,
	})
	return err
}

func (a *app) makeIntake(o appOptions) (err error) {
	eo := engineOptions(a.cfg, a.log, a.registry)
	eo.Handle, eo.Observe = a.popper.Handle, a.observed
	eo.Trails = a.trails
	if a.engine, err = bridge.New(eo); err != nil {
		return err
	}
	m := ari.NewMetrics(a.registry)
	for i := range a.cfg.PBXs {
		s, err := ari.New(sourceOptions(&a.cfg.PBXs[i], a.engine.Emit, a.log, m))
		if err != nil {
			return err
		}
		a.sources = append(a.sources, s)
	}
	if a.cfg.SIP.Enabled() {
		listen := a.cfg.SIP.Listen
		if o.sip != nil {
			listen = ""
		}
		a.sip, err = sip.New(sip.Options{
			PBX:        bridge.PBX(a.cfg.PBXs[0].Name),
			Conn:       o.sip,
			Listen:     listen,
			Allow:      a.cfg.SIP.Allow,
			Ring:       true,
			Emit:       a.engine.Emit,
			Logger:     a.log,
			Registerer: a.registry,
		})
	}
	return err
}

func (a *app) bind() (err error) {
	if a.desk == nil {
		if a.desk, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return fmt.Errorf("opening listen: %w", err)
		}
	}
	if a.cfg.TLS.Enabled() {
		cert, err := loadCertificate(a.cfg.TLS.CertFile, a.cfg.TLS.KeyFile, a.log)
		if err != nil {
			return err
		}
		a.desk = tls.NewListener(a.desk, &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: cert.get,
			NextProtos:     []string{"h2", "http/1.1"},
		})
	}
	if a.debug == nil {
		if a.debug, err = net.Listen("tcp", a.cfg.DebugListen); err != nil {
			return fmt.Errorf("opening debug_listen: %w", err)
		}
	}
	return nil
}

// closeAll undoes what newApp opened.
func (a *app) closeAll() error {
	var errs []error
	for _, l := range []net.Listener{a.desk, a.debug} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(append(errs, a.db.Close())...)
}

// observed notes, on the engine's goroutine, when a PBX's first snapshot and
// the devices have been taken in: from then on it is known which pops of a run
// of before still go on.
func (a *app) observed(ev *bridge.Event, effects []bridge.Effect) {
	if a.observe != nil {
		a.observe(ev, effects)
	}
	switch ev.Kind {
	case bridge.EventDevices:
		a.seated = true
	case bridge.EventSourceUp:
		if _, again := a.first[ev.PBX]; !again {
			a.first[ev.PBX] = false
		} else if ev.Snapshot != nil && ev.Snapshot.Gap > 0 {
			select {
			case a.gaps <- ev.PBX: // another replica may know what was missed
			default:
			}
		}
	default:
		return
	}
	for pbx, sent := range a.first {
		if a.seated && !sent {
			a.first[pbx] = true
			a.synced <- pbx // never blocks: room for each PBX once
		}
	}
}

// Run starts every part, blocks until ctx ends, and ends them in this order:
// SIP and ARI, engine, streams, HTTP, popper, store, debug.
func (a *app) Run(ctx context.Context) (err error) {
	l := newLifecycle(a.log, stopLimit)
	defer func() { err = errors.Join(err, l.stop()) }()

	a.serveHTTP(l, "debug", a.debug, debugHandler(a.registry, a.notReady))
	l.onStop("store", func(context.Context) error { return a.db.Close() })
	l.run("explanations", a.explain.Run)
	l.run("popper", a.popper.Run)
	l.run("store upkeep", a.keepStore)
	a.serveHTTP(l, "desk", a.desk, a.server.Handler())
	l.onStop("desk streams", func(context.Context) error { a.hub.Close(); return nil })
	l.run("engine", a.runEngine)
	for i, s := range a.sources {
		l.run("ari "+a.cfg.PBXs[i].Name, func(ctx context.Context) error {
			a.awaitTurns(ctx)
			return s.Run(ctx)
		})
	}
	if a.sip != nil {
		l.run("sip", a.sip.Run)
	}
	a.log.Info("ringlink runs", "version", version(), "desk", a.cfg.ExternalURL.String(), "listen", a.desk.Addr().String(), "debug", a.debug.Addr().String())
	err = l.wait(ctx)
	a.log.Info("ringlink ends")
	return err
}

func (a *app) serveHTTP(l *lifecycle, name string, on net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: headerTimeout},  // a reader that stands still
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // what browsers and scanners do
	}
	l.run(name, func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- srv.Serve(on) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		limit, cancel := context.WithTimeout(context.Background(), stopLimit/2)
		defer cancel()
		err := srv.Shutdown(limit)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		<-done
		return err
	})
}

// notReady lists why the gateway cannot do its work now.
func (a *app) notReady() []reason {
	var list []reason
	a.mu.Lock()
	if a.store != (reason{}) {
		list = append(list, a.store)
	}
	a.mu.Unlock()
	for i, s := range a.sources {
		if st := s.Status(); !st.Ready() {
			list = append(list, reason{Part: "ari " + a.cfg.PBXs[i].Name, Why: st.Reason, When: st.Since.UTC()})
		}
	}
	if a.sip != nil {
		if err := a.sip.Ready(); err != nil {
			list = append(list, reason{Part: "sip", Why: err.Error()})
		}
	}
	return list
}

func (a *app) agentName(id bridge.AgentID) string {
	if name, ok := a.names.Load(id); ok {
		return name.(string)
	}
	return string(id)
}
