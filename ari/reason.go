package ari

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// The reasons why a Source is not up, a closed set of short texts that an
// operator can act on. Status.Reason is one of them, or ReasonResync followed
// by one of them, or empty.
const (
	ReasonConnecting = "connecting"
	ReasonStopped    = "stopped"
	ReasonLost       = "connection lost"
	ReasonDeadPeer   = "Asterisk does not answer (no pong)"
	ReasonPassword   = "wrong user or password (401)"
	ReasonForbidden  = "this ARI user may not do that (403)"
	ReasonNotFound   = "ARI is not enabled at this address (404)"
	ReasonBooting    = "Asterisk is booting (503)"
	ReasonHTTP       = "unexpected HTTP answer"
	ReasonRefused    = "connection refused"
	ReasonNoHost     = "host name not found"
	ReasonTLS        = "TLS certificate or handshake not accepted"
	ReasonTimeout    = "no answer in time"
	ReasonNetwork    = "network error"
	ReasonBadAnswer  = "the answer is not what ARI sends"
	ReasonReplaced   = "app name taken over by another client"
	ReasonCatchingUp = "events were missed, catching up"
	ReasonResync     = "resync failing: "
)

// StatusError is an HTTP answer other than success.
type StatusError struct{ Code int }

// Error gives the code.
func (e *StatusError) Error() string { return fmt.Sprintf("HTTP status %d", e.Code) }

var (
	errReplaced = errors.New("another client took the application's name")
	errDeadPeer = errors.New("neither pong nor event in time")
	// ErrAnswer is an HTTP answer that could not be read as what was asked for.
	ErrAnswer = errors.New("unreadable answer")
)

// Reason puts an error of this package's requests into the closed set.
func Reason(err error) string {
	var (
		status *StatusError
		dns    *net.DNSError
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
		host   x509.HostnameError
		netErr net.Error
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &status):
		return statusReason(status.Code)
	case errors.Is(err, errReplaced):
		return ReasonReplaced
	case errors.Is(err, errDeadPeer):
		return ReasonDeadPeer
	case errors.Is(err, ErrAnswer):
		return ReasonBadAnswer
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonRefused
	case errors.As(err, &dns):
		return ReasonNoHost
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &host),
		strings.Contains(err.Error(), "tls: "): // alerts have no exported type
		return ReasonTLS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ReasonTimeout
	}
	return ReasonNetwork
}

func statusReason(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return ReasonPassword
	case http.StatusForbidden:
		return ReasonForbidden
	case http.StatusNotFound:
		return ReasonNotFound
	case http.StatusServiceUnavailable:
		return ReasonBooting
	}
	return ReasonHTTP
}

// mustAct tells whether somebody has to do something before a further attempt
// can succeed: such attempts are rarer (an address filter may count them) and
// logged as errors.
func mustAct(reason string) bool {
	switch reason {
	case ReasonPassword, ReasonForbidden, ReasonNotFound, ReasonHTTP, ReasonTLS, ReasonReplaced:
		return true
	}
	return false
}
