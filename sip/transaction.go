package sip

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"ringlink/bridge"
)

// invite is one INVITE server transaction (RFC 3261 section 17.2.1) from its
// first request until sipgo's Timer H or I ends it.
type invite struct {
	key   string
	req   *gosip.Request // with our To tag
	tx    *gosip.ServerTx
	facts bridge.Invite
	final *time.Timer // owned by the reader
	over  bool        // has its final answer; guarded by Server.mu
}

// transactionKey names the transaction of an INVITE, its ACK and its CANCEL
// (RFC 3261 sections 17.2.3 and 9.2). It takes in more than the branch, so that
// a branch that is not unique (RFC 2543, or the bare magic cookie) merges
// nothing and one source cannot cancel another's call. The caller has checked
// that the headers are there.
func transactionKey(req *gosip.Request, source netip.AddrPort) string {
	via := req.Via()
	branch, _ := via.Params.Get("branch")
	tag, _ := req.From().Params.Get("tag")
	return strings.Join([]string{source.Addr().String(), branch, via.Host, strconv.Itoa(via.Port),
		req.CallID().Value(), strconv.FormatUint(uint64(req.CSeq().SeqNo), 10), tag}, "\x00")
}

// accept begins an INVITE's transaction, answers it and tells the engine, in
// this order. It runs on the reader, the only one that begins transactions.
func (s *Server) accept(req *gosip.Request, source netip.AddrPort, key string, received time.Time) {
	inv := &invite{key: key, req: req, facts: invitation(req, source, s.opts.CallNumberHeaders)}
	inv.tx = gosip.NewServerTx(key, req, s.answerer(req, source), slog.New(slog.DiscardHandler))
	_ = inv.tx.Init() // never fails
	inv.tx.OnTerminate(func(string, error) { s.forget(inv) })
	s.mu.Lock()
	s.invites[key] = inv
	s.mu.Unlock()
	code, reason := gosip.StatusTrying, "Trying"
	if s.opts.Ring {
		code, reason = gosip.StatusRinging, "Ringing"
	}
	s.respond(inv, code, reason)
	s.begin(inv, received)
	s.timers.Add(1)
	inv.final = time.AfterFunc(s.opts.FinalAfter, func() {
		defer s.timers.Done()
		defer s.recovered("timer")
		s.finish(inv, gosip.StatusTemporarilyUnavailable, "Temporarily Unavailable", 0)
	})
}

// begin tells the engine of the call, once for all branches that are pending
// at a time: they share their Call-ID and their facts. Emit is called under mu
// so that the events of one call keep their order.
func (s *Server) begin(inv *invite, received time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[inv.facts.CallID]++
	if s.calls[inv.facts.CallID] == 1 {
		s.emit(bridge.EventInvite, inv, received, 0)
	}
}

// finish gives an INVITE its final answer and tells the engine when it was the
// call's last branch. Only the first finish of an INVITE counts.
func (s *Server) finish(inv *invite, code int, reason string, cause int) {
	if !s.claim(inv) {
		return
	}
	if code == gosip.StatusTemporarilyUnavailable {
		s.metrics.timedOut.Inc()
	}
	s.respond(inv, code, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leave(inv) {
		s.emit(bridge.EventInviteEnded, inv, s.opts.Clock(), cause)
	}
}

// claim marks the INVITE as finally answered; false if it was already.
func (s *Server) claim(inv *invite) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.over {
		return false
	}
	inv.over = true
	return true
}

// leave takes a branch off its call and tells whether it was the last. The
// caller holds mu.
func (s *Server) leave(inv *invite) bool {
	id := inv.facts.CallID
	n, ok := s.calls[id]
	if n > 1 {
		s.calls[id] = n - 1
		return false
	}
	delete(s.calls, id)
	return ok
}

