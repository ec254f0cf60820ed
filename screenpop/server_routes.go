package screenpop

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// access is who may use a route.
type access uint8

const (
	open     access = iota // anybody: the login page and its files
	signedIn               // whoever has a session
	withDesk               // whoever has a session and takes calls
)

// route is one line of the table of everything that is served.
type route struct {
	pattern string
	access  access
	api     bool  // errors are short texts, not pages, and nobody is sent to the login page
	body    int64 // bytes of a request's body that are read
	stream  bool  // has no end: no deadline, and is not use of the session
	handle  func(w http.ResponseWriter, r *http.Request, v visitor) error
}

const (
	routeTimeout = 10 * time.Second // for a request and its answer, see Server.answers
	formBytes    = 8 << 10
)

// routes is the table. Adding a line is all that a new page needs; the tests
// walk it to see that nothing opens without a session.
func (s *Server) routes() []route {
	return []route{
		{pattern: "GET /static/{file}", handle: s.handleStatic},
		{pattern: "GET /login", handle: s.handleLoginPage},
		{pattern: "POST /login", body: formBytes, handle: s.handleLogin},
		{pattern: "GET /signin", handle: s.handleSignInPage},
		{pattern: "POST /signin", body: formBytes, handle: s.handleSignIn},
		{pattern: "POST /logout", access: signedIn, body: formBytes, handle: s.handleLogout},

		{pattern: "GET /{$}", access: signedIn, handle: s.handleDesk},
		{pattern: "GET /standby", access: signedIn, handle: s.handleStandby},
		{pattern: "GET /me", access: signedIn, api: true, handle: s.handleMe},
		{pattern: "GET /api/stream", access: withDesk, api: true, stream: true, handle: s.handleStream},
		{pattern: "POST /api/pops/{id}/shown", access: withDesk, api: true, body: formBytes, handle: s.handleShown},
		{pattern: "POST /api/pops/{id}/acknowledge", access: withDesk, api: true, body: formBytes, handle: s.handleAcknowledge},
		{pattern: "POST /api/pops/{id}/link", access: withDesk, api: true, body: formBytes, handle: s.handleMintLink},
		{pattern: "GET /pops/{id}", access: withDesk, handle: s.handlePop},
		{pattern: "GET /o/{token}", access: signedIn, handle: s.handleLinkPage},
		{pattern: "POST /o/{token}", access: signedIn, body: formBytes, handle: s.handleRedeem},

		{pattern: "/", handle: s.handleNothing},
	}
}

// serve puts a route's limits and doors around its handler.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, rt.body)
		if err := s.admit(w, r, rt); err != nil {
			s.fail(w, r, rt, err)
		}
	})
}

// admit lets the request in to the handler if its visitor may.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, rt route) error {
	if rt.api && !sameOrigin(r) {
		return &httpError{status: http.StatusForbidden, notice: "cross_origin"}
	}
	ctx := r.Context()
	if !rt.stream {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.answers)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if rt.access == open {
		v := visitor{remote: s.remoteAddr(r)}
		v.from = v.remote.String()
		return rt.handle(w, r, v)
	}
	w.Header().Add("Vary", "Cookie")
	v, err := s.visit(r)
	if errors.Is(err, errSignedOut) && !rt.api {
		http.Redirect(w, r, loginAddress(r), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	if rt.access == withDesk && !v.hasDesk() {
		return &httpError{status: http.StatusForbidden, notice: "no_desk"}
	}
	if !rt.stream {
		if err := s.touch(v.session); err != nil {
			s.o.Logger.WarnContext(ctx, "idle time-out not put off", "err", err)
		}
	}
	return rt.handle(w, r, v)
}

// loginAddress is the login page, and from there back to where the request
// wanted to go, if that is a page.
func loginAddress(r *http.Request) string {
	next := r.URL.EscapedPath()
	if next == "/" || next == "/logout" || safeNext(next) == "/" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {next}}.Encode()
}

// sameOrigin tells whether a browser made the request from our own pages. The
// cookie alone would not: another port of this host is the same site.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}
