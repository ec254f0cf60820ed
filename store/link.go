package store

import (
	"context"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

var _ screenpop.LinkStore = (*DB)(nil)

const (
	insertLink = `INSERT INTO links (hash, pop_id, agent_id, minted, expires) VALUES (?, ?, ?, ?, ?)`
	redeemLink = `UPDATE links SET redeemed = ? WHERE hash = ? AND agent_id = ? AND redeemed = 0 AND expires > ? RETURNING pop_id`
	selectLink = `SELECT agent_id, redeemed, expires FROM links WHERE hash = ?`

	popRedeemed = `SELECT pop_id FROM links WHERE pop_id = ? AND agent_id = ? AND redeemed > 0 LIMIT 1`
)

// SaveLink implements screenpop.LinkStore. ErrNotFound if the pop has no row
// (yet), ErrExists if the hash was there.
func (db *DB) SaveLink(ctx context.Context, l screenpop.Link) error {
	return db.run(ctx, opSaveLink, func(ctx context.Context) error {
		_, err := db.exec(ctx, insertLink, l.Hash[:], string(l.Pop), string(l.Agent), micros(l.Minted), micros(l.Expires))
		switch {
		case foreignViolation(err):
			return errNotFound
		case uniqueViolation(err):
			return ErrExists
		}
		return err
	})
}

// RedeemLink implements screenpop.LinkStore. When it returns an error that is
// none of the four sentinels the link may be spent or not: it is at most once.
func (db *DB) RedeemLink(ctx context.Context, hash [32]byte, agent bridge.AgentID, now time.Time) (bridge.PopID, error) {
	var pop string
	err := db.run(ctx, opRedeemLink, func(ctx context.Context) (err error) {
		// The row is written whatever now is, also at 1970: 0 would mean unspent.
		pop, err = one[string](ctx, db, db.write, redeemLink, max(micros(now), 1), hash[:], string(agent), micros(now))
		if err != errNotFound {
			return err
		}
		return db.whyRefused(ctx, hash, agent)
	})
	if err != nil {
		return "", err
	}
	return bridge.PopID(pop), nil
}

// whyRefused names the reason why the UPDATE met no row. Another agent learns
// nothing beyond that the link is not his.
func (db *DB) whyRefused(ctx context.Context, hash [32]byte, agent bridge.AgentID) error {
	type row struct {
		Agent    string `db:"agent_id"`
		Redeemed int64  `db:"redeemed"`
		Expires  int64  `db:"expires"`
	}
	l, err := one[row](ctx, db, db.read, selectLink, hash[:])
	switch {
	case err == errNotFound:
		return screenpop.ErrLinkUnknown
	case err != nil:
		return err
	case l.Agent != string(agent):
		return screenpop.ErrLinkForeign
	case l.Redeemed != 0:
		return screenpop.ErrLinkUsed
	}
	return screenpop.ErrLinkExpired
}

// PopRedeemed implements screenpop.LinkStore.
func (db *DB) PopRedeemed(ctx context.Context, id bridge.PopID, agent bridge.AgentID) (bool, error) {
	var redeemed bool
	err := db.run(ctx, opPopRedeemed, func(ctx context.Context) error {
		_, err := one[string](ctx, db, db.read, popRedeemed, string(id), string(agent))
		redeemed = err == nil
		if err == errNotFound {
			return nil
		}
		return err
	})
	return redeemed, err
}
