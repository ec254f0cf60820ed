package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/screenpop"
)

// story is one of the demo's callers and what must come of the call.
type story struct {
	name     string
	number   string // the caller's; empty withholds it
	display  string // as the network shows the caller
	keys     string // call number that the caller keys
	group    bool   // rings both agents
	internal bool   // one agent calls the other
	agent    string // who answers

	mode  bridge.Mode
	opens bridge.Opens
	page  string // what the page must show; empty if there is no pop
}

var stories = []story{
	{name: "known caller", number: "+12025550101", display: "ADA E", agent: "ann",
		mode: bridge.ModeCallerID, opens: bridge.OpensCallerInfo, page: "Ada Example"},
	{name: "unknown caller", number: "+12025550199", agent: "ann",
		mode: bridge.ModeCallerID, opens: bridge.OpensCallerInfo, page: "+12025550199"},
	{name: "withheld number", agent: "ann",
		mode: bridge.ModeIVR, opens: bridge.OpensPopup, page: "There is no caller ID and no call number"},
	{name: "call number of a ticket, ring group", number: "+12025550101", display: "ADA E", keys: "1042", group: true, agent: "bob",
		mode: bridge.ModeIVR, opens: bridge.OpensTicket, page: "The printer on floor 2 is on fire"},
	{name: "call number of nothing", number: "+12025550102", keys: "9999", agent: "ann",
		mode: bridge.ModeIVR, opens: bridge.OpensPopup, page: "No call exists against that call number"},
	{name: "internal call", internal: true, agent: "bob"},
}

// callResult is one line of `ringlink demo --json`.
type callResult struct {
	Call        int      `json:"call"`
	Story       string   `json:"story"`
	CallID      string   `json:"call_id"`
	SIPCallID   string   `json:"sip_call_id"`
	Pops        int      `json:"pops"` // of all agents; 1, or 0 for the internal call
	Agent       string   `json:"agent,omitempty"`
	Mode        string   `json:"mode,omitempty"`
	Opens       string   `json:"opens,omitempty"`
	Reasons     []string `json:"reasons,omitempty"`
	Caller      string   `json:"caller,omitempty"`
	Dialled     string   `json:"dialled,omitempty"`
	CallNumber  string   `json:"call_number,omitempty"`
	State       string   `json:"state,omitempty"`
	Link        string   `json:"link,omitempty"`        // "opened" with --exit
	SecondUse   string   `json:"second_use,omitempty"`  // of the same link: "refused"
	ForeignUse  string   `json:"foreign_use,omitempty"` // by the other agent: "refused"
	PageShows   string   `json:"page_shows,omitempty"`
	EventToDesk float64  `json:"event_to_desk_ms,omitempty"` // from the event that connected the two to the built-in desk
	Wrong       []string `json:"wrong,omitempty"`            // what was not as it should be
}

