package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// printExplained prints an explanation for people: what came of the call and
// why, then the picture, the legs and the pops.
func printExplained(w io.Writer, x explained) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(printable(fmt.Sprintf(format, args...)) + "\n") }
	x.heading(line)
	if x.Reason != "" {
		b.WriteString("\n")
		what := "Nothing popped"
		if len(x.Pops) > 0 {
			what = "Nobody saw the pop"
		}
		line("%s: %s", what, x.Reason)
		line("  %s", x.Why)
		for _, m := range x.Mend {
			line("  → %s", m)
		}
	}
	for i := range x.Pops {
		b.WriteString("\n")
		x.pop(line, &x.Pops[i])
	}
	b.WriteString("\n")
	x.picture(&b)
	b.WriteString("\nLegs\n")
	for i, l := range x.Legs {
		line("  %2d  %-18s %-8s %s", i+1, l.label(), l.Side, l.story())
	}
	if x.CutLegs > 0 {
		line("  and %d more, not kept", x.CutLegs)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x *explained) heading(line func(string, ...any)) {
	line("Call %s", x.Call)
	outcome := x.Outcome
	if x.EndedAt == nil {
		outcome = "running"
	} else if outcome == "" {
		outcome = "over"
	}
	if outcome != x.Direction {
		outcome = x.Direction + ", " + outcome
	}
	took := ""
	if x.EndedAt != nil {
		took = ", " + rounded(x.EndedAt.Sub(*x.StartedAt))
	}
	line("  %s, began %s UTC%s", outcome, x.StartedAt.Format(time.DateTime), took)
	caller := "no caller ID"
	switch {
	case x.Withheld:
		caller = "caller ID withheld"
	case x.Caller != "":
		caller = "caller " + x.Caller
	}
	if x.Dialled != "" {
		caller += ", dialled " + x.Dialled
	}
	if x.CallNumber != "" {
		caller += ", call number " + x.CallNumber
	}
	line("  %s", caller)
	ids := "unique id " + x.UniqueID
	if x.SIPCallID != "" {
		ids += ", SIP Call-ID " + x.SIPCallID
	}
	line("  %s", ids)
}

// rounded is short: to 0.1 s, or to the millisecond.
func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// pop tells of one pop: who, why so, what the directory said, and what the
// desk made of it.
func (x *explained) pop(line func(string, ...any), p *explainedPop) {
	state := p.State
	if p.Cause != "" {
		state += " (" + p.Cause + ")"
	}
	if p.To != "" {
		state += ", then the caller was with " + p.To
	}
	line("Pop for %s at %s: %s", p.Agent, p.Device, state)
	line("  mode     %s, opens %s: %s", p.Mode, p.Opens, strings.Join(p.Reasons, ", "))
	if !x.replayed || p.LookedUp {
		line("  lookup   %s", p.lookup(x))
	}
	if !x.replayed {
		line("  delivery %s", p.delivery())
	}
	if p.Late {
		line("  late: it was answered while Ringlink did not hear the PBX")
	}
	if p.Degraded {
		line("  degraded: the store was away, so it went out without a link")
	}
}

func (p *explainedPop) lookup(x *explained) string {
	var said []string
	switch {
	case !p.LookedUp:
		said = append(said, "the directory was not asked or has not answered")
	case p.Via != "" || p.Candidates > 0:
		who := fmt.Sprintf("%d people have the number", p.Candidates)
		if p.Candidates == 1 {
			who = "one person has the number"
		}
		said = append(said, who+" (by "+strings.ReplaceAll(p.Via, "e164", "E.164")+")")
	default:
		said = append(said, "nobody in the directory has the number")
	}
	if p.CallNumber != "" && p.LookedUp {
		if p.Ticket == "" {
			said = append(said, "no ticket "+p.CallNumber)
		} else {
			said = append(said, "ticket "+p.Ticket)
		}
	}
	if p.Foreign {
		said = append(said, "which is another organization's")
	}
	for _, l := range x.Lookups {
		word := fmt.Sprintf("took %.0f ms", l.TookMS)
		if l.Late {
			word += ", past its deadline"
		}
		if l.Result == "error" {
			word += " and failed"
		}
		said = append(said, word)
	}
	return strings.Join(said, "; ")
}

