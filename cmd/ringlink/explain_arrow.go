package main

import (
	"fmt"
	"strconv"

	"ringlink/bridge"
)

// arrow says how a step is drawn: from which lane to which, and what it says;
// "" for what a picture need not have. What happens to a Local channel alone
// is left to --json.
func (x *explained) arrow(m *explainedMoment, lanes []int) (from, to int, text string) {
	lane, pbx, ringlink := lanes[m.Leg], explainPBX, explainRinglink
	plumbing := m.Leg > 0 && lane == pbx
	switch kind := bridge.StepKind(m.Kind); kind {
	case bridge.StepDial:
		return x.dialArrow(m, lanes)
	case bridge.StepRings, bridge.StepQuiet, bridge.StepPop, bridge.StepUpdated, bridge.StepLeft, bridge.StepHeld, bridge.StepResumed, bridge.StepPopEnded:
		if m.Leg == 0 {
			lane = ringlink
		}
		return ringlink, lane, noticeText(m)
	case bridge.StepApp:
		return pbx, pbx, m.Status + "()"
	case bridge.StepNumber:
		if m.Value == "" {
			return pbx, ringlink, ""
		}
		return pbx, ringlink, "call number " + m.Value
	case bridge.StepLost:
		return pbx, ringlink, "the event stream broke"
	case bridge.StepResync:
		return pbx, ringlink, "the event stream is back"
	case bridge.StepEnded:
		return pbx, ringlink, "call over: " + m.Status
	case bridge.StepBlind:
		return lane, pbx, "blind transfer"
	case bridge.StepAttended:
		return lane, pbx, "attended transfer"
	default:
		if plumbing {
			return pbx, pbx, ""
		}
		from, to, text = legArrow(kind, m, lane)
		return from, to, text
	}
}

// legArrow is what happened to one leg.
func legArrow(kind bridge.StepKind, m *explainedMoment, lane int) (from, to int, text string) {
	pbx := explainPBX
	bridged := "bridge " + strconv.Itoa(m.Bridge)
	if m.Bridge == 0 {
		bridged = "a bridge"
	}
	switch kind {
	case bridge.StepRinging:
		return lane, pbx, "rings"
	case bridge.StepUp:
		if lane == 0 {
			return pbx, lane, "is answered"
		}
		return lane, pbx, "answers"
	case bridge.StepEnter:
		if m.Status == "holding" {
			return lane, lane, "waits in " + bridged
		}
		return lane, lane, "in " + bridged
	case bridge.StepLeave:
		return lane, lane, "leaves " + bridged
	case bridge.StepHold:
		return lane, pbx, "hold"
	case bridge.StepUnhold:
		return lane, pbx, "resume"
	case bridge.StepGone:
		return lane, pbx, "ends" + q850(m.Cause)
	}
	return pbx, pbx, m.Kind // of a newer ringlink
}

// dialArrow is a step of a Dial: who dialled whom, or why it ended.
func (x *explained) dialArrow(m *explainedMoment, lanes []int) (from, to int, text string) {
	if m.Peer == 0 || lanes[m.Peer] == explainPBX || m.Status == "ANSWER" {
		return 0, 0, ""
	}
	peer := lanes[m.Peer]
	if m.Status == "" {
		return explainPBX, peer, "dials " + x.Legs[m.Peer-1].label()
	}
	return peer, explainPBX, m.Status
}

// noticeText is what Ringlink did.
func noticeText(m *explainedMoment) string {
	switch bridge.StepKind(m.Kind) {
	case bridge.StepRings:
		return "ringing notice to " + m.Agent
	case bridge.StepQuiet:
		return "ringing notice over: " + m.Status
	case bridge.StepPop:
		if m.Status != "" {
			return "pop for " + m.Agent + ", " + m.Status
		}
		return "pop for " + m.Agent
	case bridge.StepUpdated:
		return "pop updated"
	case bridge.StepLeft:
		return m.Agent + " has left the call"
	case bridge.StepHeld:
		return m.Agent + " holds the caller"
	case bridge.StepResumed:
		return m.Agent + " is back"
	}
	if m.To != "" {
		return "pop " + m.Status + ": " + m.To + " has the caller"
	}
	return "pop " + m.Status
}

// q850 names the usual hang-up causes.
func q850(cause int) string {
	name := map[int]string{
		0: "", 1: "no such number", 16: "hung up", 17: "busy", 18: "no answer", 19: "no answer", 20: "not registered", 21: "refused",
		26: "answered elsewhere", 27: "out of order", 34: "no circuit", 38: "network out of order", 58: "no common codec", 127: "",
	}
	if n, ok := name[cause]; ok {
		if n == "" {
			return ""
		}
		return ": " + n
	}
	return fmt.Sprintf(": cause %d", cause)
}
