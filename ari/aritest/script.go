package aritest

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Script composes the event streams of calls as an Asterisk 22 with chan_pjsip
// sends them: same events, same order, same fields, a good part of the
// variables. Ids count as Asterisk's do, so that several calls of one Script
// may be played side by side.
//
// A Script has a clock of its own, which starts at the time given to NewScript
// and moves with the steps and with Wait; Follow makes it follow another one,
// so that a call can be composed while it is played. The methods of a Script
// and its Calls may be called from any goroutine.
type Script struct {
	// The wiring, to be changed before the first call.
	Trunk         string            // endpoint of the trunk; default "PJSIP/trunk"
	TrunkContext  string            // default "from-trunk"
	InsideContext string            // default "internal"
	Names         map[string]string // caller names by endpoint, as "PJSIP/101": "Agent One"
	NoChannelVars bool              // ari.conf lacks the line channelvars

	mu     sync.Mutex // guards what follows
	clock  time.Time
	follow func() time.Time
	epoch  int64 // of the channel ids
	system string
	next   int // channel number
	serial int // of names and bridges
	steps  []Step
}

// NewScript begins at now. system is asterisk.conf's systemname, the prefix of
// every channel id; it may be empty.
func NewScript(now time.Time, system string) *Script {
	if system != "" {
		system += "-"
	}
	return &Script{
		Trunk: "PJSIP/trunk", TrunkContext: "from-trunk", InsideContext: "internal",
		Names: map[string]string{"PJSIP/101": "Agent One", "PJSIP/102": "Agent Two"},
		clock: now, epoch: now.Unix(), system: system,
	}
}

// Follow makes every method start at clock() rather than where the last step
// ended.
func (s *Script) Follow(clock func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow = clock
}

// Wait lets time pass before the next step.
func (s *Script) Wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

// Restart is what an Asterisk's restart does to the ids: numbers begin again,
// with the present second as the epoch.
func (s *Script) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.next, s.serial = s.clock.Unix(), 0, 0
}

// Steps returns all steps so far.
func (s *Script) Steps() []Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Step(nil), s.steps...)
}

// Events returns all events so far.
func (s *Script) Events() [][]byte {
	var events [][]byte
	for _, step := range s.Steps() {
		events = append(events, step.Event)
	}
	return events
}

// compose runs f with the lock held and returns the steps that it made.
func (s *Script) compose(f func()) []Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.follow != nil {
		s.clock = s.follow()
	}
	from := len(s.steps)
	f()
	return append([]Step(nil), s.steps[from:]...)
}

// later moves the clock within a method.
func (s *Script) later(ms int) { s.clock = s.clock.Add(time.Duration(ms) * time.Millisecond) }

// party is the caller or connected part of a channel.
type party struct {
	Name   string `json:"name"`
	Number string `json:"number"`
}

type dialplan struct {
	Context  string `json:"context"`
	Exten    string `json:"exten"`
	Priority int    `json:"priority"`
	App      string `json:"app_name"`
	AppData  string `json:"app_data"`
}

type channelVars struct {
	CallNumber string `json:"CALL_NUMBER"`
	Linkedid   string `json:"CHANNEL(linkedid)"`
	NumPres    string `json:"CALLERID(num-pres)"`
	DNID       string `json:"CALLERID(dnid)"`
	RDNIS      string `json:"CALLERID(rdnis)"`
}

// channel is a channel as ARI writes it, in its order of keys.
type channel struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	State      string       `json:"state"`
	ProtocolID string       `json:"protocol_id"`
	Caller     party        `json:"caller"`
	Connected  party        `json:"connected"`
	Account    string       `json:"accountcode"`
	Dialplan   dialplan     `json:"dialplan"`
	Created    string       `json:"creationtime"`
	Language   string       `json:"language"`
	Vars       *channelVars `json:"channelvars,omitempty"`

	endpoint string
	vars     channelVars // what Vars shows unless the line is missing
}

// bridgeObject is a bridge as ARI writes it.
type bridgeObject struct {
	ID         string   `json:"id"`
	Technology string   `json:"technology"`
	Type       string   `json:"bridge_type"`
	Class      string   `json:"bridge_class"`
	Creator    string   `json:"creator"`
	Name       string   `json:"name"`
	Channels   []string `json:"channels"`
	Created    string   `json:"creationtime"`
	VideoMode  string   `json:"video_mode"`
}

