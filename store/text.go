package store

import (
	"strings"
	"time"
)

// micros is how a time is stored: microseconds since 1970 UTC, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// stored returns the time as it comes back from the database.
func stored(t time.Time) time.Time { return fromMicros(micros(t)) }

// flag is how a truth value is stored.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// clean makes text from the network fit for a TEXT column: Postgres refuses
// NUL and broken UTF-8, and a caller's name must not keep a pop from its row.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}
