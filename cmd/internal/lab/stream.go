package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const eventTime = 20 * time.Second

// Event is what tests ask of an ARI event; Raw is the whole of it.
type Event struct {
	Type       string   `json:"type"`
	DialStatus string   `json:"dialstatus"`
	Digit      string   `json:"digit"`
	Variable   string   `json:"variable"`
	Value      string   `json:"value"`
	Channel    *Channel `json:"channel"`
	Caller     *Channel `json:"caller"`
	Peer       *Channel `json:"peer"`
	Bridge     *struct {
		ID       string   `json:"id"`
		Channels []string `json:"channels"`
	} `json:"bridge"`

	Raw []byte `json:"-"`
}

// Channel is what tests ask of a channel.
type Channel struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	State  string `json:"state"`
	CallID string `json:"protocol_id"` // the SIP Call-ID; empty at first
	Caller struct {
		Name   string `json:"name"`
		Number string `json:"number"`
	} `json:"caller"`
}

// Is reports whether the channel is there and of this device ("PJSIP/101").
func (c *Channel) Is(device string) bool {
	return c != nil && strings.HasPrefix(c.Name, device+"-")
}

// Stream is an application's ARI websocket with everything that it received.
type Stream struct {
	tb   testing.TB
	conn *websocket.Conn

	mu      sync.Mutex // guards what follows
	events  []Event
	err     error // why the stream ended
	changed chan struct{}
	seen    int // place after the last event that Wait returned
}

// Listen opens a stream under an application's name, subscribed to everything.
func Listen(tb testing.TB, a *Asterisk, app string) *Stream {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), eventTime)
	defer cancel()
	query := url.Values{"app": {app}, "subscribeAll": {"true"}, "api_key": {ariUser + ":" + ariPassword}}
	address := "ws" + strings.TrimPrefix(a.URL(), "http") + "/ari/events?" + query.Encode()
	conn, res, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		tb.Fatalf("opening the ARI stream: %v", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		tb.Fatalf("opening the ARI stream: %s", res.Status)
	}
	conn.SetReadLimit(1 << 20)
	s := &Stream{tb: tb, conn: conn, changed: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.read()
	}()
	tb.Cleanup(func() {
		conn.CloseNow()
		<-ended
	})
	return s
}

func (s *Stream) read() {
	for {
		// Ends with the connection, which the cleanup closes.
		_, data, err := s.conn.Read(context.Background())
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			e := Event{Raw: data}
			if err := json.Unmarshal(data, &e); err != nil {
				s.err = err
			}
			s.events = append(s.events, e)
		}
		ended := s.err != nil
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if ended {
			return
		}
	}
}

// Wait returns the first event that matches after the one that the last Wait returned.
func (s *Stream) Wait(ctx context.Context, what string, match func(Event) bool) Event {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, eventTime)
	defer cancel()
	s.mu.Lock()
	next := s.seen
	s.mu.Unlock()
	for {
		s.mu.Lock()
		for ; next < len(s.events); next++ {
			if match(s.events[next]) {
				e := s.events[next]
				s.seen = next + 1
				s.mu.Unlock()
				return e
			}
		}
		err, changed := s.err, s.changed
		s.mu.Unlock()
		if err != nil {
			s.tb.Fatalf("waiting for %s: the stream ended: %v", what, err)
		}
		select {
		case <-ctx.Done():
			s.tb.Fatalf("waiting for %s: %v after %d events:\n%s", what, ctx.Err(), next, s.story())
		case <-changed:
		}
	}
}

// story tells the last events of the calls, a line each, without what is always there.
func (s *Stream) story() string {
	var b strings.Builder
	events := s.Events()
	for _, e := range events[max(0, len(events)-300):] {
		switch e.Type {
		case "ChannelVarset", "ChannelDialplan", "DeviceStateChanged", "ContactStatusChange", "PeerStatusChange":
			continue
		}
		fmt.Fprintf(&b, "%s %s%s", e.Type, e.DialStatus, e.Digit)
		for _, c := range []*Channel{e.Channel, e.Caller, e.Peer} {
			if c != nil {
				fmt.Fprintf(&b, " %s %s", c.Name, c.State)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Connected waits until a device's channel enters a bridge.
func (s *Stream) Connected(ctx context.Context, device string) {
	s.tb.Helper()
	s.Wait(ctx, device+" entering a bridge", func(e Event) bool {
		return e.Type == "ChannelEnteredBridge" && e.Channel.Is(device)
	})
}

// Quiet waits until every channel that the stream has seen created is destroyed.
func (s *Stream) Quiet(ctx context.Context) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, eventTime)
	defer cancel()
	for {
		s.mu.Lock()
		open := map[string]bool{}
		for _, e := range s.events {
			switch e.Type {
			case "ChannelCreated":
				open[e.Channel.ID] = true
			case "ChannelDestroyed":
				delete(open, e.Channel.ID)
			}
		}
		err, changed := s.err, s.changed
		s.mu.Unlock()
		if len(open) == 0 {
			return
		}
		if err != nil {
			s.tb.Fatalf("waiting for the calls to end: the stream ended: %v", err)
		}
		select {
		case <-ctx.Done():
			s.tb.Fatalf("waiting for the calls to end: %v, still open: %v", ctx.Err(), open)
		case <-changed:
		}
	}
}

// Events returns everything received so far, in order of arrival.
func (s *Stream) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Recording is a stream that goes to a file.
type Recording struct {
	*Stream
	a    *Asterisk
	file string
}

// Record begins to record a's events, raw and one JSON object a line, for file.
// Save writes it.
func Record(tb testing.TB, a *Asterisk, file string) *Recording {
	tb.Helper()
	return &Recording{Stream: Listen(tb, a, "ringlink"), a: a, file: file}
}

// Snapshot writes what GET /ari/channels and /ari/bridges answer now beside the
// recording: NAME.channels.json and NAME.bridges.json for NAME.jsonl.
func (r *Recording) Snapshot(ctx context.Context) {
	r.tb.Helper()
	name := strings.TrimSuffix(r.file, filepath.Ext(r.file))
	for _, what := range []string{"channels", "bridges"} {
		var body bytes.Buffer
		err := r.a.Get(ctx, "/ari/"+what, &body)
		body.WriteByte('\n')
		err = errors.Join(err, os.WriteFile(name+"."+what+".json", body.Bytes(), 0o644))
		if err != nil {
			r.tb.Fatalf("taking a snapshot: %v", err)
		}
	}
}

// Save waits until the calls are over and writes the file.
func (r *Recording) Save(ctx context.Context) {
	r.tb.Helper()
	r.Quiet(ctx)
	var out bytes.Buffer
	for _, e := range r.Events() {
		out.Write(e.Raw)
		out.WriteByte('\n')
	}
	if err := os.WriteFile(r.file, out.Bytes(), 0o644); err != nil {
		r.tb.Fatalf("writing the recording: %v", err)
	}
}
