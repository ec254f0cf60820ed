package main

import (
	"slices"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// explainView is how an explanation is to be shown.
type explainView struct {
	reveal bool
	replay bool   // of a recorded stream
	config string // the file's name, for what is to be typed
	desk   string // where the desk is
	// found asks the directory about a pop that has no row; nil: nobody is asked.
	found func(screenpop.Pop) (screenpop.Found, error)
}

// extension is the longest number that is shown without --reveal: it
// names nobody outside.
const extension = 6

// newExplained puts together what is known of a call. pops are the rows of its
// pops; of those that the store has none of, the trail tells what there was.
func newExplained(t *bridge.Trail, pops []screenpop.Pop, told []screenpop.Told, links map[bridge.PopID][]store.PopLink, v explainView) explained {
	x := explained{
		Call: string(t.Call), PBX: string(t.Call.PBX()), UniqueID: t.UniqueID, SIPCallID: t.SIPCallID,
		StartedAt: moment(t.Started), AnsweredAt: moment(t.Answered), EndedAt: moment(t.Ended),
		Direction: t.Direction, Outcome: string(t.Outcome), Withheld: t.Withheld,
		Caller: t.NumberAt(t.Caller).String(), Dialled: t.NumberAt(t.Dialled).Reveal(), CallNumber: t.NumberAt(t.Number).Reveal(),
		Reason: string(t.Reason), Devices: t.Devices, CutSteps: t.CutSteps, CutLegs: t.CutLegs,
		replayed: v.replay, Pops: []explainedPop{}, Legs: []explainedLeg{}, Timeline: []explainedMoment{},
	}
	if caller := t.NumberAt(t.Caller).Reveal(); v.reveal || len(caller) <= extension {
		x.Caller = caller
	}
	if !v.reveal && t.Direction != bridge.DirectionInbound.String() && len(x.Dialled) > extension {
		x.Dialled = t.NumberAt(t.Dialled).String()
	}
	for i := range t.Legs {
		l := &t.Legs[i]
		x.Legs = append(x.Legs, explainedLeg{
			ID: string(l.ID), Endpoint: l.Endpoint, Side: string(l.Side), Joined: string(l.Joined), By: l.By,
			Agent: string(l.Agent), SIPCallID: l.SIPCallID, Rang: l.Rang, Answered: l.Up,
		})
	}
	for _, s := range t.Steps {
		x.Timeline = append(x.Timeline, explainedMoment{
			MS: float64(s.At) / 1000, Kind: string(s.Kind), Leg: int(s.Leg), Peer: int(s.Peer), Bridge: int(s.Bridge),
			Status: s.Status, Value: t.NumberAt(int(s.Value)).Reveal(), Cause: int(s.Q850),
			Agent: string(s.Agent), To: string(s.To), Pop: string(s.Pop),
		})
	}
	for _, p := range withTrail(t, pops, v) {
		x.Pops = append(x.Pops, newExplainedPop(p, told, links[p.ID], v.reveal))
	}
	for _, f := range told {
		if f.Kind == "lookup" {
			x.Lookups = append(x.Lookups, f)
		}
	}
	x.unseen()
	x.mend(t, v)
	return x
}

func newExplainedPop(p screenpop.Pop, told []screenpop.Told, links []store.PopLink, reveal bool) explainedPop {
	e := explainedPop{
		popRow: newPopRow(p, reveal), Reasons: p.Decision.Reasons, LookedUp: p.Found.Done,
		Via: p.Found.Via, Candidates: p.Found.Candidates, Foreign: p.Found.Foreign,
	}
	for i := range told {
		if told[i].Kind == "push" && told[i].Pop == p.ID && e.Pushed == nil {
			e.Pushed = &told[i]
		}
	}
	for _, l := range links {
		e.Links = append(e.Links, explainedLink{MintedAt: moment(l.Minted), RedeemedAt: moment(l.Redeemed)})
	}
	return e
}

// withTrail completes the rows by the pops that only the trail tells of: in a
// replay, or while the store has not got them.
func withTrail(t *bridge.Trail, pops []screenpop.Pop, v explainView) []screenpop.Pop {
	pops = slices.Clone(pops)
	for _, s := range t.Steps {
		i := slices.IndexFunc(pops, func(p screenpop.Pop) bool { return p.ID == s.Pop })
		at := t.Started.Add(microseconds(s.At))
		switch {
		case s.Kind == bridge.StepPop && i < 0:
			p := screenpop.Pop{
				ID: s.Pop, Call: t.Call, Agent: s.Agent, Device: bridge.Device{PBX: t.Call.PBX()},
				State: bridge.PopOffered, Late: s.Status == "late", Answered: at, Offered: at,
				Facts: bridge.Facts{
					Caller:  bridge.Caller{Number: t.NumberAt(t.Caller), Withheld: t.Withheld},
					Dialled: t.NumberAt(t.Dialled), CallNumber: bridge.TicketNumber(t.NumberAt(t.Number).Reveal()),
					UniqueID: t.UniqueID, SIPCallID: t.SIPCallID,
				},
			}
			if s.Leg > 0 {
				p.Device.Endpoint = t.Legs[s.Leg-1].Endpoint
			}
			v.decide(&p)
			pops = append(pops, p)
		case s.Kind == bridge.StepPopEnded && i >= 0 && pops[i].Ended.IsZero():
			pops[i].State, pops[i].To, pops[i].Ended = bridge.PopState(s.Status), s.To, at
		}
	}
	return pops
}

// decide looks a pop up and chooses its mode, as the popper does.
func (v explainView) decide(p *screenpop.Pop) {
	facts := bridge.ModeFacts{Caller: p.Facts.Caller, CallNumber: p.Facts.CallNumber}
	if v.found != nil {
		if f, err := v.found(*p); err == nil {
			p.Found, facts.Ticket = f, bridge.Absent
			if f.Ticket != nil {
				facts.Ticket = bridge.Present
			}
		}
	}
	p.Decision = bridge.Decide(facts)
}
