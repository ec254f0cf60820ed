package ari

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"ringlink/bridge"
)

// lostError is the end of a stream that was open.
type lostError struct {
	cause string // of the gap
	err   error
}

func (e *lostError) Error() string { return "reading events: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// session opens the stream, follows it until it ends and returns why. The
// stream's goroutines are gone when it returns.
func (s *Source) session(parent context.Context) error {
	conn, err := s.dial(parent)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(parent)
	l := &line{s: s, conn: conn, began: s.opt.Clock()}
	s.set(true, ReasonConnecting, nil)
	if s.seen {
		s.m.reconnects.Inc()
	}
	s.seen = true

	var wg sync.WaitGroup
	wg.Go(func() { <-ctx.Done(); _ = conn.CloseNow() })
	wg.Go(func() { l.ping(ctx, end) })
	s.gate.begin(false) // from the first event on
	wg.Go(func() { s.resync(ctx) })
	err = l.read()
	end(err)
	wg.Wait()

	if cause := context.Cause(ctx); errors.Is(cause, errDeadPeer) {
		err = cause
	}
	lost := &lostError{gapDisconnected, err}
	since := s.opt.Clock()
	switch {
	case errors.Is(err, errDeadPeer):
		lost.cause, since = gapDeadPeer, l.lastSign()
	case errors.Is(err, websocket.ErrMessageTooBig):
		lost.cause = gapTooBig
		s.m.tooBig.Inc()
	}
	s.gate.shut(since, lost.cause)
	s.m.up.Set(0)
	s.opt.Emit(bridge.Event{Kind: bridge.EventSourceDown, PBX: s.opt.PBX, Received: s.opt.Clock()})
	if errors.Is(err, errReplaced) {
		return err
	}
	return lost
}

// dial opens /ari/events. HTTP Basic keeps the password out of the URL and of
// everybody's logs.
func (s *Source) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.RequestTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, s.stream, &websocket.DialOptions{
		HTTPClient: s.rest.client,
		HTTPHeader: http.Header{"Authorization": {s.rest.auth}},
	})
	if err == nil {
		conn.SetReadLimit(s.opt.ReadLimit)
		return conn, nil
	}
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("opening the event stream: %w", &StatusError{resp.StatusCode})
	}
	return nil, fmt.Errorf("opening the event stream: %w", err)
}

// line is one open stream.
type line struct {
	s     *Source
	conn  *websocket.Conn
	began time.Time
	sign  atomic.Int64 // of the last sign of life: nanoseconds since began
}

func (l *line) alive(now time.Time) { l.sign.Store(int64(now.Sub(l.began))) }

func (l *line) lastSign() time.Time { return l.began.Add(time.Duration(l.sign.Load())) }

// read passes on events until the stream ends. The connection is closed from
// outside to stop it: a context for each message would cost more than the
// message.
func (l *line) read() error {
	var (
		s   = l.s
		buf = make([]byte, 0, 16<<10)
		ev  bridge.Event
		bad = make(map[error]bool) // categories logged on this stream
	)
	for {
		_, r, err := l.conn.Reader(context.Background())
		if err != nil {
			return err
		}
		if buf, err = readAll(buf[:0], r); err != nil {
			return err
		}
		now := s.opt.Clock()
		l.alive(now)
		s.last.Store(now.UnixNano())
		s.m.lastEvent.Set(float64(now.UnixMilli()) / 1000)
		result, err := s.dec.Decode(buf, &ev)
		s.m.events[result].Inc()
		switch result {
		case ResultDecoded:
			ev.PBX, ev.Received = s.opt.PBX, now
			if ev.Channel.ID != "" && HasVars(s.vars.Load()) != varsOf(ev.Channel) {
				s.noteVars(ev.Channel.HasVars)
			}
			s.gate.deliver(&ev)
		case ResultReplaced:
			return errReplaced
		case ResultMalformed:
			if !bad[err] {
				bad[err] = true
				s.log.Warn("ari event unreadable", "category", err.Error(), "bytes", len(buf))
			}
		}
		if cap(buf) > 256<<10 {
			buf = make([]byte, 0, 16<<10) // of a giant; do not keep it
		}
	}
}

func varsOf(ch bridge.Channel) HasVars {
	if ch.HasVars {
		return VarsPresent
	}
	return VarsMissing
}

// readAll appends all of r to buf, as io.ReadAll does to a new buffer.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// ping ends the stream when the peer gives no sign of life: TCP alone would
// take hours to notice a stopped Asterisk or a lost route.
func (l *line) ping(ctx context.Context, end context.CancelCauseFunc) {
	every := l.s.opt.PingInterval
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, every)
		err := l.conn.Ping(pong)
		cancel()
		now := l.s.opt.Clock()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			l.alive(now)
		case now.Sub(l.lastSign()) >= every: // no event either
			end(errDeadPeer)
			return
		}
	}
}
