package bridge

import (
	"slices"
	"strings"
	"time"
)

// Trail is what happened to one call, popped or not, as the engine saw it: the
// answer to "why did nothing pop?". It is bounded: what was left out is
// counted. Numbers stand in Numbers alone and are pointed to by their place
// (1 is the first, 0 is none), so that they can be masked; names, DTMF and
// variables that are not listed are not kept at all.
//
// The JSON form is what the store keeps; Numbers is kept beside it.
type Trail struct {
	Call      CallID      `json:"call"`
	Started   time.Time   `json:"started"`
	Answered  time.Time   `json:"answered,omitzero"`
	Ended     time.Time   `json:"ended,omitzero"` // zero: it runs
	Direction string      `json:"direction"`
	Outcome   Outcome     `json:"outcome,omitempty"`
	Cause     string      `json:"cause,omitempty"`
	Turns     int         `json:"turns"`
	Reason    Reason      `json:"reason,omitempty"`  // why nothing popped; empty where something did
	Devices   []string    `json:"devices,omitempty"` // the endpoints that Reason is about
	UniqueID  string      `json:"unique_id"`
	SIPCallID string      `json:"sip_call_id,omitempty"`
	Caller    int         `json:"caller,omitempty"` // place in Numbers
	Withheld  bool        `json:"withheld,omitempty"`
	Dialled   int         `json:"dialled,omitempty"`
	Number    int         `json:"call_number,omitempty"`
	Legs      []TrailLeg  `json:"legs"`
	Steps     []TrailStep `json:"steps"`
	CutSteps  int         `json:"cut_steps,omitempty"` // steps left out, in the middle
	CutLegs   int         `json:"cut_legs,omitempty"`
	Numbers   []Number    `json:"-"`
}

// TrailLeg is one leg of a call.
type TrailLeg struct {
	ID        ChannelID `json:"id"`
	Endpoint  string    `json:"endpoint,omitempty"` // "PJSIP/101"; empty for Local and Asterisk's own channels
	Side      LegSide   `json:"side"`
	SIPCallID string    `json:"sip_call_id,omitempty"`
	Joined    LegJoin   `json:"joined"`
	By        int       `json:"by,omitempty"` // the leg that it was joined by, 1 is the first
	Agent     AgentID   `json:"agent,omitempty"`
	Rang      bool      `json:"rang,omitempty"`
	Up        bool      `json:"up,omitempty"`      // it was answered, or answered
	Bridged   bool      `json:"bridged,omitempty"` // it was in a bridge that connects
}

// LegSide says where a leg leads.
type LegSide string

// The sides.
const (
	SideOutside LegSide = "outside" // by a trunk
	SideInside  LegSide = "inside"
	SideLocal   LegSide = "local" // half of a Local channel
	SideOwn     LegSide = "own"   // one of Asterisk's pseudo channels
)

// LegJoin says by what a leg was known to belong to the call.
type LegJoin string

// The ways, the surest first.
const (
	JoinedOrigin   LegJoin = "origin"   // the call began with it
	JoinedDial     LegJoin = "dial"     // a leg of the call dialled it
	JoinedLocal    LegJoin = "local"    // the other half of a Local channel
	JoinedLinkedID LegJoin = "linkedid" // CHANNEL(linkedid)
	JoinedBridge   LegJoin = "bridge"   // it came to share a bridge with the caller, as by a pickup
)

// StepKind says what a TrailStep tells.
type StepKind string

// The steps of a trail, and which fields they have.
const (
	StepDial     StepKind = "dial"      // Leg dials Peer: Status is empty at first, then ANSWER, BUSY, CANCEL …
	StepRinging  StepKind = "ringing"   // Leg rings
	StepUp       StepKind = "up"        // Leg was answered
	StepEnter    StepKind = "enter"     // Leg came into Bridge; Status "holding" where it connects nobody
	StepLeave    StepKind = "leave"     // Leg left Bridge
	StepHold     StepKind = "hold"      // Leg was put on hold
	StepUnhold   StepKind = "unhold"    // Leg
	StepApp      StepKind = "app"       // the dialplan runs Status on Leg
	StepNumber   StepKind = "number"    // Leg's call number is Value now; 0 is none
	StepBlind    StepKind = "blind"     // Leg transferred Peer, blind
	StepAttended StepKind = "attended"  // Leg and Peer were the transferer's
	StepGone     StepKind = "gone"      // Leg ended; Cause is Q.850
	StepLost     StepKind = "lost"      // the event stream broke
	StepResync   StepKind = "resync"    // it is back, after a gap
	StepRings    StepKind = "rings"     // Agent is told that the call rings
	StepQuiet    StepKind = "quiet"     // and that it rings no more: Status
	StepPop      StepKind = "pop"       // Pop was offered to Agent; Status "late" after a gap
	StepUpdated  StepKind = "updated"   // Pop
	StepLeft     StepKind = "left"      // the legs of Pop's agent are gone
	StepHeld     StepKind = "held"      // Pop's agent holds the caller
	StepResumed  StepKind = "resumed"   // Pop
	StepPopEnded StepKind = "pop_ended" // Pop; Status is its state, To who has the caller now
	StepEnded    StepKind = "ended"     // the call; Status is its outcome
)

