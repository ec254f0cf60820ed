package storetest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Tier names a group of tests that needs more than Go.
type Tier string

// The tiers, in the order in which `make test` prepares them.
const (
	TierPostgres Tier = "postgres" // initdb and postgres, Debian's postgresql
	TierAsterisk Tier = "asterisk" // a real Asterisk 22 in the cache folder, and baresip
	TierSIPp     Tier = "sipp"     // Debian's sip-tester
	TierChromium Tier = "chromium" // Debian's chromium
)

// Tiers lists every tier.
func Tiers() []Tier { return []Tier{TierPostgres, TierAsterisk, TierSIPp, TierChromium} }

// Mandatory reports whether RINGLINK_TIERS (a comma list, or "all") names the
// tier: then what is missing fails the test instead of leaving it out.
func Mandatory(tier Tier) bool {
	list := strings.Split(os.Getenv("RINGLINK_TIERS"), ",")
	return slices.Contains(list, "all") || slices.Contains(list, string(tier))
}

// Missing ends the test because the tier cannot run here: a failure where the
// tier is mandatory, otherwise a skip that says what is missing.
func Missing(tb testing.TB, tier Tier, format string, args ...any) {
	tb.Helper()
	why := fmt.Sprintf(format, args...)
	if Mandatory(tier) {
		tb.Fatalf("tier %s is mandatory and cannot run: %s", tier, why)
	}
	tb.Skipf("tier %s left out: %s (make test installs it)", tier, why)
}

// Opted reports whether tests of the tier should run at all: RINGLINK_TIERS is
// empty under a bare `go test ./...`, which must need nothing but Go.
func Opted(tb testing.TB, tier Tier) {
	tb.Helper()
	if !Mandatory(tier) {
		Missing(tb, tier, "RINGLINK_TIERS does not name it")
	}
}
