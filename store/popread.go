package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// selectPop reads pops with what the directory still has of what was found.
const selectPop = `
SELECT w.id, w.call_id, w.agent_id, w.pbx, w.endpoint,
  w.caller_number, w.caller_name, w.withheld, w.dialled, w.call_number, w.unique_id, w.sip_call_id,
  w.mode, w.opens, w.reasons, w.found_done, w.candidates, w.foreign_ticket, w.via,
  w.state, w.cause, w.to_agent, w.late, w.degraded, w.answered, w.offered, w.shown, w.acknowledged, w.ended,
  COALESCE(p.id, '') AS person_id, COALESCE(p.name, '') AS person_name, COALESCE(p.email, '') AS person_email,
  COALESCE(p.reference, '') AS person_reference, COALESCE(p.organization_id, '') AS person_organization,
  COALESCE(o.id, '') AS org_id, COALESCE(o.name, '') AS org_name,
  COALESCE(d.id, '') AS dialled_org_id, COALESCE(d.name, '') AS dialled_org_name,
  COALESCE(t.id, '') AS ticket_id, COALESCE(t.number, '') AS ticket_number, COALESCE(t.title, '') AS ticket_title,
  COALESCE(t.state, '') AS ticket_state, COALESCE(t.person_id, '') AS ticket_person,
  COALESCE(t.organization_id, tp.organization_id, '') AS ticket_organization,
  COALESCE(t.url, '') AS ticket_url, COALESCE(t.opened, 0) AS ticket_opened, COALESCE(t.closed, 0) AS ticket_closed
FROM pops w
LEFT JOIN people p ON p.id = w.person_id
LEFT JOIN organizations o ON o.id = w.organization_id
LEFT JOIN organizations d ON d.id = w.dialled_organization_id
LEFT JOIN tickets t ON t.id = w.ticket_id
LEFT JOIN people tp ON tp.id = t.person_id`

const selectPopByID = selectPop + ` WHERE w.id = ?`

// The most and the usual number of pops of one ListPops.
const (
	maxPops     = 10000
	defaultPops = 1000
)

// PopByID implements screenpop.PopStore.
func (db *DB) PopByID(ctx context.Context, id bridge.PopID) (screenpop.Pop, error) {
	var p screenpop.Pop
	err := db.run(ctx, opReadPop, func(ctx context.Context) (err error) {
		p, err = db.popByID(ctx, id)
		return err
	})
	return p, err
}

func (db *DB) popByID(ctx context.Context, id bridge.PopID) (screenpop.Pop, error) {
	row, err := one[popRow](ctx, db, db.read, selectPopByID, string(id))
	if err != nil {
		return screenpop.Pop{}, err
	}
	return row.pop()
}

