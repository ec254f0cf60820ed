package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
	"ringlink/store/storetest"
)

// scheduling is what a call may take beyond its deadline on a busy machine.
const scheduling = 500 * time.Millisecond

// eventually calls f until it succeeds and returns how long that took.
func eventually(t *testing.T, limit time.Duration, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		err := f()
		took := time.Since(start)
		if err == nil {
			return took
		}
		if took > limit {
			t.Fatalf("still failing after %v: %v", took, err)
		}
		if !store.Unavailable(err) {
			t.Fatalf("the error should count as unavailable: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPostgresAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{
		Driver: store.Postgres, DSN: fmt.Sprintf("postgres://u:p@127.0.0.1:%d/x?sslmode=disable", addr.Port),
	})
	if err != nil {
		t.Fatalf("opening must not need the database: %v", err)
	}
	defer db.Close()
	for name, f := range map[string]func(context.Context) error{"Ping": db.Ping, "Migrate": db.Migrate} {
		if err := f(t.Context()); !store.Unavailable(err) {
			t.Errorf("%s = %v, which should count as unavailable", name, err)
		}
	}
}

// TestPostgresSilent has a server that takes the connection and says nothing:
// the handshake has the deadline too.
func TestPostgresSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, mode := range []string{"disable", "require"} {
		db, err := store.Open(t.Context(), store.Options{
			Driver: store.Postgres, DSN: fmt.Sprintf("postgres://u:p@%s/x?sslmode=%s", l.Addr(), mode), QueryTimeout: 300 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := db.Ping(t.Context()); !store.Unavailable(err) {
			t.Errorf("%s: Ping = %v, which should count as unavailable", mode, err)
		}
		if took := time.Since(start); took > 300*time.Millisecond+scheduling {
			t.Errorf("%s: Ping took %v", mode, took)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPostgresStopped freezes the server (row 40 of the matrix): every call
// ends within two seconds, and all is well when the server is back.
func TestPostgresStopped(t *testing.T) {
	server := storetest.PostgresServer(t)
	o := store.Options{Driver: store.Postgres, DSN: server.DSN(), MaxOpen: 4}
	db := open(t, o)
	fresh, err := store.Open(t.Context(), o) // has no connection yet
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fresh.Close() })
	offer := func(id string) error {
		_, _, err := db.OfferPop(t.Context(), storetest.Pop(id, "pbx1/1.0", "ann"))
		return err
	}
	if err := offer("before"); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"Ping":       func() error { return db.Ping(t.Context()) },
		"fresh Ping": func() error { return fresh.Ping(t.Context()) },
		"Migrate":    func() error { return fresh.Migrate(t.Context()) },
		"OfferPop":   func() error { return offer("during") },
		"Lookup":     func() error { _, err := db.Lookup(t.Context(), screenpop.DirectoryQuery{Caller: "1"}); return err },
		"AdvancePop": func() error {
			_, err := db.AdvancePop(t.Context(), "before", bridge.PopShown, "", "", time.Now())
			return err
		},
		"RedeemLink": func() error { _, err := db.RedeemLink(t.Context(), [32]byte{}, "ann", time.Now()); return err },
		"AddUser (tx)": func() error {
			_, err := db.AddUser(t.Context(), store.NewUser{Login: "x", Role: screenpop.RoleAgent, PasswordHash: "h"})
			return err
		},
		"ListPops": func() error { _, err := db.ListPops(t.Context(), screenpop.PopQuery{}); return err },
	}
	// Calls are also under way when the server freezes: transactions, single
	// statements, more of them than connections.
	l := startLoad(t, 8, func(w, i int) error {
		start := time.Now()
		err := offer(fmt.Sprintf("w%d-%d", w, i))
		if took := time.Since(start); took > store.DefaultQueryTimeout+scheduling {
			t.Errorf("a call under load took %v", took)
		}
		return err
	})
	l.await(t, 100)
	server.Stop()
	measure(t, calls)
	server.Cont()
	t.Logf("served again %v after SIGCONT", eventually(t, 5*time.Second, func() error { return offer("after") }))
	l.end()
	for _, id := range []bridge.PopID{"before", "after"} {
		if _, err := db.PopByID(t.Context(), id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// measure runs the calls at once, on a server that does not answer.
func measure(t *testing.T, calls map[string]func() error) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			start := time.Now()
			err := call()
			took := time.Since(start)
			t.Logf("%-12s ended after %v: %v", name, took.Round(time.Millisecond), err)
			if !store.Unavailable(err) {
				t.Errorf("%s on a stopped server = %v, which should count as unavailable", name, err)
			}
			if took > store.DefaultQueryTimeout+scheduling {
				t.Errorf("%s took %v on a stopped server", name, took)
			}
		})
	}
	wg.Wait()
}

// load calls f from several workers until it ends.
type load struct {
	once sync.Once
	stop chan struct{}
	wg   sync.WaitGroup
	good atomic.Int64 // calls that succeeded
}

