package lab

import (
	"context"
	"testing"
)

// Settle waits until no phone has a call, and lets what they said so far count
// for no later wait: call it between two flows on one site.
func (s *Site) Settle(tb testing.TB) {
	tb.Helper()
	s.Stream.Quiet(tb.Context())
	for _, p := range s.Phones {
		p.settle(tb.Context())
	}
}

func (p *Phone) settle(ctx context.Context) {
	p.b.tb.Helper()
	p.b.wait(ctx, "the end of its calls", func() bool {
		open := 0
		for _, e := range p.b.events {
			switch e.Type {
			case "CALL_INCOMING", "CALL_OUTGOING":
				open++
			case "CALL_CLOSED":
				open--
			}
		}
		if open > 0 {
			return false
		}
		p.seen = len(p.b.events)
		return true
	})
}
