package screenpop

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// checkDoor refuses requests that did not come by external_url: for another
// host (a rebound name, a guessed address) or without HTTPS where it is due.
func (s *Server) checkDoor(r *http.Request) error {
	if !sameHost(r.Host, s.o.ExternalURL) {
		return &httpError{status: http.StatusMisdirectedRequest, notice: "wrong_host", cause: errors.New("host is not external_url's")}
	}
	if !s.https || r.TLS != nil {
		return nil
	}
	if !s.trusted(socketAddr(r)) {
		return &httpError{status: http.StatusForbidden, notice: "needs_https", cause: errors.New("plain http from no trusted proxy")}
	}
	// The last value is the one that the proxy next to us wrote.
	proto := lastValue(r.Header.Values("X-Forwarded-Proto"))
	if !strings.EqualFold(proto, "https") {
		return &httpError{status: http.StatusForbidden, notice: "needs_https", cause: errors.New("X-Forwarded-Proto is not https")}
	}
	return nil
}

// sameHost compares a Host header with the address that we go by; a port that
// is the scheme's own may be left out.
func sameHost(host string, external *url.URL) bool {
	port := map[string]string{"https": "443", "http": "80"}[external.Scheme]
	full := func(h string) string {
		if _, _, err := net.SplitHostPort(h); err == nil {
			return strings.ToLower(h)
		}
		return strings.ToLower(net.JoinHostPort(strings.Trim(h, "[]"), port))
	}
	return full(host) == full(external.Host)
}

// loopbackHost tells whether a host name can only be this machine.
func loopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// remoteAddr is the address of the browser: the connection's or, behind
// trusted proxies, the last of X-Forwarded-For that is not one of them.
func (s *Server) remoteAddr(r *http.Request) netip.Addr {
	at := socketAddr(r)
	if !s.trusted(at) {
		return at
	}
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(line, ",")...)
	}
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return at
		}
		at = hop.Unmap()
		if !s.trusted(at) {
			return at
		}
	}
	return at
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func socketAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	parts := strings.Split(lines[len(lines)-1], ",")
	return strings.TrimSpace(parts[len(parts)-1])
}
