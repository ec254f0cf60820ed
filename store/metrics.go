package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// operation names what was asked of the store: the closed set of the metric's
// label, and with blanks the text of errors.
type operation string

const (
	opPing        operation = "ping"
	opMigrate     operation = "migrate"
	opOfferPop    operation = "offer_pop"
	opUpdatePop   operation = "update_pop"
	opAdvancePop  operation = "advance_pop"
	opReadPop     operation = "read_pop"
	opListPops    operation = "list_pops"
	opLookup      operation = "lookup"
	opSaveLink    operation = "save_link"
	opRedeemLink  operation = "redeem_link"
	opPopRedeemed operation = "pop_redeemed"
	opReadUser    operation = "read_user"
	opWriteUser   operation = "write_user"
	opReadAgents  operation = "read_agents"
	opMapDevice   operation = "map_device"
	opReadDevices operation = "read_devices"
	opFindSession operation = "find_session"
	opSaveSession operation = "save_session"
	opAudit       operation = "audit"
	opReadAudit   operation = "read_audit"
	opSweep       operation = "sweep"
	opImport      operation = "import"
)

type metrics struct {
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		duration: promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringlink_store_duration_seconds",
			Help:    "Time that operations of the store took, waiting for a connection included.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"operation", "result"}),
	}
}

func (m *metrics) observe(op operation, start time.Time, err error) {
	m.duration.WithLabelValues(string(op), string(classify(err))).Observe(time.Since(start).Seconds())
}
