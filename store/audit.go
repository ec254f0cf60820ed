package store

import (
	"context"

	"ringlink/screenpop"
)

var _ screenpop.Auditor = (*DB)(nil)

const (
	insertAudit = `INSERT INTO audit (at, actor, action, object, detail, remote) VALUES (?, ?, ?, ?, ?, ?)`
	selectAudit = `SELECT at, actor, action, object, detail, remote FROM audit ORDER BY at DESC, id DESC LIMIT ?`
)

// Audit implements screenpop.Auditor; a zero At is now.
func (db *DB) Audit(ctx context.Context, e screenpop.AuditEntry) error {
	if e.At.IsZero() {
		e.At = db.clock()
	}
	return db.run(ctx, opAudit, func(ctx context.Context) error {
		_, err := db.exec(ctx, insertAudit, micros(e.At), clean(e.Actor), clean(e.Action), clean(e.Object), clean(e.Detail), clean(e.Remote))
		return err
	})
}

// AuditTrail returns the newest entries, newest first, limit of 1..10000.
func (db *DB) AuditTrail(ctx context.Context, limit int) ([]screenpop.AuditEntry, error) {
	var trail []screenpop.AuditEntry
	err := db.run(ctx, opReadAudit, func(ctx context.Context) error {
		var rows []struct {
			At     int64  `db:"at"`
			Actor  string `db:"actor"`
			Action string `db:"action"`
			Object string `db:"object"`
			Detail string `db:"detail"`
			Remote string `db:"remote"`
		}
		if err := db.rows(ctx, db.read, &rows, selectAudit, min(max(limit, 1), 10000)); err != nil {
			return err
		}
		for _, r := range rows {
			trail = append(trail, screenpop.AuditEntry{
				At: fromMicros(r.At), Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: r.Detail, Remote: r.Remote,
			})
		}
		return nil
	})
	return trail, err
}
