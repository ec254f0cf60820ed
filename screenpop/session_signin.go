package screenpop

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

// One-time sign-ins: 256 random bits, spent by the first POST that brings
// them, kept in memory only and as SHA-256.
const (
	signInLifetime = 10 * time.Minute
	signInTokens   = 64 // kept at once; the oldest gives way
)

// signIns holds the one-time sign-ins that are out.
type signIns struct {
	mu  sync.Mutex // guards out
	out map[[32]byte]signIn
}

type signIn struct {
	user    string
	expires time.Time
}

func newSignIns() *signIns { return &signIns{out: make(map[[32]byte]signIn)} }

// mint makes a token for the user.
func (s *signIns) mint(user string, now time.Time) string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails, see crypto/rand
	token := base64.RawURLEncoding.EncodeToString(raw[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.out[sha256.Sum256([]byte(token))] = signIn{user: user, expires: now.Add(signInLifetime)}
	return token
}

// makeRoom drops what expired and, when full, what expires first. The caller
// holds mu.
func (s *signIns) makeRoom(now time.Time) {
	var first [32]byte
	var at time.Time
	for hash, t := range s.out {
		if !now.Before(t.expires) {
			delete(s.out, hash)
			continue
		}
		if at.IsZero() || t.expires.Before(at) {
			first, at = hash, t.expires
		}
	}
	if len(s.out) >= signInTokens {
		delete(s.out, first)
	}
}

// spend returns the user's id and true for the first caller with a token that
// has not expired.
func (s *signIns) spend(token string, now time.Time) (string, bool) {
	hash := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.out[hash]
	delete(s.out, hash)
	if !ok || !now.Before(t.expires) {
		return "", false
	}
	return t.user, true
}
