package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/config"
	"ringlink/store"
)

// This file alone knows both the configuration and the packages' options.

func newLogger(c config.Log, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.Format == config.LogText {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func storeOptions(c *config.Config, log *slog.Logger, reg prometheus.Registerer) store.Options {
	return store.Options{
		Driver:     string(c.Store.Driver),
		Path:       c.Store.Path,
		DSN:        c.Store.DSN.Reveal(),
		MaxOpen:    c.Store.MaxOpen,
		Logger:     log,
		Registerer: reg,
	}
}

func engineOptions(c *config.Config, log *slog.Logger, reg prometheus.Registerer) bridge.Options {
	o := bridge.Options{
		// A call has two legs at least; Local channels and rung groups add some.
		Limits:     bridge.Limits{Channels: 8 * c.Limits.Calls},
		Queue:      c.Limits.EventsQueue,
		Logger:     log,
		Registerer: reg,
	}
	for i := range c.PBXs {
		p := &c.PBXs[i]
		o.PBXs = append(o.PBXs, bridge.PBXOptions{Name: bridge.PBX(p.Name), Outside: outside(p)})
	}
	return o
}

// outside tells a PBX's trunks from its inside endpoints.
func outside(p *config.PBX) func(endpoint, context string) bool {
	return func(endpoint, context string) bool {
		return slices.ContainsFunc(p.Trunks, func(t config.EndpointPattern) bool { return t.Match(endpoint) }) ||
			slices.Contains(p.TrunkContexts, context)
	}
}

func sourceOptions(p *config.PBX, emit func(bridge.Event) bool, log *slog.Logger, m *ari.Metrics) ari.Options {
	return ari.Options{
		PBX:                 bridge.PBX(p.Name),
		URL:                 p.ARI.URL.String(),
		User:                p.ARI.User,
		Password:            p.ARI.Password.Reveal(),
		App:                 p.ARI.App,
		CallNumberVariables: p.CallNumberVariables,
		Emit:                emit,
		Logger:              log,
		Metrics:             m,
	}
}

// normalizer brings numbers into E.164 as the import does: inside extensions
// stay as they are, and so does what cannot be a number of the PBX's region.
//
// A call asks for the same few numbers again and again, and reading one costs
// as much as decoding fifty events: the last ones are kept.
func normalizer(c *config.Config) func(bridge.PBX, bridge.Number) bridge.Number {
	type key struct {
		pbx bridge.PBX
		raw bridge.Number
	}
	const most = 4096
	var mu sync.Mutex // guards known
	known := map[key]bridge.Number{}
	normalize := readNumber(c)
	return func(pbx bridge.PBX, n bridge.Number) bridge.Number {
		k := key{pbx, n}
		mu.Lock()
		normal, ok := known[k]
		mu.Unlock()
		if ok {
			return normal
		}
		normal = normalize(pbx, n)
		mu.Lock()
		if len(known) >= most {
			clear(known)
		}
		known[k] = normal
		mu.Unlock()
		return normal
	}
}

func readNumber(c *config.Config) func(bridge.PBX, bridge.Number) bridge.Number {
	return func(pbx bridge.PBX, n bridge.Number) bridge.Number {
		i := slices.IndexFunc(c.PBXs, func(p config.PBX) bool { return p.Name == string(pbx) })
		raw := n.Reveal()
		if i < 0 || raw == "" || c.PBXs[i].ExtensionPattern.MatchString(raw) {
			return n
		}
		normal, err := store.Normalize(raw, c.PBXs[i].Region)
		if err != nil {
			return n
		}
		return normal
	}
}

// ticketRule makes the directory's ticket number of the digits that a caller
// keyed; anything but digits is left alone.
func ticketRule(c config.Tickets) func(bridge.TicketNumber) bridge.TicketNumber {
	return func(n bridge.TicketNumber) bridge.TicketNumber {
		if n == "" || strings.Trim(string(n), "0123456789") != "" {
			return n
		}
		return bridge.TicketNumber(fmt.Sprintf("%s%0*s", c.Prefix, c.PadTo, string(n)))
	}
}

// referencer makes the keyed reference that stands for a number in the log.
func referencer(c config.Log) func(bridge.Number) string {
	key := []byte(c.ReferenceKey.Reveal())
	if len(key) == 0 {
		key = []byte(rand.Text())
	}
	return func(n bridge.Number) string {
		if n == "" {
			return ""
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(n.Reveal()))
		return hex.EncodeToString(h.Sum(nil)[:6])
	}
}
