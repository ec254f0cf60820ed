package screenpop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// page is what every template gets; each uses its own part.
type page struct {
	User   User
	Login  loginForm
	Notice notice
	Pop    *popPage
	Token  string // of /o/{token}: where the form posts to
	DeskID string // names the desk to its script; empty for a user who has none
}

type loginForm struct {
	Login string
	Next  string
	Fault string
}

func (s *Server) handleLoginPage(w http.ResponseWriter, r *http.Request, _ visitor) error {
	next := safeNext(r.URL.Query().Get("next"))
	if _, err := s.visit(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return s.pages.render(w, r, http.StatusOK, "login", page{Login: loginForm{Next: next}})
}

// handleLogin answers an unknown login, a disabled user and a wrong password
// alike, in words and in time.
func (s *Server) handleLogin(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := r.ParseForm(); err != nil {
		return &httpError{status: http.StatusBadRequest, notice: "bad_request", cause: err}
	}
	form := loginForm{Login: strings.TrimSpace(r.PostFormValue("login")), Next: safeNext(r.PostFormValue("next"))}
	may := s.limits.begin(form.Login, v.remote, s.o.Clock())
	if may.wait > 0 {
		s.auditLimited(r, may, v)
		form.Fault = fmt.Sprintf(texts["login_limit"], waitText(may.wait))
		w.Header().Set("Retry-After", strconv.Itoa(int((may.wait+time.Second-1)/time.Second)))
		return s.pages.render(w, r, http.StatusTooManyRequests, "login", page{Login: form})
	}
	user, ok, err := s.checkPassword(r.Context(), form.Login, r.PostFormValue("password"))
	// Our own trouble is nobody's failure.
	may.done(ok || err != nil, s.o.Clock())
	if err != nil {
		return err
	}
	if !ok {
		s.audit(r.Context(), "", "login_failed", user.ID, "", v.from)
		form.Fault = texts["login_bad"]
		return s.pages.render(w, r, http.StatusUnauthorized, "login", page{Login: form})
	}
	if err := s.startSession(w, r, user); err != nil {
		return err
	}
	s.audit(r.Context(), user.ID, "login", user.ID, "password", v.from)
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
	return nil
}

// auditLimited notes the first refusal of a run.
func (s *Server) auditLimited(r *http.Request, may leave, v visitor) {
	if may.first {
		s.audit(r.Context(), "", "login_limited", "", "", v.from)
	}
}

// checkPassword returns the user and whether the password is theirs. It hashes
// once whatever the login.
func (s *Server) checkPassword(ctx context.Context, login, password string) (User, bool, error) {
	user, err := s.o.Users.UserByLogin(ctx, strings.ToLower(login))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return User{}, false, fmt.Errorf("finding user: %w", err)
	}
	good, _, err := s.o.Passwords.VerifyPassword(ctx, user.PasswordHash, password)
	if errors.Is(err, ErrPasswordHash) {
		s.o.Logger.ErrorContext(ctx, "user cannot sign in until the password is set again", "user", user.ID, "err", err)
		err = nil
	}
	if err != nil {
		return user, false, fmt.Errorf("verifying password: %w", err)
	}
	return user, good && user.ID != "" && !user.Disabled, nil
}

func (s *Server) handleLogout(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := s.endSession(w, r, v.token); err != nil {
		return err
	}
	if v.hasDesk() {
		s.o.Desks.Revoke(v.Agent) // the desks of other sessions come back at once
	}
	s.audit(r.Context(), v.ID, "logout", v.ID, "", v.from)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// handleSignInPage shows nothing but a form: the token is in the fragment,
// which the page's script posts. Whoever fetches the page spends nothing.
func (s *Server) handleSignInPage(w http.ResponseWriter, r *http.Request, _ visitor) error {
	return s.pages.render(w, r, http.StatusOK, "signin", page{})
}

func (s *Server) handleSignIn(w http.ResponseWriter, r *http.Request, v visitor) error {
	if err := r.ParseForm(); err != nil {
		return &httpError{status: http.StatusBadRequest, notice: "bad_request", cause: err}
	}
	may := s.limits.beginToken(v.remote, s.o.Clock())
	if may.wait > 0 {
		s.auditLimited(r, may, v)
		return &httpError{status: http.StatusTooManyRequests, notice: "too_many_tries", wait: may.wait}
	}
	id, ok := s.signIns.spend(r.PostFormValue("token"), s.o.Clock())
	may.done(ok, s.o.Clock())
	if !ok {
		s.audit(r.Context(), "", "login_failed", "", "sign_in_token", v.from)
		return &httpError{status: http.StatusGone, notice: "signin_spent"}
	}
	user, err := s.o.Users.UserByID(r.Context(), id)
	if errors.Is(err, ErrNotFound) || err == nil && user.Disabled {
		return &httpError{status: http.StatusGone, notice: "signin_spent"}
	}
	if err != nil {
		return fmt.Errorf("finding user: %w", err)
	}
	if err := s.startSession(w, r, user); err != nil {
		return err
	}
	s.audit(r.Context(), user.ID, "login", user.ID, "sign_in_token", v.from)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// safeNext lets through paths of our own pages only: no scheme, no host, and
// nothing that a browser could take for one.
func safeNext(next string) string {
	if len(next) > 512 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }) {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/o/") && !strings.HasPrefix(path, "/pops/") {
		return "/"
	}
	if strings.Contains(u.Path, "..") {
		return "/"
	}
	return path
}

func waitText(d time.Duration) string {
	seconds := int((d + time.Second - 1) / time.Second)
	if seconds < 90 {
		return strconv.Itoa(seconds) + " seconds"
	}
	return strconv.Itoa((seconds+59)/60) + " minutes"
}
