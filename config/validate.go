package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// validate checks what no single value shows. Values that have a fault already are left alone.
func (l *loader) validate(c *Config) {
	l.validateDoors(c)
	l.validateTLS(c)
	l.validateStore(&c.Store)
	l.validatePBXs(c.PBXs)
	l.validateSIP(c)
	if c.Log.ReferenceKey.IsSet() && len(c.Log.ReferenceKey.Reveal()) < 16 {
		l.fault("log.reference_key", "is shorter than 16 bytes", "make one: openssl rand -hex 32")
	}
	if l.good("sessions.idle", "sessions.absolute") && c.Sessions.Idle > c.Sessions.Absolute {
		l.fault("sessions.idle", fmt.Sprintf("is longer than sessions.absolute (%s)", duration(c.Sessions.Absolute)), "write the shorter of the two here")
	}
	if p := c.Tickets.Prefix; len(p) > 16 || strings.Trim(p, ticketLetters) != "" {
		l.fault("tickets.prefix", fmt.Sprintf("is %q", show(p)), "write at most 16 letters, digits, and - _ # / .")
	}
}

const ticketLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_#/."

// validateDoors holds DESIGN.md 8: the desk is served with HTTPS from files, or behind a named trusted proxy, or on
// loopback alone.
func (l *loader) validateDoors(c *Config) {
	listenGood := l.validAddress("listen", c.Listen, "127.0.0.1:8080")
	if l.validAddress("debug_listen", c.DebugListen, "127.0.0.1:9090") {
		if !loopbackAddress(c.DebugListen) {
			l.fault("debug_listen", fmt.Sprintf("is %s: nobody signs in there, so it is for this machine alone", show(c.DebugListen)), "write debug_listen: 127.0.0.1:9090")
		} else if listenGood && c.Listen == c.DebugListen && !strings.HasSuffix(c.Listen, ":0") {
			l.fault("debug_listen", "is the same address as listen", "give it a port of its own")
		}
	}
	for i, p := range c.TrustedProxies {
		if at := fmt.Sprintf("trusted_proxies[%d]", i); l.good(at) && p.Bits() == 0 {
			l.fault(at, fmt.Sprintf("is %s, everybody: any client could then say that it came by HTTPS", p), "name the addresses of your proxies, such as 127.0.0.1/32")
		}
	}
	if !l.good("external_url") {
		return
	}
	u := c.ExternalURL
	if u.Path != "" {
		l.fault("external_url", fmt.Sprintf("has the path %s, and the desk lives at the root of its host", show(u.Path)), fmt.Sprintf("write external_url: %s://%s", u.Scheme, u.Host))
	}
	hasTLS := c.TLS != TLS{} || !l.good("tls")
	behindProxy := len(c.TrustedProxies) > 0 || !l.good("trusted_proxies")
	switch {
	case u.Scheme == "https" && !hasTLS && !behindProxy:
		l.fault("external_url", "is https, but nothing here serves HTTPS", "write tls: {cert_file: …, key_file: …}, or name the proxy that does in trusted_proxies")
	case u.Scheme == "http" && !loopbackURL(u):
		l.fault("external_url", "is plain http for a host that is not loopback", fmt.Sprintf("write https://%s, with tls or trusted_proxies", u.Host))
	case u.Scheme == "http" && hasTLS:
		l.fault("external_url", "is plain http, but tls is set", fmt.Sprintf("write https://%s, or leave tls out", u.Host))
	case u.Scheme == "http" && listenGood && !loopbackAddress(c.Listen):
		l.fault("listen", fmt.Sprintf("is %s: plain HTTP is served on loopback only", show(c.Listen)), "write listen: 127.0.0.1:8080, or https in external_url with tls or trusted_proxies")
	}
}

// validateTLS checks that the certificate and its key are there and belong together.
func (l *loader) validateTLS(c *Config) {
	cert, key := c.TLS.CertFile, c.TLS.KeyFile
	if !l.good("tls") || cert == "" && key == "" {
		return
	}
	if cert == "" || key == "" {
		have, miss, example := "cert_file", "key_file", "/etc/ringlink/desk.key"
		if cert == "" {
			have, miss, example = "key_file", "cert_file", "/etc/ringlink/desk.crt"
		}
		l.fault("tls", fmt.Sprintf("has %s without %s", have, miss), fmt.Sprintf("write %s: %s too", miss, example))
		return
	}
	if info, err := os.Stat(cert); err != nil {
		l.fault("tls.cert_file", show(cert)+" cannot be read: "+cause(err), "name the certificate's PEM file")
	} else if !info.Mode().IsRegular() {
		l.fault("tls.cert_file", show(cert)+" is not a regular file", "name the certificate's PEM file")
	}
	if !l.checkPrivate(key, "tls.key_file") || !l.good("tls.cert_file") {
		return
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		l.fault("tls", "the certificate and the key cannot be used: "+strings.TrimPrefix(cause(err), "tls: "), "name the PEM files of one certificate, with its chain, and of its key")
	}
}

// validateSIP checks the SIP socket.
func (l *loader) validateSIP(c *Config) {
	if !c.SIP.Enabled() {
		return
	}
	l.validAddress("sip.listen", c.SIP.Listen, "192.0.2.10:5060")
	if len(c.SIP.Allow) == 0 && l.good("sip.allow") {
		l.fault("sip.listen", "is set, but sip.allow names nobody who may send", "write sip.allow: [192.0.2.0/24] with the addresses of your PBXs")
	}
}

// validAddress reports whether the value of a key is host:port with an IP address, localhost or nothing as its host.
func (l *loader) validAddress(path, address, example string) bool {
	if !l.good(path) {
		return false
	}
	key := path[strings.LastIndex(path, ".")+1:]
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port, 0) {
		l.fault(path, fmt.Sprintf("is %q, not host:port", show(address)), fmt.Sprintf("write %s: %s", key, example))
		return false
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		l.fault(path, fmt.Sprintf("has the host %q, which is no address of this machine", show(host)), fmt.Sprintf("write %s: %s, or :%s for all addresses", key, example, port))
		return false
	}
	return true
}

// loopbackAddress reports whether a host:port is reached from this machine only.
func loopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

// loopbackURL reports whether a URL's host is this machine for every browser.
func loopbackURL(u *url.URL) bool {
	host := u.Hostname()
	return loopbackHost(host) || strings.HasSuffix(host, ".localhost")
}

func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
