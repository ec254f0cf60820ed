package screenpop

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrPasswordHash says that a stored hash is not argon2id in PHC form, or asks
// for more work than Ringlink ever does.
var ErrPasswordHash = errors.New("password hash is not usable")

// Bounds of what a stored hash may ask for; more would let a tampered row
// exhaust the machine.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
	maxArgonKey     = 64
	// maxPasswordBytes keeps a hostile sign-in from feeding megabytes to the hash.
	maxPasswordBytes = 1024
)

// PasswordOptions configure Passwords; the zero value is OWASP's choice for
// argon2id: 19 MiB, two passes, one lane.
type PasswordOptions struct {
	// Memory in KiB; default 19456.
	Memory uint32
	// Time is the number of passes; default 2.
	Time uint32
	// Threads is the number of lanes; default 1.
	Threads uint8
	// Concurrency bounds the hashes computed at once, each of which takes
	// Memory; others wait. Default 2.
	Concurrency int
	// Random gives salts; default crypto/rand.
	Random io.Reader
}

// Passwords hashes and verifies passwords with argon2id (RFC 9106).
type Passwords struct {
	o     PasswordOptions
	slots chan struct{}
	dummy argonHash // verified for users that do not exist
}

// argonHash is a parsed PHC string.
type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// NewPasswords makes Passwords.
func NewPasswords(o PasswordOptions) *Passwords {
	if o.Memory == 0 {
		o.Memory = 19456
	}
	if o.Time == 0 {
		o.Time = 2
	}
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 2
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Passwords{
		o:     o,
		slots: make(chan struct{}, o.Concurrency),
		dummy: argonHash{
			memory: o.Memory, time: o.Time, threads: o.Threads,
			salt: make([]byte, 16), key: make([]byte, 32),
		},
	}
}

// HashPassword returns the password's hash in PHC form with a fresh salt. It
// waits for a free slot until the context ends.
func (p *Passwords) HashPassword(ctx context.Context, password string) (string, error) {
	if password == "" || len(password) > maxPasswordBytes {
		return "", fmt.Errorf("password has %d bytes: 1 to %d are allowed", len(password), maxPasswordBytes)
	}
	salt := make([]byte, 16)
	if _, err := io.ReadFull(p.o.Random, salt); err != nil {
		return "", fmt.Errorf("reading a salt: %w", err)
	}
	h := argonHash{memory: p.o.Memory, time: p.o.Time, threads: p.o.Threads, salt: salt, key: make([]byte, 32)}
	key, err := p.derive(ctx, h, password)
	if err != nil {
		return "", err
	}
	h.key = key
	return h.String(), nil
}

// VerifyPassword tells whether the password has that hash, and whether the
// hash should be made anew because the parameters have changed since. An empty
// hash, as of a user who does not exist, takes the same time and never
// matches. ErrPasswordHash says that the hash itself is unusable; that too
// takes the time of a check.
func (p *Passwords) VerifyPassword(ctx context.Context, hash, password string) (ok, rehash bool, err error) {
	h, fault := p.dummy, error(nil)
	if hash != "" {
		if h, fault = parseArgonHash(hash); fault != nil {
			h = p.dummy
		}
	}
	if len(password) > maxPasswordBytes {
		password, hash = "", "" // never matches, costs the same
	}
	key, err := p.derive(ctx, h, password)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(key, h.key) == 1
	if hash == "" || fault != nil {
		return false, false, fault
	}
	stale := h.memory != p.o.Memory || h.time != p.o.Time || h.threads != p.o.Threads || len(h.salt) < 16 || len(h.key) < 32
	return same, same && stale, nil
}

// derive computes the key within the bound of concurrency.
func (p *Passwords) derive(ctx context.Context, h argonHash, password string) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("waiting to hash a password: %w", err)
	}
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key))), nil
}

// String gives the PHC form.
func (h argonHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parseArgonHash reads the PHC form strictly.
func parseArgonHash(s string) (argonHash, error) {
	var h argonHash
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return h, ErrPasswordHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil {
		return h, ErrPasswordHash
	}
	if parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return h, ErrPasswordHash
	}
	var err error
	b64 := base64.RawStdEncoding.Strict()
	if h.salt, err = b64.DecodeString(parts[4]); err != nil {
		return h, ErrPasswordHash
	}
	if h.key, err = b64.DecodeString(parts[5]); err != nil {
		return h, ErrPasswordHash
	}
	switch {
	case h.memory < 8*uint32(h.threads), h.memory > maxArgonMemory,
		h.time < 1, h.time > maxArgonTime,
		h.threads < 1, h.threads > maxArgonThreads,
		len(h.salt) < 8, len(h.salt) > maxArgonKey,
		len(h.key) < 16, len(h.key) > maxArgonKey:
		return h, ErrPasswordHash
	}
	return h, nil
}
