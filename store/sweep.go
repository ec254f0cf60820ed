package store

import (
	"context"
	"errors"
	"time"
)

// What Sweep keeps links for. An unspent link stays for a day past its end, so
// that who opens it late reads "expired" and not "unknown"; a spent one for a
// month, because PopRedeemed asks for it.
const (
	keepUnspentLinks = 24 * time.Hour
	keepSpentLinks   = 30 * 24 * time.Hour
)

// A Sweep deletes at most sweepRounds times sweepBatch rows of a kind: the
// writer is never held for long. The rest goes with the next one.
const (
	sweepBatch  = 500
	sweepRounds = 20
)

const (
	sweepSessions = `DELETE FROM sessions WHERE token IN (SELECT token FROM sessions WHERE expires <= ? LIMIT ?)`
	sweepUnspent  = `DELETE FROM links WHERE hash IN (SELECT hash FROM links WHERE redeemed = 0 AND expires <= ? LIMIT ?)`
	sweepSpent    = `DELETE FROM links WHERE hash IN (SELECT hash FROM links WHERE redeemed > 0 AND expires <= ? LIMIT ?)`
)

// Swept counts the rows that a Sweep deleted.
type Swept struct {
	Sessions     int
	Links        int
	Explanations int
}

// Sweep deletes sessions that have expired at now, links that nobody needs
// any more and old explanations. It may be called every minute. It may take eighty times the
// query timeout in all; each statement keeps to it.
func (db *DB) Sweep(ctx context.Context, now time.Time) (Swept, error) {
	var s Swept
	var errs [4]error
	s.Sessions, errs[0] = db.sweep(ctx, sweepSessions, now)
	unspent, err := db.sweep(ctx, sweepUnspent, now.Add(-keepUnspentLinks))
	spent, errSpent := db.sweep(ctx, sweepSpent, now.Add(-keepSpentLinks))
	s.Links, errs[1], errs[2] = unspent+spent, err, errSpent
	s.Explanations, errs[3] = db.sweepExplanations(ctx, now, MaxExplanations)
	return s, errors.Join(errs[:]...)
}

func (db *DB) sweep(ctx context.Context, query string, before time.Time) (int, error) {
	var total int
	for range sweepRounds {
		var n int64
		err := db.run(ctx, opSweep, func(ctx context.Context) (err error) {
			n, err = db.exec(ctx, query, micros(before), sweepBatch)
			return err
		})
		total += int(n)
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
	return total, nil
}
