package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
)

// The drivers that Options.Driver names.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Memory is the Options.Path of an SQLite database that is gone with Close.
const Memory = ":memory:"

// Defaults of Options.
const (
	DefaultQueryTimeout = 2 * time.Second
	DefaultMaxOpen      = 10
)

// Options say which database and how. The zero value is not useful: Driver,
// and Path or DSN, have to be there.
type Options struct {
	// Driver is SQLite or Postgres.
	Driver string
	// Path is the SQLite file, made with mode 0600 if it is not there (its
	// folder has to be), or Memory.
	Path string
	// DSN is the Postgres address as a URL or as keywords. It has to name
	// sslmode, so that nobody gets an unencrypted connection unasked.
	DSN string
	// MaxOpen is the largest number of connections, 1..200; 0 is
	// DefaultMaxOpen. SQLite has one writer besides.
	MaxOpen int
	// QueryTimeout is the longest time of one method; 0 is
	// DefaultQueryTimeout.
	QueryTimeout time.Duration
	// Logger gets what migrations did; nil logs nothing.
	Logger *slog.Logger
	// Clock is time.Now unless a test says otherwise.
	Clock func() time.Time
	// Registerer gets the metrics; nil registers them nowhere.
	Registerer prometheus.Registerer
}

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	driver  string
	read    *sqlx.DB // reads; with Postgres the same as write
	write   *sqlx.DB // writes; with SQLite a single connection, so that writers queue instead of meeting BUSY
	timeout time.Duration
	log     *slog.Logger
	clock   func() time.Time
	metrics *metrics

	// prepared holds a *sqlx.Stmt for each statement; it is bounded because
	// statements are constants.
	prepared sync.Map
}

type statement struct {
	pool  *sqlx.DB
	query string
}

// sqlx does not know the driver name of modernc.org/sqlite.
var bindSQLite = sync.OnceFunc(func() { sqlx.BindDriver(SQLite, sqlx.QUESTION) })

// Open checks the options, lists every fault of them, and makes the pools. It
// does not connect: the database may be away.
func Open(ctx context.Context, o Options) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	bindSQLite()
	db := &DB{
		driver:  o.Driver,
		timeout: o.QueryTimeout,
		log:     o.Logger,
		clock:   o.Clock,
	}
	if db.timeout == 0 {
		db.timeout = DefaultQueryTimeout
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.clock == nil {
		db.clock = time.Now
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = DefaultMaxOpen
	}
	var faults []error
	if db.timeout < 0 {
		faults = append(faults, fmt.Errorf("query timeout %v is negative", db.timeout))
	}
	if o.MaxOpen < 1 || o.MaxOpen > 200 {
		faults = append(faults, fmt.Errorf("max open %d is not within 1..200", o.MaxOpen))
	}
	var err error
	switch o.Driver {
	case SQLite:
		err = db.openSQLite(o)
	case Postgres:
		err = db.openPostgres(o)
	default:
		err = fmt.Errorf("driver %q is neither %s nor %s", o.Driver, SQLite, Postgres)
	}
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("opening the store: %w", errors.Join(err, db.Close()))
	}
	db.metrics = newMetrics(o.Registerer)
	return db, nil
}

// Driver returns SQLite or Postgres.
func (db *DB) Driver() string { return db.driver }

// Close ends all connections; running calls fail.
func (db *DB) Close() error {
	var errs []error
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil && db.write != db.read {
		errs = append(errs, db.write.Close())
	}
	return errors.Join(errs...)
}

// Ping asks the database for a sign of life, by reading and not only by
// having a connection.
func (db *DB) Ping(ctx context.Context) error {
	return db.run(ctx, opPing, func(ctx context.Context) error {
		var one int
		return db.read.GetContext(ctx, &one, "SELECT 1")
	})
}

// run gives one operation its deadline, its measurement and its error text.
func (db *DB) run(ctx context.Context, op operation, f func(context.Context) error) error {
	return db.runFor(ctx, op, db.timeout, f)
}

func (db *DB) runFor(ctx context.Context, op operation, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	err := f(ctx)
	db.metrics.observe(op, start, err)
	if err == nil {
		return nil
	}
	if failedOver(err) {
		db.dropIdle()
	}
	return fmt.Errorf("%s: %w", op.doing(), err)
}

// dropIdle makes the pool start anew, after the server said that it is not
// the one that it was: read-only, or going away.
func (db *DB) dropIdle() {
	idle := max(db.write.Stats().MaxOpenConnections, 1)
	db.write.SetMaxIdleConns(-1)
	db.write.SetMaxIdleConns(idle)
}

// stmt prepares the statement on first use. database/sql prepares it again on
// each further connection, also after a reconnect.
func (db *DB) stmt(ctx context.Context, pool *sqlx.DB, query string) (*sqlx.Stmt, error) {
	key := statement{pool, query}
	if s, ok := db.prepared.Load(key); ok {
		return s.(*sqlx.Stmt), nil
	}
	s, err := pool.PreparexContext(ctx, pool.Rebind(query))
	if err != nil {
		return nil, err
	}
	if first, there := db.prepared.LoadOrStore(key, s); there {
		_ = s.Close()
		return first.(*sqlx.Stmt), nil
	}
	return s, nil
}

// rows reads all rows of a query into dst, a pointer to a slice. The query is
// a constant: it stays prepared.
func (db *DB) rows(ctx context.Context, pool *sqlx.DB, dst any, query string, args ...any) error {
	s, err := db.stmt(ctx, pool, query)
	if err != nil {
		return err
	}
	return s.SelectContext(ctx, dst, args...)
}

// exec runs a constant statement on the writing pool and returns the number of
// rows that it touched.
func (db *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := db.stmt(ctx, db.write, query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// inTx runs f in one transaction of the writing pool.
func (db *DB) inTx(ctx context.Context, f func(*sqlx.Tx) error) error {
	tx, err := db.write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// one reads the first row of a query, ErrNotFound if there is none. It reads
// the result to its end: only then is an UPDATE … RETURNING committed for sure.
func one[T any](ctx context.Context, db *DB, pool *sqlx.DB, query string, args ...any) (T, error) {
	var rows []T
	if err := db.rows(ctx, pool, &rows, query, args...); err != nil {
		return *new(T), err
	}
	if len(rows) == 0 {
		return *new(T), errNotFound
	}
	return rows[0], nil
}