// TrailStep is one step of a trail. Leg, Peer and Bridge count from 1.
type TrailStep struct {
	At     int64    `json:"at"` // microseconds since Started
	Kind   StepKind `json:"kind"`
	Leg    int16    `json:"leg,omitempty"`
	Peer   int16    `json:"peer,omitempty"`
	Bridge int16    `json:"bridge,omitempty"`
	Value  int16    `json:"value,omitempty"` // place in Numbers
	Q850   int16    `json:"q850,omitempty"`
	Status string   `json:"status,omitempty"`
	Agent  AgentID  `json:"agent,omitempty"`
	To     AgentID  `json:"to,omitempty"`
	Pop    PopID    `json:"pop,omitempty"`
}

// NumberAt returns the number at a place, "" for 0.
func (t *Trail) NumberAt(place int) Number {
	if place < 1 || place > len(t.Numbers) {
		return ""
	}
	return t.Numbers[place-1]
}

// Reason says why nothing popped.
type Reason string

// The reasons: a closed set.
const (
	ReasonRunning          Reason = "running"             // the call goes on and nobody has answered yet
	ReasonInternal         Reason = "internal"            // from an inside phone to another
	ReasonOutbound         Reason = "outbound"            // from an inside phone to the outside
	ReasonUnknownTrunk     Reason = "pbx_unknown_trunk"   // it came by an endpoint that looks like a trunk and is not configured as one
	ReasonNoAgentForDevice Reason = "no_agent_for_device" // answered on a device that is nobody's
	ReasonUnanswered       Reason = "unanswered"          // devices rang, nobody answered
	ReasonNoAgentReached   Reason = "no_agent_reached"    // no device ever rang: an IVR, a voicemail, a queue with nobody in it
	ReasonForwardedOutside Reason = "forwarded_outside"   // it left again by a trunk
	ReasonLost             Reason = "lost"                // the PBX restarted, or the call was given up after a day without a word
	ReasonAgentWithoutDesk Reason = "agent_without_desk"  // it popped, and no desk of the agent was open to show it
)

// trunkDigits is how long a number is at least that no extension has: a call
// with such a caller that begins at a device of nobody came by a trunk.
const trunkDigits = 7

// judge fills Reason and Devices. It is pure.
func (t *Trail) judge() {
	t.Reason, t.Devices = "", nil
	if t.Turns > 0 {
		return
	}
	strangers := func(wanted func(*TrailLeg) bool) (list []string) {
		for i := range t.Legs {
			l := &t.Legs[i]
			if l.Side == SideInside && l.Endpoint != "" && l.Agent == "" && wanted(l) && !slices.Contains(list, l.Endpoint) {
				list = append(list, l.Endpoint)
			}
		}
		return list
	}
	rang := slices.ContainsFunc(t.Legs, func(l TrailLeg) bool { return l.Side == SideInside && l.Rang })
	switch {
	case t.Ended.IsZero():
		t.Reason = ReasonRunning
	case t.Outcome == OutcomeLost:
		t.Reason = ReasonLost
	case t.Direction == DirectionInternal.String(), t.Direction == DirectionOutbound.String():
		t.Reason = Reason(t.Direction)
		if len(t.Legs) > 0 && t.Legs[0].Side == SideInside && t.Legs[0].Agent == "" && t.Legs[0].Joined == JoinedOrigin &&
			digits(t.NumberAt(t.Caller).Reveal()) >= trunkDigits {
			t.Reason, t.Devices = ReasonUnknownTrunk, []string{t.Legs[0].Endpoint}
		}
	case t.Outcome == OutcomeNoAgentForDevice:
		t.Reason = ReasonNoAgentForDevice
		t.Devices = strangers(func(l *TrailLeg) bool { return l.Up && l.Bridged })
	case t.Outcome == OutcomeForwardedOutside:
		t.Reason = ReasonForwardedOutside
	case rang:
		t.Reason = ReasonUnanswered
		t.Devices = strangers(func(l *TrailLeg) bool { return l.Rang })
	default:
		t.Reason = ReasonNoAgentReached
	}
}

// digits counts them; 0 if there is anything else in s but a leading plus.
func digits(s string) int {
	s = strings.TrimPrefix(s, "+")
	if strings.Trim(s, "0123456789") != "" {
		return 0
	}
	return len(s)
}
