package screenpop

import (
	"time"

	"ringlink/bridge"
)

// Pop is what one agent gets for one call and turn, as the store keeps it.
// Times are UTC; a zero time means "not yet".
type Pop struct {
	ID       bridge.PopID
	Call     bridge.CallID
	Agent    bridge.AgentID
	Device   bridge.Device
	Facts    bridge.Facts
	Decision bridge.Decision
	Found    Found
	State    bridge.PopState
	Cause    string         // why it ended; see bridge.Effect
	To       bridge.AgentID // who has the caller now, when superseded
	Late     bool           // found by a resync after a gap
	Degraded bool           // pushed while the store was away; has no link

	Answered     time.Time // when the turn began
	Offered      time.Time // when the row was written or pushed
	Shown        time.Time
	Acknowledged time.Time
	Ended        time.Time
}

// Found is the result of a directory lookup for one call.
type Found struct {
	Done         bool          // false: the lookup has not answered yet
	Person       *Person       // exactly one person has the number
	Candidates   int           // how many people have it (0, 1, many)
	Organization *Organization // the person's, or that of a shared number
	Dialled      *Organization // who was dialled
	Ticket       *Ticket       // the ticket of the call number, closed ones too
	Foreign      bool          // the ticket belongs to another organization than the caller's
	Via          string        // how the caller was found: "e164", "suffix", "shared", ""
}

// Person is a person of the directory.
type Person struct {
	ID           string
	Name         bridge.PersonName
	Email        string
	Reference    string
	Organization string // id, may be empty
}

// Organization is an organization of the directory.
type Organization struct {
	ID   string
	Name string
}

// Ticket is a record of the service desk.
type Ticket struct {
	ID           string
	Number       bridge.TicketNumber
	Title        string
	State        string // "open" or "closed"
	Person       string // id, may be empty
	Organization string // id, may be empty
	URL          string // where the service desk shows it; may be empty
	Opened       time.Time
	Closed       time.Time
}

// Open tells whether the ticket is still worked on.
func (t Ticket) Open() bool { return t.State == "open" }
