package screenpop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
)

// What a session holds. Values are strings and integers: gob needs no types
// registered for these.
const (
	sessionUser    = "user"    // User.ID
	sessionStarted = "started" // Unix seconds of the sign-in
	sessionTouched = "touched" // Unix seconds of the last time the idle time-out was put off
	sessionSecret  = "secret"  // secretMark of the user's password: with a new one every session ends
)

// touchEvery is how often a request in use puts off the idle time-out: not at
// each request, since that is a write.
const touchEvery = time.Minute

// errSignedOut says that a request has no session that holds.
var errSignedOut = errors.New("not signed in")

// visitor is who makes a request.
type visitor struct {
	User
	token  string    // session token, unhashed; never logged
	until  time.Time // the session ends then at the latest
	remote netip.Addr
	from   string // remote as text, for the audit

	session context.Context // holds what scs loaded; lives as long as the request
}

// hasDesk tells whether the visitor takes calls.
func (v visitor) hasDesk() bool { return v.Agent != "" }

// deskID is the agent's id in a form that a header and an attribute can carry:
// by it a desk's script sees that somebody else signed in meanwhile.
func (v visitor) deskID() string { return url.PathEscape(string(v.Agent)) }

// newSessionManager makes scs ready: hashed tokens in the store, a cookie that
// no script and no foreign site gets and that goes when the browser closes.
// It is not made by scs.New, which starts a goroutine that never ends.
func newSessionManager(o ServerOptions) *scs.SessionManager {
	https := o.ExternalURL.Scheme == "https"
	return &scs.SessionManager{
		Store:            o.Sessions,
		HashTokenInStore: true,
		Codec:            scs.GobCodec{},
		Lifetime:         o.Absolute,
		IdleTimeout:      o.Idle,
		Cookie: scs.SessionCookie{
			Name:     cookieName(https),
			Path:     "/",
			HttpOnly: true,
			SameSite: http.SameSiteLaxMode,
			Secure:   https,
		},
	}
}

// cookieName has the prefix that pins the cookie to this host over HTTPS;
// browsers refuse it over plain HTTP.
func cookieName(https bool) string {
	if https {
		return "__Host-ringlink"
	}
	return "ringlink"
}

// visit finds the visitor of a request: errSignedOut without a session that
// holds, other errors when the store does not answer. It uses scs without its
// middleware, which would write the session after every request and so could
// bring back one that was revoked meanwhile.
func (s *Server) visit(r *http.Request) (visitor, error) {
	v := visitor{remote: s.remoteAddr(r)}
	v.from = v.remote.String()
	cookie, err := r.Cookie(s.sessions.Cookie.Name)
	if err != nil || cookie.Value == "" {
		return v, errSignedOut
	}
	v.token = cookie.Value
	ctx, user, err := s.holds(r.Context(), v.token)
	if err != nil {
		return v, err
	}
	v.User, v.session = user, ctx
	v.until = time.Unix(s.sessions.GetInt64(ctx, sessionStarted), 0).Add(s.o.Absolute)
	return v, nil
}

// holds loads the session and its user, changing nothing.
func (s *Server) holds(ctx context.Context, token string) (context.Context, User, error) {
	ctx, err := s.sessions.Load(ctx, token)
	if err != nil {
		return ctx, User{}, fmt.Errorf("loading session: %w", err)
	}
	id := s.sessions.GetString(ctx, sessionUser)
	if id == "" {
		return ctx, User{}, errSignedOut
	}
	now := s.o.Clock()
	started := time.Unix(s.sessions.GetInt64(ctx, sessionStarted), 0)
	touched := time.Unix(s.sessions.GetInt64(ctx, sessionTouched), 0)
	if now.Sub(started) >= s.o.Absolute || now.Sub(touched) >= s.o.Idle {
		return ctx, User{}, errSignedOut
	}
	user, err := s.o.Users.UserByID(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && user.Disabled:
		return ctx, User{}, errSignedOut
	case err != nil:
		return ctx, User{}, fmt.Errorf("loading user: %w", err)
	case s.sessions.GetString(ctx, sessionSecret) != secretMark(user):
		return ctx, User{}, errSignedOut
	}
	return ctx, user, nil
}

// secretMark changes with the user's password and tells nothing about it.
func secretMark(u User) string {
	sum := sha256.Sum256([]byte(u.PasswordHash))
	return hex.EncodeToString(sum[:8])
}

// touch puts off the idle time-out of the session that scs loaded into ctx.
func (s *Server) touch(ctx context.Context) error {
	now := s.o.Clock()
	last := time.Unix(s.sessions.GetInt64(ctx, sessionTouched), 0)
	if now.Sub(last) < min(touchEvery, s.o.Idle/4) {
		return nil
	}
	s.sessions.Put(ctx, sessionTouched, now.Unix())
	if _, _, err := s.sessions.Commit(ctx); err != nil {
		return fmt.Errorf("touching session: %w", err)
	}
	// A sign-out that came between had its session written anew just now.
	if s.ended.has(s.sessions.Token(ctx)) {
		if err := s.sessions.Destroy(ctx); err != nil {
			return fmt.Errorf("revoking session: %w", err)
		}
	}
	return nil
}

// startSession signs the user in under a new token and puts the cookie on w.
// A session that the browser had before is gone.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, u User) error {
	token := ""
	if cookie, err := r.Cookie(s.sessions.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := s.sessions.Load(r.Context(), token)
	if err != nil {
		return fmt.Errorf("loading session: %w", err)
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renewing session token: %w", err)
	}
	if err := s.sessions.Clear(ctx); err != nil {
		return fmt.Errorf("clearing session: %w", err)
	}
	now := s.o.Clock()
	s.sessions.Put(ctx, sessionUser, u.ID)
	s.sessions.Put(ctx, sessionStarted, now.Unix())
	s.sessions.Put(ctx, sessionTouched, now.Unix())
	s.sessions.Put(ctx, sessionSecret, secretMark(u))
	token, expiry, err := s.sessions.Commit(ctx)
	if err != nil {
		return fmt.Errorf("saving session: %w", err)
	}
	s.writeCookie(ctx, w, token, expiry)
	return nil
}

// endSession revokes the visitor's session and takes the cookie back.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, token string) error {
	ctx, err := s.sessions.Load(r.Context(), token)
	if err != nil {
		return fmt.Errorf("loading session: %w", err)
	}
	s.ended.add(token)
	if err := s.sessions.Destroy(ctx); err != nil {
		return fmt.Errorf("revoking session: %w", err)
	}
	s.writeCookie(ctx, w, "", time.Time{})
	return nil
}

// writeCookie is scs's, less the Cache-Control that it adds: ours is stricter.
func (s *Server) writeCookie(ctx context.Context, w http.ResponseWriter, token string, expiry time.Time) {
	s.sessions.WriteSessionCookie(ctx, w, token, expiry)
	w.Header().Set("Cache-Control", "no-store")
}
