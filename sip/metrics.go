package sip

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outcome is what became of a request: a closed set, the label "result" of
// ringlink_sip_requests_total.
type outcome uint8

const (
	outcomeInvite         outcome = iota // a new INVITE, answered 100 or 180
	outcomeRetransmission                // an INVITE that is known already
	outcomeAck                           // of any kind: an ACK is never answered
	outcomeCancelled                     // CANCEL of a pending INVITE: 200 and 487
	outcomeOptions                       // 200
	outcomeNoTransaction                 // CANCEL, BYE or request inside a dialog of which we know nothing: 481
	outcomeNotAllowed                    // 405
	outcomeBadRequest                    // 400
	outcomeUnsupported                   // 416 and 420
	outcomeOverload                      // 503
	outcomeUnanswerable                  // no Via to answer to
	outcomes
)

// String names the outcome as the metric does.
func (o outcome) String() string {
	return [outcomes]string{"invite", "retransmission", "ack", "cancelled", "options", "no_transaction", "not_allowed",
		"bad_request", "unsupported", "overload", "unanswerable"}[o]
}

type metrics struct {
	datagrams  [verdicts]prometheus.Counter
	requests   [outcomes]prometheus.Counter
	eventsLost prometheus.Counter
	panics     prometheus.Counter
	restarts   prometheus.Counter
	unsent     prometheus.Counter
	timedOut   prometheus.Counter
}

func newMetrics(r prometheus.Registerer, pbx string, pending func() float64) *metrics {
	if r != nil {
		r = prometheus.WrapRegistererWith(prometheus.Labels{"pbx": pbx}, r)
	}
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "ringlink_sip_" + name, Help: help})
	}
	m := &metrics{
		eventsLost: counter("events_lost_total", "Events that the engine had no room for."),
		panics:     counter("panics_total", "Panics that were recovered while a request was handled."),
		restarts:   counter("listener_restarts_total", "Times that the SIP listener ended and was started again."),
		unsent:     counter("unsent_total", "Answers that the socket refused."),
		timedOut:   counter("finals_total", "INVITEs that were given back with 480."),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "ringlink_sip_invites", Help: "INVITE transactions that are held now."}, pending)
	datagrams := f.NewCounterVec(prometheus.CounterOpts{Name: "ringlink_sip_datagrams_total", Help: "Datagrams by what became of them."}, []string{"result"})
	for v := range verdicts {
		m.datagrams[v] = datagrams.WithLabelValues(v.String())
	}
	requests := f.NewCounterVec(prometheus.CounterOpts{Name: "ringlink_sip_requests_total", Help: "SIP requests by what became of them."}, []string{"result"})
	for o := range outcomes {
		m.requests[o] = requests.WithLabelValues(o.String())
	}
	return m
}
