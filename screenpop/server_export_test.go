package screenpop

import "time"

// Route is a line of the table of routes, for the tests that walk it.
type Route struct {
	Pattern string
	Open    bool // needs no session
	Desk    bool // needs an agent
	API     bool
}

// Routes lists all that is served.
func (s *Server) Routes() []Route {
	var list []Route
	for _, rt := range s.routes() {
		list = append(list, Route{Pattern: rt.pattern, Open: rt.access == open, Desk: rt.access == withDesk, API: rt.api})
	}
	return list
}

// SetStream shortens a stream's times.
func (s *Server) SetStream(heartbeat, writes time.Duration) {
	s.heartbeat, s.streamWrites = heartbeat, writes
}

// SetAnswers shortens the time for a request and its answer.
func (s *Server) SetAnswers(d time.Duration) { s.answers = d }

// SafeNext is safeNext.
func SafeNext(next string) string { return safeNext(next) }

// Times of a stream.
const (
	StreamHeartbeat    = streamHeartbeat
	StreamWriteTimeout = streamWriteTimeout
)
