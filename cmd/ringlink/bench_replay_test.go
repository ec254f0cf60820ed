package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringlink/ari"
	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
)

// The replay is made of this many events at least, in calls that begin at this
// rate and run as they were recorded, side by side; their agents are copies of
// the lab's three, so that no desk has more calls than a desk has.
const (
	replayEvents = 10_000
	replayRate   = 10 // calls a second
	replayTeams  = 8
)

// replayAgent is the name of an agent's copy in a team, and its endpoint.
func replayAgent(login string, team int) (name, endpoint string) {
	return fmt.Sprintf("%s-%d", login, team), fmt.Sprintf("%s%02d", labAgents[login], team)
}

// replayed is one event of the replay.
type replayed struct {
	at   time.Duration // after the replay's begin
	text []byte
	pops []bridge.PopID // that this event brings about, whose agents are
	who  []string       // these
}

// What makes an event part of one call and not of another.
var (
	channelID   = regexp.MustCompile(`lab-(\d{10})\.`)
	channelName = regexp.MustCompile(`(/[^"/,]*-)[0-9a-f]{4}([0-9a-f]{4})\b`)
	uuid        = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`)
	sipCallID   = regexp.MustCompile(`("protocol_id":"[^"]+)"`)
	endpoint    = regexp.MustCompile(`\b(PJSIP/|Local/)(10[123])\b`)
	stamp       = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000`)
)

const stampLayout = "2006-01-02T15:04:05.000-0700"

// replay makes calls of the recorded streams in turn until they have so many
// events, beginning at start; the first is call number first, and no two
// numbers share an id. It is what one round plays, in order.
func replay(t testing.TB, first, events int, start time.Time) (list []replayed, calls int) {
	t.Helper()
	flows := replayFlows()
	for ; len(list) < events; calls++ {
		began := time.Duration(calls) * time.Second / replayRate
		recorded, err := aritest.Load(streamFile(flows[calls%len(flows)].Name))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, renewed(t, recorded, first+calls, began, start)...)
	}
	slices.SortStableFunc(list, func(a, b replayed) int { return int(a.at - b.at) })
	return list, calls
}

// replayFlows are those whose agents sit at their usual devices: only these are
// renamed to a team's.
func replayFlows() []lab.Flow {
	return slices.DeleteFunc(lab.Flows(), func(f lab.Flow) bool { return len(f.Seats) > 0 })
}

// renewed makes a recorded call a new one and works out, by the engine's own
// pure state, which event brings about which pop.
func renewed(t testing.TB, events [][]byte, number int, began time.Duration, start time.Time) (list []replayed) {
	t.Helper()
	team := number % replayTeams
	state := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
	devices := bridge.Event{Kind: bridge.EventDevices}
	for login := range labAgents {
		name, endpoint := replayAgent(login, team)
		devices.Devices = append(devices.Devices, bridge.Assignment{Device: bridge.Device{PBX: "lab", Endpoint: endpoint}, Agent: bridge.AgentID(name)})
	}
	now := start
	effects := state.Apply(&devices, now, nil)
	decoder := ari.NewDecoder([]string{"CALL_NUMBER"})
	var from time.Time
	var at time.Duration
	for _, event := range events {
		text := rename(string(event), number, team)
		times := stamp.FindAllString(text, -1)
		if len(times) == 0 {
			t.Fatalf("no time in %s", text)
		}
		if i := strings.Index(text, `"timestamp":"`); i >= 0 {
			when, err := time.Parse(stampLayout, stamp.FindString(text[i:]))
			if err != nil {
				t.Fatal(err)
			}
			if from.IsZero() {
				from = when
			}
			at = max(at, when.Sub(from)) // timestamps run back at times
		}
		shift := start.Add(began).Sub(from)
		text = stamp.ReplaceAllStringFunc(text, func(old string) string {
			when, err := time.Parse(stampLayout, old)
			if err != nil {
				t.Fatal(err)
			}
			return when.Add(shift).Format(stampLayout)
		})
		r := replayed{at: began + at, text: []byte(text)}
		var ev bridge.Event
		result, err := decoder.Decode(r.text, &ev)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if result == ari.ResultDecoded {
			ev.PBX, now = "lab", now.Add(time.Millisecond)
			effects = state.Apply(&ev, now, effects[:0])
			for _, e := range effects {
				if e.Kind == bridge.EffectPopOffered {
					r.pops, r.who = append(r.pops, e.Pop), append(r.who, string(e.Agent))
				}
			}
		}
		list = append(list, r)
	}
	return list
}

// rename gives a recorded event the ids of call number n and a team's endpoints.
func rename(text string, n, team int) string {
	text = channelID.ReplaceAllStringFunc(text, func(old string) string {
		var epoch int
		_, _ = fmt.Sscanf(old, "lab-%d.", &epoch) // the pattern says that it is a number
		return fmt.Sprintf("lab-%d.", epoch%1_000_000_000+1000*n)
	})
	text = channelName.ReplaceAllString(text, fmt.Sprintf("${1}%04x${2}", n))
	text = uuid.ReplaceAllString(text, fmt.Sprintf("%08x${1}", n))
	text = sipCallID.ReplaceAllString(text, fmt.Sprintf(`${1}-%d"`, n))
	return endpoint.ReplaceAllString(text, fmt.Sprintf("${1}${2}%02d", team))
}

// The replay must be what was recorded, as far as pops go: as many as the flows
// say, all different.
func TestReplay(t *testing.T) {
	const events = 6000 // each flow once, and a bit
	list, calls := replay(t, 1, events, time.Now())
	more, _ := replay(t, 1+calls, events, time.Now())
	seen := map[bridge.PopID]bool{}
	for _, r := range append(list, more...) {
		for _, id := range r.pops {
			if seen[id] {
				t.Errorf("pop %s is there twice", id)
			}
			seen[id] = true
		}
	}
	want := 0
	for i := range calls {
		flows := replayFlows()
		want += len(flows[i%len(flows)].Pops)
	}
	if len(seen) != 2*want {
		t.Errorf("%d calls twice give %d pops, want %d", calls, len(seen), 2*want)
	}
}
