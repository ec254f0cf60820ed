package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"time"
)

// Config is the whole configuration, with defaults filled in, paths made absolute and secrets read.
// It is not changed after Load; share it freely.
type Config struct {
	// ExternalURL is the address at which agents reach the desk, scheme and host only
	// (https://desk.example.com). Links are made from it and the Host header is checked against it.
	// Plain http is for loopback hosts only.
	ExternalURL *url.URL `yaml:"external_url" required:"true" example:"https://desk.example.com"`

	// Listen is the host:port on which the desk is served. With plain HTTP and no trusted proxy it has to be
	// a loopback address. Port 0 takes a free one.
	Listen string `yaml:"listen" default:"127.0.0.1:8080" example:"127.0.0.1:8080"`

	// TLS names the desk's certificate. Without it the desk speaks plain HTTP, for loopback or a trusted proxy.
	TLS TLS `yaml:"tls"`

	// TrustedProxies are the networks of the reverse proxies that end HTTPS for the desk. X-Forwarded-For and
	// X-Forwarded-Proto are believed from these addresses only. A single address stands for itself.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" default:"[]" example:"127.0.0.1/32"`

	// DebugListen is the loopback host:port of /metrics, /healthz, /readyz and pprof. Nobody signs in there,
	// so it is never served on another address. Port 0 takes a free one.
	DebugListen string `yaml:"debug_listen" default:"127.0.0.1:9090" example:"127.0.0.1:9090"`

	// Log says what is logged and how.
	Log Log `yaml:"log"`

	// Store is the database.
	Store Store `yaml:"store"`

	// PBXs are the telephone systems that are watched, at least one.
	PBXs []PBX `yaml:"pbxs" required:"true" example:"pbxs: and under it one entry for each PBX, beginning with - name: pbx1"`

	// SIP is Ringlink's own SIP socket, off by default.
	SIP SIP `yaml:"sip"`

	// Pops holds the times of a pop and its link.
	Pops Pops `yaml:"pops"`

	// Sessions says how long a sign-in holds.
	Sessions Sessions `yaml:"sessions"`

	// Limits bounds what Ringlink keeps in memory.
	Limits Limits `yaml:"limits"`

	// Tickets says how the digits that a caller keyed become a ticket number.
	Tickets Tickets `yaml:"tickets"`
}

// TLS is a certificate and its key, both or neither. The files are read again when they change.
type TLS struct {
	// CertFile is the PEM file of the certificate and its chain; relative to the configuration file.
	CertFile string `yaml:"cert_file" kind:"path" example:"/etc/ringlink/desk.crt"`

	// KeyFile is the PEM file of the private key; relative to the configuration file. Not readable by everyone.
	KeyFile string `yaml:"key_file" kind:"path" example:"/etc/ringlink/desk.key"`
}

// Enabled reports whether the desk itself serves HTTPS.
func (t TLS) Enabled() bool { return t.CertFile != "" && t.KeyFile != "" }

// LogFormat is the shape of a log line.
type LogFormat string

// The log formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// Log says what is logged and how.
type Log struct {
	// Level is the least severe level that is logged: debug, info, warn or error.
	Level slog.Level `yaml:"level" default:"info" oneof:"debug|info|warn|error"`

	// Format is json, one object a line, or text.
	Format LogFormat `yaml:"format" default:"json" oneof:"json|text"`

	// ReferenceKey keys the reference that stands for a telephone number in the log, so that lines about one
	// number can be joined without showing it. At least 16 bytes. Without it the references change at each start.
	ReferenceKey Secret `yaml:"reference_key" example:"/etc/ringlink/reference.key"`
}

// StoreDriver is a database engine.
type StoreDriver string

// The database engines.
const (
	SQLite   StoreDriver = "sqlite"
	Postgres StoreDriver = "postgres"
)

// MemoryPath is the Store.Path of an SQLite database that is gone when the process ends.
const MemoryPath = ":memory:"

// Store is the database.
type Store struct {
	// Driver is sqlite, for a small desk on one machine, or postgres.
	Driver StoreDriver `yaml:"driver" default:"sqlite" oneof:"sqlite|postgres"`

	// Path is the SQLite database's file, relative to the configuration file, or ":memory:". For sqlite only.
	Path string `yaml:"path" kind:"path" example:"/var/lib/ringlink/ringlink.db"`

	// DSN is the Postgres address, as a URL or as keywords; it holds a password and so is a secret. It always
	// names sslmode. For postgres only.
	DSN Secret `yaml:"dsn" example:"/etc/ringlink/postgres.dsn"`

	// MaxOpen is the largest number of connections to the database at once.
	MaxOpen int `yaml:"max_open" default:"10" range:"1..200"`
}

// SIP is Ringlink's own SIP socket.
type SIP struct {
	// Listen is the UDP host:port, empty for none. Port 0 takes a free one.
	Listen string `yaml:"listen" default:"\"\"" example:"192.0.2.10:5060"`

	// Allow are the networks whose datagrams are read; all others are dropped unanswered. It has to name
	// something when Listen does. A single address stands for itself.
	Allow []netip.Prefix `yaml:"allow" default:"[]" example:"192.0.2.0/24"`
}

// Enabled reports whether there is a SIP socket.
func (s SIP) Enabled() bool { return s.Listen != "" }

// Pops holds the times of a pop and its link.
type Pops struct {
	// LinkTTL is how long a link can be redeemed once the desk has asked for it.
	LinkTTL time.Duration `yaml:"link_ttl" default:"60s" range:"1s..60s"`

	// LookupDeadline is how long a pop waits for the caller's name; after it the number is shown alone and the
	// rest follows in place.
	LookupDeadline time.Duration `yaml:"lookup_deadline" default:"250ms" range:"10ms..5s"`
}

// Sessions says how long a sign-in holds.
type Sessions struct {
	// Idle ends a session that nobody has used for so long; never longer than Absolute.
	Idle time.Duration `yaml:"idle" default:"8h" range:"1m..168h"`

	// Absolute ends a session so long after its sign-in, used or not.
	Absolute time.Duration `yaml:"absolute" default:"24h" range:"1m..720h"`
}

// Limits bounds what Ringlink keeps in memory.
type Limits struct {
	// Calls is the largest number of calls that are followed at once.
	Calls int `yaml:"calls" default:"20000" range:"10..1000000"`

	// EventsQueue is the number of events that may wait for the engine; more is a declared gap and a resync.
	EventsQueue int `yaml:"events_queue" default:"8192" range:"64..1048576"`

	// StreamsPerAgent is the largest number of event streams (tabs) of one agent at once.
	StreamsPerAgent int `yaml:"streams_per_agent" default:"8" range:"1..64"`
}

// Tickets says how the digits that a caller keyed become a ticket number: Prefix, then the digits filled with
// zeros from the left up to PadTo. With Prefix INC and PadTo 7, 10023 is INC0010023.
type Tickets struct {
	// Prefix stands before the digits, at most 16 letters, digits, and "-", "_", "#", "/", ".".
	Prefix string `yaml:"prefix" default:"\"\"" example:"INC"`

	// PadTo is the least number of digits; 0 for no padding.
	PadTo int `yaml:"pad_to" default:"0" range:"0..20"`
}
