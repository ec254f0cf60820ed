package bridge

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the effects into the scenarios; read the diff before you commit it")

// The scenarios are txtar files of two parts: "events", one a line in the
// small language of script.line, and "effects", what they must cause, each
// under the event that caused it.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ar := txtar.Parse(data)
			if len(ar.Files) != 2 || ar.Files[0].Name != "events" || ar.Files[1].Name != "effects" {
				t.Fatalf("%s needs the parts events and effects", file)
			}
			events := lines(string(ar.Files[0].Data))
			got := play(t, events)
			if *update {
				ar.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.TrimSpace(string(ar.Files[1].Data)), strings.TrimSpace(got)); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

// Every event told twice must not change what is due.
func TestScenariosDoubled(t *testing.T) {
	files, _ := filepath.Glob("testdata/scenarios/*.txtar")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doubled []string
		events := lines(string(txtar.Parse(data).Files[0].Data))
		for _, line := range events {
			doubled = append(doubled, line, line)
		}
		if diff := cmp.Diff(effectsOnly(play(t, events)), effectsOnly(play(t, doubled))); diff != "" {
			t.Errorf("%s: events told twice (-once +twice):\n%s", file, diff)
		}
	}
}

func effectsOnly(s string) (list []string) {
	for _, line := range strings.Split(s, "\n") {
		if strings.HasPrefix(line, "\t") {
			list = append(list, line)
		}
	}
	return list
}

