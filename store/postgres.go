package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// roundTrip is the longest wait for one answer of the server where the context
// has no deadline: migrations and imports.
const roundTrip = 30 * time.Second

func (db *DB) openPostgres(o Options) error {
	if o.DSN == "" {
		return errors.New("postgres needs a DSN, as postgres://user@host/database?sslmode=verify-full")
	}
	if o.Path != "" {
		return errors.New("a path is for sqlite; postgres takes a DSN")
	}
	if !namesSSLMode(o.DSN) {
		return errors.New("the Postgres DSN does not name sslmode: add sslmode=verify-full (or disable, for a server on this machine)")
	}
	cfg, err := pq.NewConfig(o.DSN)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // its own text holds the password
		}
		return fmt.Errorf("reading the Postgres DSN: %w", err)
	}
	if cfg.ConnectTimeout <= 0 || cfg.ConnectTimeout > db.timeout {
		cfg.ConnectTimeout = max(db.timeout, time.Second)
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "ringlink"
	}
	db.write = sqlx.NewDb(sql.OpenDB(&connector{cfg: cfg}), Postgres)
	db.write.SetMaxOpenConns(o.MaxOpen)
	db.write.SetMaxIdleConns(o.MaxOpen)
	db.write.SetConnMaxIdleTime(5 * time.Minute)
	db.write.SetConnMaxLifetime(time.Hour)
	db.read = db.write
	return nil
}

var sslmodeKeyword = regexp.MustCompile(`(^|\s)sslmode\s*=\s*\S`)

// namesSSLMode tells whether the DSN itself says sslmode, not the environment.
func namesSSLMode(dsn string) bool {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		u, err := url.Parse(dsn)
		return err != nil || u.Query().Get("sslmode") != "" // a broken URL is pq's to report
	}
	return sslmodeKeyword.MatchString(dsn)
}

// connector opens lib/pq connections whose socket carries the deadline of the
// context that is at work on them. lib/pq itself only sends a cancel request
// when a context ends, and then waits for ever on a server that is stopped.
type connector struct {
	cfg pq.Config
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	base, err := pq.NewConnectorConfig(c.cfg.Clone())
	if err != nil {
		return nil, err
	}
	d := &dialer{}
	base.Dialer(d)
	opened, err := base.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := opened.(pqConn)
	if !ok {
		return nil, errors.Join(errors.New("lib/pq's connection lacks the context methods"), opened.Close())
	}
	d.connected.Store(true)
	return &conn{pqConn: whole, wire: d.last.Load()}, nil
}

// cancelLimit bounds a cancel request, which lib/pq sends when a context ends
// and waits for: a stopped server takes the connection and never closes it.
const cancelLimit = 100 * time.Millisecond

// dialer dials with the context's deadline and keeps the newest connection for
// Connect. lib/pq dials through it again for each cancel request.
type dialer struct {
	net       net.Dialer
	last      atomic.Pointer[wire]
	connected atomic.Bool // what is dialled from now on is a cancel request
}

// DialContext implements pq.DialerContext.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.connected.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cancelLimit)
		defer cancel()
	}
	c, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c}
	w.until(ctx)
	d.last.Store(w)
	return w, nil
}

// Dial implements pq.Dialer; lib/pq prefers DialContext.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer; lib/pq prefers DialContext.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// wire is a connection that never reads or writes past limit, nor for longer
// than roundTrip where there is no limit. One goroutine uses it at a time.
type wire struct {
	net.Conn
	limit time.Time
}

func (w *wire) until(ctx context.Context) { w.limit, _ = ctx.Deadline() }

func (w *wire) deadline() time.Time {
	if w.limit.IsZero() {
		return time.Now().Add(roundTrip)
	}
	return w.limit
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if err := w.Conn.SetReadDeadline(w.deadline()); err != nil {
		return 0, err
	}
	return w.Conn.Read(b)
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	if err := w.Conn.SetWriteDeadline(w.deadline()); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// SetDeadline implements net.Conn: lib/pq sets one for the time of connecting
// and takes it away after. It may only shorten what the context allows.
func (w *wire) SetDeadline(t time.Time) error {
	if !t.IsZero() && (w.limit.IsZero() || t.Before(w.limit)) {
		w.limit = t
	}
	return nil
}

// pqConn is all that lib/pq's connection can do for database/sql.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn takes the deadline from each context that database/sql hands in: when
// the connection leaves the pool (ResetSession) and, because a connection that
// was opened for a waiting caller is not reset, at each statement.
type conn struct {
	pqConn
	wire *wire
}

// ResetSession implements driver.SessionResetter.
func (c *conn) ResetSession(ctx context.Context) error {
	c.wire.until(ctx)
	return c.pqConn.ResetSession(ctx)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.wire.until(ctx)
	return c.pqConn.PrepareContext(ctx, query)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.wire.until(ctx)
	return c.pqConn.QueryContext(ctx, query, args)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.wire.until(ctx)
	return c.pqConn.ExecContext(ctx, query, args)
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.wire.until(ctx)
	return c.pqConn.BeginTx(ctx, opts)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	c.wire.until(ctx)
	return c.pqConn.Ping(ctx)
}

// Close says goodbye to the server, if that takes no longer than a moment.
func (c *conn) Close() error {
	c.wire.limit = time.Now().Add(100 * time.Millisecond)
	return c.pqConn.Close()
}
