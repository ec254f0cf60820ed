package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ringlink/bridge"
)

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// unseen turns "all is well" into agent_without_desk where pops were offered
// and no desk ever showed one.
func (x *explained) unseen() {
	if x.Reason != "" || len(x.Pops) == 0 {
		return
	}
	for _, p := range x.Pops {
		if p.ShownAt != nil || p.AcknowledgedAt != nil || p.Pushed != nil && p.Pushed.Streams > 0 || p.EndedAt == nil && p.Pushed == nil {
			return
		}
	}
	if slices.ContainsFunc(x.Pops, func(p explainedPop) bool { return p.Pushed != nil || p.State == string(bridge.PopExpired) }) {
		x.Reason = string(bridge.ReasonAgentWithoutDesk)
	}
}

// mend says in words why nothing popped, and what to do about it.
func (x *explained) mend(t *bridge.Trail, v explainView) {
	file := v.config
	if file == "" {
		file = "FILE"
	}
	devices := strings.Join(x.Devices, ", ")
	mapDevices := func() {
		for _, d := range x.Devices {
			x.Mend = append(x.Mend, fmt.Sprintf("ringlink agent map --config %s LOGIN %s %s", file, x.PBX, d))
		}
	}
	switch bridge.Reason(x.Reason) {
	case bridge.ReasonRunning:
		x.Why = "The call still runs, and no agent has answered it yet."
	case bridge.ReasonInternal:
		x.Why = "The call began at an inside phone and stayed inside: internal calls do not pop."
	case bridge.ReasonOutbound:
		x.Why = "The call was dialled by an inside phone: outbound calls do not pop."
	case bridge.ReasonUnknownTrunk:
		x.Why = fmt.Sprintf("The call came in by %s with an outside number, and %s is neither a trunk in the configuration nor an agent's device: it was taken for an internal call.", devices, devices)
		x.Mend = []string{
			fmt.Sprintf("add %s to the trunks of %s in %s, as in: trunks: [%s]", devices, x.PBX, file, devices),
			fmt.Sprintf("ringlink check --config %s, then restart ringlink serve", file),
		}
	case bridge.ReasonNoAgentForDevice:
		x.Why = fmt.Sprintf("The call was answered on %s, which is no agent's device.", devices)
		mapDevices()
	case bridge.ReasonUnanswered:
		x.Why = "Nobody answered: " + rangAt(t) + "."
		if len(x.Devices) > 0 {
			x.Why += " No agent uses " + devices + ": had it answered, nothing would have popped."
			mapDevices()
		}
	case bridge.ReasonNoAgentReached:
		x.Why = "No device rang" + lastApp(t) + "."
		x.Mend = []string{fmt.Sprintf("if a phone did ring, its events are missing: ringlink doctor --config %s", file)}
	case bridge.ReasonForwardedOutside:
		x.Why = "The call left again for the outside" + leftBy(t) + ": no agent has it."
	case bridge.ReasonLost:
		x.Why = "The PBX restarted during the call, or nothing was heard of it for a day."
		x.Mend = []string{fmt.Sprintf("ringlink doctor --config %s", file)}
	case bridge.ReasonAgentWithoutDesk:
		var who []string
		for _, p := range x.Pops {
			if !slices.Contains(who, p.Agent) {
				who = append(who, p.Agent)
			}
		}
		x.Why = fmt.Sprintf("The pop was there, but %s had no desk open to show it.", strings.Join(who, ", "))
		if v.desk != "" {
			x.Mend = []string{fmt.Sprintf("let %s sign in at %s and leave that page open", strings.Join(who, ", "), v.desk)}
		}
	}
}

func rangAt(t *bridge.Trail) string {
	var list []string
	for _, l := range t.Legs {
		if l.Rang && l.Side == bridge.SideInside {
			who := l.Endpoint
			if l.Agent != "" {
				who += " (" + string(l.Agent) + ")"
			}
			if !slices.Contains(list, who) {
				list = append(list, who)
			}
		}
	}
	return strings.Join(list, ", ") + " rang"
}

func lastApp(t *bridge.Trail) string {
	for _, s := range slices.Backward(t.Steps) {
		if s.Kind == bridge.StepApp && s.Status != "Answer" && s.Status != "Hangup" {
			return ": the dialplan came as far as " + s.Status + "()"
		}
	}
	return ": the dialplan never dialled one"
}

func leftBy(t *bridge.Trail) string {
	for _, l := range slices.Backward(t.Legs) {
		if l.Side == bridge.SideOutside && l.Joined != bridge.JoinedOrigin {
			return " by " + l.Endpoint
		}
	}
	return ""
}
