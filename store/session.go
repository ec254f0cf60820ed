package store

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"

	"ringlink/screenpop"
)

var (
	_ screenpop.SessionStore = (*DB)(nil)
	_ scs.CtxStore           = (*DB)(nil)
)

const (
	selectSession = `SELECT data FROM sessions WHERE token = ? AND expires > ?`
	upsertSession = `INSERT INTO sessions (token, data, expires) VALUES (?, ?, ?)
ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires = excluded.expires`
	deleteSession = `DELETE FROM sessions WHERE token = ?`
)

// FindCtx implements scs.CtxStore; an expired session is not found.
func (db *DB) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	var data []byte
	var found bool
	err := db.run(ctx, opFindSession, func(ctx context.Context) (err error) {
		data, err = one[[]byte](ctx, db, db.read, selectSession, clean(token), micros(db.clock()))
		found = err == nil
		if err == errNotFound {
			return nil
		}
		return err
	})
	return data, found, err
}

// CommitCtx implements scs.CtxStore.
func (db *DB) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return db.run(ctx, opSaveSession, func(ctx context.Context) error {
		_, err := db.exec(ctx, upsertSession, clean(token), b, micros(expiry))
		return err
	})
}

// DeleteCtx implements scs.CtxStore; no error if there is no such session.
func (db *DB) DeleteCtx(ctx context.Context, token string) error {
	return db.run(ctx, opSaveSession, func(ctx context.Context) error {
		_, err := db.exec(ctx, deleteSession, clean(token))
		return err
	})
}

// Find implements scs.Store.
func (db *DB) Find(token string) ([]byte, bool, error) {
	return db.FindCtx(context.Background(), token)
}

// Commit implements scs.Store.
func (db *DB) Commit(token string, b []byte, expiry time.Time) error {
	return db.CommitCtx(context.Background(), token, b, expiry)
}

// Delete implements scs.Store.
func (db *DB) Delete(token string) error { return db.DeleteCtx(context.Background(), token) }
