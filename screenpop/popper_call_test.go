package screenpop_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// told is what a message says in short.
func told(list []screenpop.CallView) []string {
	var s []string
	for _, v := range list {
		words := []string{v.State}
		for _, w := range []string{v.Pop, v.PopState, v.Cause, v.To, v.CallNumber, v.Opens} {
			if w != "" {
				words = append(words, w)
			}
		}
		s = append(s, strings.Join(words, " "))
	}
	return s
}

func ring(agent bridge.AgentID) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectRinging, Agent: agent, Facts: knownFacts()}
}

func quiet(agent bridge.AgentID, cause string) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectRingingOver, Agent: agent, Cause: cause}
}

func hold(id bridge.PopID, held bool) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectHeld, Pop: id, Agent: agentOne, Held: held}
}

func left(id bridge.PopID) bridge.Effect {
	return bridge.Effect{Kind: bridge.EffectPopLeft, Pop: id, Agent: agentOne, Cause: "left"}
}

// TestDesks plays effects and reads both agents' streams.
func TestDesks(t *testing.T) {
	better := knownFacts()
	better.CallNumber = knownTicket
	over := bridge.Effect{Kind: bridge.EffectCallEnded, Outcome: bridge.OutcomeAnswered, Cause: "hangup"}
	for name, c := range map[string]struct {
		effects  []bridge.Effect
		one, two []string
	}{
		"ring group": {
			effects: []bridge.Effect{ring(agentOne), ring(agentTwo), quiet(agentOne, "answered"), offer(popA1, agentOne, knownFacts()), quiet(agentTwo, "answered_elsewhere")},
			one:     []string{"ringing", "ringing", "talking a1 offered caller_info"},
			two:     []string{"ringing", "ended answered_elsewhere"},
		},
		"given up": {
			effects: []bridge.Effect{ring(agentOne), quiet(agentOne, "caller_gave_up"), over},
			one:     []string{"ringing", "ringing", "ended caller_gave_up"},
		},
		"answered but never connected": {
			effects: []bridge.Effect{ring(agentOne), quiet(agentOne, "answered"), over},
			one:     []string{"ringing", "ringing", "ended caller_gave_up"},
		},
		"answered, but another was connected": {
			effects: []bridge.Effect{ring(agentTwo), quiet(agentTwo, "answered"), offer(popA1, agentOne, knownFacts())},
			one:     []string{"talking a1 offered caller_info"},
			two:     []string{"ringing", "ended answered_elsewhere"},
		},
		"a second device of the agent who talks": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), ring(agentOne), quiet(agentOne, "no_answer")},
			one:     []string{"talking a1 offered caller_info"},
		},
		"hold": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), hold(popA1, true), hold(popA1, false)},
			one:     []string{"talking a1 offered caller_info", "held a1 offered caller_info", "talking a1 offered caller_info"},
		},
		"better fact": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), {Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: better}},
			one:     []string{"talking a1 offered caller_info", "talking a1 offered 4711 pending", "talking a1 offered 4711 ticket"},
		},
		"transfer": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), end(popA1, agentOne, bridge.PopSuperseded, "transfer", agentTwo), offer(popA2, agentTwo, knownFacts())},
			one:     []string{"talking a1 offered caller_info", "ended a1 superseded transfer Agent Two caller_info"},
			two:     []string{"talking a2 offered caller_info"},
		},
		"left, then with another": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), left(popA1), hold(popA1, true), end(popA1, agentOne, bridge.PopSuperseded, "transfer", agentTwo), offer(popA2, agentTwo, knownFacts())},
			one:     []string{"talking a1 offered caller_info", "ended a1 offered left caller_info", "ended a1 superseded transfer Agent Two caller_info"},
			two:     []string{"talking a2 offered caller_info"},
		},
		"and back again": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), end(popA1, agentOne, bridge.PopEnded, "left", ""), offer(popA2, agentOne, knownFacts())},
			one:     []string{"talking a1 offered caller_info", "ended a1 offered left caller_info", "talking a2 offered caller_info"},
		},
		"said twice": {
			effects: []bridge.Effect{offer(popA1, agentOne, knownFacts()), offer(popA1, agentOne, knownFacts()), end(popA1, agentOne, bridge.PopEnded, "hangup", ""), over, over},
			one:     []string{"talking a1 offered caller_info", "ended a1 offered hangup caller_info"},
		},
		"effects of nothing": {
			effects: []bridge.Effect{hold("x", true), left("x"), quiet(agentOne, "hangup"), {Kind: bridge.EffectPopUpdated, Pop: "x"}, {}, over},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				defer h.stop()
				one, two := h.subscribe(agentOne), h.subscribe(agentTwo)
				for _, e := range c.effects {
					h.do(e)
				}
				if diff := cmp.Diff(c.one, told(views(t, one))); diff != "" {
					t.Errorf("agent one (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(c.two, dropRepeats(told(views(t, two)))); diff != "" {
					t.Errorf("agent two (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// dropRepeats leaves out messages that only filled in a name.
func dropRepeats(list []string) []string {
	var out []string
	for _, s := range list {
		if len(out) == 0 || out[len(out)-1] != s {
			out = append(out, s)
		}
	}
	return out
}

// TestLookupOnlyWhatChanged: one lookup serves ringing and answer, and a call
// number that comes later is asked for alone.
func TestLookupOnlyWhatChanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, func(o *screenpop.PopperOptions) {
			o.TicketRule = func(n bridge.TicketNumber) bridge.TicketNumber { return "47" + n }
			o.Normalize = func(_ bridge.PBX, n bridge.Number) bridge.Number {
				if n == "12025550101" {
					return "+" + n
				}
				return ""
			}
		})
		defer h.stop()
		f := knownFacts()
		f.Caller.Number = "12025550101"
		r := ring(agentOne)
		r.Facts = f
		h.do(r, ring(agentTwo))
		h.do(offer(popA1, agentOne, f))
		f.CallNumber = "11"
		h.do(bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: f})
		want := []screenpop.DirectoryQuery{{Caller: knownNumber, Dialled: lineNumber}, {CallNumber: "4711"}}
		if diff := cmp.Diff(want, h.dir.Asked(), cmp.Comparer(func(a, b bridge.Number) bool { return a == b })); diff != "" {
			t.Errorf("queries (-want +got):\n%s", diff)
		}
		row := h.row(popA1)
		if row.Facts.Caller.Number != knownNumber || row.Facts.CallNumber != "11" || row.Found.Person == nil || row.Found.Ticket == nil {
			t.Errorf("row = %+v", row)
		}
	})
}

