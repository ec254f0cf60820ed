package screenpop

import (
	"time"

	"ringlink/bridge"
)

// Told is one fact about a call that only the popper knows, for the call's
// explanation. It names nobody.
type Told struct {
	Call    bridge.CallID `json:"-"`
	Pop     bridge.PopID  `json:"pop,omitempty"` // of a push
	Kind    string        `json:"kind"`          // "lookup": the directory answered; "push": the pop went to the desks for the first time
	At      time.Time     `json:"at"`
	TookMS  float64       `json:"took_ms"`           // of the lookup; of a push the time since the event was read
	Result  string        `json:"result,omitempty"`  // of a lookup: "found", "nothing", "late", "error"
	Late    bool          `json:"late,omitempty"`    // the lookup missed the deadline, or the push went without it
	Streams int           `json:"streams,omitempty"` // how many open desks the push reached
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// tell hands a fact to whoever keeps explanations.
func (p *Popper) tell(t Told) {
	if p.o.Tell != nil {
		t.At = p.now().UTC()
		p.o.Tell(t)
	}
}

// since is the time from received, where that is known.
func since(received, now time.Time) time.Duration {
	if received.IsZero() {
		return 0
	}
	return max(0, now.Sub(received))
}
