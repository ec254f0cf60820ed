package sip

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// retryAfter is the 503's Retry-After in seconds (RFC 3261 section 20.33).
const retryAfter = "5"

// allow are the methods that are answered other than with 405. BYE is, with
// 481: there never is a dialog.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS"

// datagram handles what the guard let through. It runs on the reader; whatever
// goes wrong in it is counted and answered 500.
func (s *Server) datagram(data []byte, source netip.AddrPort) {
	var req *gosip.Request
	defer func() {
		if p := recover(); p != nil {
			s.panicked("request")
			s.serverError(req, source)
		}
	}()
	msg, err := s.parser.ParseSIP(data)
	if err != nil {
		s.refuse(unparsable, source)
		return
	}
	s.metrics.datagrams[accepted].Inc()
	if parsed, ok := msg.(*gosip.Request); ok {
		req = parsed
		s.metrics.requests[s.request(req, source)].Inc()
	}
}

// serverError answers 500 after a panic, through the transaction if there is
// one. The engine is not told: it may be the one that panicked.
func (s *Server) serverError(req *gosip.Request, source netip.AddrPort) {
	defer s.recovered("500")
	if req == nil || !complete(req) || req.IsAck() {
		return
	}
	inv := s.find(transactionKey(req, source))
	if inv == nil {
		s.reply(req, source, gosip.StatusInternalServerError, "Server Internal Error")
		return
	}
	s.disarm(inv)
	if s.claim(inv) {
		s.mu.Lock()
		s.leave(inv)
		s.mu.Unlock()
		s.respond(inv, gosip.StatusInternalServerError, "Server Internal Error")
	}
}

// complete tells whether the headers stand that RFC 3261 section 8.1.1 demands
// and sipgo could read them. A Via with a bad port has no host in sipgo.
func complete(req *gosip.Request) bool {
	return req.Via() != nil && req.Via().Host != "" && req.CSeq() != nil && req.From() != nil && req.To() != nil &&
		req.CallID() != nil && len(req.CallID().Value()) <= maxCallID
}

// request answers one request and tells what became of it. The method is taken
// from the CSeq, which the guard holds equal to the request line's: sipgo turns
// "invite", a method of its own (RFC 3261 section 7.1), into INVITE.
func (s *Server) request(req *gosip.Request, source netip.AddrPort) outcome {
	received := s.opts.Clock()
	if req.Via() == nil || req.Via().Host == "" || req.CSeq() == nil {
		return outcomeUnanswerable
	}
	s.stamp(req, source)
	method := req.CSeq().MethodName
	if !complete(req) {
		if method == gosip.ACK {
			return outcomeAck
		}
		s.reply(req, source, gosip.StatusBadRequest, "Bad Request")
		return outcomeBadRequest
	}
	key := transactionKey(req, source)
	inDialog := req.To().Params.Has("tag")
	s.tag(req, key)
	switch method {
	case gosip.ACK:
		if inv := s.find(key); inv != nil {
			_ = inv.tx.Receive(req) // an ACK has no error
		}
		return outcomeAck
	case gosip.CANCEL:
		return s.cancel(req, source, key)
	case gosip.INVITE:
		if inv := s.find(key); inv != nil {
			_ = inv.tx.Receive(req) // repeats the last answer
			return outcomeRetransmission
		}
		if out, ok := s.refuseInvite(req, source, inDialog); !ok {
			return out
		}
		s.accept(req, source, key, received)
		return outcomeInvite
	case gosip.OPTIONS:
		if !inDialog { // RFC 3261 section 11.2
			s.reply(req, source, gosip.StatusOK, "OK", gosip.NewHeader("Allow", allow), gosip.NewHeader("Accept", "application/sdp"))
			return outcomeOptions
		}
	case gosip.BYE:
	default:
		if !inDialog {
			s.reply(req, source, gosip.StatusMethodNotAllowed, "Method Not Allowed", gosip.NewHeader("Allow", allow))
			return outcomeNotAllowed
		}
	}
	s.reply(req, source, gosip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
	return outcomeNoTransaction
}

// cancel answers a CANCEL 200 and its INVITE 487 (RFC 3261 section 9.2).
func (s *Server) cancel(req *gosip.Request, source netip.AddrPort, key string) outcome {
	inv := s.find(key)
	if inv == nil {
		s.reply(req, source, gosip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return outcomeNoTransaction
	}
	s.reply(req, source, gosip.StatusOK, "OK")
	s.disarm(inv)
	s.finish(inv, gosip.StatusRequestTerminated, "Request Terminated", cause(req))
	return outcomeCancelled
}

// refuseInvite answers a new INVITE that cannot be taken, without keeping
// anything of it (RFC 3261 section 8.2.7: answered alike each time it comes).
func (s *Server) refuseInvite(req *gosip.Request, source netip.AddrPort, inDialog bool) (outcome, bool) {
	if inDialog {
		s.reply(req, source, gosip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
		return outcomeNoTransaction, false
	}
	switch req.Recipient.Scheme {
	case "sip", "sips", "tel":
	default: // RFC 3261 section 8.2.2.1
		s.reply(req, source, 416, "Unsupported URI Scheme")
		return outcomeUnsupported, false
	}
	if required := req.GetHeaders("require"); len(required) > 0 { // RFC 3261 section 8.2.2.3
		options := make([]string, len(required))
		for i, h := range required {
			options[i] = h.Value()
		}
		s.reply(req, source, gosip.StatusBadExtension, "Bad Extension", gosip.NewHeader("Unsupported", strings.Join(options, ", ")))
		return outcomeUnsupported, false
	}
	if s.full() {
		s.reply(req, source, gosip.StatusServiceUnavailable, "Service Unavailable", gosip.NewHeader("Retry-After", retryAfter))
		return outcomeOverload, false
	}
	return 0, true
}

// reply answers outside any transaction.
func (s *Server) reply(req *gosip.Request, source netip.AddrPort, code int, reason string, headers ...gosip.Header) {
	res := gosip.NewResponseFromRequest(req, code, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = s.answerer(req, source).WriteMsg(res) // counts its own errors
}

// stamp writes into the request where it came from: what the sender claims in
// "received" is overwritten (RFC 3261 section 18.2.1), rport is filled (RFC
// 3581 section 4).
func (s *Server) stamp(req *gosip.Request, source netip.AddrPort) {
	req.SetTransport("UDP")
	req.SetSource(source.String())
	via, ip := req.Via(), source.Addr().WithZone("").String()
	via.Params.Remove("received")
	if via.Params.Has("rport") {
		via.Params.Add("rport", strconv.Itoa(int(source.Port())))
		via.Params.Add("received", ip)
	} else if via.Host != ip {
		via.Params.Add("received", ip)
	}
}

// tag gives the request the To tag that all its answers carry (RFC 3261 section
// 8.2.6.2), the same each time the request comes.
func (s *Server) tag(req *gosip.Request, key string) {
	if to := req.To(); !to.Params.Has("tag") {
		to.Params.Add("tag", strconv.FormatUint(maphash.String(s.seed, key), 36))
	}
}