// emit hands an event over. The caller holds mu.
func (s *Server) emit(kind bridge.EventKind, inv *invite, received time.Time, cause int) {
	facts := inv.facts
	if !s.opts.Emit(bridge.Event{Kind: kind, PBX: s.opts.PBX, Received: received, Cause: cause, Invite: &facts}) {
		s.metrics.eventsLost.Inc()
	}
}

// forget drops a transaction that has ended. sipgo may hold its own locks here,
// so that mu is never held while a transaction is called.
func (s *Server) forget(inv *invite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.invites[inv.key] == inv {
		delete(s.invites, inv.key)
	}
}

// find returns the transaction with this key or nil.
func (s *Server) find(key string) *invite {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.invites[key]
}

func (s *Server) pending() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.invites))
}

func (s *Server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.invites) >= s.opts.Invites
}

// respond answers through the transaction, which repeats it as needed. Its
// error is the socket's and counted there.
func (s *Server) respond(inv *invite, code int, reason string) {
	_ = inv.tx.Respond(gosip.NewResponseFromRequest(inv.req, code, reason, nil))
}

// disarm stops the INVITE's timer. It runs on the reader.
func (s *Server) disarm(inv *invite) {
	if inv.final != nil && inv.final.Stop() {
		s.timers.Done()
	}
}

// shutdown gives every pending INVITE back and waits for the timers. It runs on
// what was the reader.
func (s *Server) shutdown() {
	s.mu.Lock()
	all := make([]*invite, 0, len(s.invites))
	for _, inv := range s.invites {
		all = append(all, inv)
	}
	s.mu.Unlock()
	for _, inv := range all {
		s.disarm(inv)
		func() {
			defer s.recovered("shutdown")
			s.finish(inv, gosip.StatusTemporarilyUnavailable, "Temporarily Unavailable", 0)
		}()
	}
	s.timers.Wait()
	for _, inv := range all {
		inv.tx.Terminate()
	}
}

// recovered counts a panic, deferred; it tells nothing of the message.
func (s *Server) recovered(where string) {
	if p := recover(); p != nil {
		s.panicked(where)
	}
}

func (s *Server) panicked(where string) {
	s.metrics.panics.Inc()
	s.log.Error("SIP handler panicked", "in", where, "stack", string(debug.Stack()))
}

// answerer is a gosip.Connection that can do no more than answer one request:
// at the source's address, at its own port if the Via says rport (RFC 3581) and
// otherwise at the Via's (RFC 3261 section 18.2.2; maddr is left aside).
type answerer struct {
	s  *Server
	to *net.UDPAddr
}

func (s *Server) answerer(req *gosip.Request, source netip.AddrPort) answerer {
	via, port := req.Via(), source.Port()
	if !via.Params.Has("rport") {
		port = uint16(gosip.DefaultUdpPort)
		if via.Port > 0 && via.Port <= 65535 {
			port = uint16(via.Port)
		}
	}
	return answerer{s, net.UDPAddrFromAddrPort(netip.AddrPortFrom(source.Addr(), port))}
}

// WriteMsg sends an answer. An answer that the socket refuses counts as lost on
// the way, which UDP allows and the peer's next retransmission mends; only after
// Close it is an error, which ends the transaction.
func (a answerer) WriteMsg(msg gosip.Message) error {
	a.s.mu.Lock()
	conn, closed := a.s.conn, a.s.closed
	a.s.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	var b bytes.Buffer
	msg.StringWrite(&b)
	if _, err := conn.WriteTo(b.Bytes(), a.to); err != nil {
		a.s.metrics.unsent.Inc()
	}
	return nil
}

// LocalAddr implements gosip.Connection.
func (a answerer) LocalAddr() net.Addr { return a.s.addr }

// Ref implements gosip.Connection; the socket outlives every transaction.
func (a answerer) Ref(int) int { return 1 }

// TryClose implements gosip.Connection and closes nothing.
func (a answerer) TryClose() (int, error) { return 1, nil }

// Close implements gosip.Connection and closes nothing.
func (a answerer) Close() error { return nil }
