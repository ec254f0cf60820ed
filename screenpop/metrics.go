package screenpop

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"ringlink/bridge"
)

// latencyBuckets runs from 0.1 ms to 5 s: a push is expected below 2 ms, an
// agent's eye at some tens, a lookup that is late at 250.
var latencyBuckets = []float64{
	.0001, .00025, .0005, .001, .002, .003, .005, .0075, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5,
}

// popResult is what became of a pop: the label "result" of ringlink_pops_total.
type popResult string

const resultDegraded popResult = "degraded"

// lookupResult is the label "result" of ringlink_lookup_seconds.
type lookupResult string

const (
	lookupFound   lookupResult = "found"
	lookupNothing lookupResult = "nothing"
	lookupLate    lookupResult = "late"  // answered, but past its deadline
	lookupError   lookupResult = "error" // failed or ran into its time-out
)

// linkResult is the label "result" of ringlink_link_redemptions_total.
type linkResult string

const (
	linkRedeemed  linkResult = "redeemed"
	linkUsed      linkResult = "used"
	linkExpired   linkResult = "expired"
	linkForeign   linkResult = "foreign"
	linkUnknown   linkResult = "unknown"
	linkMalformed linkResult = "malformed"
	linkFailed    linkResult = "error"
)

// Metrics are the counters of pops, links and desks. Every label is a closed
// set; no number, name, agent or host ever becomes one.
type Metrics struct {
	pops        *prometheus.CounterVec
	eventToPush prometheus.Histogram
	pushToShown prometheus.Histogram
	links       *prometheus.CounterVec
	calls       *prometheus.CounterVec
	streams     prometheus.Gauge
	streamsCut  prometheus.Counter
	deskDropped prometheus.Counter
	queue       prometheus.Gauge
	folded      *prometheus.CounterVec
	backlog     prometheus.Gauge
	rowsLost    prometheus.Counter
	storeErrors prometheus.Counter
	lookups     *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg; nil makes them count unseen. It is
// long because it is a list.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		pops: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_pops_total",
			Help: "Pops by mode and by what became of them; one pop counts once for each state it reached.",
		}, []string{"mode", "result"}),
		eventToPush: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringlink_event_to_push_seconds",
			Help:    "From reading an answer's event off the wire to its pop standing in a desk's queue.",
			Buckets: latencyBuckets,
		}),
		pushToShown: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringlink_push_to_shown_seconds",
			Help:    "From the pop's first push to the desk's report that it is drawn.",
			Buckets: latencyBuckets,
		}),
		links: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_link_redemptions_total",
			Help: "Attempts to redeem a secure link by result.",
		}, []string{"result"}),
		calls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_calls_total",
			Help: "Calls that ended, by outcome.",
		}, []string{"outcome"}),
		streams: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringlink_desk_streams",
			Help: "Open streams of desks.",
		}),
		streamsCut: f.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_desk_streams_cut_total",
			Help: "Streams that were cut because their reader did not keep up.",
		}),
		deskDropped: f.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_desk_calls_dropped_total",
			Help: "Calls that left a desk's list because it was full.",
		}),
		queue: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringlink_popper_queue_length",
			Help: "Effects of the engine that wait for the popper.",
		}),
		folded: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_popper_queue_full_total",
			Help: "Effects that met a full queue, by what was done: folded into a waiting one, dropped (ringing notices only) or kept beyond the bound.",
		}, []string{"action"}),
		backlog: f.NewGauge(prometheus.GaugeOpts{
			Name: "ringlink_pop_backlog",
			Help: "Pops with something that the store does not have yet.",
		}),
		rowsLost: f.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_pop_rows_lost_total",
			Help: "Pops that were pushed but never written: the backlog was full, or Ringlink stopped while the store was away.",
		}),
		storeErrors: f.NewCounter(prometheus.CounterOpts{
			Name: "ringlink_pop_store_errors_total",
			Help: "Writes of pops that failed or ran into their time-out; each is tried again.",
		}),
		lookups: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringlink_lookup_seconds",
			Help:    "Directory lookups by result; late ones updated a pop that was shown with the number alone.",
			Buckets: latencyBuckets,
		}, []string{"result"}),
	}
}

func (m *Metrics) pop(mode bridge.Mode, r popResult) {
	if mode == "" {
		mode = "unknown" // a pop of before a restart that the store could not name
	}
	m.pops.WithLabelValues(string(mode), string(r)).Inc()
}

func (m *Metrics) link(r linkResult) { m.links.WithLabelValues(string(r)).Inc() }

func (m *Metrics) lookup(r lookupResult, d time.Duration) {
	m.lookups.WithLabelValues(string(r)).Observe(d.Seconds())
}