func (p *explainedPop) delivery() string {
	var said []string
	switch {
	case p.Pushed == nil:
		said = append(said, "not known")
	case p.Pushed.Streams == 0:
		said = append(said, fmt.Sprintf("no desk of %s was open", p.Agent))
	case p.Pushed.Streams == 1:
		said = append(said, fmt.Sprintf("sent to 1 desk, %.0f ms after the event", p.Pushed.TookMS))
	default:
		said = append(said, fmt.Sprintf("sent to %d desks, %.0f ms after the event", p.Pushed.Streams, p.Pushed.TookMS))
	}
	after := func(what string, at *time.Time) {
		if at != nil && p.OfferedAt != nil {
			said = append(said, fmt.Sprintf("%s after %s", what, at.Sub(*p.OfferedAt).Round(time.Millisecond)))
		}
	}
	after("shown", p.ShownAt)
	after("acknowledged", p.AcknowledgedAt)
	for _, l := range p.Links {
		after("link minted", l.MintedAt)
		after("link redeemed", l.RedeemedAt)
	}
	return strings.Join(said, "; ")
}

func (l *explainedLeg) label() string {
	if l.Endpoint != "" {
		return l.Endpoint
	}
	if l.Side == "local" {
		return "Local channel"
	}
	return "Asterisk's own"
}

// story says how a leg came to belong to the call, whose it is, and what it did.
func (l *explainedLeg) story() string {
	by := " by leg " + strconv.Itoa(l.By)
	if l.By == 0 {
		by = ""
	}
	s := map[string]string{
		"origin": "the call began with it", "dial": "dialled" + by, "local": "the other half of leg " + strconv.Itoa(l.By),
		"linkedid": "has the call's linkedid", "bridge": "came to share a bridge with the caller",
	}[l.Joined]
	if l.Side == "inside" {
		if l.Agent == "" {
			s += ", no agent's"
		} else {
			s += ", " + l.Agent + "'s"
		}
	}
	switch {
	case l.Answered && l.Joined != "origin":
		s += ", answered"
	case l.Rang:
		s += ", rang"
	}
	return s
}

// The picture's lanes: who began the call, the PBX, Ringlink, then the others.
const (
	explainPBX      = 1
	explainRinglink = 2
	explainDevices  = 5 // lanes for the other endpoints; who comes later shares the last
)

// picture draws the timeline.
func (x *explained) picture(b *strings.Builder) {
	if len(x.Legs) == 0 {
		return
	}
	names := []string{x.Legs[0].label(), x.PBX, "Ringlink"}
	lanes := make([]int, len(x.Legs)+1)
	lanes[0] = explainPBX
	for i := range x.Legs {
		l := &x.Legs[i]
		switch at := slices.Index(names, l.Endpoint); {
		case i == 0:
		case l.Endpoint == "":
			lanes[i+1] = explainPBX
		case at >= 0:
			lanes[i+1] = at
		case len(names) < explainRinglink+1+explainDevices:
			names = append(names, l.Endpoint)
			lanes[i+1] = len(names) - 1
		default:
			names[len(names)-1] = "others"
			lanes[i+1] = len(names) - 1
		}
	}
	width := 12
	for i, n := range names {
		names[i] = printable(shorten(n))
		width = max(width, len([]rune(names[i]))+2)
	}
	p := lanePicture{names: names, width: width}
	b.WriteString(p.head() + "\n")
	text := "calls"
	if x.Dialled != "" {
		text += " " + x.Dialled
	}
	b.WriteString(p.line(0, 0, explainPBX, text) + "\n")
	gap := x.CutSteps > 0
	for i := range x.Timeline {
		m := &x.Timeline[i]
		if gap && i >= len(x.Timeline)/2 {
			gap = false
			fmt.Fprintf(b, "%9s  … %d steps are left out …\n", "", x.CutSteps)
		}
		if from, to, text := x.arrow(m, lanes); text != "" {
			b.WriteString(p.line(time.Duration(m.MS*float64(time.Millisecond)), from, to, text) + "\n")
		}
	}
}
