package bridge

import "time"

// EventKind says what an Event reports.
type EventKind uint8

// The kinds. A source fills the fields named beside each; the others are zero.
const (
	EventNone             EventKind = iota
	EventChannel                    // Channel: its facts now (created, state, caller id, dialplan)
	EventChannelDestroyed           // Channel, Cause
	EventDial                       // Channel (the caller, may have no ID), Peer, DialStatus
	EventVariable                   // Channel, Variable, Value
	EventHold                       // Channel
	EventUnhold                     // Channel
	EventBridgeEntered              // Channel, Bridge
	EventBridgeLeft                 // Channel, Bridge
	EventBridge                     // Bridge: created, or merged into; its Channels are its members
	EventBridgeDestroyed            // Bridge
	EventBlindTransfer              // Channel (the transferer), Bridge, Peer (the transferee, may have no ID)
	EventAttendedTransfer           // Channel (the transferer's first leg), Peer (its second leg), Bridge
	EventSourceUp                   // Snapshot: what the PBX has now, after every connect and every gap
	EventSourceDown                 // the PBX's event stream is lost
	EventDevices                    // Devices: which agent uses which device now
	EventInvite                     // SIP: what one INVITE said
	EventInviteEnded                // SIP: Invite was cancelled (Cause 26: completed elsewhere), refused or timed out
	EventTick                       // time passes: expiry only
	EventTurns                      // Turns: what the store knows of the PBX's calls, best before the first EventSourceUp
)

// ChannelState is the state of a channel.
type ChannelState uint8

// States of a channel, as Asterisk names them. StateUnknown keeps what was
// known before.
const (
	StateUnknown ChannelState = iota
	StateDown
	StateRing    // the channel's far end is calling us
	StateRinging // we are calling the channel's far end
	StateUp
	StateOther // Reserved, OffHook, Dialing, Busy …
)

// Channel is what an event says of one channel. Empty strings mean "not said".
type Channel struct {
	ID           ChannelID
	Name         string // "PJSIP/101-0000001c", "Local/101@agents-00000000;1"
	State        ChannelState
	ProtocolID   string // the SIP Call-ID of this leg; Asterisk 20 and later, not on ChannelCreated
	CallerNumber string
	CallerName   string
	Context      string // dialplan context
	Exten        string // dialplan extension
	App          string // dialplan application: "AppDial" and "AppQueue" mark legs that Asterisk itself dialled
	AppData      string
	// From the PBX's channelvars line; HasVars tells that the line is there.
	HasVars    bool
	Linkedid   string
	NumPres    string // CALLERID(num-pres): "allowed_not_screened", "prohib_not_screened" …
	DNID       string // CALLERID(dnid): the number first dialled
	RDNIS      string // CALLERID(rdnis)
	CallNumber string // the first configured call-number variable that is not empty
	Created    time.Time
}

// Bridge is what an event says of one bridge. Holding bridges (parking, a
// queue's music) connect nobody.
type Bridge struct {
	ID       BridgeID
	Type     string // "mixing", "holding"
	Class    string // "basic", "base", "stasis", "agent", "push"
	Name     string
	Channels []ChannelID
}

// Snapshot is everything that a PBX has at one moment.
type Snapshot struct {
	Channels []Channel
	Bridges  []Bridge
	// Booted is when the PBX started, to the millisecond; a different one means
	// that every call of before is lost. Zero if not known.
	Booted time.Time
	// Gap is for how long events were missed; zero at the first connect.
	Gap time.Duration
}

// Assignment says that an agent uses a device.
type Assignment struct {
	Device Device
	Agent  AgentID
}

// Invite is what one SIP INVITE said, as far as it is trusted.
type Invite struct {
	CallID     string // SIP Call-ID
	Caller     string // user part of P-Asserted-Identity or From
	CallerName string
	Withheld   bool
	Dialled    string // user part of the Request-URI or To
	CallNumber string
	Source     string // remote address, for the explanation only
}

// Event is one thing that a source saw. Sources deliver in the order of
// arrival: Asterisk's own timestamps run back by up to 24 ms between events.
type Event struct {
	Kind     EventKind
	PBX      PBX
	Received time.Time // when it was read off the wire, Ringlink's clock
	Stamp    time.Time // the source's own timestamp; zero if it had none

	Channel    Channel
	Peer       Channel
	Bridge     Bridge
	DialStatus string // "", RINGING, PROGRESS, ANSWER, CANCEL, BUSY, NOANSWER, CHANUNAVAIL, CONGESTION
	Variable   string
	Value      string
	Cause      int // Q.850 hang-up cause

	Snapshot *Snapshot
	Devices  []Assignment
	Turns    []PastTurn
	Invite   *Invite
}
