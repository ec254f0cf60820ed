package bridge

// Mode is how a pop is meant to open.
type Mode string

// The modes of PRODUCT's table.
const (
	ModeCallerID Mode = "caller_id"
	ModeIVR      Mode = "ivr"
)

// Opens is what the agent's page shows for a pop.
type Opens string

// What may open.
const (
	OpensCallerInfo Opens = "caller_info" // the Caller Info window
	OpensTicket     Opens = "ticket"      // the ticket of the call number, closed ones too
	OpensPopup      Opens = "popup"       // "no call exists against that call number"
	OpensPending    Opens = "pending"     // a call number is there, the directory has not answered yet
)

// Known is what a lookup knows of a fact: a time-out is never "absent".
type Known uint8

// What is known of a looked-up fact.
const (
	NotYet Known = iota
	Absent
	Present
)

// ModeFacts is all that the choice of mode looks at.
type ModeFacts struct {
	Caller     Caller
	CallNumber TicketNumber
	Ticket     Known // whether the directory has a ticket of that number
}

// Decision is a mode, what opens, and why.
type Decision struct {
	Mode    Mode
	Opens   Opens
	Reasons []string // closed set of short phrases, in the order of the tests
}

// Decide applies PRODUCT's table of modes. It is pure.
func Decide(f ModeFacts) Decision {
	var d Decision
	caller := "caller ID present"
	switch {
	case f.Caller.Withheld:
		caller = "caller ID withheld"
	case !f.Caller.Known():
		caller = "no caller ID"
	}
	d.Reasons = append(d.Reasons, caller)
	if f.CallNumber == "" {
		d.Reasons = append(d.Reasons, "no call number")
		if f.Caller.Known() {
			d.Mode, d.Opens = ModeCallerID, OpensCallerInfo
			return d
		}
		d.Mode, d.Opens = ModeIVR, OpensPopup
		return d
	}
	d.Mode = ModeIVR
	d.Reasons = append(d.Reasons, "call number present")
	switch f.Ticket {
	case Present:
		d.Opens = OpensTicket
		d.Reasons = append(d.Reasons, "ticket found")
	case Absent:
		d.Opens = OpensPopup
		d.Reasons = append(d.Reasons, "no ticket of that number")
	default:
		d.Opens = OpensPending
		d.Reasons = append(d.Reasons, "directory has not answered yet")
	}
	return d
}
