package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

var (
	_ screenpop.PopStore  = (*DB)(nil)
	_ screenpop.PopLister = (*DB)(nil)
)

const insertPop = `
INSERT INTO pops (id, call_id, agent_id, pbx, endpoint,
  caller_number, caller_name, withheld, dialled, call_number, unique_id, sip_call_id,
  mode, opens, reasons,
  found_done, person_id, candidates, organization_id, dialled_organization_id, ticket_id, foreign_ticket, via,
  state, cause, to_agent, late, degraded, answered, offered, shown, acknowledged, ended)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING`

const updatePop = `
UPDATE pops SET caller_number = ?, caller_name = ?, withheld = ?, dialled = ?, call_number = ?, unique_id = ?, sip_call_id = ?,
  mode = ?, opens = ?, reasons = ?,
  found_done = ?, person_id = ?, candidates = ?, organization_id = ?, dialled_organization_id = ?, ticket_id = ?,
  foreign_ticket = ?, via = ?
WHERE id = ?`

// The steps of a pop's life, each one conditional UPDATE: the row moves only
// from a state before, whoever else is at it.
const (
	showPop = `UPDATE pops SET state = 'shown', shown = ?
WHERE id = ? AND state = 'offered'`
	acknowledgePop = `UPDATE pops SET state = 'acknowledged', acknowledged = ?
WHERE id = ? AND state IN ('offered', 'shown')`
	endPop = `UPDATE pops SET state = ?, cause = ?, to_agent = ?, ended = ?
WHERE id = ? AND state IN ('offered', 'shown', 'acknowledged')`
	expirePop = `UPDATE pops SET state = 'expired', cause = ?, ended = ?
WHERE id = ? AND state = 'offered'`
	popExists = `SELECT state FROM pops WHERE id = ?`
)

// OfferPop implements screenpop.PopStore. An empty State is offered, a zero
// Offered is now, an empty Device.PBX is the call's.
func (db *DB) OfferPop(ctx context.Context, p screenpop.Pop) (screenpop.Pop, bool, error) {
	if p.ID == "" || p.Call == "" || p.Agent == "" {
		return screenpop.Pop{}, false, errors.New("offering a pop: a pop needs its id, call and agent")
	}
	p = db.completed(p)
	var inserted bool
	err := db.run(ctx, opOfferPop, func(ctx context.Context) error {
		reasons, err := json.Marshal(p.Decision.Reasons)
		if err != nil {
			return fmt.Errorf("encoding the reasons: %w", err)
		}
		f, found := p.Facts, parts(p.Found)
		n, err := db.exec(ctx, insertPop, string(p.ID), string(p.Call), string(p.Agent), string(p.Device.PBX), p.Device.Endpoint,
			f.Caller.Number.Reveal(), f.Caller.Name.Reveal(), flag(f.Caller.Withheld), f.Dialled.Reveal(),
			string(f.CallNumber), f.UniqueID, f.SIPCallID,
			string(p.Decision.Mode), string(p.Decision.Opens), string(reasons),
			flag(p.Found.Done), found.person, p.Found.Candidates, found.organization, found.dialled, found.ticket,
			flag(p.Found.Foreign), p.Found.Via,
			string(p.State), p.Cause, string(p.To), flag(p.Late), flag(p.Degraded),
			micros(p.Answered), micros(p.Offered), micros(p.Shown), micros(p.Acknowledged), micros(p.Ended))
		if err != nil {
			return err
		}
		if inserted = n == 1; inserted {
			return nil
		}
		p, err = db.popByID(ctx, p.ID)
		return err
	})
	if err != nil {
		return screenpop.Pop{}, false, err
	}
	return p, inserted, nil
}