func lines(s string) (list []string) {
	for _, line := range strings.Split(s, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// script turns lines into events. Channels are named by short words; a name
// is remembered with what the line that made it said.
type script struct {
	t        testing.TB
	channels map[string]*Channel
	start    time.Time
	n        int
}

var scriptStart = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newScript(t testing.TB) *script {
	return &script{t: t, channels: map[string]*Channel{}, start: scriptStart}
}

func (s *script) now() time.Time { return s.start.Add(time.Duration(s.n) * time.Second) }

// play runs the lines through a State whose trunk is PJSIP/trunk and prints
// the effects.
func play(t *testing.T, events []string) string {
	t.Helper()
	s := newScript(t)
	st := NewState([]PBXOptions{{Name: "p", Outside: func(endpoint, context string) bool {
		return endpoint == "PJSIP/trunk" || context == "from-trunk"
	}}}, Limits{})
	var b strings.Builder
	for i, line := range events {
		if i == 0 || events[i-1] != line {
			s.n++
		}
		ev := s.line(line)
		effects := st.Apply(&ev, s.now(), nil)
		if len(effects) > 0 {
			fmt.Fprintln(&b, line)
		}
		for _, e := range effects {
			fmt.Fprintln(&b, "\t"+describe(e))
		}
	}
	if st.Calls() != 0 || st.Legs() != 0 {
		fmt.Fprintf(&b, "left over: %d calls, %d legs\n", st.Calls(), st.Legs())
	}
	return b.String()
}

func describe(e Effect) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	add("%s", [...]string{"", "offered", "updated", "left", "ended", "ringing", "ringing-over", "held", "call-ended"}[e.Kind])
	if e.Agent != "" {
		add("%s on %s", e.Agent, e.Device.Endpoint)
	}
	switch e.Kind {
	case EffectPopOffered, EffectPopUpdated, EffectRinging:
		caller := e.Facts.Caller.Number.Reveal()
		if e.Facts.Caller.Withheld {
			caller = "withheld"
		}
		add("caller=%s dialled=%s", caller, e.Facts.Dialled.Reveal())
		if e.Facts.CallNumber != "" {
			add("number=%s", e.Facts.CallNumber)
		}
		if e.Facts.SIPCallID != "" {
			add("sip=%s", e.Facts.SIPCallID)
		}
		if e.Late {
			add("late")
		}
	case EffectHeld:
		add("%v", e.Held)
	case EffectPopEnded:
		add("%s %s", e.State, e.Cause)
		if e.To != "" {
			add("to %s", e.To)
		}
	case EffectCallEnded:
		add("%s %s %s turns=%d legs=%d", e.Call, e.Direction, e.Outcome, e.Turns, e.Legs)
	default:
		add("%s", e.Cause)
	}
	return strings.Join(w, " ")
}

// line reads one event:
//
//	in NAME CHANNEL CALLER EXTEN [key=value …]   a channel that calls in (Ring)
//	leg NAME CHANNEL [key=value …]               a channel that the PBX makes (Down)
//	dial FROM|- TO [STATUS]
//	ring NAME | up NAME | hold NAME | unhold NAME | gone NAME [CAUSE]
//	enter NAME BRIDGE [TYPE] | left NAME BRIDGE | unbridge BRIDGE
//	set NAME [VALUE]                             the call number variable
//	facts NAME key=value …                       a changed channel
//	devices DEVICE=AGENT …
//	snapshot [boot=SECONDS] NAME … BRIDGE(NAME,NAME) …
//	invite CALL-ID CALLER DIALLED [NUMBER|- [withheld]]
//	tick MINUTES
func (s *script) line(line string) Event {
	s.t.Helper()
	f := strings.Fields(line)
	ev := Event{PBX: "p", Received: s.now()}
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	switch f[0] {
	case "in":
		s.channels[f[1]] = &Channel{ID: ChannelID(f[1]), Name: f[2] + "-0001", State: StateRing, CallerNumber: f[3], Exten: f[4], Linkedid: f[1], Created: s.now()}
		ev.Kind, ev.Channel = EventChannel, s.facts(f[1], f[5:])
	case "leg":
		name := f[2]
		if !strings.HasPrefix(name, "Local/") {
			name += "-0001"
		}
		s.channels[f[1]] = &Channel{ID: ChannelID(f[1]), Name: name, State: StateDown, Created: s.now()}
		if strings.HasSuffix(name, ";2") {
			s.channels[f[1]].State = StateRing
		}
		ev.Kind, ev.Channel = EventChannel, s.facts(f[1], f[3:])
	case "facts":
		ev.Kind, ev.Channel = EventChannel, s.facts(f[1], f[2:])
	case "dial":
		ev.Kind, ev.Channel, ev.Peer, ev.DialStatus = EventDial, s.channel(f[1]), s.channel(f[2]), arg(3)
	case "ring", "up":
		s.channels[f[1]].State = map[string]ChannelState{"ring": StateRinging, "up": StateUp}[f[0]]
		ev.Kind, ev.Channel = EventChannel, s.channel(f[1])
	case "hold", "unhold":
		ev.Kind, ev.Channel = map[string]EventKind{"hold": EventHold, "unhold": EventUnhold}[f[0]], s.channel(f[1])
	case "gone":
		ev.Kind, ev.Channel = EventChannelDestroyed, s.channel(f[1])
		fmt.Sscan(arg(2), &ev.Cause)
	case "enter", "left":
		ev.Kind = map[string]EventKind{"enter": EventBridgeEntered, "left": EventBridgeLeft}[f[0]]
		ev.Channel, ev.Bridge = s.channel(f[1]), Bridge{ID: BridgeID(f[2]), Type: arg(3)}
	case "unbridge":
		ev.Kind, ev.Bridge = EventBridgeDestroyed, Bridge{ID: BridgeID(f[1])}
	case "set":
		ev.Kind, ev.Channel, ev.Variable, ev.Value = EventVariable, s.channel(f[1]), "CALL_NUMBER", arg(2)
	case "devices":
		ev.Kind = EventDevices
		for _, a := range f[1:] {
			endpoint, agent, _ := strings.Cut(a, "=")
			ev.Devices = append(ev.Devices, Assignment{Device{"p", endpoint}, AgentID(agent)})
		}
	case "snapshot":
		ev.Kind, ev.Snapshot = EventSourceUp, s.snapshot(f[1:])
	case "invite":
		ev.Kind, ev.Invite = EventInvite, &Invite{CallID: f[1], Caller: f[2], Dialled: f[3], CallNumber: strings.TrimPrefix(arg(4), "-"), Withheld: arg(5) == "withheld"}
	case "tick":
		var minutes int
		fmt.Sscan(f[1], &minutes)
		s.start = s.start.Add(time.Duration(minutes) * time.Minute)
		ev.Kind, ev.PBX = EventTick, ""
	default:
		s.t.Fatalf("no such event: %s", line)
	}
	return ev
}

func (s *script) channel(name string) Channel {
	s.t.Helper()
	if name == "-" {
		return Channel{}
	}
	c := s.channels[name]
	if c == nil {
		s.t.Fatalf("no channel %s", name)
	}
	return *c
}

func (s *script) facts(name string, pairs []string) Channel {
	s.t.Helper()
	s.channel(name)
	c := s.channels[name]
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		switch k {
		case "caller":
			c.CallerNumber = v
		case "exten":
			c.Exten = v
		case "context":
			c.Context = v
		case "dnid":
			c.DNID = v
		case "pres":
			c.NumPres = v
		case "sip":
			c.ProtocolID = v
		case "linkedid":
			c.Linkedid = v
		case "app":
			c.App = v
		default:
			s.t.Fatalf("no such fact: %s", p)
		}
	}
	return *c
}

func (s *script) snapshot(words []string) *Snapshot {
	snap := &Snapshot{Booted: scriptStart}
	for _, w := range words {
		name, members, bridge := strings.Cut(strings.TrimSuffix(w, ")"), "(")
		switch {
		case bridge:
			b := Bridge{ID: BridgeID(name), Type: "mixing"}
			for _, m := range strings.Split(members, ",") {
				b.Channels = append(b.Channels, ChannelID(m))
			}
			snap.Bridges = append(snap.Bridges, b)
		case strings.HasPrefix(w, "boot="):
			var sec int
			fmt.Sscan(w[len("boot="):], &sec)
			snap.Booted = scriptStart.Add(time.Duration(sec) * time.Second)
		default:
			snap.Channels = append(snap.Channels, s.channel(name))
		}
	}
	return snap
}
