package store

import (
	"context"

	"ringlink/bridge"
	"ringlink/screenpop"
)

var _ screenpop.Directory = (*DB)(nil)

// lookup asks for the caller, the dialled organization and the ticket at once:
// a row for each number of the caller's, each organization that was dialled,
// and the ticket. A number is never empty in the table, so that an empty
// parameter finds nothing. Inactive rows, and numbers of inactive people, are
// left out. Of several tickets of one number the open and then the newest wins.
const lookup = `
SELECT * FROM (
SELECT 'caller' AS part, n.shared AS shared,
  COALESCE(p.id, '') AS person_id, COALESCE(p.name, '') AS person_name, COALESCE(p.email, '') AS person_email,
  COALESCE(p.reference, '') AS person_reference, COALESCE(p.organization_id, '') AS person_organization,
  COALESCE(o.id, '') AS org_id, COALESCE(o.name, '') AS org_name,
  '' AS ticket_id, '' AS ticket_number, '' AS ticket_title, '' AS ticket_state, '' AS ticket_person,
  '' AS ticket_organization, '' AS ticket_url, 0 AS ticket_opened, 0 AS ticket_closed
FROM numbers n
LEFT JOIN people p ON p.id = n.person_id
LEFT JOIN organizations o ON o.id = COALESCE(p.organization_id, n.organization_id) AND o.active = 1
WHERE n.number = ? AND n.active = 1 AND n.kind <> 'dialled' AND (n.person_id IS NULL OR p.active = 1)
LIMIT 200) AS callers
UNION ALL
SELECT * FROM (
SELECT 'dialled', 0, '', '', '', '', '', o.id, o.name, '', '', '', '', '', '', '', 0, 0
FROM numbers n
JOIN organizations o ON o.id = n.organization_id
WHERE n.number = ? AND n.active = 1 AND n.person_id IS NULL AND o.active = 1
LIMIT 200) AS dialled
UNION ALL
SELECT * FROM (
SELECT 'ticket', 0, '', '', '', '', '', '', '', t.id, t.number, t.title, t.state, COALESCE(t.person_id, ''),
  COALESCE(t.organization_id, p.organization_id, ''), t.url, t.opened, t.closed
FROM tickets t
LEFT JOIN people p ON p.id = t.person_id
WHERE t.number = ?
ORDER BY t.state DESC, t.opened DESC, t.id
LIMIT 1) AS ticket`

// Lookup implements screenpop.Directory in one statement. What is not unique
// is not guessed: a number of several people gives Candidates (at most 200) and
// their organization only if they share it; a shared number gives the
// organization and never a person; a dialled number of several organizations
// gives none. An organization that is not active is as one that is not known.
// Via is "e164", "shared" or "".
func (db *DB) Lookup(ctx context.Context, q screenpop.DirectoryQuery) (screenpop.Found, error) {
	found := screenpop.Found{Done: true}
	if q == (screenpop.DirectoryQuery{}) {
		return found, nil
	}
	err := db.run(ctx, opLookup, func(ctx context.Context) error {
		var rows []lookupRow
		err := db.rows(ctx, db.read, &rows, lookup, clean(q.Caller.Reveal()), clean(q.Dialled.Reveal()), clean(string(q.CallNumber)))
		if err == nil {
			found = conclude(rows)
		}
		return err
	})
	if err != nil {
		return screenpop.Found{}, err
	}
	return found, nil
}

type lookupRow struct {
	Part   string `db:"part"`
	Shared int    `db:"shared"`
	personRow
	organizationRow
	ticketRow
}

// conclude works out who and what the rows of lookup name. It is pure.
func conclude(rows []lookupRow) screenpop.Found {
	found := screenpop.Found{Done: true}
	var callers, dialled []lookupRow
	for _, row := range rows {
		switch row.Part {
		case "caller":
			callers = append(callers, row)
		case "dialled":
			dialled = append(dialled, row)
		case "ticket":
			found.Ticket = row.ticket()
		}
	}
	found.Dialled = common(dialled)
	concludeCaller(&found, callers)
	if t := found.Ticket; t != nil && found.Organization != nil {
		found.Foreign = t.Organization != "" && t.Organization != found.Organization.ID
	}
	return found
}

func concludeCaller(found *screenpop.Found, callers []lookupRow) {
	if len(callers) == 0 {
		return
	}
	found.Via = "e164"
	people := make(map[string]lookupRow)
	var ofPeople []lookupRow
	for _, row := range callers {
		if row.Shared == 1 {
			found.Via, found.Organization = "shared", common(callers)
			return
		}
		if row.PersonID != "" {
			people[row.PersonID] = row
			ofPeople = append(ofPeople, row)
		}
	}
	found.Candidates = len(people)
	if len(people) == 0 {
		found.Organization = common(callers)
		return
	}
	found.Organization = common(ofPeople)
	if len(people) == 1 {
		found.Person = ofPeople[0].person()
	}
}

// common returns the organization that all rows name, nil if they differ or
// one names none.
func common(rows []lookupRow) *screenpop.Organization {
	if len(rows) == 0 {
		return nil
	}
	for _, row := range rows {
		if row.OrgID != rows[0].OrgID {
			return nil
		}
	}
	return rows[0].organization()
}

// personRow, organizationRow and ticketRow are the parts of a joined row; an
// empty id means that there is none.
type personRow struct {
	PersonID           string `db:"person_id"`
	PersonName         string `db:"person_name"`
	PersonEmail        string `db:"person_email"`
	PersonReference    string `db:"person_reference"`
	PersonOrganization string `db:"person_organization"`
}

func (r personRow) person() *screenpop.Person {
	if r.PersonID == "" {
		return nil
	}
	return &screenpop.Person{
		ID: r.PersonID, Name: bridge.PersonName(r.PersonName), Email: r.PersonEmail,
		Reference: r.PersonReference, Organization: r.PersonOrganization,
	}
}

type organizationRow struct {
	OrgID   string `db:"org_id"`
	OrgName string `db:"org_name"`
}

func (r organizationRow) organization() *screenpop.Organization {
	if r.OrgID == "" {
		return nil
	}
	return &screenpop.Organization{ID: r.OrgID, Name: r.OrgName}
}

type ticketRow struct {
	TicketID           string `db:"ticket_id"`
	TicketNumber       string `db:"ticket_number"`
	TicketTitle        string `db:"ticket_title"`
	TicketState        string `db:"ticket_state"`
	TicketPerson       string `db:"ticket_person"`
	TicketOrganization string `db:"ticket_organization"`
	TicketURL          string `db:"ticket_url"`
	TicketOpened       int64  `db:"ticket_opened"`
	TicketClosed       int64  `db:"ticket_closed"`
}

func (r ticketRow) ticket() *screenpop.Ticket {
	if r.TicketID == "" {
		return nil
	}
	return &screenpop.Ticket{
		ID: r.TicketID, Number: bridge.TicketNumber(r.TicketNumber), Title: r.TicketTitle, State: r.TicketState,
		Person: r.TicketPerson, Organization: r.TicketOrganization, URL: r.TicketURL,
		Opened: fromMicros(r.TicketOpened), Closed: fromMicros(r.TicketClosed),
	}
}