// startLoad starts workers that call f with their number and the number of the
// call, and with the same number again after an error.
func startLoad(t *testing.T, workers int, f func(worker, call int) error) *load {
	l := &load{stop: make(chan struct{})}
	t.Cleanup(l.end) // also when the test has failed in the middle
	for w := range workers {
		l.wg.Go(func() {
			for i := 0; ; {
				select {
				case <-l.stop:
					return
				default:
				}
				if f(w, i) == nil {
					i++
					l.good.Add(1)
				}
			}
		})
	}
	return l
}

// await waits until n more calls have succeeded.
func (l *load) await(t *testing.T, n int64) {
	t.Helper()
	for want, start := l.good.Load()+n, time.Now(); l.good.Load() < want; time.Sleep(time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("fewer than %d calls succeeded within 30 s", n)
		}
	}
}

func (l *load) end() {
	l.once.Do(func() { close(l.stop) })
	l.wg.Wait()
}

// TestPostgresKilled kills the server under load (row 41): what was
// acknowledged is there afterwards, once.
func TestPostgresKilled(t *testing.T) {
	server := storetest.PostgresServer(t)
	db := open(t, store.Options{Driver: store.Postgres, DSN: server.DSN()})
	const writers = 8
	var acknowledged [writers]int
	l := startLoad(t, writers, func(w, i int) error {
		_, _, err := db.OfferPop(t.Context(), storetest.Pop(fmt.Sprintf("w%d-%06d", w, i), "pbx1/1.0", agentOf(w)))
		switch {
		case err == nil:
			acknowledged[w] = i + 1
		case !store.Unavailable(err):
			t.Errorf("OfferPop: %v", err)
		default:
			time.Sleep(5 * time.Millisecond) // the outbox's pause between attempts
		}
		return err
	})
	for range 2 {
		l.await(t, 500)
		server.Kill()
		if err := db.Ping(t.Context()); !store.Unavailable(err) {
			t.Errorf("Ping of a dead server = %v", err)
		}
		server.Restart()
		t.Logf("served again %v after the restart", eventually(t, 5*time.Second, func() error { return db.Ping(t.Context()) }))
	}
	l.end()
	for w := range writers {
		pops, err := db.ListPops(t.Context(), screenpop.PopQuery{Agent: bridge.AgentID(agentOf(w)), Limit: 10000})
		if err != nil {
			t.Fatal(err)
		}
		if len(pops) != min(acknowledged[w], 10000) {
			t.Errorf("writer %d: %d pops acknowledged, %d there", w, acknowledged[w], len(pops))
		}
	}
	t.Logf("acknowledged: %v", acknowledged)
}

func agentOf(w int) string { return fmt.Sprintf("agent%d", w) }

// TestPostgresReadOnly has the server turn into one that only reads, and back,
// as in a failover (row 42): the pool does not keep connections of before.
func TestPostgresReadOnly(t *testing.T) {
	dsn := storetest.Postgres(t)
	db := open(t, store.Options{Driver: store.Postgres, DSN: dsn})
	admin, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	admin.SetMaxOpenConns(1)
	exec := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	var name string
	if err := admin.QueryRow("SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	offer := func(id string) error {
		_, _, err := db.OfferPop(t.Context(), storetest.Pop(id, "pbx1/1.0", "ann"))
		return err
	}
	exec("ALTER DATABASE " + name + " SET default_transaction_read_only = on")
	exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err := offer("p1"); err == nil || !store.Unavailable(err) {
		t.Errorf("offering to a standby = %v, which should count as unavailable", err)
	}
	exec("ALTER DATABASE " + name + " SET default_transaction_read_only = off")
	if err := offer("p1"); err != nil {
		t.Errorf("offering after the failover: %v", err)
	}
}

// TestSQLiteLocked has another program hold the write lock: calls end at the
// deadline as busy, reads go on, and writes work when the lock is gone.
func TestSQLiteLocked(t *testing.T) {
	o := fileOptions(t)
	o.Path = t.TempDir() + "/ringlink.db"
	o.QueryTimeout = 300 * time.Millisecond
	db := open(t, o)
	other, err := sql.Open("sqlite", "file:"+o.Path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, _, err = db.OfferPop(t.Context(), storetest.Pop("p1", "pbx1/1.0", "ann"))
	if !store.Unavailable(err) {
		t.Errorf("writing to a locked database = %v, which should count as unavailable", err)
	}
	if took := time.Since(start); took > 300*time.Millisecond+scheduling {
		t.Errorf("it took %v", took)
	}
	if _, err := db.PopByID(t.Context(), "p1"); !errors.Is(err, screenpop.ErrNotFound) {
		t.Errorf("reading a locked database: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.OfferPop(t.Context(), storetest.Pop("p1", "pbx1/1.0", "ann")); err != nil {
		t.Error(err)
	}
}
