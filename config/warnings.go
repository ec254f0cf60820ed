package config

import (
	"fmt"
	"strings"
)

// Warnings returns what is allowed but deserves a second look, each with its key path, in the order of the keys.
func (c *Config) Warnings() []string {
	var w []string
	warn := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if c.Store.Driver == SQLite && c.Store.Path == MemoryPath {
		warn("store.path: the database is in memory, and everything in it is lost when Ringlink stops")
	}
	if c.Store.Driver == Postgres {
		if mode, _ := sslMode(c.Store.DSN.Reveal()); mode == "allow" || mode == "prefer" {
			warn("store.dsn: sslmode=%s may go on without encryption; write verify-full", mode)
		}
	}
	urls := map[string]string{}
	for i := range c.PBXs {
		p, at := &c.PBXs[i], fmt.Sprintf("pbxs[%d]", i)
		if u := p.ARI.URL; u != nil {
			if u.Scheme == "http" && !loopbackURL(u) {
				warn("%s.ari.url: the ARI password of %s crosses the network in clear text; use https, or a tunnel", at, p.Name)
			}
			if first, dup := urls[u.String()]; dup {
				warn("%s.ari.url: %s and %s are the same Asterisk, and a call on it is seen as two", at, first, p.Name)
			} else {
				urls[u.String()] = p.Name
			}
		}
		for j, t := range p.Trunks {
			if s := strings.ToUpper(string(t)); s == "PJSIP/*" || s == "SIP/*" {
				warn("%s.trunks[%d]: %s makes every such endpoint outside, the phones too", at, j, t)
			}
		}
	}
	for i, p := range c.SIP.Allow {
		if c.SIP.Enabled() && p.Bits() == 0 {
			warn("sip.allow[%d]: %s lets everybody send to the SIP socket", i, p)
		}
	}
	return w
}
