package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// For how long explanations are kept, and how many.
const (
	KeepExplanations = 7 * 24 * time.Hour
	MaxExplanations  = 50_000
)

// The bounds of one explanation: bytes of its trail's JSON, keys, facts of
// delivery.
const (
	maxTrail    = 16 << 10
	maxKeys     = 96
	maxDelivery = 64
)

// Explanation is what is kept of one call.
type Explanation struct {
	Trail    bridge.Trail
	Delivery []screenpop.Told // what became of its lookups and pushes, in order
	Keys     []string         // what it can be asked for by, beside its CallID
}

// PopLink is a secure link of a pop: never its token.
type PopLink struct {
	Minted, Expires time.Time
	Redeemed        time.Time // zero: never
}

const (
	// Of two replicas' words the one that saw more stands.
	saveExplanation = `
INSERT INTO explanations (call_id, started, ended, steps, trail, numbers, delivery) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (call_id) DO UPDATE SET ended = excluded.ended, steps = excluded.steps,
  trail = excluded.trail, numbers = excluded.numbers, delivery = excluded.delivery
WHERE excluded.steps >= explanations.steps`
	saveKey            = `INSERT INTO explanation_keys (name, call_id, started) VALUES (?, ?, ?)`
	keepKey            = ` ON CONFLICT (name, call_id) DO NOTHING`
	selectExplanations = `SELECT trail, numbers, delivery FROM explanations WHERE call_id IN
  (SELECT call_id FROM explanation_keys WHERE name = ? ORDER BY started DESC LIMIT ?) ORDER BY started DESC, call_id DESC`
	selectNewest      = `SELECT trail, numbers, delivery FROM explanations ORDER BY started DESC, call_id DESC LIMIT ?`
	selectPopLinks    = `SELECT minted, expires, redeemed FROM links WHERE pop_id = ? ORDER BY minted, expires LIMIT 100`
	explanationAt     = `SELECT started FROM explanations ORDER BY started DESC LIMIT 1 OFFSET ?`
	sweepExplanations = `DELETE FROM explanations WHERE call_id IN (SELECT call_id FROM explanations WHERE started <= ? LIMIT ?)`
)

// SaveExplanation writes what is known of a call, over what was known before.
func (db *DB) SaveExplanation(ctx context.Context, e Explanation) error {
	if e.Trail.Call == "" {
		return errors.New("saving an explanation: it has no call")
	}
	steps := len(e.Trail.Steps) + e.Trail.CutSteps
	trail, err := encodeTrail(e.Trail)
	if err != nil {
		return fmt.Errorf("encoding the trail of %s: %w", e.Trail.Call, err)
	}
	numbers := make([]string, len(e.Trail.Numbers))
	for i, n := range e.Trail.Numbers {
		numbers[i] = clean(n.Reveal())
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		return fmt.Errorf("encoding numbers: %w", err)
	}
	delivery, err := json.Marshal(e.Delivery[max(0, len(e.Delivery)-maxDelivery):])
	if err != nil {
		return fmt.Errorf("encoding the delivery: %w", err)
	}
	keys := explanationKeys(e)
	return db.run(ctx, opExplain, func(ctx context.Context) error {
		return db.inTx(ctx, func(tx *sqlx.Tx) error {
			call, started := clean(string(e.Trail.Call)), micros(e.Trail.Started)
			if _, err := tx.ExecContext(ctx, tx.Rebind(saveExplanation), call, started, micros(e.Trail.Ended), steps,
				clean(string(trail)), string(list), clean(string(delivery))); err != nil {
				return err
			}
			var args []any
			for _, k := range keys {
				args = append(args, k, call, started)
			}
			query := saveKey + strings.Repeat(", (?, ?, ?)", len(keys)-1) + keepKey
			_, err := tx.ExecContext(ctx, tx.Rebind(query), args...)
			return err
		})
	})
}

