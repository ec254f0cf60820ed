package screenpop

import "time"

// CallView is one running or just ended call as one agent's desk shows it; it
// is the JSON of the stream's events. It is personal data: it goes to that
// agent's desk only, never to a log.
type CallView struct {
	Call  string    `json:"call"`           // CallID
	State string    `json:"state"`          // "ringing", "talking", "held", "ended"
	Since time.Time `json:"since"`          // when this state of the turn began: ringing since, answered at, ended at
	Cause string    `json:"cause,omitzero"` // why it ended, see bridge.Effect
	To    string    `json:"to,omitzero"`    // display name of the agent who has the caller now

	Caller       string `json:"caller,omitzero"` // number; empty if withheld or not known
	CallerName   string `json:"callerName,omitzero"`
	Withheld     bool   `json:"withheld,omitzero"`
	Dialled      string `json:"dialled,omitzero"`
	CallNumber   string `json:"callNumber,omitzero"`
	Device       string `json:"device,omitzero"` // endpoint without the PBX
	Person       string `json:"person,omitzero"` // name from the directory
	Candidates   int    `json:"candidates,omitzero"`
	Organization string `json:"organization,omitzero"`
	DialledOrg   string `json:"dialledOrganization,omitzero"`
	Ticket       string `json:"ticket,omitzero"`
	TicketTitle  string `json:"ticketTitle,omitzero"`
	TicketState  string `json:"ticketState,omitzero"`
	Foreign      bool   `json:"foreign,omitzero"` // the ticket is another organization's
	Pending      bool   `json:"pending,omitzero"` // the lookup has not answered yet

	Pop      string `json:"pop,omitzero"` // PopID; empty while ringing
	PopState string `json:"popState,omitzero"`
	Mode     string `json:"mode,omitzero"`  // "caller_id", "ivr"
	Opens    string `json:"opens,omitzero"` // "caller_info", "ticket", "popup", "pending"
	Late     bool   `json:"late,omitzero"`
	Degraded bool   `json:"degraded,omitzero"` // the store is away: no link can be had
}

// Message is one event of a desk's stream, encoded once however many streams
// of the agent get it.
type Message struct {
	ID    uint64 // grows by one per agent
	Event string // "state" (a []CallView, replaces everything) or "call" (one CallView)
	Data  []byte // JSON without line breaks
}