// ListPops implements screenpop.PopLister. A Limit beyond 10,000 is an error.
func (db *DB) ListPops(ctx context.Context, q screenpop.PopQuery) ([]screenpop.Pop, error) {
	if q.Limit < 0 || q.Limit > maxPops {
		return nil, fmt.Errorf("listing pops: the limit %d is not within 1..%d", q.Limit, maxPops)
	}
	if q.Limit == 0 {
		q.Limit = defaultPops
	}
	var where []string
	var args []any
	narrow := func(clause string, arg ...any) {
		where, args = append(where, clause), append(args, arg...)
	}
	if q.PBX != "" {
		narrow("w.pbx = ?", string(q.PBX))
	}
	if q.Agent != "" {
		narrow("w.agent_id = ?", string(q.Agent))
	}
	if q.Call != "" {
		narrow("w.call_id = ?", string(q.Call))
	}
	if q.State != "" {
		narrow("w.state = ?", string(q.State))
	}
	if !q.Since.IsZero() {
		narrow("w.offered >= ?", micros(q.Since))
	}
	if q.Active {
		narrow("w.state IN ('offered', 'shown', 'acknowledged')")
	}
	query := selectPop
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	// At most 64 texts come of this: they stay prepared.
	query += " ORDER BY w.offered DESC, w.id DESC LIMIT ?"
	args = append(args, q.Limit)

	var pops []screenpop.Pop
	err := db.run(ctx, opListPops, func(ctx context.Context) error {
		var rows []popRow
		if err := db.rows(ctx, db.read, &rows, query, args...); err != nil {
			return err
		}
		pops = make([]screenpop.Pop, len(rows))
		slices.Reverse(rows)
		for i, row := range rows {
			var err error
			if pops[i], err = row.pop(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pops, nil
}

// turnRow is what a pop's row says of the turn.
type turnRow struct {
	ID           string `db:"id"`
	Call         string `db:"call_id"`
	Agent        string `db:"agent_id"`
	PBX          string `db:"pbx"`
	Endpoint     string `db:"endpoint"`
	CallerNumber string `db:"caller_number"`
	CallerName   string `db:"caller_name"`
	Withheld     int    `db:"withheld"`
	DialledNum   string `db:"dialled"`
	CallNumber   string `db:"call_number"`
	UniqueID     string `db:"unique_id"`
	SIPCallID    string `db:"sip_call_id"`
	State        string `db:"state"`
	Answered     int64  `db:"answered"`
}

// popRow is a row of selectPop.
type popRow struct {
	turnRow
	Mode         string `db:"mode"`
	Opens        string `db:"opens"`
	Reasons      string `db:"reasons"`
	Done         int    `db:"found_done"`
	Candidates   int    `db:"candidates"`
	Foreign      int    `db:"foreign_ticket"`
	Via          string `db:"via"`
	Cause        string `db:"cause"`
	To           string `db:"to_agent"`
	Late         int    `db:"late"`
	Degraded     int    `db:"degraded"`
	Offered      int64  `db:"offered"`
	Shown        int64  `db:"shown"`
	Acknowledged int64  `db:"acknowledged"`
	Ended        int64  `db:"ended"`

	personRow
	organizationRow
	ticketRow
	DialledOrg     string `db:"dialled_org_id"`
	DialledOrgName string `db:"dialled_org_name"`
}

func (r turnRow) pop() screenpop.Pop {
	return screenpop.Pop{
		ID: bridge.PopID(r.ID), Call: bridge.CallID(r.Call), Agent: bridge.AgentID(r.Agent),
		Device: bridge.Device{PBX: bridge.PBX(r.PBX), Endpoint: r.Endpoint},
		Facts: bridge.Facts{
			Caller: bridge.Caller{
				Number: bridge.Number(r.CallerNumber), Name: bridge.PersonName(r.CallerName), Withheld: r.Withheld == 1,
			},
			Dialled: bridge.Number(r.DialledNum), CallNumber: bridge.TicketNumber(r.CallNumber),
			UniqueID: r.UniqueID, SIPCallID: r.SIPCallID,
		},
		State: bridge.PopState(r.State), Answered: fromMicros(r.Answered),
	}
}

func (r popRow) pop() (screenpop.Pop, error) {
	p := r.turnRow.pop()
	p.Decision = bridge.Decision{Mode: bridge.Mode(r.Mode), Opens: bridge.Opens(r.Opens)}
	p.Found = screenpop.Found{
		Done: r.Done == 1, Candidates: r.Candidates, Foreign: r.Foreign == 1, Via: r.Via,
		Person: r.person(), Organization: r.organization(), Ticket: r.ticket(),
		Dialled: organizationRow{r.DialledOrg, r.DialledOrgName}.organization(),
	}
	p.Cause, p.To = r.Cause, bridge.AgentID(r.To)
	p.Late, p.Degraded = r.Late == 1, r.Degraded == 1
	p.Offered, p.Shown = fromMicros(r.Offered), fromMicros(r.Shown)
	p.Acknowledged, p.Ended = fromMicros(r.Acknowledged), fromMicros(r.Ended)
	if err := json.Unmarshal([]byte(r.Reasons), &p.Decision.Reasons); err != nil {
		return p, fmt.Errorf("decoding the reasons of pop %s: %w", p.ID, err)
	}
	return p, nil
}
