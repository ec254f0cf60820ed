package screenpop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Times of a stream.
const (
	streamHeartbeat    = 15 * time.Second // between two comments; the session is looked at as often
	streamWriteTimeout = 5 * time.Second  // of one flush
)

// handleStream sends the agent's desk its messages (server-sent events) until
// the browser goes, the session ends, the reader falls behind or the hub
// closes. It runs in the request's goroutine and writes no session: an open
// desk alone does not keep one alive.
func (s *Server) handleStream(w http.ResponseWriter, r *http.Request, v visitor) error {
	if r.ContentLength != 0 { // net/http would wait for the rest of it
		return &httpError{status: http.StatusBadRequest, notice: "bad_request"}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Ringlink-Desk", v.deskID())
	h.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	if r.Method == http.MethodHead { // net/http swallows what is written, for ever
		return nil
	}
	setDeadlines(w, time.Time{}, time.Time{})
	stream, err := s.o.Desks.Subscribe(v.Agent)
	if err != nil {
		return fmt.Errorf("opening a stream: %w", err)
	}
	defer stream.Close()
	out := &streamWriter{w: w, c: http.NewResponseController(w), limit: s.streamWrites}
	if err := s.pump(r.Context(), out, stream, v); err != nil && r.Context().Err() == nil {
		s.o.Logger.DebugContext(r.Context(), "stream ended", "agent", string(v.Agent), "err", err)
	}
	return nil
}

// pump moves messages from the hub to the browser.
func (s *Server) pump(ctx context.Context, out *streamWriter, stream *Stream, v visitor) error {
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, ok := <-stream.C():
			if !ok {
				return stream.Err()
			}
			if err := out.message(m); err != nil {
				return err
			}
		case <-beat.C:
			if err := s.stillHolds(ctx, v); err != nil {
				return err
			}
			if err := out.comment("beat"); err != nil {
				return err
			}
		}
	}
}

// stillHolds returns an error if the session was revoked or has expired, or
// its user may not have this desk any more. A store that does not answer
// revokes nobody: calls go on while it is away.
func (s *Server) stillHolds(ctx context.Context, v visitor) error {
	if !s.o.Clock().Before(v.until) {
		return errSignedOut
	}
	ctx, cancel := context.WithTimeout(ctx, s.streamWrites)
	defer cancel()
	_, user, err := s.holds(ctx, v.token)
	switch {
	case errors.Is(err, errSignedOut):
		return err
	case err != nil:
		s.o.Logger.DebugContext(ctx, "session not checked", "err", err)
		return nil
	case user.Agent != v.Agent:
		return errSignedOut
	}
	return nil
}

// streamWriter writes events, each with a deadline of its own, so that a
// reader that has stalled is cut and holds nobody up.
type streamWriter struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	limit time.Duration
	buf   bytes.Buffer
}

// message writes one event. Data has no line breaks, see Message.
func (o *streamWriter) message(m Message) error {
	o.buf.Reset()
	o.buf.WriteString("id: ")
	o.buf.Write(strconv.AppendUint(o.buf.AvailableBuffer(), m.ID, 10))
	o.buf.WriteString("\nevent: ")
	o.buf.WriteString(m.Event)
	o.buf.WriteString("\ndata: ")
	o.buf.Write(m.Data)
	o.buf.WriteString("\n\n")
	return o.flush()
}

func (o *streamWriter) comment(text string) error {
	o.buf.Reset()
	o.buf.WriteString(": " + text + "\n\n")
	return o.flush()
}

func (o *streamWriter) flush() error {
	if err := o.c.SetWriteDeadline(time.Now().Add(o.limit)); err != nil {
		return fmt.Errorf("setting a stream's deadline: %w", err)
	}
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return fmt.Errorf("writing to a stream: %w", err)
	}
	if err := o.c.Flush(); err != nil {
		return fmt.Errorf("flushing a stream: %w", err)
	}
	// HTTP/2 ends a stream whose deadline passes also while nothing is written.
	if err := o.c.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lifting a stream's deadline: %w", err)
	}
	return nil
}
