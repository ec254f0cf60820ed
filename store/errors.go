package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ringlink/screenpop"
)

// ErrExists is returned by what adds a row that is there already.
var ErrExists = errors.New("exists already")

// ErrNewerSchema is returned by Migrate on a database that a newer Ringlink
// has migrated.
var ErrNewerSchema = errors.New("the database was made by a newer ringlink")

// The sentinel that this package returns most, by a shorter name.
var errNotFound = screenpop.ErrNotFound

// result is what became of an operation: the closed set of the metric's label.
type result string

const (
	resultOK          result = "ok"
	resultNotFound    result = "not_found"
	resultRefused     result = "refused"     // a link that may not be redeemed, a file with faults
	resultConflict    result = "conflict"    // a constraint said no
	resultBusy        result = "busy"        // another writer held the database for too long
	resultTimeout     result = "timeout"     // the deadline passed
	resultCanceled    result = "canceled"    // the caller gave up
	resultUnavailable result = "unavailable" // no connection, or a server that does not serve
	resultFailed      result = "failed"
)

// Unavailable tells whether err says that the database could not be asked, for
// now: it is away, stopped, full, read-only, too busy or not migrated yet. The same call may
// succeed later; an error that is not Unavailable will come again.
func Unavailable(err error) bool {
	switch classify(err) {
	case resultBusy, resultTimeout, resultUnavailable:
		return true
	}
	return false
}

// classify sorts an error by type and code, never by its text.
func classify(err error) result {
	switch {
	case err == nil:
		return resultOK
	case errors.Is(err, screenpop.ErrNotFound), errors.Is(err, sql.ErrNoRows):
		return resultNotFound
	case errors.Is(err, screenpop.ErrLinkUsed), errors.Is(err, screenpop.ErrLinkExpired),
		errors.Is(err, screenpop.ErrLinkForeign), errors.Is(err, screenpop.ErrLinkUnknown):
		return resultRefused
	case errors.Is(err, ErrExists):
		return resultConflict
	}
	if _, ok := errors.AsType[*ImportError](err); ok {
		return resultRefused
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return classifyPostgres(e)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return classifySQLite(e.Code())
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return resultTimeout // context.DeadlineExceeded is one too
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return resultTimeout
	case errors.Is(err, context.Canceled):
		return resultCanceled
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return resultUnavailable
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return resultUnavailable
	}
	return resultFailed
}

// classifyPostgres sorts by SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html.
func classifyPostgres(e *pq.Error) result {
	switch e.Code {
	case "57014": // query_canceled: our own cancel request after the deadline
		return resultTimeout
	case "40001", "40P01", "55P03": // serialization, deadlock, lock not available
		return resultBusy
	case "25006": // read_only_sql_transaction: a standby
		return resultUnavailable
	case "42P01", "42703": // no such table or column: Migrate has not been there yet
		return resultUnavailable
	}
	switch e.Code.Class() {
	case "08", "53", "57", "58", "28", "3D": // connection, resources, operator, system, authorization, no such database
		return resultUnavailable
	case "23":
		return resultConflict
	}
	return resultFailed
}

// classifySQLite sorts by result code, https://sqlite.org/rescode.html; the low
// byte is the primary one.
func classifySQLite(code int) result {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return resultBusy
	case sqlite3.SQLITE_INTERRUPT:
		return resultTimeout
	case sqlite3.SQLITE_CONSTRAINT:
		return resultConflict
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM:
		return resultUnavailable
	}
	return resultFailed
}

// uniqueViolation tells whether a unique or primary key said no.
func uniqueViolation(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "23505"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// foreignViolation tells whether a row that is pointed at is not there.
func foreignViolation(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "23503"
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
	}
	return false
}

// failedOver tells whether the server is no longer one to write to, so that
// every pooled connection is to be made anew.
func failedOver(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "25006", "57P01", "57P02", "57P03":
		return true
	}
	return false
}

func rollback(tx *sqlx.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return nil
}
