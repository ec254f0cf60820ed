package ari

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"ringlink/bridge"
)

// The causes of a gap, a closed set: why events were missed.
const (
	gapDisconnected = "disconnected"    // the websocket ended
	gapDeadPeer     = "dead_peer"       // neither pong nor event in time
	gapTooBig       = "message_too_big" // a message over the read limit
	gapQueueFull    = "queue_full"      // the engine's queue took no more
	gapHoldFull     = "hold_full"       // too many events while the snapshot was fetched
)

// Metrics are the counters of all Sources of a process. The label pbx is a
// configured name, so the series are as many as the PBXs.
type Metrics struct {
	up         *prometheus.GaugeVec
	lastEvent  *prometheus.GaugeVec
	events     *prometheus.CounterVec
	gaps       *prometheus.CounterVec
	gapSeconds *prometheus.CounterVec
	reconnects *prometheus.CounterVec
	resync     *prometheus.HistogramVec
}

// NewMetrics registers the metrics with r; a nil r keeps them unregistered.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := promauto.With(r)
	return &Metrics{
		up: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringlink_ari_up",
			Help: "1 while the PBX's event stream is connected and its state is known.",
		}, []string{"pbx"}),
		lastEvent: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ringlink_ari_last_event_timestamp_seconds",
			Help: "When the last event of the PBX was read, Unix time.",
		}, []string{"pbx"}),
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_ari_events_total",
			Help: "Messages read from the PBX, by what became of them.",
		}, []string{"pbx", "result"}),
		gaps: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_ari_gaps_total",
			Help: "Times that events were missed, by cause; each is followed by a resync.",
		}, []string{"pbx", "cause"}),
		gapSeconds: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_ari_gap_seconds_total",
			Help: "For how long events were missed, counted when the resync is done.",
		}, []string{"pbx"}),
		reconnects: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ringlink_ari_reconnects_total",
			Help: "Event streams opened after the first.",
		}, []string{"pbx"}),
		resync: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringlink_ari_resync_seconds",
			Help:    "Time to list the PBX's channels and bridges.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 6},
		}, []string{"pbx"}),
	}
}

// pbxMetrics are the series of one PBX, looked up once.
type pbxMetrics struct {
	up, lastEvent          prometheus.Gauge
	gapSeconds, reconnects prometheus.Counter
	resync                 prometheus.Observer
	events                 [resultCount]prometheus.Counter
	tooBig                 prometheus.Counter
	gaps                   map[string]prometheus.Counter
}

func (m *Metrics) forPBX(pbx bridge.PBX) pbxMetrics {
	name := string(pbx)
	p := pbxMetrics{
		up: m.up.WithLabelValues(name), lastEvent: m.lastEvent.WithLabelValues(name),
		gapSeconds: m.gapSeconds.WithLabelValues(name), reconnects: m.reconnects.WithLabelValues(name),
		resync: m.resync.WithLabelValues(name), tooBig: m.events.WithLabelValues(name, "too_big"),
		gaps: make(map[string]prometheus.Counter),
	}
	for r := range resultCount {
		p.events[r] = m.events.WithLabelValues(name, r.String())
	}
	for _, cause := range []string{gapDisconnected, gapDeadPeer, gapTooBig, gapQueueFull, gapHoldFull} {
		p.gaps[cause] = m.gaps.WithLabelValues(name, cause)
	}
	return p
}
