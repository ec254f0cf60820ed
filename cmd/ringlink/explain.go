package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

// explainCommand tells what happened to a call and why it popped or not.
type explainCommand struct {
	configFlag
	Call   []string `arg:"" optional:"" name:"call" help:"A CallID, the unique id or SIP Call-ID of a leg, a caller's number, or a device (\"PJSIP/101\" or \"pbx1 PJSIP/101\"). Default: every call."`
	JSON   bool     `help:"One JSON object a call; see the README for its keys."`
	Reveal bool     `help:"Show numbers."`
	Last   int      `default:"1" help:"No more than this many calls, 1 to 1000, the newest."`
}

// Validate is kong's: a command line that makes no sense.
func (c *explainCommand) Validate() error {
	if c.Last < 1 || c.Last > 1000 {
		return fmt.Errorf("--last is %d, not within 1 to 1000", c.Last)
	}
	return nil
}

// Run prints the explanations, the oldest first.
func (c *explainCommand) Run(s *session) error {
	return c.withStore(s, func(cfg *config.Config, db *store.DB) error {
		list, err := findCalls(s, cfg, db, strings.Join(c.Call, " "), c.Last+1)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			what := "no call"
			if len(c.Call) > 0 {
				what += fmt.Sprintf(" by %q", printable(strings.Join(c.Call, " ")))
			}
			return fmt.Errorf("%s is known: calls are kept for %d days; ringlink doctor tells whether their events arrive", what, int(store.KeepExplanations.Hours()/24))
		}
		more := len(list) > c.Last
		list = list[:min(len(list), c.Last)]
		slices.Reverse(list)
		enc := json.NewEncoder(s.out)
		enc.SetEscapeHTML(false)
		for i := range list {
			pops, links, err := popsOfCall(s, db, list[i].Trail.Call)
			if err != nil {
				return err
			}
			x := newExplained(&list[i].Trail, pops, list[i].Delivery, links, explainView{
				reveal: c.Reveal, config: c.Config, desk: cfg.ExternalURL.String(),
			})
			if c.JSON {
				err = enc.Encode(x)
			} else {
				if i > 0 {
					fmt.Fprintln(s.out)
				}
				err = printExplained(s.out, x)
			}
			if err != nil {
				return err
			}
		}
		if more && !c.JSON {
			fmt.Fprintf(s.out, "\nOlder calls match too: --last %d shows more of them.\n", 2*c.Last+3)
		}
		return nil
	})
}

// findCalls reads the newest calls that the words name, newest first.
func findCalls(s *session, cfg *config.Config, db *store.DB, words string, limit int) ([]store.Explanation, error) {
	var found []store.Explanation
	for _, key := range explainQueries(cfg, words) {
		list, err := db.Explanations(s.ctx, key, limit)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if !slices.ContainsFunc(found, func(o store.Explanation) bool { return o.Trail.Call == e.Trail.Call }) {
				found = append(found, e)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b store.Explanation) int { return b.Trail.Started.Compare(a.Trail.Started) })
	return found[:min(len(found), limit)], nil
}