// explanationKeys are the first maxKeys different keys, the CallID among them.
func explanationKeys(e Explanation) []string {
	keys := []string{clean(string(e.Trail.Call))}
	for _, k := range e.Keys {
		if k = clean(k); k != "" && len(keys) < maxKeys && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// encodeTrail keeps to maxTrail: steps in the middle go first, then the last
// legs, and the trail says how many.
func encodeTrail(t bridge.Trail) ([]byte, error) {
	for {
		b, err := json.Marshal(t)
		if err != nil || len(b) <= maxTrail {
			return b, err
		}
		switch n := len(t.Steps); {
		case n > 20:
			cut := max(n/8, 1)
			t.Steps = slices.Concat(t.Steps[:(n-cut)/2], t.Steps[(n-cut)/2+cut:])
			t.CutSteps += cut
		case len(t.Legs) > 4:
			cut := len(t.Legs) / 4
			t.Legs = t.Legs[:len(t.Legs)-cut]
			t.CutLegs += cut
		default:
			return nil, fmt.Errorf("it has %d bytes and cannot be cut", len(b))
		}
	}
}

// Explanations returns the newest calls that key names, newest first, limit of
// 1..1000; an empty key names every call. The key is a CallID, the unique id or
// SIP Call-ID of a leg, a number, an endpoint ("PJSIP/101") or a PBX, a blank
// and an endpoint.
func (db *DB) Explanations(ctx context.Context, key string, limit int) ([]Explanation, error) {
	limit = min(max(limit, 1), 1000)
	var list []Explanation
	err := db.run(ctx, opExplain, func(ctx context.Context) error {
		var rows []struct {
			Trail    string `db:"trail"`
			Numbers  string `db:"numbers"`
			Delivery string `db:"delivery"`
		}
		query, args := selectNewest, []any{limit}
		if key != "" {
			query, args = selectExplanations, []any{clean(key), limit}
		}
		if err := db.rows(ctx, db.read, &rows, query, args...); err != nil {
			return err
		}
		for _, r := range rows {
			var e Explanation
			var numbers []string
			err := errors.Join(json.Unmarshal([]byte(r.Trail), &e.Trail), json.Unmarshal([]byte(r.Numbers), &numbers),
				json.Unmarshal([]byte(r.Delivery), &e.Delivery))
			if err != nil {
				return fmt.Errorf("decoding an explanation: %w", err)
			}
			for _, n := range numbers {
				e.Trail.Numbers = append(e.Trail.Numbers, bridge.Number(n))
			}
			list = append(list, e)
		}
		return nil
	})
	return list, err
}

// PopLinks returns the links that were minted for a pop, oldest first.
func (db *DB) PopLinks(ctx context.Context, id bridge.PopID) ([]PopLink, error) {
	var list []PopLink
	err := db.run(ctx, opExplain, func(ctx context.Context) error {
		var rows []struct {
			Minted   int64 `db:"minted"`
			Expires  int64 `db:"expires"`
			Redeemed int64 `db:"redeemed"`
		}
		if err := db.rows(ctx, db.read, &rows, selectPopLinks, string(id)); err != nil {
			return err
		}
		for _, r := range rows {
			list = append(list, PopLink{Minted: fromMicros(r.Minted), Expires: fromMicros(r.Expires), Redeemed: fromMicros(r.Redeemed)})
		}
		return nil
	})
	return list, err
}

// sweepExplanations deletes explanations that are too old, or too many: the
// oldest go.
func (db *DB) sweepExplanations(ctx context.Context, now time.Time, most int) (int, error) {
	before := now.Add(-KeepExplanations)
	err := db.run(ctx, opSweep, func(ctx context.Context) error {
		at, err := one[int64](ctx, db, db.read, explanationAt, most)
		if errors.Is(err, errNotFound) {
			return nil
		}
		if t := fromMicros(at); err == nil && t.After(before) {
			before = t
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return db.sweep(ctx, sweepExplanations, before)
}
