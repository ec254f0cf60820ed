package aritest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/coder/websocket"
)

// Step is one event and when it happens.
type Step struct {
	At    time.Time
	Event []byte
}

// Load reads a recorded stream: one JSON object a line, as Asterisk sent it.
func Load(file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("loading a stream: %w", err)
	}
	defer f.Close()
	var events [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if !json.Valid(text) {
			return nil, fmt.Errorf("loading a stream: %s:%d: not JSON", file, n)
		}
		events = append(events, bytes.Clone(text))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("loading a stream: %w", err)
	}
	return events, nil
}

// Play sends events to every application and applies them to the state. pace
// is how many times faster than their timestamps they come; 0 is as fast as
// the readers take them. It returns ctx's error if ctx ends first.
func (a *Asterisk) Play(ctx context.Context, events [][]byte, pace float64) error {
	steps := make([]Step, len(events))
	var last time.Time
	for i, event := range events {
		var head struct {
			Timestamp string `json:"timestamp"`
		}
		_ = json.Unmarshal(event, &head)
		if t, err := time.Parse("2006-01-02T15:04:05.000-0700", head.Timestamp); err == nil && t.After(last) {
			last = t
		}
		steps[i] = Step{last, event}
	}
	return a.PlaySteps(ctx, steps, pace)
}

// PlaySteps is Play for what a Script made.
func (a *Asterisk) PlaySteps(ctx context.Context, steps []Step, pace float64) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	began := time.Now()
	for i, step := range steps {
		if pace > 0 && !steps[0].At.IsZero() {
			due := time.Duration(float64(step.At.Sub(steps[0].At)) / pace)
			if wait := due - time.Since(began); wait > 0 {
				timer.Reset(wait)
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("playing event %d of %d: %w", i+1, len(steps), err)
		}
		a.send(step.Event, true)
	}
	return nil
}

// Send writes any bytes to every application, as one message: garbage, giants,
// events of the future. The state does not follow.
func (a *Asterisk) Send(raw []byte) { a.send(raw, false) }

// Giant is an event of a known type of about size bytes that is well-formed.
func Giant(size int) []byte {
	return append(append([]byte(`{"type":"ChannelUserevent","eventname":"giant","userevent":{"x":"`),
		bytes.Repeat([]byte("x"), size)...), `"},"application":"ringlink"}`...)
}

func (a *Asterisk) send(event []byte, apply bool) {
	a.sendMu.Lock()
	defer a.sendMu.Unlock()
	a.mu.Lock()
	if apply {
		a.state.apply(event)
	}
	to := make(map[string]*socket, len(a.apps))
	if !a.stalled {
		for app, s := range a.apps {
			to[app] = s
		}
	}
	a.mu.Unlock()
	for app, s := range to {
		a.write(s, addressed(event, app))
	}
}

// write sends one message; a reader that does not take it is cut. The caller
// holds sendMu.
func (a *Asterisk) write(s *socket, text []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), a.opt.WriteTimeout)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageText, text) != nil {
		_ = s.conn.CloseNow()
	}
}

// addressed puts the application's name into an event, as Asterisk addresses
// each copy.
func addressed(event []byte, app string) []byte {
	key := []byte(`"application":"`)
	at := bytes.LastIndex(event, key)
	if at < 0 {
		return event
	}
	start := at + len(key)
	end := bytes.IndexByte(event[start:], '"')
	if end < 0 || string(event[start:start+end]) == app {
		return event
	}
	out := make([]byte, 0, len(event)+len(app))
	out = append(out, event[:start]...)
	out = append(out, app...)
	return append(out, event[start+end:]...)
}