// explainQueries are the keys that the words may stand for: as they are, as a
// device of a PBX, and as a number of each PBX's region.
func explainQueries(cfg *config.Config, words string) []string {
	words = strings.TrimSpace(words)
	keys := []string{words}
	if pbx, endpoint, ok := strings.Cut(words, ":"); ok && strings.Contains(endpoint, "/") {
		keys = append(keys, deviceKey(bridge.PBX(pbx), endpoint))
	}
	if number := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(words); number != "" && strings.Trim(number, "+0123456789") == "" {
		keys = append(keys, number)
		normal := normalizer(cfg)
		for i := range cfg.PBXs {
			keys = append(keys, normal(bridge.PBX(cfg.PBXs[i].Name), bridge.Number(number)).Reveal())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// popsOfCall reads the rows of the call's pops and the links of each.
func popsOfCall(s *session, db *store.DB, id bridge.CallID) ([]screenpop.Pop, map[bridge.PopID][]store.PopLink, error) {
	pops, err := db.ListPops(s.ctx, screenpop.PopQuery{Call: id})
	if err != nil {
		return nil, nil, err
	}
	links := map[bridge.PopID][]store.PopLink{}
	for _, p := range pops {
		if links[p.ID], err = db.PopLinks(s.ctx, p.ID); err != nil {
			return nil, nil, err
		}
	}
	return pops, links, nil
}

// explained is one line of `ringlink explain --json`. Scripts rely on it: keys
// are added, never renamed or removed. Times are RFC 3339 in UTC and left out
// where the thing has not happened. Numbers are masked without --reveal.
type explained struct {
	Call       string     `json:"call"`
	PBX        string     `json:"pbx"`
	UniqueID   string     `json:"unique_id"`
	SIPCallID  string     `json:"sip_call_id,omitempty"`
	StartedAt  *time.Time `json:"started_at"`
	AnsweredAt *time.Time `json:"answered_at,omitempty"` // by an agent
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	Direction  string     `json:"direction"` // inbound, outbound, internal, unknown
	Outcome    string     `json:"outcome,omitempty"`
	Caller     string     `json:"caller,omitempty"`
	Withheld   bool       `json:"withheld"`
	Dialled    string     `json:"dialled,omitempty"`
	CallNumber string     `json:"call_number,omitempty"`

	// Why nothing popped, or nobody saw it: one of the closed set of
	// bridge.Reason, in words, and what mends it. Empty where all is well.
	Reason  string   `json:"reason,omitempty"`
	Why     string   `json:"why,omitempty"`
	Devices []string `json:"devices,omitempty"` // what the reason is about
	Mend    []string `json:"mend,omitempty"`    // what to do or to type, in order

	Pops     []explainedPop    `json:"pops"`
	Lookups  []screenpop.Told  `json:"lookups,omitempty"`
	Legs     []explainedLeg    `json:"legs"`
	Timeline []explainedMoment `json:"timeline"`
	CutSteps int               `json:"cut_steps"` // left out in the middle, because the call was long
	CutLegs  int               `json:"cut_legs"`

	replayed bool // there is no desk, and perhaps no directory
}

// explainedPop is a pop with what became of it.
type explainedPop struct {
	popRow
	Reasons    []string        `json:"reasons"` // of the mode
	LookedUp   bool            `json:"looked_up"`
	Via        string          `json:"via,omitempty"` // how the caller was found: e164, suffix, shared
	Candidates int             `json:"candidates"`    // how many people have the number
	Foreign    bool            `json:"foreign_ticket,omitempty"`
	Pushed     *screenpop.Told `json:"pushed,omitempty"` // the first time
	Links      []explainedLink `json:"links,omitempty"`
}

// explainedLink is a secure link; its token is nowhere.
type explainedLink struct {
	MintedAt   *time.Time `json:"minted_at"`
	RedeemedAt *time.Time `json:"redeemed_at,omitempty"`
}

// explainedLeg is a leg; By counts from 1.
type explainedLeg struct {
	ID        string `json:"id"`
	Endpoint  string `json:"endpoint,omitempty"`
	Side      string `json:"side"`   // outside, inside, local, own
	Joined    string `json:"joined"` // origin, dial, local, linkedid, bridge
	By        int    `json:"by,omitempty"`
	Agent     string `json:"agent,omitempty"`
	SIPCallID string `json:"sip_call_id,omitempty"`
	Rang      bool   `json:"rang"`
	Answered  bool   `json:"answered"`
}

// explainedMoment is a step of the timeline: see bridge.StepKind for its kinds.
type explainedMoment struct {
	MS     float64 `json:"ms"` // since started_at
	Kind   string  `json:"kind"`
	Leg    int     `json:"leg,omitempty"`
	Peer   int     `json:"peer,omitempty"`
	Bridge int     `json:"bridge,omitempty"`
	Status string  `json:"status,omitempty"`
	Value  string  `json:"value,omitempty"`
	Cause  int     `json:"cause,omitempty"`
	Agent  string  `json:"agent,omitempty"`
	To     string  `json:"to,omitempty"`
	Pop    string  `json:"pop,omitempty"`
}
