package screenpop

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"ringlink/bridge"
)

// WrapUp is for how long a call that has ended stays on its agent's desk.
const WrapUp = 30 * time.Second

// maxDeskCalls bounds one agent's list. Beyond it ended calls leave first,
// then the oldest; each is counted.
const maxDeskCalls = 50

// Sentinels of streams.
var (
	ErrTooManyStreams = errors.New("agent has too many open streams")
	ErrHubClosed      = errors.New("hub is closed")
	ErrStreamCut      = errors.New("stream did not keep up and was cut")
	ErrStreamRevoked  = errors.New("stream was revoked")
	ErrStreamClosed   = errors.New("stream is closed")
)

// HubOptions configure a Hub; the zero value is useful.
type HubOptions struct {
	// StreamsPerAgent bounds the open streams of one agent; default 8.
	StreamsPerAgent int
	// QueueLength bounds the messages that wait in one stream; a stream that
	// would exceed it is cut. Default 64.
	QueueLength int
	// AgentName gives an agent's display name; default the id itself.
	AgentName func(bridge.AgentID) string
	// Clock is the time source; default time.Now.
	Clock func() time.Time
	// Metrics counts; default unregistered ones.
	Metrics *Metrics
}

// Hub keeps what each agent's desk shows and hands every change to the open
// streams of that agent, and of nobody else. It runs no goroutine and never
// waits for a reader.
type Hub struct {
	o HubOptions

	mu     sync.Mutex // guards desks and closed; taken before a desk's own
	desks  map[bridge.AgentID]*desk
	closed bool
}

// desk is one agent's list and streams.
type desk struct {
	mu      sync.Mutex // guards all below
	seq     uint64
	calls   []CallView // in the order of their first appearance
	streams map[*Stream]struct{}
}

// NewHub makes a Hub.
func NewHub(o HubOptions) *Hub {
	if o.StreamsPerAgent <= 0 {
		o.StreamsPerAgent = 8
	}
	if o.QueueLength <= 0 {
		o.QueueLength = 64
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	return &Hub{o: o, desks: make(map[bridge.AgentID]*desk)}
}

// AgentName gives the agent's display name, or the id where there is none.
func (h *Hub) AgentName(id bridge.AgentID) string {
	if h.o.AgentName != nil && id != "" {
		if name := h.o.AgentName(id); name != "" {
			return name
		}
	}
	return string(id)
}

// Publish puts v on the agent's list and hands it, encoded once, to each open
// stream of the agent. It returns how many streams took it. A stream whose
// queue is full is cut.
//
// A call has one entry per agent: a later turn of the same call replaces the
// card of the turn before, but a late word of an earlier turn, or of its
// ringing, never hides a running one; it is dropped.
func (h *Hub) Publish(agent bridge.AgentID, v CallView) int {
	d := h.desk(agent)
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.keep(d, v) {
		return 0
	}
	d.seq++
	if len(d.streams) == 0 {
		return 0
	}
	m := Message{ID: d.seq, Event: "call", Data: encode(v)}
	took := 0
	for s := range d.streams {
		if s.offer(m) {
			took++
			continue
		}
		h.o.Metrics.streamsCut.Inc()
		h.end(d, s, ErrStreamCut)
	}
	return took
}

// Subscribe opens a stream of the agent. Its first message is "state", the
// whole list. It returns ErrTooManyStreams or ErrHubClosed.
func (h *Hub) Subscribe(agent bridge.AgentID) (*Stream, error) {
	d := h.desk(agent)
	if d == nil {
		return nil, ErrHubClosed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.streams == nil { // Close came between
		return nil, ErrHubClosed
	}
	if len(d.streams) >= h.o.StreamsPerAgent {
		return nil, ErrTooManyStreams
	}
	h.prune(d)
	calls := d.calls
	if calls == nil {
		calls = []CallView{}
	}
	// One place more than the queue, for the state.
	s := &Stream{hub: h, desk: d, c: make(chan Message, h.o.QueueLength+1)}
	s.c <- Message{ID: d.seq, Event: "state", Data: encode(calls)}
	d.streams[s] = struct{}{}
	h.o.Metrics.streams.Inc()
	return s, nil
}

// Calls returns the agent's running and just ended calls, oldest first.
func (h *Hub) Calls(agent bridge.AgentID) []CallView {
	h.mu.Lock()
	d := h.desks[agent]
	h.mu.Unlock()
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h.prune(d)
	return append([]CallView(nil), d.calls...)
}

// Streams returns how many streams of the agent are open.
func (h *Hub) Streams(agent bridge.AgentID) int {
	h.mu.Lock()
	d := h.desks[agent]
	h.mu.Unlock()
	if d == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.streams)
}

// Watched lists the agents who have an open stream here, in order of their ids.
func (h *Hub) Watched() (agents []bridge.AgentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for agent, d := range h.desks {
		d.mu.Lock()
		open := len(d.streams) > 0
		d.mu.Unlock()
		if open {
			agents = append(agents, agent)
		}
	}
	slices.Sort(agents)
	return agents
}

// Revoke ends the agent's streams, as after a sign-out or a change of rights.
func (h *Hub) Revoke(agent bridge.AgentID) {
	h.mu.Lock()
	d := h.desks[agent]
	h.mu.Unlock()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.streams {
		h.end(d, s, ErrStreamRevoked)
	}
}

// Close ends every stream and refuses new ones. It comes before
// http.Server.Shutdown, which waits for streams.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	desks := h.desks
	h.desks = nil
	h.mu.Unlock()
	for _, d := range desks {
		d.mu.Lock()
		for s := range d.streams {
			h.end(d, s, ErrHubClosed)
		}
		d.streams = nil
		d.mu.Unlock()
	}
}

