package screenpop

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// httpError is an error with what its reader is told: notice names an entry of
// the catalogue, cause stays in the log.
type httpError struct {
	status int
	notice string
	cause  error
	wait   time.Duration // for 429: when it is worth trying again
}

func (e *httpError) Error() string {
	if e.cause != nil {
		return e.notice + ": " + e.cause.Error()
	}
	return e.notice
}

func (e *httpError) Unwrap() error { return e.cause }

// errNotOpened says that a pop's page was asked for before any of its links
// was redeemed.
var errNotOpened = errors.New("pop was not opened by a link")

// answers is the one table from errors to status codes and notices.
var answers = []struct {
	err    error
	status int
	notice string
}{
	{errSignedOut, http.StatusUnauthorized, "signed_out"},
	{ErrLinkExpired, http.StatusGone, "link_expired"},
	{ErrLinkUsed, http.StatusGone, "link_used"},
	{ErrLinkForeign, http.StatusForbidden, "link_foreign"},
	{ErrLinkUnknown, http.StatusNotFound, "link_unknown"},
	{errNotOpened, http.StatusForbidden, "pop_not_opened"},
	{ErrNotFound, http.StatusNotFound, "pop_unknown"},
	{ErrNoLink, http.StatusServiceUnavailable, "no_link"},
	{ErrTooManyStreams, http.StatusTooManyRequests, "too_many_desks"},
	{ErrHubClosed, http.StatusServiceUnavailable, "closing"},
}

// answerFor finds status and notice of an error; what is in no table is our
// own trouble.
func answerFor(err error) *httpError {
	var he *httpError
	if errors.As(err, &he) {
		return he
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return &httpError{status: a.status, notice: a.notice, cause: err}
		}
	}
	return &httpError{status: http.StatusServiceUnavailable, notice: "trouble", cause: err}
}

// fail answers with what the visitor may know of err, and logs the rest once.
// It does nothing more for a visitor who has gone.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, rt route, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return
	}
	a := answerFor(err)
	switch {
	case a.notice == "trouble":
		s.o.Logger.ErrorContext(r.Context(), "request failed", "route", rt.pattern, "status", a.status, "err", a.cause)
	case (a.status == http.StatusMisdirectedRequest || a.notice == "needs_https") && s.misdirected.CompareAndSwap(false, true):
		// Once: it tells of a wrong external_url or proxy. Scanners do it all the time.
		s.o.Logger.WarnContext(r.Context(), "request refused: external_url or the proxy may be wrong; further ones are logged at debug",
			"reason", a.notice, "remote", socketAddr(r).String())
	default:
		s.o.Logger.DebugContext(r.Context(), "request refused", "route", rt.pattern, "status", a.status, "reason", a.notice)
	}
	if a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if a.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((a.wait+time.Second-1)/time.Second)))
	}
	if rt.api {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, noticeText(a.notice)+"\n") // the visitor may have gone
		return
	}
	s.showNotice(w, r, a)
}

// showNotice answers with a page that says kindly what happened and what to do.
func (s *Server) showNotice(w http.ResponseWriter, r *http.Request, a *httpError) {
	if err := s.pages.render(w, r, a.status, "notice", page{Notice: noticeFor(a.notice)}); err != nil {
		s.o.Logger.ErrorContext(r.Context(), "notice not shown", "err", err)
	}
}

func (s *Server) handleNothing(_ http.ResponseWriter, _ *http.Request, _ visitor) error {
	return &httpError{status: http.StatusNotFound, notice: "no_page"}
}

// audit writes a row of the audit trail. That it can't be written is logged and
// stops nobody: a desk works on while the store is away.
func (s *Server) audit(ctx context.Context, actor, action, object, detail, remote string) {
	e := AuditEntry{At: s.o.Clock().UTC(), Actor: actor, Action: action, Object: object, Detail: detail, Remote: remote}
	if err := s.o.Audit.Audit(context.WithoutCancel(ctx), e); err != nil {
		s.o.Logger.ErrorContext(ctx, "audit row lost", "action", action, "err", err)
	}
}
