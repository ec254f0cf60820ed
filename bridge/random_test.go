package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Any events in any order: the state stays whole, every pop is offered once
// and ended once, and nothing is left when every leg has gone. A failure names
// its seed.
func TestRandomEvents(t *testing.T) {
	total := 0
	for seed := range uint64(1000) {
		rnd := &randomPBX{rand.New(rand.NewPCG(seed, 3)), map[int]int{}, 0}
		s := NewState([]PBXOptions{{Name: "p", Outside: func(endpoint, _ string) bool { return endpoint == "PJSIP/trunk" }}}, Limits{})
		running := map[PopID]bool{}
		now := scriptStart
		play := func(ev Event) {
			now = now.Add(time.Second)
			ev.PBX = "p"
			for _, e := range s.Apply(&ev, now, nil) {
				switch e.Kind {
				case EffectPopOffered:
					if _, twice := running[e.Pop]; twice {
						t.Fatalf("seed %d: pop %s offered twice", seed, e.Pop)
					}
					running[e.Pop] = true
				case EffectPopUpdated, EffectPopLeft, EffectPopEnded, EffectHeld:
					if !running[e.Pop] {
						t.Fatalf("seed %d: kind %d of pop %s, which does not run", seed, e.Kind, e.Pop)
					}
					running[e.Pop] = e.Kind != EffectPopEnded
				}
			}
			if fault := torn(s); fault != "" {
				t.Fatalf("seed %d: after kind %d: %s", seed, ev.Kind, fault)
			}
		}
		play(Event{Kind: EventDevices, Devices: rnd.devices()})
		for range 80 {
			play(rnd.event())
		}
		play(Event{Kind: EventSourceUp, Snapshot: &Snapshot{}})
		x := s.pbxs["p"]
		if s.Calls() != 0 || s.Legs() != 0 || len(x.bridges) != 0 || len(x.pairs) != 0 || len(x.protocols) != 0 {
			t.Fatalf("seed %d: left over: %d calls, %d legs, %d bridges, %d pairs, %d protocols", seed, s.Calls(), s.Legs(), len(x.bridges), len(x.pairs), len(x.protocols))
		}
		total += len(running)
		for pop, runs := range running {
			if runs {
				t.Fatalf("seed %d: pop %s never ended", seed, pop)
			}
		}
	}
	if total < 1000 {
		t.Errorf("only %d pops: the events are too far from calls", total)
	}
}

// torn says what does not fit together in a state.
func torn(s *State) string {
	x := s.pbxs["p"]
	in := 0
	for id, b := range x.bridges {
		in += len(b.members)
		if b.id != id || len(b.members) == 0 {
			return fmt.Sprintf("bridge %s is %s with %d members", id, b.id, len(b.members))
		}
		for _, c := range b.members {
			if c.bridge != b || c.gone {
				return fmt.Sprintf("%s is a member of %s and is not there", c.id, id)
			}
		}
	}
	for _, c := range x.channels {
		if c.bridge != nil {
			in--
		}
		for _, k := range c.turns {
			if k.turn == nil || !slices.Contains(k.turn.legs, c) {
				return fmt.Sprintf("%s thinks it is in the turn of %s", c.id, k.id)
			}
		}
	}
	if in != 0 || s.legs != len(x.channels) || len(s.dirty) != 0 {
		return fmt.Sprintf("members off by %d, legs %d of %d, dirty %d", in, s.legs, len(x.channels), len(s.dirty))
	}
	return ""
}

var randomNames = []string{
	"PJSIP/trunk-1", "PJSIP/trunk-2", "PJSIP/101-1", "PJSIP/101-2", "PJSIP/102-1", "PJSIP/109-1",
	"Local/1@a-1;1", "Local/1@a-1;2", "Local/2@b-1;1", "Local/2@b-1;2",
}

// randomPBX makes events. What it has destroyed it never names again.
type randomPBX struct {
	*rand.Rand
	life  map[int]int // how often the leg of each name has ended
	boots int
}

