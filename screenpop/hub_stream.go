package screenpop

import "context"

// Stream is one open stream of one desk. The hub writes to it, one request's
// goroutine reads it.
type Stream struct {
	hub  *Hub
	desk *desk
	c    chan Message
	err  error // guarded by desk.mu, set before c is closed
}

// offer puts m into the queue, or reports that it is full. The desk's lock is
// held, so that nobody closes c meanwhile.
func (s *Stream) offer(m Message) bool {
	select {
	case s.c <- m:
		return true
	default:
		return false
	}
}

// C returns the stream's messages; it is closed when the stream ends, after
// what was queued. Err then tells why.
func (s *Stream) C() <-chan Message { return s.c }

// Next waits for the next message. It returns the context's error, or why the
// stream ended: ErrStreamCut, ErrStreamRevoked, ErrHubClosed, ErrStreamClosed.
func (s *Stream) Next(ctx context.Context) (Message, error) {
	select {
	case m, ok := <-s.c:
		if !ok {
			return Message{}, s.Err()
		}
		return m, nil
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// Err tells why the stream ended, or nil while it is open.
func (s *Stream) Err() error {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	return s.err
}

// Close ends the stream; more than once does nothing.
func (s *Stream) Close() {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	s.hub.end(s.desk, s, ErrStreamClosed)
}