// UpdatePop implements screenpop.PopStore; ErrNotFound if there is no such pop.
func (db *DB) UpdatePop(ctx context.Context, p screenpop.Pop) error {
	p = db.completed(p)
	return db.run(ctx, opUpdatePop, func(ctx context.Context) error {
		reasons, err := json.Marshal(p.Decision.Reasons)
		if err != nil {
			return fmt.Errorf("encoding the reasons: %w", err)
		}
		f, found := p.Facts, parts(p.Found)
		n, err := db.exec(ctx, updatePop,
			f.Caller.Number.Reveal(), f.Caller.Name.Reveal(), flag(f.Caller.Withheld), f.Dialled.Reveal(),
			string(f.CallNumber), f.UniqueID, f.SIPCallID,
			string(p.Decision.Mode), string(p.Decision.Opens), string(reasons),
			flag(p.Found.Done), found.person, p.Found.Candidates, found.organization, found.dialled, found.ticket,
			flag(p.Found.Foreign), p.Found.Via, string(p.ID))
		if err == nil && n == 0 {
			return errNotFound
		}
		return err
	})
}

// AdvancePop implements screenpop.PopStore. PopExpired is reached from offered
// alone: a pop that somebody saw does not expire.
func (db *DB) AdvancePop(ctx context.Context, id bridge.PopID, to bridge.PopState, cause string, toAgent bridge.AgentID, at time.Time) (bool, error) {
	var moved bool
	err := db.run(ctx, opAdvancePop, func(ctx context.Context) error {
		var n int64
		var err error
		switch to {
		case bridge.PopShown:
			n, err = db.exec(ctx, showPop, micros(at), string(id))
		case bridge.PopAcknowledged:
			n, err = db.exec(ctx, acknowledgePop, micros(at), string(id))
		case bridge.PopExpired:
			n, err = db.exec(ctx, expirePop, clean(cause), micros(at), string(id))
		case bridge.PopEnded, bridge.PopSuperseded, bridge.PopRetracted:
			n, err = db.exec(ctx, endPop, string(to), clean(cause), string(toAgent), micros(at), string(id))
		case bridge.PopOffered: // never a step forward
		default:
			return fmt.Errorf("%q is not a state of a pop", to)
		}
		if moved = n == 1; moved || err != nil {
			return err
		}
		_, err = one[string](ctx, db, db.read, popExists, string(id))
		return err
	})
	return moved && err == nil, err
}

// completed fills what may be left out and brings the pop to the form in which
// it comes back: microseconds, UTC, text that a database takes.
func (db *DB) completed(p screenpop.Pop) screenpop.Pop {
	if p.State == "" {
		p.State = bridge.PopOffered
	}
	if p.Offered.IsZero() {
		p.Offered = db.clock()
	}
	if p.Device.PBX == "" {
		p.Device.PBX = p.Call.PBX()
	}
	f := &p.Facts
	f.Caller.Number = bridge.Number(clean(f.Caller.Number.Reveal()))
	f.Caller.Name = bridge.PersonName(clean(f.Caller.Name.Reveal()))
	f.Dialled = bridge.Number(clean(f.Dialled.Reveal()))
	f.CallNumber = bridge.TicketNumber(clean(string(f.CallNumber)))
	f.UniqueID, f.SIPCallID = clean(f.UniqueID), clean(f.SIPCallID)
	p.Device.Endpoint, p.Cause = clean(p.Device.Endpoint), clean(p.Cause)
	for _, t := range []*time.Time{&p.Answered, &p.Offered, &p.Shown, &p.Acknowledged, &p.Ended} {
		*t = stored(*t)
	}
	return p
}

// foundIDs are the ids of what a lookup found, empty for nothing.
type foundIDs struct{ person, organization, dialled, ticket string }

func parts(f screenpop.Found) foundIDs {
	var ids foundIDs
	if f.Person != nil {
		ids.person = f.Person.ID
	}
	if f.Organization != nil {
		ids.organization = f.Organization.ID
	}
	if f.Dialled != nil {
		ids.dialled = f.Dialled.ID
	}
	if f.Ticket != nil {
		ids.ticket = f.Ticket.ID
	}
	return ids
}
