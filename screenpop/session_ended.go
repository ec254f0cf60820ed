package screenpop

import (
	"crypto/sha256"
	"sync"
	"time"
)

// endedSessions remembers for a while whose sessions were ended here, longer
// than a request lasts: one that was under way meanwhile may write its session
// anew.
type endedSessions struct {
	mu  sync.Mutex // guards out
	out map[[32]byte]time.Time
}

func (e *endedSessions) add(token string) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for hash, at := range e.out {
		if now.Sub(at) > 2*routeTimeout {
			delete(e.out, hash)
		}
	}
	if e.out == nil {
		e.out = make(map[[32]byte]time.Time)
	}
	e.out[sha256.Sum256([]byte(token))] = now
}

func (e *endedSessions) has(token string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.out[sha256.Sum256([]byte(token))]
	return ok
}