// desk returns the agent's desk, made if need be, or nil after Close.
func (h *Hub) desk(agent bridge.AgentID) *desk {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	d := h.desks[agent]
	if d == nil {
		d = &desk{streams: make(map[*Stream]struct{})}
		h.desks[agent] = d
	}
	return d
}

// keep merges v into the list and tells whether it is news. d.mu is held.
func (h *Hub) keep(d *desk, v CallView) bool {
	h.prune(d)
	for i, old := range d.calls {
		if old.Call != v.Call {
			continue
		}
		if old.Pop != "" && old.Pop != v.Pop && old.State != "ended" && (v.State == "ended" || v.Pop == "") {
			return false
		}
		d.calls[i] = v
		return true
	}
	if v.State == "ended" && !v.Since.After(h.o.Clock().Add(-WrapUp)) {
		return false // its card has gone already
	}
	if len(d.calls) >= maxDeskCalls {
		h.o.Metrics.deskDropped.Inc()
		drop := 0
		for i, c := range d.calls {
			if c.State == "ended" {
				drop = i
				break
			}
		}
		d.calls = append(d.calls[:drop], d.calls[drop+1:]...)
	}
	d.calls = append(d.calls, v)
	return true
}

// prune takes calls off the list whose wrap-up is over. d.mu is held.
func (h *Hub) prune(d *desk) {
	limit := h.o.Clock().Add(-WrapUp)
	kept := d.calls[:0]
	for _, c := range d.calls {
		if c.State != "ended" || c.Since.After(limit) {
			kept = append(kept, c)
		}
	}
	clear(d.calls[len(kept):])
	d.calls = kept
}

// end takes s out and closes it, once. d.mu is held.
func (h *Hub) end(d *desk, s *Stream, why error) {
	if _, open := d.streams[s]; !open {
		return
	}
	delete(d.streams, s)
	h.o.Metrics.streams.Dec()
	s.err = why
	close(s.c)
}

// encode gives JSON without line breaks. Go escapes <, >, &, control bytes,
// U+2028 and U+2029, and replaces what is not UTF-8, so that a hostile name is
// inert in the stream and in the page.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // strings, bools, ints and times of our own only
		return []byte("null")
	}
	return b
}
