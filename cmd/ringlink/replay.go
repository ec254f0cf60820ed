package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

// replayCommand runs recorded event streams through the code that live ones
// run through, with no telephone, and tells what came of each call.
type replayCommand struct {
	Files  []string `arg:"" name:"file" help:"A stream: one ARI event a line, as ringlink record writes it."`
	Config string   `placeholder:"FILE" help:"Take the trunks, devices and directory of this configuration. Without it those that the record names, or every inside phone as an agent's."`
	PBX    string   `help:"The configuration's PBX that the stream is of; default the first."`
	Trunk  []string `placeholder:"ENDPOINT" help:"Without --config: an endpoint that is a trunk, as PJSIP/carrier."`
	Within []string `name:"trunk-context" placeholder:"CONTEXT" default:"from-trunk,from-pstn,from-external" help:"Without --config: dialplan contexts that calls from outside come in by."`
	JSON   bool     `help:"One JSON object a call, as ringlink explain --json."`
	Reveal bool     `help:"Show numbers."`
}

// Run prints the explanation of each call of each file.
func (c *replayCommand) Run(s *session) error {
	if c.Config == "" {
		return c.replay(s, replaySetting{view: explainView{replay: true, reveal: c.Reveal}})
	}
	return configFlag{c.Config}.withStore(s, func(cfg *config.Config, db *store.DB) error {
		i := 0
		if c.PBX != "" {
			if i = slices.IndexFunc(cfg.PBXs, func(p config.PBX) bool { return p.Name == c.PBX }); i < 0 {
				return fmt.Errorf("there is no PBX %q in the configuration", c.PBX)
			}
		}
		devices, err := db.Devices(s.ctx)
		if err != nil {
			return err
		}
		p := &cfg.PBXs[i]
		return c.replay(s, replaySetting{
			pbx: bridge.PBX(p.Name), outside: outside(p), devices: devices, variables: p.CallNumberVariables,
			view: explainView{replay: true, reveal: c.Reveal, config: c.Config, found: lookUp(s, cfg, db)},
		})
	})
}

// lookUp asks the directory about a pop as the popper does.
func lookUp(s *session, cfg *config.Config, db *store.DB) func(screenpop.Pop) (screenpop.Found, error) {
	normal, ticket := normalizer(cfg), ticketRule(cfg.Tickets)
	return func(p screenpop.Pop) (screenpop.Found, error) {
		q := screenpop.DirectoryQuery{
			Dialled:    normal(p.Device.PBX, p.Facts.Dialled),
			CallNumber: ticket(p.Facts.CallNumber),
		}
		if p.Facts.Caller.Known() {
			q.Caller = normal(p.Device.PBX, p.Facts.Caller.Number)
		}
		return db.Lookup(s.ctx, q)
	}
}

// replaySetting is what a stream is played against; what is zero is taken from
// the stream or made up.
type replaySetting struct {
	pbx       bridge.PBX
	outside   func(endpoint, context string) bool
	devices   []bridge.Assignment
	variables []string
	view      explainView
}

func (c *replayCommand) replay(s *session, set replaySetting) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	for n, file := range c.Files {
		r, err := readRecord(file, set.variables)
		if err != nil {
			return err
		}
		trails, err := replayRecord(r, c.complete(r, set))
		if err != nil {
			return err
		}
		if !c.JSON {
			if n > 0 {
				fmt.Fprintln(s.out)
			}
			fmt.Fprintf(s.out, "%s: %d events, %d calls\n", printable(file), r.count(), len(trails))
		}
		for i := range trails {
			x := newExplained(&trails[i], nil, nil, nil, set.view)
			if c.JSON {
				err = enc.Encode(x)
			} else {
				fmt.Fprintln(s.out)
				err = printExplained(s.out, x)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// complete fills the setting with what the stream itself says, or else with
// what is likely: trunks by the flags, and every inside phone an agent's.
func (c *replayCommand) complete(r *record, set replaySetting) replaySetting {
	if set.outside != nil {
		return set
	}
	if set.pbx = r.pbx; set.pbx == "" {
		set.pbx = "pbx1"
	}
	set.outside = func(endpoint, context string) bool {
		if is, told := r.outside[[2]string{endpoint, context}]; told {
			return is
		}
		return slices.Contains(c.Trunk, endpoint) || slices.Contains(c.Within, context)
	}
	if r.devices {
		return set
	}
	for _, ch := range r.channels() {
		endpoint, _ := bridge.Endpoint(ch.Name)
		a := bridge.Assignment{Device: bridge.Device{PBX: set.pbx, Endpoint: endpoint}}
		if _, name, ok := strings.Cut(endpoint, "/"); ok && !set.outside(endpoint, ch.Context) && !slices.ContainsFunc(set.devices, func(o bridge.Assignment) bool { return o.Device == a.Device }) {
			a.Agent = bridge.AgentID(name)
			set.devices = append(set.devices, a)
		}
	}
	return set
}

// replayRecord plays a record and returns the trail of each call, in the order
// of their beginnings.
func replayRecord(r *record, set replaySetting) ([]bridge.Trail, error) {
	last := map[bridge.CallID]bridge.Trail{}
	trails, err := bridge.NewTrails(bridge.TrailOptions{Keep: func(t bridge.Trail) { last[t.Call] = t }, Linger: time.Hour})
	if err != nil {
		return nil, err
	}
	state := bridge.NewState([]bridge.PBXOptions{{Name: set.pbx, Outside: set.outside}}, bridge.Limits{})
	now := r.began()
	var effects []bridge.Effect
	apply := func(ev bridge.Event) {
		if ev.Stamp.After(now) {
			now = ev.Stamp
		}
		ev.PBX, ev.Received = set.pbx, now
		effects = state.Apply(&ev, now, effects[:0])
		trails.Observe(state, &ev, effects)
	}
	if !r.devices || len(set.devices) > 0 {
		apply(bridge.Event{Kind: bridge.EventDevices, Devices: set.devices})
	}
	for _, ev := range r.events {
		if ev.Kind == bridge.EventDevices {
			if len(set.devices) > 0 {
				continue // the configuration's stand
			}
			for i := range ev.Devices {
				ev.Devices[i].Device.PBX = set.pbx
			}
		}
		apply(ev)
	}
	trails.Close()
	list := make([]bridge.Trail, 0, len(last))
	for _, t := range last {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b bridge.Trail) int {
		if d := a.Started.Compare(b.Started); d != 0 {
			return d
		}
		return strings.Compare(string(a.Call), string(b.Call))
	})
	if len(list) == 0 {
		return nil, errors.New("there is no call in the stream")
	}
	return list, nil
}