func (r *callResult) print(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

func (r *callResult) want(what string, got, want any) {
	if got != want {
		r.Wrong = append(r.Wrong, fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
}

// call plays one call from the INVITE to the hang-up.
func (d *demo) call(ctx context.Context, n int, st story) (*callResult, error) {
	sipCallID := fmt.Sprintf("demo-%d-%d@caller.example.com", time.Now().UnixNano(), n)
	d.ladder.begin(n, st)
	invite, err := d.caller.invite(ctx, st, sipCallID)
	if err != nil {
		return nil, err
	}
	defer invite.close()
	call, steps := d.start(st, sipCallID)
	if err := d.fake.PlaySteps(ctx, steps, 1); err != nil {
		return nil, err
	}
	r := &callResult{Call: n, Story: st.name, CallID: string(bridge.MakeCallID(demoPBX, bridge.ChannelID(call.ID()))), SIPCallID: sipCallID}
	seen := d.popCounts()
	if err := d.ringAndAnswer(ctx, st, call); err != nil {
		return nil, err
	}
	if err := invite.completedElsewhere(ctx); err != nil {
		return nil, err
	}
	if st.page != "" {
		if err := d.follow(ctx, st, r, seen); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, 2*d.pause); err != nil {
		return nil, err
	}
	if err := d.fake.PlaySteps(ctx, call.Hangup(), 1); err != nil {
		return nil, err
	}
	return r, d.verify(ctx, st, r, seen)
}

func (d *demo) start(st story, sipCallID string) (*aritest.Call, []aritest.Step) {
	switch {
	case st.internal:
		return d.script.Internal(endpointOf(otherAgent(st.agent)), "102", sipCallID)
	case st.number == "":
		return d.script.Withheld("", "5000", sipCallID)
	}
	return d.script.Inbound(st.number, st.display, "5000", sipCallID)
}

func (d *demo) ringAndAnswer(ctx context.Context, st story, call *aritest.Call) error {
	rings := []string{endpointOf(st.agent)}
	if st.group {
		rings = append(rings, endpointOf(otherAgent(st.agent)))
	}
	for _, next := range []func() []aritest.Step{
		func() []aritest.Step {
			if st.keys == "" {
				return nil
			}
			return call.SetCallNumber(st.keys)
		},
		func() []aritest.Step {
			if !st.group {
				return nil
			}
			return call.Queue("support")
		},
		func() []aritest.Step { return call.Ring(rings...) },
		func() []aritest.Step { return call.Answer(endpointOf(st.agent)) },
	} {
		steps := next()
		if len(steps) == 0 {
			continue
		}
		if err := d.fake.PlaySteps(ctx, steps, 1); err != nil {
			return err
		}
		if err := sleep(ctx, d.pause); err != nil {
			return err
		}
	}
	return nil
}

// popCounts is how many pops each built-in desk has seen.
func (d *demo) popCounts() map[string]int {
	counts := map[string]int{}
	for login, desk := range d.desks {
		counts[login] = len(desk.pops())
	}
	return counts
}

// follow does what the agent does: sees the pop, opens its link once. Without
// --exit a person does that, or nobody.
func (d *demo) follow(ctx context.Context, st story, r *callResult, seen map[string]int) error {
	desk := d.desks[st.agent]
	if desk == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	v, err := desk.wait(ctx, func(v screenpop.CallView) bool { return v.Call == r.CallID && v.Pop != "" && !v.Pending })
	if err != nil {
		return err
	}
	r.EventToDesk = float64(desk.arrived(v.Pop).Sub(d.ladder.caused(v.Pop)).Microseconds()) / 1000
	if err := desk.shown(ctx, v.Pop); err != nil {
		return err
	}
	link, err := desk.link(ctx, v.Pop)
	if err != nil {
		return err
	}
	r.ForeignUse = refused(d.desks[otherAgent(st.agent)].open(ctx, link))
	page, err := desk.open(ctx, link)
	if err != nil {
		return fmt.Errorf("opening the link: %w", err)
	}
	r.Link = "opened"
	r.SecondUse = refused(desk.open(ctx, link))
	if strings.Contains(html.UnescapeString(page), st.page) {
		r.PageShows = st.page
	}
	d.ladder.linked(r)
	r.want("use by the other agent", r.ForeignUse, "refused")
	r.want("second use", r.SecondUse, "refused")
	r.want("text on the page", r.PageShows, st.page)
	return nil
}

func refused(_ string, err error) string {
	var status *statusError
	if errors.As(err, &status) {
		return "refused"
	}
	return fmt.Sprint("not refused: ", err)
}

// verify compares the store's rows and the desks with the story.
func (d *demo) verify(ctx context.Context, st story, r *callResult, seen map[string]int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var rows []screenpop.Pop
	err := waitFor(ctx, func() bool {
		rows, _ = d.app.db.ListPops(ctx, screenpop.PopQuery{Call: bridge.CallID(r.CallID)})
		return d.ladder.over(bridge.CallID(r.CallID)) && (st.page == "" || len(rows) > 0 && rows[len(rows)-1].State.Final())
	})
	if err != nil {
		return fmt.Errorf("waiting for the end of the pop: %w", err)
	}
	r.Pops = len(rows)
	if st.page == "" {
		r.want("pops", r.Pops, 0)
	} else {
		r.want("pops", r.Pops, 1)
		row := newPopRow(rows[0], true)
		r.Agent, r.Mode, r.Opens, r.State = row.Agent, row.Mode, row.Opens, row.State
		r.Caller, r.Dialled, r.CallNumber, r.Reasons = row.Caller, row.Dialled, row.CallNumber, rows[0].Decision.Reasons
		r.want("agent", r.Agent, st.agent)
		r.want("mode", r.Mode, string(st.mode))
		r.want("what opens", r.Opens, string(st.opens))
		r.want("Call-ID of the INVITE", row.SIPCallID, r.SIPCallID)
	}
	for login, desk := range d.desks {
		due := 0
		if st.page != "" && login == st.agent {
			due = 1
		}
		r.want("pops on the desk of "+login, len(desk.pops())-seen[login], due)
	}
	return nil
}

func otherAgent(login string) string {
	for _, a := range demoAgents {
		if a.login != login {
			return a.login
		}
	}
	return ""
}

func endpointOf(login string) string {
	for _, a := range demoAgents {
		if a.login == login {
			return a.endpoint
		}
	}
	return ""
}
