package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// operation names what was asked of the store: the closed set of the metric's
// label.
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
	opExplain     operation = "explain"
)

// doing is the operation in an error's text.
func (o operation) doing() string {
	switch o {
	case opPing:
		return "asking the store for a sign of life"
	case opMigrate:
		return "migrating the store"
	case opOfferPop:
		return "offering a pop"
	case opUpdatePop:
		return "updating a pop"
	case opAdvancePop:
		return "advancing a pop"
	case opReadPop:
		return "reading a pop"
	case opListPops:
		return "listing pops"
	case opLookup:
		return "looking up a call"
	case opSaveLink:
		return "saving a link"
	case opRedeemLink, opPopRedeemed:
		return "redeeming a link"
	case opReadUser:
		return "reading users"
	case opWriteUser:
		return "writing a user"
	case opReadAgents:
		return "reading agents"
	case opMapDevice:
		return "mapping a device"
	case opReadDevices:
		return "reading devices"
	case opFindSession, opSaveSession:
		return "keeping a session"
	case opAudit, opReadAudit:
		return "keeping the audit trail"
	case opSweep:
		return "sweeping the store"
	case opImport:
		return "importing"
	case opExplain:
		return "keeping explanations"
	}
	return string(o)
}

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
