package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

// popsCommand lists pops.
type popsCommand struct {
	configFlag
	JSON   bool          `help:"One JSON object a line; see the README for its keys."`
	Reveal bool          `help:"Show callers' numbers."`
	Active bool          `help:"Only those that have not ended."`
	PBX    string        `help:"Only this PBX."`
	Agent  string        `help:"Only this agent (its id)."`
	Since  time.Duration `help:"Only those offered within this time, as 24h."`
	Limit  int           `default:"1000" help:"No more than this many, 1 to 10000, the newest."`
}

// popRow is one line of `ringlink pops --json`. Scripts rely on it: keys are
// added, never renamed or removed. Times are RFC 3339 in UTC with microseconds
// and left out where the thing has not happened.
type popRow struct {
	Pop            string     `json:"pop"`
	Call           string     `json:"call"`
	PBX            string     `json:"pbx"`
	UniqueID       string     `json:"unique_id"`
	SIPCallID      string     `json:"sip_call_id,omitempty"`
	Device         string     `json:"device"`
	Agent          string     `json:"agent"`
	Mode           string     `json:"mode"`
	Opens          string     `json:"opens"`
	Caller         string     `json:"caller,omitempty"` // masked without --reveal
	Withheld       bool       `json:"withheld"`
	Dialled        string     `json:"dialled,omitempty"`
	CallNumber     string     `json:"call_number,omitempty"`
	Ticket         string     `json:"ticket,omitempty"` // the ticket that was found
	State          string     `json:"state"`
	Cause          string     `json:"cause,omitempty"`
	To             string     `json:"to,omitempty"` // the agent who had the caller next
	Late           bool       `json:"late"`
	Degraded       bool       `json:"degraded"`
	AnsweredAt     *time.Time `json:"answered_at,omitempty"`
	OfferedAt      *time.Time `json:"offered_at,omitempty"`
	ShownAt        *time.Time `json:"shown_at,omitempty"`
	AcknowledgedAt *time.Time `json:"acknowledged_at,omitempty"`
	EndedAt        *time.Time `json:"ended_at,omitempty"`
}

func newPopRow(p screenpop.Pop, reveal bool) popRow {
	r := popRow{
		Pop: string(p.ID), Call: string(p.Call), PBX: string(p.Device.PBX), UniqueID: p.Facts.UniqueID,
		SIPCallID: p.Facts.SIPCallID, Device: p.Device.Endpoint, Agent: string(p.Agent),
		Mode: string(p.Decision.Mode), Opens: string(p.Decision.Opens),
		Caller: p.Facts.Caller.Number.String(), Withheld: p.Facts.Caller.Withheld,
		Dialled: p.Facts.Dialled.Reveal(), CallNumber: string(p.Facts.CallNumber),
		State: string(p.State), Cause: p.Cause, To: string(p.To), Late: p.Late, Degraded: p.Degraded,
		AnsweredAt: moment(p.Answered), OfferedAt: moment(p.Offered), ShownAt: moment(p.Shown),
		AcknowledgedAt: moment(p.Acknowledged), EndedAt: moment(p.Ended),
	}
	if reveal {
		r.Caller = p.Facts.Caller.Number.Reveal()
	}
	if p.Found.Ticket != nil {
		r.Ticket = string(p.Found.Ticket.Number)
	}
	return r
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Validate is kong's: a command line that makes no sense.
func (c *popsCommand) Validate() error {
	if c.Limit < 1 || c.Limit > 10000 {
		return fmt.Errorf("--limit is %d, not within 1 to 10000", c.Limit)
	}
	if c.Since < 0 {
		return fmt.Errorf("--since is %s; the last hour is 1h", c.Since)
	}
	return nil
}

// Run prints the pops, oldest offer first.
func (c *popsCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		q := screenpop.PopQuery{
			PBX: bridge.PBX(c.PBX), Agent: bridge.AgentID(c.Agent), Active: c.Active, Limit: c.Limit,
		}
		if c.Since > 0 {
			q.Since = time.Now().UTC().Add(-c.Since)
		}
		list, err := db.ListPops(s.ctx, q)
		if err != nil {
			return err
		}
		if c.JSON {
			enc := json.NewEncoder(s.out)
			enc.SetEscapeHTML(false)
			for _, p := range list {
				if err := enc.Encode(newPopRow(p, c.Reveal)); err != nil {
					return err
				}
			}
			return nil
		}
		return printPops(s.out, list, c.Reveal)
	})
}

func printPops(w io.Writer, list []screenpop.Pop, reveal bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OFFERED\tCALL\tDEVICE\tAGENT\tMODE\tOPENS\tCALLER\tDIALLED\tCALL NUMBER\tSTATE\tCAUSE")
	for _, p := range list {
		r := newPopRow(p, reveal)
		caller := r.Caller
		if r.Withheld {
			caller = "withheld"
		}
		cells := []string{p.Offered.UTC().Format(time.DateTime), r.Call, r.Device, r.Agent, r.Mode, r.Opens, caller, r.Dialled, r.CallNumber, r.State, r.Cause}
		fmt.Fprintln(t, tableRow(cells...))
	}
	return t.Flush()
}
