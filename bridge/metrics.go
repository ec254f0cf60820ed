package bridge

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	calls, legs       prometheus.Gauge
	overflow, refused prometheus.Counter
}

func newMetrics(r prometheus.Registerer, queued func() int) *metrics {
	m := &metrics{
		calls:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringlink_engine_calls", Help: "Calls that run now."}),
		legs:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringlink_engine_channels", Help: "Channels that are followed now."}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{Name: "ringlink_engine_overflow_total", Help: "Events refused because the engine's queue was full; each declares a gap."}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "ringlink_engine_channels_refused_total", Help: "Events left aside because too many channels are followed."}),
	}
	if r != nil {
		r.MustRegister(m.calls, m.legs, m.overflow, m.refused, prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "ringlink_engine_queue_length", Help: "Events that wait for the engine."},
			func() float64 { return float64(queued()) }))
	}
	return m
}