func (rnd randomPBX) id(i int) ChannelID { return ChannelID(fmt.Sprintf("%d.%d", i, rnd.life[i])) }

func (rnd randomPBX) channel() Channel {
	i := rnd.IntN(len(randomNames))
	if rnd.IntN(3) == 0 {
		i = rnd.IntN(4)
	}
	c := Channel{ID: rnd.id(i), Name: randomNames[i], State: StateUp, Created: scriptStart.Add(time.Duration(rnd.IntN(3)) * time.Second)}
	if rnd.IntN(4) == 0 {
		c.State = ChannelState(rnd.IntN(int(StateOther) + 1))
	}
	c.Linkedid = []string{"", string(rnd.id(0)), string(rnd.id(1)), string(rnd.id(7))}[rnd.IntN(4)]
	c.ProtocolID = []string{"", "x", "y"}[rnd.IntN(3)]
	c.CallerNumber = []string{"", "anonymous", "+12025550101"}[rnd.IntN(3)]
	c.App = []string{"", "", "", "AppDial"}[rnd.IntN(4)]
	return c
}

func (rnd randomPBX) bridge() Bridge {
	return Bridge{ID: BridgeID(fmt.Sprint("b", rnd.IntN(3))), Type: []string{"mixing", "mixing", "mixing", "mixing", "holding"}[rnd.IntN(5)]}
}

func (rnd randomPBX) devices() (list []Assignment) {
	for _, endpoint := range []string{"PJSIP/101", "PJSIP/102"} {
		if agent := []AgentID{"ann", "bob", ""}[rnd.IntN(3)]; agent != "" {
			list = append(list, Assignment{Device{"p", endpoint}, agent})
		}
	}
	return list
}

func (rnd *randomPBX) event() Event {
	ev := Event{Kind: EventKind(rnd.IntN(int(EventTick) + 1)), Channel: rnd.channel(), Peer: rnd.channel(), Bridge: rnd.bridge()}
	switch ev.Kind {
	case EventDial:
		ev.DialStatus = []string{"", "RINGING", "ANSWER", "CANCEL"}[rnd.IntN(4)]
		if rnd.IntN(4) == 0 {
			ev.Channel = Channel{}
		}
	case EventChannelDestroyed, EventBridgeDestroyed, EventNone, EventTick, EventBridge: // more often, something lives on
		ev.Kind = []EventKind{ev.Kind, EventBridgeEntered, EventBridgeEntered, EventChannel}[rnd.IntN(4)]
	case EventVariable:
		ev.Value = []string{"", "1042", "1043"}[rnd.IntN(3)]
	case EventDevices:
		ev.Devices = rnd.devices()
	case EventInvite:
		ev.Invite = &Invite{CallID: []string{"x", "y"}[rnd.IntN(2)], Caller: "+12025550102", Withheld: rnd.IntN(2) == 0}
	case EventSourceUp:
		ev.Snapshot = rnd.snapshot()
	}
	if ev.Kind == EventChannelDestroyed {
		rnd.life[slices.Index(randomNames, ev.Channel.Name)]++
	}
	return ev
}

func (rnd *randomPBX) snapshot() *Snapshot {
	if rnd.IntN(5) == 0 {
		rnd.boots++
		for i := range randomNames {
			rnd.life[i]++
		}
	}
	snap := &Snapshot{Booted: scriptStart.Add(time.Duration(rnd.boots) * time.Hour)}
	for i := range randomNames {
		if rnd.IntN(3) == 0 {
			rnd.life[i]++
		}
	}
	for range rnd.IntN(12) {
		c, b := rnd.channel(), rnd.bridge()
		b.Channels = []ChannelID{c.ID, rnd.id(rnd.IntN(len(randomNames)))}
		snap.Channels, snap.Bridges = append(snap.Channels, c), append(snap.Bridges, b)
	}
	for i := range randomNames { // what is not listed is over
		if !slices.ContainsFunc(snap.Channels, func(c Channel) bool { return c.ID == rnd.id(i) }) {
			rnd.life[i]++
		}
	}
	return snap
}
