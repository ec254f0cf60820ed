package screenpop

import (
	"strings"
	"time"
	"unicode"

	"ringlink/bridge"
)

// maxViewRunes bounds each text of a view: a PBX passes on whatever a caller's
// network puts into a name.
const maxViewRunes = 200

// view is the pop's call as the agent's desk shows it now.
func (p *Popper) view(lp *livePop) CallView {
	v := p.turnView(&lp.pop, lp.call.foundNow(), lp.over || lp.left, lp.endedAt)
	if lp.held && v.State != "ended" {
		v.State, v.Since = "held", lp.heldAt.UTC()
	}
	v.Degraded = !lp.inserted
	return v
}

// storedView is the view of a pop of which only the row is known.
func (p *Popper) storedView(pop *Pop) CallView {
	return p.turnView(pop, pop.Found, pop.State.Final(), pop.Ended)
}

func (p *Popper) turnView(pop *Pop, found Found, over bool, ended time.Time) CallView {
	v := factsView(pop.Call, pop.Facts, found)
	v.State, v.Since = "talking", pop.Answered.UTC()
	if over {
		v.State, v.Since, v.Cause = "ended", ended.UTC(), pop.Cause
		if pop.To != "" {
			v.To = clean(p.o.Hub.AgentName(pop.To))
		}
	}
	v.Device = clean(pop.Device.Endpoint)
	v.Pop, v.PopState = string(pop.ID), string(pop.State)
	v.Mode, v.Opens = string(pop.Decision.Mode), string(pop.Decision.Opens)
	v.Late = pop.Late
	return v
}

// ringingView is the notice of a call that rings on an agent's device.
func ringingView(c *liveCall, r *ringNotice) CallView {
	v := factsView(c.id, c.facts, c.foundNow())
	v.State, v.Since, v.Device, v.Late = "ringing", r.since.UTC(), clean(r.device.Endpoint), r.late
	return v
}

// quietView is the notice that it rings no more.
func quietView(c *liveCall, r *ringNotice, cause string, at time.Time) CallView {
	v := ringingView(c, r)
	v.State, v.Since, v.Cause = "ended", at.UTC(), cause
	return v
}

// factsView fills what is known of caller, dialled number and ticket. A
// withheld number is not shown, nor the name that came with it.
func factsView(id bridge.CallID, f bridge.Facts, found Found) CallView {
	v := CallView{
		Call:       string(id),
		Withheld:   f.Caller.Withheld,
		Dialled:    clean(f.Dialled.Reveal()),
		CallNumber: clean(string(f.CallNumber)),
		Candidates: found.Candidates,
		Foreign:    found.Foreign,
		Pending:    !found.Done,
	}
	if !f.Caller.Withheld {
		v.Caller, v.CallerName = clean(f.Caller.Number.Reveal()), clean(f.Caller.Name.Reveal())
	}
	if found.Person != nil {
		v.Person = clean(found.Person.Name.Reveal())
	}
	if found.Organization != nil {
		v.Organization = clean(found.Organization.Name)
	}
	if found.Dialled != nil {
		v.DialledOrg = clean(found.Dialled.Name)
	}
	if found.Ticket != nil {
		v.Ticket, v.TicketTitle, v.TicketState = clean(string(found.Ticket.Number)), clean(found.Ticket.Title), clean(found.Ticket.State)
	}
	return v
}

// clean takes control characters and those that turn the direction of text out
// of s, repairs its encoding and bounds its length. JSON and the page escape
// the rest.
func clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			continue
		}
		if n++; n > maxViewRunes {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain tells whether s is short printable ASCII, as nearly all are.
func plain(s string) bool {
	if len(s) > maxViewRunes {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
