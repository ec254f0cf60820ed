package storetest

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"
)

// Server is a Postgres of one test, to be stopped, killed and started again.
// It listens on loopback TCP and keeps its port and data over Restart.
type Server struct {
	tb      testing.TB
	cluster *cluster
}

// PostgresServer starts a Postgres for this test alone; it ends with the test.
// Like Postgres it skips or fails the test where that cannot be.
func PostgresServer(tb testing.TB) *Server {
	tb.Helper()
	Opted(tb, TierPostgres)
	c, err := startCluster(binaries(tb), true)
	if err != nil {
		tb.Fatalf("starting Postgres: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.end(false); err != nil {
			tb.Errorf("stopping Postgres: %v", err)
		}
	})
	return &Server{tb, c}
}

// DSN returns the address of the server's one database.
func (s *Server) DSN() string { return s.cluster.dsn("postgres") }

// Stop freezes the server and all its backends (SIGSTOP): connections stay
// open, new ones are taken by the kernel, and nothing answers.
func (s *Server) Stop() { s.tb.Helper(); s.signal(syscall.SIGSTOP) }

// Cont lets the server run again after Stop.
func (s *Server) Cont() { s.tb.Helper(); s.signal(syscall.SIGCONT) }

// Kill ends the server and its backends at once (SIGKILL), as a crash would.
func (s *Server) Kill() {
	s.tb.Helper()
	pids := s.signal(syscall.SIGKILL)
	if err := s.cluster.end(true); err != nil {
		s.tb.Fatalf("waiting for the killed Postgres: %v", err)
	}
	// The last of them to go frees the shared memory that a new one wants.
	for start := time.Now(); slices.ContainsFunc(pids, alive); time.Sleep(time.Millisecond) {
		if time.Since(start) > startLimit {
			s.tb.Fatalf("Postgres's processes %v did not go", pids)
		}
	}
}

// Restart starts the server after Kill on the same data and port.
func (s *Server) Restart() {
	s.tb.Helper()
	if err := s.cluster.start(); err != nil {
		s.tb.Fatalf("starting Postgres again: %v", err)
	}
}

func (s *Server) signal(sig syscall.Signal) (pids []int) {
	s.tb.Helper()
	send := func(pid int, sig syscall.Signal) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			s.tb.Fatalf("sending %v to Postgres: %v", sig, err)
		}
	}
	master, err := s.cluster.master()
	if err != nil {
		s.tb.Fatalf("finding Postgres: %v", err)
	}
	if sig != syscall.SIGCONT {
		send(master, syscall.SIGSTOP) // so that it makes no child that the list lacks
	}
	pids = s.cluster.family(master)
	for _, pid := range pids {
		send(pid, sig)
	}
	return pids
}
