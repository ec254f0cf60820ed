package config

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what is printed in place of a secret that is set.
const redacted = "[redacted]"

// Secret is a value that is never printed: every verb of fmt, JSON, text and slog show "[redacted]", or nothing
// when it is not set. The zero value is not set.
type Secret struct {
	// Two pointers deep, because fmt cannot call methods on the unexported fields of others: it prints an address
	// there, but follows one pointer when the verb does not fit (%s, %q).
	p *secretValue
}

type secretValue struct {
	value  *string
	source secretSource
}

// secretSource is where a secret was read: exactly one of the two is set.
type secretSource struct {
	File string `yaml:"file,omitempty"`
	Env  string `yaml:"env,omitempty"`
}

// NewSecret makes a Secret of a value that does not come from a configuration file, as in the demo and in tests.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&secretValue{value: &value}}
}

// Reveal returns the value, "" when it is not set.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.p != nil }

// Equal compares the values in constant time.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// String returns "[redacted]", or "" when the secret is not set.
func (s Secret) String() string {
	if s.p == nil {
		return ""
	}
	return redacted
}

// GoString is String for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format prints the redacted form whatever the verb is (%x, %d and %q too).
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	_, _ = io.WriteString(f, text)
}

// MarshalText returns the redacted form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns the redacted form.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue returns the redacted form.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
