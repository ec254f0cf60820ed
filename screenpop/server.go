package screenpop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"

	"ringlink/bridge"
)

// Desks hands out the streams of agents' desks; *Hub is one.
type Desks interface {
	Subscribe(agent bridge.AgentID) (*Stream, error)
	// Revoke ends the agent's streams; desks that may go on subscribe again.
	Revoke(agent bridge.AgentID)
}

// Pops is what a desk does with its pops; *Popper is one. Each method answers
// ErrNotFound for a pop that there is not, or that is another agent's.
type Pops interface {
	Shown(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error
	Acknowledge(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error
	Pop(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (Pop, error)
}

// Links makes and spends secure links, and audits both; *Linker is one.
type Links interface {
	Mint(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (token string, expires time.Time, err error)
	// Redeem's errors are those of LinkStore.RedeemLink.
	Redeem(ctx context.Context, agent bridge.AgentID, token string) (bridge.PopID, error)
}

// Opened tells whether a link of the pop was redeemed; a LinkStore is one.
type Opened interface {
	PopRedeemed(ctx context.Context, id bridge.PopID, agent bridge.AgentID) (bool, error)
}

// PasswordChecker verifies a password against a stored hash; *Passwords is
// one. An empty hash costs the same and never matches.
type PasswordChecker interface {
	VerifyPassword(ctx context.Context, hash, password string) (ok, rehash bool, err error)
}

// ServerOptions are the parts of a Server. All without a default are needed.
type ServerOptions struct {
	ExternalURL    *url.URL       // scheme and host by which agents reach the desk; plain http for loopback only
	TrustedProxies []netip.Prefix // whose X-Forwarded-* are believed
	Users          UserStore
	Sessions       SessionStore
	Idle           time.Duration // ends a session that nobody uses; default 8 h
	Absolute       time.Duration // ends any session; default 24 h
	Desks          Desks         // the Hub
	Pops           Pops          // the Popper
	Links          Links         // the Linker
	Opened         Opened        // the LinkStore
	Passwords      PasswordChecker
	Audit          Auditor
	Logger         *slog.Logger     // default discards
	Clock          func() time.Time // default time.Now
}

// Server is the desk over HTTP: pages, API and stream. Everything but the
// login page and its files needs a session. It starts no goroutine.
type Server struct {
	o        ServerOptions
	https    bool
	sessions *scs.SessionManager
	limits   *loginLimits
	signIns  *signIns
	ended    endedSessions
	pages    *pages
	files    *staticFiles
	origins  *http.CrossOriginProtection
	mux      *http.ServeMux

	misdirected atomic.Bool // a request for another host or without HTTPS was logged

	answers      time.Duration // for a request and its answer, but a stream
	heartbeat    time.Duration // between two comments of a stream
	streamWrites time.Duration // for one flush of a stream
}

// NewServer checks the options and makes the pages ready.
func NewServer(o ServerOptions) (*Server, error) {
	if err := checkServerOptions(&o); err != nil {
		return nil, err
	}
	files, err := loadStaticFiles()
	if err != nil {
		return nil, err
	}
	pages, err := loadPages(files)
	if err != nil {
		return nil, err
	}
	s := &Server{
		o:            o,
		https:        o.ExternalURL.Scheme == "https",
		sessions:     newSessionManager(o),
		limits:       newLoginLimits(),
		signIns:      newSignIns(),
		pages:        pages,
		files:        files,
		origins:      http.NewCrossOriginProtection(),
		mux:          http.NewServeMux(),
		answers:      routeTimeout,
		heartbeat:    streamHeartbeat,
		streamWrites: streamWriteTimeout,
	}
	for _, rt := range s.routes() {
		s.mux.Handle(rt.pattern, s.serve(rt))
	}
	return s, nil
}

func checkServerOptions(o *ServerOptions) error {
	var faults []error
	need := func(ok bool, what string) {
		if !ok {
			faults = append(faults, errors.New(what))
		}
	}
	if o.ExternalURL == nil || o.ExternalURL.Host == "" {
		need(false, "ExternalURL is missing")
	} else {
		https := o.ExternalURL.Scheme == "https"
		need(https || o.ExternalURL.Scheme == "http", "ExternalURL is neither https nor http")
		need(https || loopbackHost(o.ExternalURL.Hostname()), "ExternalURL is plain http and not a loopback host")
	}
	need(o.Users != nil, "Users is missing")
	need(o.Sessions != nil, "Sessions is missing")
	need(o.Desks != nil, "Desks is missing")
	need(o.Pops != nil, "Pops is missing")
	need(o.Links != nil, "Links is missing")
	need(o.Opened != nil, "Opened is missing")
	need(o.Passwords != nil, "Passwords is missing")
	need(o.Audit != nil, "Audit is missing")
	need(o.Idle >= 0 && o.Absolute >= 0, "Idle and Absolute must not be negative")
	if len(faults) > 0 {
		return fmt.Errorf("checking server options: %w", errors.Join(faults...))
	}
	if o.Absolute == 0 {
		o.Absolute = 24 * time.Hour
	}
	if o.Idle == 0 {
		o.Idle = 8 * time.Hour
	}
	o.Idle = min(o.Idle, o.Absolute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return nil
}

// MintSignIn makes a one-time sign-in address for the user: good for one POST
// within ten minutes. The token stands in the fragment, which browsers send to
// nobody and proxies do not log.
func (s *Server) MintSignIn(userID string) string {
	at := url.URL{Scheme: s.o.ExternalURL.Scheme, Host: s.o.ExternalURL.Host, Path: "/signin"}
	at.Fragment = s.signIns.mint(userID, s.o.Clock())
	return at.String()
}

// Handler serves the desk. The http.Server around it must have no
// WriteTimeout, which would end the streams: each route sets its own.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	// Also what no handler reads: net/http waits for the rest of a body.
	setDeadlines(w, time.Now().Add(s.answers), time.Now().Add(s.answers))
	defer s.recovered(w, r)
	setSafetyHeaders(w.Header(), s.https)
	if err := s.checkDoor(r); err != nil {
		s.fail(w, r, route{api: true}, err)
		return
	}
	if err := s.origins.Check(r); err != nil {
		s.fail(w, r, route{api: true}, &httpError{status: http.StatusForbidden, notice: "cross_origin", cause: err})
		return
	}
	s.mux.ServeHTTP(w, r)
}

// setDeadlines sets those of the connection, which go by the clock of the
// sockets, not by the Server's; zero is none.
func setDeadlines(w http.ResponseWriter, read, write time.Time) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(read) // a writer that has no deadlines is a test's
	_ = c.SetWriteDeadline(write)
}

// recovered answers a request whose handler panicked. The value may hold
// personal data: only its type is logged.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.o.Logger.ErrorContext(r.Context(), "recovering from a panic in a request", "route", r.Pattern, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	a := answerFor(errPanic)
	w.WriteHeader(a.status) // says nothing if an answer has begun
	_, _ = io.WriteString(w, noticeText(a.notice)+"\n")
}