// newChannel makes a channel on an endpoint; linkedid "" is its own.
func (s *Script) newChannel(endpoint, state, context, exten, linkedid string) *channel {
	id := fmt.Sprintf("%s%d.%d", s.system, s.epoch, s.next)
	s.next++
	if linkedid == "" {
		linkedid = id
	}
	return &channel{
		ID: id, Name: fmt.Sprintf("%s-%08x", endpoint, s.count()), State: state,
		Dialplan: dialplan{Context: context, Exten: exten, Priority: 1},
		Created:  stamp(s.clock), Language: "en", endpoint: endpoint,
		vars: channelVars{Linkedid: linkedid, NumPres: "allowed_not_screened"},
	}
}

func (s *Script) count() int {
	s.serial++
	return s.serial - 1
}

// uuid makes ids that look random and are the same in every run.
func (s *Script) uuid(kind string) string {
	sum := sha1.Sum([]byte(s.system + kind + strconv.FormatInt(s.epoch, 10) + "." + strconv.Itoa(s.next) + "." + strconv.Itoa(len(s.steps))))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (s *Script) newBridge() *bridgeObject {
	return &bridgeObject{
		ID: s.uuid("bridge"), Technology: "simple_bridge", Type: "mixing", Class: "basic",
		Channels: []string{}, Created: stamp(s.clock), VideoMode: "none",
	}
}

// member is one key of an event.
type member struct {
	key   string
	value any
}

// event adds an event of members in Asterisk's order: those of before, type,
// timestamp, those of after, and the two that end each event.
func (s *Script) event(before []member, kind string, after ...member) {
	all := append(append([]member(nil), before...), member{"type", kind}, member{"timestamp", stamp(s.clock)})
	all = append(all, after...)
	all = append(all, member{"asterisk_id", entityID}, member{"application", "ringlink"})
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for i, m := range all {
		out.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&out, "%q:", m.key)
		if ch, ok := m.value.(*channel); ok {
			if ch.Vars = &ch.vars; s.NoChannelVars {
				ch.Vars = nil
			}
		}
		_ = enc.Encode(m.value) // strings, numbers and our own structs
		out.Truncate(out.Len() - 1)
	}
	out.WriteByte('}')
	s.steps = append(s.steps, Step{s.clock, out.Bytes()})
}

func (s *Script) channelEvent(kind string, ch *channel, more ...member) {
	s.event(nil, kind, append(more, member{"channel", ch})...)
}

// set is a ChannelVarset.
func (s *Script) set(ch *channel, variable, value string) {
	s.event([]member{{"variable", variable}, {"value", value}}, "ChannelVarset", member{"channel", ch})
}

func (s *Script) state(ch *channel, state string) {
	ch.State = state
	s.channelEvent("ChannelStateChange", ch)
}

// app moves a channel to another application of the dialplan.
func (s *Script) app(ch *channel, priority int, app, data string) {
	ch.Dialplan.Priority, ch.Dialplan.App, ch.Dialplan.AppData = priority, app, data
	s.channelEvent("ChannelDialplan", ch, member{"dialplan_app", app}, member{"dialplan_app_data", data})
}

func (s *Script) dial(status string, caller, peer *channel) {
	text := ""
	if status == "" {
		_, text, _ = strings.Cut(peer.endpoint, "/")
	}
	s.event(nil, "Dial", member{"dialstatus", status}, member{"forward", ""}, member{"dialstring", text},
		member{"caller", caller}, member{"peer", peer})
}

func (s *Script) device(endpoint, state string) {
	s.event(nil, "DeviceStateChanged", member{"device_state", struct {
		Name  string `json:"name"`
		State string `json:"state"`
	}{endpoint, state}})
}

func (s *Script) bridged(kind string, br *bridgeObject) {
	s.event(nil, kind, member{"bridge", br})
}

func (s *Script) enter(br *bridgeObject, ch *channel) {
	br.Channels = append([]string{ch.ID}, br.Channels...)
	s.event(nil, "ChannelEnteredBridge", member{"bridge", br}, member{"channel", ch})
}

func (s *Script) leave(br *bridgeObject, ch *channel) {
	left := []string{}
	for _, id := range br.Channels {
		if id != ch.ID {
			left = append(left, id)
		}
	}
	br.Channels = left
	s.event(nil, "ChannelLeftBridge", member{"bridge", br}, member{"channel", ch})
}

func (s *Script) destroy(ch *channel, cause int) {
	s.device(ch.endpoint, "NOT_INUSE")
	s.channelEvent("ChannelDestroyed", ch, member{"cause", cause}, member{"cause_txt", causeText(cause)})
}

// causeText is Asterisk's name of a Q.850 cause.
func causeText(cause int) string {
	switch cause {
	case 16:
		return "Normal Clearing"
	case 17:
		return "User busy"
	case 19:
		return "User alerting, no answer"
	case 26:
		return "Answered elsewhere"
	}
	return "Unknown"
}
