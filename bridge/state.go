package bridge

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// PBXOptions says what is outside at one PBX.
type PBXOptions struct {
	Name PBX
	// Outside reports whether an endpoint ("PJSIP/provider"), first seen in a
	// dialplan context, leads outside: it is a trunk. Every other endpoint is
	// inside. It must be pure.
	Outside func(endpoint, context string) bool
}

// Limits bounds what State keeps. Zero fields get the defaults.
type Limits struct {
	Channels int           // legs at one time over all PBXs; default 100000
	CallAge  time.Duration // a call this old without a word is given up; default 24 h
	Memory   time.Duration // how long ended legs and unjoined INVITEs are remembered; default 3 min
}

func (l Limits) withDefaults() Limits {
	if l.Channels == 0 {
		l.Channels = 100_000
	}
	if l.CallAge == 0 {
		l.CallAge = 24 * time.Hour
	}
	if l.Memory == 0 {
		l.Memory = 3 * time.Minute
	}
	return l
}

// State is every running call. It is not safe for concurrent use: one
// goroutine owns it (see Engine), and Apply is a pure function of the state,
// the event and the time.
type State struct {
	limits  Limits
	pbxs    map[PBX]*exchange
	agents  map[Device]AgentID
	calls   map[CallID]*call
	legs    int
	refused int // events dropped because Limits.Channels was reached

	dirty []*call  // calls to look at again after this event
	out   []Effect // effects of this event
	now   time.Time
	ev    *Event
	late  bool // the event is a resync

	wave    uint64     // counts the calls of connected, so that a leg is reached once
	reached []*channel // connected's last answer
}

// exchange is what is known of one PBX.
type exchange struct {
	opts      PBXOptions
	channels  map[ChannelID]*channel
	bridges   map[BridgeID]*mixing
	pairs     map[string]*pair        // Local channels by the name that both halves share
	protocols map[string]*channel     // legs by SIP Call-ID
	gone      map[ChannelID]time.Time // ended legs: a late event must not raise them again
	invites   map[string]*pendingInvite
	booted    time.Time
	synced    bool                  // a snapshot was taken in
	past      map[CallID][]PastTurn // what the store knows, until the first snapshot
	reused    map[ChannelID]bool    // ids of before the PBX's restart that may come again
}

// pair is a Local channel: its halves ;1 and ;2.
type pair struct {
	name string
	half [2]*channel
}

type pendingInvite struct {
	invite Invite
	at     time.Time
}

// mixing is one bridge and who is in it.
type mixing struct {
	id      BridgeID
	holding bool // parking, music: connects nobody
	members []*channel
}

// channel is one leg.
type channel struct {
	id         ChannelID
	endpoint   string // "PJSIP/101"; empty for Local and Asterisk's own pseudo channels
	outside    bool
	incoming   bool // the far end called us; false for legs that the PBX dialled
	originated bool // the PBX dialled it of its own accord, as for click-to-call: it begins a call
	local      int8 // 1 or 2 for halves of a Local channel, else 0
	up         bool
	ringing    bool
	held       bool
	gone       bool
	cause      int // Q.850, once gone
	created    time.Time
	seen       time.Time
	protocol   string
	linkedid   string
	pair       *pair
	bridge     *mixing
	dialledBy  *channel // who dialled this leg
	dialEnd    string   // last Dial status that is not ANSWER, RINGING or PROGRESS
	call       *call    // the call that this leg began or was dialled for
	turns      []*call  // the calls in whose current or last turn this leg is
	wave       uint64   // of the last call of connected that reached it
}

// other returns the other half of a Local channel, or nil.
func (c *channel) other() *channel {
	if c.pair == nil {
		return nil
	}
	return c.pair.half[2-c.local]
}

