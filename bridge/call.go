package bridge

import "time"

// Caller is who calls, as far as the network says.
type Caller struct {
	Number   Number     // empty where there is no caller ID
	Name     PersonName // as the PBX shows it; not the directory's
	Withheld bool       // the caller asked for the number to be hidden
}

// Known tells whether there is a caller ID to work with.
func (c Caller) Known() bool { return c.Number != "" && !c.Withheld }

// Facts are what is known of a call that a pop carries.
type Facts struct {
	Caller     Caller
	Dialled    Number       // the number that the caller first dialled
	CallNumber TicketNumber // what an IVR collected; empty if none
	UniqueID   string       // the id that stands in the CDR
	SIPCallID  string       // Call-ID of the caller's own leg, where known
}

// Direction tells what a call is to the agents.
type Direction uint8

// Directions. Only DirectionInbound pops.
const (
	DirectionUnknown Direction = iota
	DirectionInbound
	DirectionOutbound
	DirectionInternal
)

// String names the direction as metrics, logs and explanations do.
func (d Direction) String() string {
	return [...]string{"unknown", "inbound", "outbound", "internal"}[d]
}

// Outcome is how a call ended, a closed set.
type Outcome string

// Outcomes of calls.
const (
	OutcomeAnswered         Outcome = "answered"            // at least one agent had a turn
	OutcomeMissed           Outcome = "missed"              // rang an agent, nobody answered
	OutcomeNoAgent          Outcome = "no_agent"            // never reached an agent's device
	OutcomeNoAgentForDevice Outcome = "no_agent_for_device" // answered on an inside device that is nobody's
	OutcomeForwardedOutside Outcome = "forwarded_outside"   // left again by a trunk
	OutcomeInternal         Outcome = "internal"
	OutcomeOutbound         Outcome = "outbound"
	OutcomeLost             Outcome = "lost" // the PBX restarted or the call expired
)

// PopState is where a pop is in its life.
type PopState string

// States of a pop; see Final for those that end it.
const (
	PopOffered      PopState = "offered"
	PopShown        PopState = "shown"
	PopAcknowledged PopState = "acknowledged"
	PopEnded        PopState = "ended"
	PopSuperseded   PopState = "superseded"
	PopRetracted    PopState = "retracted"
	PopExpired      PopState = "expired"
)

// Final tells whether the pop's life is over.
func (s PopState) Final() bool {
	switch s {
	case PopEnded, PopSuperseded, PopRetracted, PopExpired:
		return true
	}
	return false
}

// EffectKind says what an Effect asks for.
type EffectKind uint8

// Kinds of effects.
const (
	EffectPopOffered  EffectKind = iota + 1 // a turn began: Pop, Call, Agent, Device, Facts, Late
	EffectPopUpdated                        // a better fact came: Pop, Facts
	EffectPopLeft                           // the legs of the agent are gone, the caller is still there: Pop; EffectPopEnded follows
	EffectPopEnded                          // Pop, State (ended or superseded), Cause, To
	EffectRinging                           // an agent's device rings: Call, Agent, Device, Facts
	EffectRingingOver                       // it rings no more: Call, Agent, Cause
	EffectHeld                              // the agent holds the caller or came back: Pop, Call, Agent, Held
	EffectCallEnded                         // Call, Outcome, Direction, Facts and the times
)

var causes = [...]string{
	"hangup",             // the call is over
	"left",               // the agent's last leg ended, the caller stayed
	"transfer",           // another agent has the caller now
	"answered",           // ringing stopped because this agent answered
	"answered_elsewhere", // ringing stopped because somebody else did
	"declined",           // the device was busy or refused
	"no_answer",          // ringing stopped unanswered, the caller stayed
	"caller_gave_up",
	"lost",    // the PBX restarted
	"gap",     // ended while the event stream was away
	"expired", // nothing was heard of it for Limits.CallAge
}

// Causes returns the closed set of Effect.Cause.
func Causes() []string { return causes[:] }

// Effect is what the engine wants done because of an event. The consumer must
// not block.
type Effect struct {
	Kind      EffectKind
	Call      CallID
	Pop       PopID
	Agent     AgentID
	Device    Device
	Facts     Facts
	State     PopState
	Cause     string  // one of Causes
	To        AgentID // who has the caller now, for superseded
	Late      bool    // found by a resync, not by its own event
	Held      bool
	Direction Direction
	Outcome   Outcome
	Received  time.Time // of the event that caused it
	At        time.Time // engine's time of the decision
	Started   time.Time // EffectCallEnded
	Answered  time.Time // EffectCallEnded; zero if never
	Turns     int       // EffectCallEnded
	Legs      int       // EffectCallEnded
}