// TestForeignTicketKeyedLater: the warning needs the caller of before.
func TestForeignTicketKeyedLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.stop()
		s := h.subscribe(agentOne)
		h.do(offer(popA1, agentOne, knownFacts()))
		f := knownFacts()
		f.CallNumber = "9999"
		h.do(bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: f})
		if got := views(t, s); len(got) == 0 || !got[len(got)-1].Foreign {
			t.Errorf("no warning: %+v", got)
		}
		f.CallNumber = knownTicket
		h.do(bridge.Effect{Kind: bridge.EffectPopUpdated, Pop: popA1, Agent: agentOne, Facts: f})
		if got := views(t, s); len(got) == 0 || got[len(got)-1].Foreign {
			t.Errorf("the warning stays: %+v", got)
		}
	})
}

// TestCanonicalLine: one line per call, and nothing personal in it.
func TestCanonicalLine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newHouse(t, func(o *screenpop.PopperOptions) {
			o.Logger = slog.New(slog.NewJSONHandler(&log, nil))
			o.Reference = func(n bridge.Number) string { return "ref-of-" + n.String() }
		})
		defer h.stop()
		start := time.Now()
		h.do(offer(popA1, agentOne, knownFacts()))
		time.Sleep(90 * time.Second)
		h.do(end(popA1, agentOne, bridge.PopEnded, "hangup", ""))
		h.do(bridge.Effect{Kind: bridge.EffectCallEnded, Outcome: bridge.OutcomeAnswered, Direction: bridge.DirectionInbound, Cause: "hangup",
			Facts: knownFacts(), Started: start, Answered: start, Turns: 1, Legs: 2})
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatalf("log is not one line: %v\n%s", err, &log)
		}
		delete(line, "time")
		want := map[string]any{
			"level": "INFO", "msg": "call", "call_id": "pbx1/lab-1.0", "pbx": "pbx1", "outcome": "answered", "direction": "inbound",
			"cause": "hangup", "turns": 1.0, "legs": 2.0, "duration_seconds": 90.0, "caller_ref": "ref-of-…01",
			"started": "2000-01-01T00:00:00Z", "answered": "2000-01-01T00:00:00Z",
		}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	})
}

// TestHostileNames: whatever a caller's network puts into a name, the message
// is one line of JSON that cannot leave its script or turn its text.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		"</script><script>alert(1)</script>", "a\r\nevent: state\r\ndata: []\r\n\r\n", "\u202egnp.exe\u2066", "\u2028\u2029",
		"\x00\x1b[31m\x7f", "\xff\xfe", strings.Repeat("ä", 10000), `"},{"state":"ended`, "{{.}} ${x} %s",
	} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			defer h.stop()
			s := h.subscribe(agentOne)
			<-s.C()
			h.do(offer(popA1, agentOne, bridge.Facts{Caller: bridge.Caller{Number: bridge.Number(name), Name: bridge.PersonName(name)}, CallNumber: bridge.TicketNumber(name)}))
			m := <-s.C()
			if bytes.ContainsAny(m.Data, "\r\n\x00\x1b\x7f<>&") || bytes.Contains(m.Data, []byte("\u2028")) || bytes.Contains(m.Data, []byte("\u202e")) {
				t.Errorf("%q: message %s", name, m.Data)
			}
			var v screenpop.CallView
			if err := json.Unmarshal(m.Data, &v); err != nil || v.State != "talking" || len([]rune(v.CallerName)) > 201 {
				t.Errorf("%q: %v, %+v", name, err, v)
			}
		})
	}
}