// call is one call. Only calls that come from outside have turns.
type call struct {
	id         CallID
	pbx        PBX
	origin     *channel
	direction  Direction
	facts      Facts
	frozen     bool // the caller and dialled number are fixed since the first turn
	started    time.Time
	answered   time.Time
	seen       time.Time
	legs       int
	turns      int
	turn       *turn // the current one, or the last one while it waits for its final state
	names      map[string]int
	ringing    []ring
	rung       []*channel // legs dialled for it that ring or may ring
	told       Facts      // what the current turn's agent was told last
	rang       bool       // an agent's device rang
	stranger   bool       // an inside device that is nobody's was connected
	forwarded  bool       // connected with another outside party
	dialledOut bool       // a leg of it went out by a trunk
	dirty      bool
	over       bool
}

// turn is the time of one agent with the caller.
type turn struct {
	pop    PopID
	agent  AgentID
	device Device
	legs   []*channel
	left   bool // every leg is gone; waiting to know who has the caller next
	held   bool
}

type ring struct {
	agent AgentID
	leg   *channel
}

// NewState returns an empty State for these PBXs.
func NewState(pbxs []PBXOptions, limits Limits) *State {
	s := &State{
		limits: limits.withDefaults(),
		pbxs:   make(map[PBX]*exchange, len(pbxs)),
		agents: map[Device]AgentID{},
		calls:  map[CallID]*call{},
	}
	for _, o := range pbxs {
		s.pbxs[o.Name] = &exchange{
			opts:      o,
			channels:  map[ChannelID]*channel{},
			bridges:   map[BridgeID]*mixing{},
			pairs:     map[string]*pair{},
			protocols: map[string]*channel{},
			gone:      map[ChannelID]time.Time{},
			invites:   map[string]*pendingInvite{},
			reused:    map[ChannelID]bool{},
		}
	}
	return s
}

// Calls and Legs are how many there are now.
func (s *State) Calls() int { return len(s.calls) }

// Legs is how many channels are known now.
func (s *State) Legs() int { return s.legs }

// Refused is how many events were left aside because Limits.Channels was
// reached.
func (s *State) Refused() int { return s.refused }

// MakePopID names the pop of an agent's turn by the leg that began it; n
// counts the turns that the same leg began before in the same call, almost
// always 0. The result is 26 characters of base32.
func MakePopID(id CallID, agent AgentID, leg ChannelID, n int) PopID {
	h := sha256.Sum256([]byte(string(id) + "\x00" + string(agent) + "\x00" + string(leg) + "\x00" + strconv.Itoa(n)))
	return PopID(strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:16])))
}

// Endpoint takes the endpoint out of a channel's name: "PJSIP/101" of
// "PJSIP/101-0000001c". Asterisk's own pseudo channels have none. The second
// result is the half of a Local channel (1 or 2), 0 for every other channel.
func Endpoint(name string) (endpoint string, half int8) {
	tech, rest, ok := strings.Cut(name, "/")
	if !ok {
		return "", 0
	}
	switch tech {
	case "Local":
		switch {
		case strings.HasSuffix(rest, ";1"):
			return "", 1
		case strings.HasSuffix(rest, ";2"):
			return "", 2
		}
		return "", 0
	case "Announcer", "AsyncGoto", "CBAnn", "CBRec", "Message", "Recorder", "Snoop", "Surrogate", "UnicastRTP", "AudioSocket", "MulticastRTP":
		return "", 0
	}
	if i := strings.LastIndexByte(rest, '-'); i > 0 {
		rest = rest[:i]
	}
	return tech + "/" + rest, 0
}

// Withheld reports whether a caller's number is hidden: by the presentation
// (CALLERID(num-pres), Asterisk's names: "prohib_not_screened" …) or by one of
// the words that networks send in its place.
func Withheld(number, presentation string) bool {
	if strings.HasPrefix(presentation, "prohib") {
		return true
	}
	switch strings.ToLower(strings.TrimSpace(number)) {
	case "anonymous", "restricted", "private", "withheld", "blocked":
		return true
	}
	return false
}

// callerNumber returns the number, or "" for what stands where none is known.
func callerNumber(raw, presentation string) Number {
	raw = strings.TrimSpace(raw)
	if Withheld(raw, presentation) || presentation == "unavailable" {
		return ""
	}
	switch strings.ToLower(raw) {
	case "unavailable", "unknown", "asterisk", "<unknown>":
		return ""
	}
	return Number(raw)
}
