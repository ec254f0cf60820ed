package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"ringlink/ari"
	"ringlink/bridge"
	"ringlink/config"
	"ringlink/store"
)

// recordCommand writes what a live PBX sends, fit to be given away.
type recordCommand struct {
	configFlag
	Out string        `required:"" placeholder:"FILE" help:"Where to: it must not be there yet."`
	PBX string        `help:"The configuration's PBX; default the first."`
	For time.Duration `default:"10m" help:"For how long; an interrupt ends it earlier."`
}

// recordFlush is how often lines reach the file, and the store is asked who
// uses which device.
const recordFlush = time.Second

// Run records until the time is over or the session ends.
func (c *recordCommand) Run(s *session) error {
	return c.withStore(s, func(cfg *config.Config, db *store.DB) (err error) {
		i := 0
		if c.PBX != "" {
			if i = slices.IndexFunc(cfg.PBXs, func(p config.PBX) bool { return p.Name == c.PBX }); i < 0 {
				return fmt.Errorf("there is no PBX %q in the configuration", c.PBX)
			}
		}
		f, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("making the record: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		ctx, cancel := context.WithTimeout(s.ctx, c.For)
		defer cancel()
		r := newRecorder(f, &cfg.PBXs[i])
		fmt.Fprintf(s.err, "recording %s for %s; an interrupt ends it\n", cfg.PBXs[i].Name, c.For)
		status, err := r.run(ctx, &cfg.PBXs[i], db)
		if err == nil && !r.up {
			err = fmt.Errorf("%s sent nothing: %s; ringlink doctor --config %s tells more", cfg.PBXs[i].Name, status.Reason, c.Config)
		}
		fmt.Fprintf(s.err, "%d events in %s: numbers, names, SIP Call-IDs and addresses are replaced; extensions, endpoints and contexts are not\n", r.events, c.Out)
		return err
	})
}

// recorder writes a record. One goroutine uses it.
type recorder struct {
	w        *bufio.Writer
	pbx      bridge.PBX
	variable string
	outside  func(endpoint, context string) bool
	scrub    *scrubber
	told     map[[2]string]bool // endpoints and contexts that were written
	agents   string             // the devices line written last
	events   int
	up       bool
	err      error // the first failed write
}

func newRecorder(w io.Writer, p *config.PBX) *recorder {
	r := &recorder{w: bufio.NewWriter(w), pbx: bridge.PBX(p.Name), outside: outside(p), scrub: newScrubber(), told: map[[2]string]bool{}}
	r.variable = "CALL_NUMBER"
	if len(p.CallNumberVariables) > 0 {
		r.variable = p.CallNumberVariables[0]
	}
	variables := p.CallNumberVariables
	if len(variables) == 0 {
		variables = []string{r.variable}
	}
	r.line(recordLine{Type: recordHead, PBX: p.Name, Variables: variables})
	return r
}

// run records what the PBX sends until ctx ends. It reads under an application
// name of its own, so that a running gateway keeps its events.
func (r *recorder) run(ctx context.Context, p *config.PBX, db *store.DB) (ari.Status, error) {
	events := make(chan bridge.Event, 8192)
	o := sourceOptions(p, func(ev bridge.Event) bool {
		select {
		case events <- ev:
			return true
		default:
			return false // the source declares a gap
		}
	}, nil, ari.NewMetrics(nil))
	o.App += "-record"
	source, err := ari.New(o)
	if err != nil {
		return ari.Status{}, err
	}
	r.devices(ctx, db)
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	tick := time.NewTicker(recordFlush)
	defer tick.Stop()
	for r.err == nil {
		select {
		case ev := <-events:
			r.event(ev)
		case <-tick.C:
			r.devices(ctx, db)
			r.flush()
		case err := <-ended:
			for len(events) > 0 {
				r.event(<-events)
			}
			r.flush()
			return source.Status(), errors.Join(err, r.err)
		}
	}
	return source.Status(), r.err
}

func (r *recorder) flush() { r.err = errors.Join(r.err, r.w.Flush()) }

// devices writes who uses which device, when that has changed.
func (r *recorder) devices(ctx context.Context, db *store.DB) {
	list, err := db.Devices(ctx)
	if err != nil {
		return // ctx is over, or the next time tells
	}
	l := recordLine{Type: recordDevices, Timestamp: time.Now().UTC()}
	for _, a := range list {
		if a.Device.PBX == r.pbx {
			agent := r.scrub.stand("agent", string(a.Agent), func(i int) string { return fmt.Sprintf("agent-%d", i+1) })
			l.Devices = append(l.Devices, recordDevice{Endpoint: r.scrub.inside(a.Device.Endpoint), Agent: agent})
		}
	}
	if now := fmt.Sprint(l.Devices); now != r.agents {
		r.agents = now
		r.line(l)
	}
}

// event writes an event, what is personal replaced.
func (r *recorder) event(ev bridge.Event) {
	switch {
	case ev.Kind == bridge.EventSourceUp && ev.Snapshot != nil:
		r.up = true
		r.snapshot(&ev)
		return
	case ev.Kind == bridge.EventSourceUp || ev.Kind == bridge.EventSourceDown:
		return
	}
	r.endpoint(ev.Channel)
	r.endpoint(ev.Peer)
	r.scrub.event(&ev)
	b, err := encodeEvent(&ev, r.variable)
	if err == nil && b != nil {
		_, err = r.w.Write(append(b, '\n'))
		r.events++
	}
	r.err = errors.Join(r.err, err)
}

// snapshot writes what the PBX had at once: at the start, and after a gap.
func (r *recorder) snapshot(ev *bridge.Event) {
	l := recordLine{Type: recordSnapshot, Timestamp: ev.Received.UTC(), GapMS: ev.Snapshot.Gap.Milliseconds()}
	channels := []*ariChannel{}
	for _, c := range ev.Snapshot.Channels {
		r.endpoint(c)
		r.scrub.channel(&c)
		channels = append(channels, newARIChannel(&c, r.variable))
	}
	for _, b := range ev.Snapshot.Bridges {
		l.Bridges = append(l.Bridges, recordBridge(r.scrub.bridge(b)))
	}
	var err error
	if l.Channels, err = json.Marshal(channels); err != nil {
		r.err = errors.Join(r.err, err)
	}
	r.line(l)
}

// endpoint writes whether a channel's endpoint leads outside, the first time
// that it is seen in a context. The channel is as it came.
func (r *recorder) endpoint(c bridge.Channel) {
	endpoint, _ := bridge.Endpoint(c.Name)
	key := [2]string{endpoint, c.Context}
	if endpoint == "" || r.told[key] || len(r.told) >= maxScrubbed {
		return
	}
	r.told[key] = true
	scrubbed, _ := bridge.Endpoint(r.scrub.channelName(c.Name))
	r.line(recordLine{Type: recordEndpoint, Endpoint: scrubbed, Context: c.Context, Outside: r.outside(endpoint, c.Context)})
}

func (r *recorder) line(l recordLine) {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = r.w.Write(append(b, '\n'))
	}
	r.err = errors.Join(r.err, err)
}
