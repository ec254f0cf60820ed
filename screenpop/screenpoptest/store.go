// Package screenpoptest has in-memory stand-ins for what screenpop needs of a
// store and a directory, with faults to order: slow, failing, hanging, back.
package screenpoptest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// ErrAway is what a store that was told to Fail answers.
var ErrAway = errors.New("store is away")

// faults is how a stand-in answers.
type faults struct {
	mu    sync.Mutex // guards all below
	err   error
	delay time.Duration
	hung  chan struct{} // not nil: calls wait for it to be closed
	calls int
}

// Fail makes every call return err; nil mends it.
func (f *faults) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// Delay makes every call take d.
func (f *faults) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// Hang makes every call wait for Resume or for its context.
func (f *faults) Hang() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hung == nil {
		f.hung = make(chan struct{})
	}
}

// Resume lets hanging calls go on.
func (f *faults) Resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hung != nil {
		close(f.hung)
		f.hung = nil
	}
}

// Calls returns how many calls came in.
func (f *faults) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *faults) enter(ctx context.Context) error {
	f.mu.Lock()
	f.calls++
	hung, delay, err := f.hung, f.delay, f.err
	f.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// Store keeps pops, links and the audit trail in memory. The zero value is
// ready.
type Store struct {
	faults

	mu    sync.Mutex // guards all below
	pops  map[bridge.PopID]screenpop.Pop
	steps map[bridge.PopID][]bridge.PopState
	links map[[32]byte]*link
	audit []screenpop.AuditEntry
}

type link struct {
	screenpop.Link
	redeemed bool
}

// OfferPop implements screenpop.PopStore.
func (s *Store) OfferPop(ctx context.Context, p screenpop.Pop) (screenpop.Pop, bool, error) {
	if err := s.enter(ctx); err != nil {
		return screenpop.Pop{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if row, ok := s.pops[p.ID]; ok {
		return row, false, nil
	}
	s.put(p)
	return p, true, nil
}

func (s *Store) put(p screenpop.Pop) {
	if s.pops == nil {
		s.pops, s.steps = make(map[bridge.PopID]screenpop.Pop), make(map[bridge.PopID][]bridge.PopState)
	}
	s.pops[p.ID] = p
	s.steps[p.ID] = append(s.steps[p.ID], p.State)
}

// UpdatePop implements screenpop.PopStore.
func (s *Store) UpdatePop(ctx context.Context, p screenpop.Pop) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.pops[p.ID]
	if !ok {
		return screenpop.ErrNotFound
	}
	row.Facts, row.Decision, row.Found = p.Facts, p.Decision, p.Found
	s.pops[p.ID] = row
	return nil
}

// AdvancePop implements screenpop.PopStore.
func (s *Store) AdvancePop(ctx context.Context, id bridge.PopID, to bridge.PopState, cause string, agent bridge.AgentID, at time.Time) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.pops[id]
	if !ok {
		return false, screenpop.ErrNotFound
	}
	order := []bridge.PopState{bridge.PopOffered, bridge.PopShown, bridge.PopAcknowledged}
	if row.State.Final() || to == bridge.PopExpired && row.State != bridge.PopOffered || !to.Final() && slices.Index(order, to) <= slices.Index(order, row.State) {
		return false, nil
	}
	switch row.State = to; to {
	case bridge.PopShown:
		row.Shown = at
	case bridge.PopAcknowledged:
		row.Acknowledged = at
	default:
		row.Ended, row.Cause, row.To = at, cause, agent
	}
	s.pops[id] = row
	s.steps[id] = append(s.steps[id], to)
	return true, nil
}

// PopByID implements screenpop.PopStore.
func (s *Store) PopByID(ctx context.Context, id bridge.PopID) (screenpop.Pop, error) {
	if err := s.enter(ctx); err != nil {
		return screenpop.Pop{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.pops[id]
	if !ok {
		return screenpop.Pop{}, screenpop.ErrNotFound
	}
	return row, nil
}

// Put sets a row as another replica, or a run of before, left it.
func (s *Store) Put(p screenpop.Pop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(p)
}

// Row returns the row, without any fault, and whether it is there.
func (s *Store) Row(id bridge.PopID) (screenpop.Pop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.pops[id]
	return row, ok
}

// Steps returns the states that the row went through.
func (s *Store) Steps(id bridge.PopID) []bridge.PopState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.steps[id])
}

// Len returns how many rows there are.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pops)
}

// SaveLink implements screenpop.LinkStore.
func (s *Store) SaveLink(ctx context.Context, l screenpop.Link) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.links == nil {
		s.links = make(map[[32]byte]*link)
	}
	s.links[l.Hash] = &link{Link: l}
	return nil
}

// RedeemLink implements screenpop.LinkStore.
func (s *Store) RedeemLink(ctx context.Context, hash [32]byte, agent bridge.AgentID, now time.Time) (bridge.PopID, error) {
	if err := s.enter(ctx); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[hash]
	switch {
	case l == nil:
		return "", screenpop.ErrLinkUnknown
	case l.Agent != agent:
		return "", screenpop.ErrLinkForeign
	case l.redeemed:
		return "", screenpop.ErrLinkUsed
	case !now.Before(l.Expires):
		return "", screenpop.ErrLinkExpired
	}
	l.redeemed = true
	return l.Pop, nil
}

// PopRedeemed implements screenpop.LinkStore.
func (s *Store) PopRedeemed(ctx context.Context, id bridge.PopID, agent bridge.AgentID) (bool, error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.Pop == id && l.Agent == agent && l.redeemed {
			return true, nil
		}
	}
	return false, nil
}

// Links returns how many links were saved.
func (s *Store) Links() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.links)
}

// Audit implements screenpop.Auditor.
func (s *Store) Audit(ctx context.Context, e screenpop.AuditEntry) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.audit = append(s.audit, e)
	return nil
}

// Trail returns the audit trail.
func (s *Store) Trail() []screenpop.AuditEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.audit)
}

// Directory finds what it was given. The maps must not change while it is used.
type Directory struct {
	faults
	Callers map[bridge.Number]screenpop.Found // Person, Candidates, Organization, Via
	Dialled map[bridge.Number]screenpop.Organization
	Tickets map[bridge.TicketNumber]screenpop.Ticket

	mu    sync.Mutex // guards below
	asked []screenpop.DirectoryQuery
}

// Lookup implements screenpop.Directory.
func (d *Directory) Lookup(ctx context.Context, q screenpop.DirectoryQuery) (screenpop.Found, error) {
	d.mu.Lock()
	d.asked = append(d.asked, q)
	d.mu.Unlock()
	if err := d.enter(ctx); err != nil {
		return screenpop.Found{}, err
	}
	found := d.Callers[q.Caller]
	if org, ok := d.Dialled[q.Dialled]; ok {
		found.Dialled = &org
	}
	if ticket, ok := d.Tickets[q.CallNumber]; ok {
		found.Ticket = &ticket
		found.Foreign = found.Organization != nil && ticket.Organization != "" && ticket.Organization != found.Organization.ID
	}
	found.Done = true
	return found, nil
}

// Asked returns the queries in their order.
func (d *Directory) Asked() []screenpop.DirectoryQuery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}
