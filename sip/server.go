package sip

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"

	"ringlink/bridge"
)

// Options configures a Server. PBX, Allow, Emit and one of Conn and Listen are
// required.
type Options struct {
	// PBX is the telephone system that the calls on this socket belong to.
	PBX bridge.PBX
	// Listen is the UDP host:port to bind, port 0 for a free one.
	Listen string
	// Conn is a socket that is bound already, in place of Listen. The Server
	// closes it.
	Conn net.PacketConn
	// Allow are the networks that are heard. Nothing is ever sent to others.
	Allow []netip.Prefix
	// CallNumberHeaders may carry a call number, as X-Call-Number, the best
	// first.
	CallNumberHeaders []string
	// FinalAfter is when an INVITE that is not cancelled gets its 480; default
	// 5 s, at most 3 minutes (RFC 3261's Timer C).
	FinalAfter time.Duration
	// Ring answers 180 Ringing; otherwise 100 Trying is all until the 480.
	Ring bool
	// Invites is how many INVITE transactions are held at once, those among
	// them that wait for their ACK; default 4096. Past it 503 is answered.
	Invites int
	// Emit takes one event: false if there was no room. It is called with the
	// Server's lock held: it must neither block nor call the Server.
	Emit       func(bridge.Event) bool
	Clock      func() time.Time // default time.Now; stamps events, times nothing
	Logger     *slog.Logger     // default: nothing is logged
	Registerer prometheus.Registerer
}

const (
	defaultFinalAfter = 5 * time.Second
	maxFinalAfter     = 3 * time.Minute
	defaultInvites    = 4096
	restartPause      = 250 * time.Millisecond
	refusalLogPause   = time.Minute
)

// Server is one SIP socket.
type Server struct {
	opts    Options
	metrics *metrics
	log     *slog.Logger
	parser  *gosip.Parser
	seed    maphash.Seed                   // of our To tags
	addr    net.Addr                       // fixed at New, port included
	listen  func() (net.PacketConn, error) // binds addr again; nil for a foreign Conn

	timers sync.WaitGroup // callbacks of the pending INVITEs

	refused [verdicts]refusalCount // for the log; owned by the reader

	mu      sync.Mutex         // guards what follows
	conn    net.PacketConn     // what answers are written to
	closed  bool               // for good
	down    error              // why nothing is heard; nil while the reader runs
	invites map[string]*invite // by transaction key
	calls   map[string]int     // Call-ID -> branches that are pending
}

type refusalCount struct {
	logged time.Time
	since  int
}

// New checks the options and binds the socket; nothing is read before Run. A
// Server that is never run has to be closed.
func New(o Options) (*Server, error) {
	if o.FinalAfter == 0 {
		o.FinalAfter = defaultFinalAfter
	}
	if o.Invites == 0 {
		o.Invites = defaultInvites
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, log: o.Logger.With("pbx", string(o.PBX)), parser: newParser(), seed: maphash.MakeSeed(),
		conn: o.Conn, down: errors.New("SIP listener is not running"),
		invites: make(map[string]*invite), calls: make(map[string]int),
	}
	s.opts.Allow = normalize(o.Allow)
	if s.conn == nil {
		conn, err := net.ListenPacket("udp", o.Listen)
		if err != nil {
			return nil, fmt.Errorf("binding the SIP socket: %w", err)
		}
		s.conn = conn
	}
	s.addr = s.conn.LocalAddr()
	if _, ok := s.conn.(*net.UDPConn); ok {
		s.listen = func() (net.PacketConn, error) { return net.ListenPacket("udp", s.addr.String()) }
	}
	s.metrics = newMetrics(o.Registerer, string(o.PBX), s.pending)
	return s, nil
}

func (o *Options) check() error {
	var errs []error
	fault := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("sip.Options."+text))
		}
	}
	fault(o.PBX == "", "PBX is missing")
	fault(o.Emit == nil, "Emit is missing")
	fault((o.Conn == nil) == (o.Listen == ""), "Listen or Conn: one of them is needed")
	fault(len(o.Allow) == 0, "Allow is empty: nobody would be heard")
	for _, p := range o.Allow {
		fault(!p.IsValid(), "Allow has a prefix that is none")
	}
	fault(o.FinalAfter < 0 || o.FinalAfter > maxFinalAfter, "FinalAfter is not within 0 to 3 minutes")
	fault(o.Invites < 0, "Invites is negative")
	for _, name := range o.CallNumberHeaders {
		fault(!token([]byte(name)), fmt.Sprintf("CallNumberHeaders: %q is no header name", name))
	}
	return errors.Join(errs...)
}

// newParser parses what is read here and no more: a Contact or a Route that
// sipgo cannot parse must not cost a call.
func newParser() *gosip.Parser {
	all, few := gosip.DefaultHeadersParser(), make(map[string]gosip.HeaderParser)
	for _, name := range []string{"from", "f", "to", "t", "call-id", "i", "cseq", "via", "v", "content-length", "l"} {
		few[name] = all[name]
	}
	return gosip.NewParser(gosip.WithHeadersParsers(few))
}

// Addr is the address that the socket is bound to.
func (s *Server) Addr() net.Addr { return s.addr }

// Ready returns nil while the socket is read, otherwise why not.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// Close closes the socket of a Server that is not run, and for good: a Run that
// runs or comes later ends. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.down = true, errors.New("SIP listener is closed")
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the SIP socket: %w", err)
	}
	return nil
}

// Run reads requests until ctx ends, answers what is pending with 480 and
// returns nil. A socket that fails is bound again within a second; a Conn that
// is no *net.UDPConn and was closed cannot be, which is the only error.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	defer s.shutdown()
	for {
		err := s.serve(ctx)
		if ctx.Err() != nil || s.isClosed() {
			return nil
		}
		s.metrics.restarts.Inc()
		s.setDown(fmt.Errorf("SIP listener stopped: %w", err))
		s.log.Error("SIP listener stopped, starting it again", "error", err, "address", s.addr.String())
		for again := true; again; {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(restartPause):
			}
			if s.listen == nil {
				if errors.Is(err, net.ErrClosed) {
					return fmt.Errorf("reading the SIP socket: %w", err)
				}
				break
			}
			again = s.rebind() != nil
		}
	}
}

// rebind closes the socket and binds its address again.
func (s *Server) rebind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.Close() // it has failed already
	conn, err := s.listen()
	if err != nil {
		s.down = fmt.Errorf("binding the SIP socket again: %w", err)
		return s.down
	}
	s.conn = conn
	return nil
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) setDown(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// serve reads one socket until it fails or ctx ends.
func (s *Server) serve(ctx context.Context) error {
	s.mu.Lock()
	conn := s.conn
	s.down = nil
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	g := newGuard(conn, s.opts.Allow, s.refuse)
	buf := make([]byte, maxDatagram)
	for {
		n, addr, err := g.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue // a deadline that is not ours
		}
		if err != nil {
			return err
		}
		s.datagram(buf[:n], sourceOf(addr))
	}
}

// refuse counts a datagram that the guard or the parser did not let through,
// and logs the first of its kind in each minute, without a byte of it. It runs
// on the reader.
func (s *Server) refuse(v verdict, source netip.AddrPort) {
	s.metrics.datagrams[v].Inc()
	if v == keepalive {
		return
	}
	count, now := &s.refused[v], s.opts.Clock()
	count.since++
	if now.Sub(count.logged) < refusalLogPause {
		return
	}
	s.log.Warn("SIP datagrams refused", "reason", v.String(), "source", source.Addr().String(), "count", count.since)
	count.logged, count.since = now, 0
}
