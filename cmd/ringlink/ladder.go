package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"ringlink/bridge"
)

// ladder prints what happens to the demo's calls, a line each, between the
// lanes of those who take part. The engine's goroutine hands it lines, which
// it never waits for.
type ladder struct {
	out   io.Writer
	lines chan string

	mu     sync.Mutex // guards all below
	start  time.Time
	ended  map[bridge.CallID]bool
	causes map[bridge.PopID]time.Time // when the event that made a pop was read
}

func newLadder(out io.Writer) *ladder {
	return &ladder{
		out: out, lines: make(chan string, 1024),
		ended: map[bridge.CallID]bool{}, causes: map[bridge.PopID]time.Time{},
	}
}

// The lanes: caller, PBX, Ringlink, agent.
const (
	laneCaller = iota
	lanePBX
	laneRinglink
	laneAgent
)

var demoLanes = lanePicture{names: []string{"caller", "Asterisk", "Ringlink", "agent"}, width: 13}

// Run prints until ctx ends, and then what is left.
func (l *ladder) Run(ctx context.Context) error {
	for {
		select {
		case line := <-l.lines:
			fmt.Fprintln(l.out, line)
		case <-ctx.Done():
			for {
				select {
				case line := <-l.lines:
					fmt.Fprintln(l.out, line)
				default:
					return nil
				}
			}
		}
	}
}

func (l *ladder) print(line string) {
	select {
	case l.lines <- line:
	default: // a terminal that stands still loses lines, never calls
	}
}

// begin heads a call's ladder.
func (l *ladder) begin(n int, st story) {
	l.mu.Lock()
	l.start = time.Now()
	l.mu.Unlock()
	l.print(fmt.Sprintf("\nCall %d: %s", n, st.name))
	l.print(demoLanes.head())
}

// step prints an arrow from one lane to another.
func (l *ladder) step(from, to int, text string) {
	l.mu.Lock()
	at := time.Since(l.start)
	l.mu.Unlock()
	l.print(demoLanes.line(at, from, to, text))
}

// observe sees the engine's events and effects; it runs on the engine's
// goroutine.
func (l *ladder) observe(ev *bridge.Event, effects []bridge.Effect) {
	switch ev.Kind {
	case bridge.EventInvite:
		l.step(laneCaller, laneRinglink, "SIP INVITE (Call-ID "+shorten(ev.Invite.CallID)+")")
	case bridge.EventChannel:
		if ev.Channel.State == bridge.StateRing && ev.Channel.App == "" && ev.Channel.ProtocolID == "" {
			l.step(laneCaller, lanePBX, "channel "+string(ev.Channel.ID)+" dials "+ev.Channel.Exten)
		}
	case bridge.EventVariable:
		if ev.Value != "" {
			l.step(lanePBX, laneRinglink, "call number "+ev.Value)
		}
	case bridge.EventBridgeEntered:
		if len(ev.Bridge.Channels) > 1 {
			l.step(lanePBX, laneAgent, "connected")
		}
	}
	for _, e := range effects {
		l.effect(e)
	}
}

func (l *ladder) effect(e bridge.Effect) {
	switch e.Kind {
	case bridge.EffectRinging:
		l.step(lanePBX, laneAgent, e.Device.Endpoint+" rings ("+string(e.Agent)+")")
	case bridge.EffectRingingOver:
		if e.Cause != "answered" {
			l.step(lanePBX, laneAgent, e.Device.Endpoint+" stops: "+e.Cause)
		}
	case bridge.EffectPopOffered:
		joined := ""
		if e.Facts.SIPCallID != "" {
			joined = ", INVITE and channel joined"
		}
		l.step(laneRinglink, laneAgent, "pop for "+string(e.Agent)+joined)
		l.mu.Lock()
		if len(l.causes) > 4096 {
			clear(l.causes)
		}
		l.causes[e.Pop] = e.Received
		l.mu.Unlock()
	case bridge.EffectPopUpdated:
		l.step(laneRinglink, laneAgent, "pop updated")
	case bridge.EffectPopEnded:
		l.step(laneRinglink, laneAgent, "pop "+string(e.State))
	case bridge.EffectCallEnded:
		text := "call over: " + string(e.Outcome)
		if e.Turns == 0 {
			text += ", nothing pops"
		}
		l.step(lanePBX, laneRinglink, text)
		l.mu.Lock()
		if len(l.ended) > 4096 {
			clear(l.ended)
		}
		l.ended[e.Call] = true
		l.mu.Unlock()
	}
}

// linked prints what the built-in agents did with the link.
func (l *ladder) linked(r *callResult) {
	l.step(laneAgent, laneRinglink, fmt.Sprintf("link %s, page shows %q; second use %s, other agent %s", r.Link, r.PageShows, r.SecondUse, r.ForeignUse))
}

// over tells whether the engine has ended the call.
func (l *ladder) over(id bridge.CallID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended[id]
}

// caused is when the event that made the pop was read.
func (l *ladder) caused(id string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.causes[bridge.PopID(id)]
}

func shorten(s string) string {
	if len(s) > 16 {
		return s[:16] + "…"
	}
	return s
}
