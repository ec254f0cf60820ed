package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
)

// startLimit is how long a cluster may take from initdb to its first answer.
const startLimit = 60 * time.Second

// cluster is a throw-away Postgres. A shell is its parent and waits for the
// end of the pipe that this process holds: however the test binary ends, the
// cluster ends after it and its folder goes.
type cluster struct {
	dir    string
	bin    string
	port   int
	tcp    bool
	cred   *syscall.Credential // nil: as ourselves
	shell  *exec.Cmd
	stdin  io.WriteCloser
	closed sync.Once
}

// shared is the cluster of this test binary; see Postgres.
var shared = struct {
	mu      sync.Mutex // guards cluster
	cluster *cluster
	next    atomic.Int64
}{}

// Postgres returns the DSN of a new empty database in a cluster that all tests
// of the binary share and that ends with it. It skips the test, or where the
// tier is mandatory fails it, if Postgres cannot run here.
func Postgres(tb testing.TB) string {
	tb.Helper()
	Opted(tb, TierPostgres)
	bin := binaries(tb)
	shared.mu.Lock()
	if shared.cluster == nil {
		c, err := startCluster(bin, false)
		if err != nil {
			shared.mu.Unlock()
			tb.Fatalf("starting Postgres: %v", err)
		}
		shared.cluster = c
	}
	c := shared.cluster
	shared.mu.Unlock()
	name := fmt.Sprintf("test_%d", shared.next.Add(1))
	c.admin(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() { c.admin(tb, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return c.dsn(name)
}

// binaries finds the newest Postgres.
func binaries(tb testing.TB) string {
	tb.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if len(found) == 0 {
		Missing(tb, TierPostgres, "initdb is neither in PATH nor in /usr/lib/postgresql: install postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 sorts first
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

// credential is who runs Postgres, which refuses root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("root may not run Postgres, and there is no user postgres or nobody to run it as")
}

func startCluster(bin string, tcp bool) (*cluster, error) {
	c := &cluster{bin: bin, tcp: tcp, port: 5432}
	var err error
	if c.cred, err = credential(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "ringlink-pg-"); err != nil {
		return nil, err
	}
	if c.cred != nil {
		if err := os.Chown(c.dir, int(c.cred.Uid), int(c.cred.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(c.dir))
		}
	}
	if err := c.init(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	return c, nil
}

func (c *cluster) init() error {
	cmd := exec.Command(filepath.Join(c.bin, "initdb"), "-D", filepath.Join(c.dir, "data"),
		"-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred, Setpgid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// guard is the shell that starts the server and ends it when its stdin ends.
// The server's pid stands in the first line of data/postmaster.pid.
const guard = `
"$@" >log 2>&1 </dev/null &
pid=$!
read -r how
kill -CONT $pid 2>/dev/null
kill -QUIT $pid 2>/dev/null
wait $pid
[ "$how" = keep ] || { cd / && rm -rf "$OLDPWD"; }
`

// start runs the server and waits for its first answer.
func (c *cluster) start() error {
	listen := ""
	if c.tcp {
		listen = "127.0.0.1"
		if c.port == 5432 {
			port, err := freePort()
			if err != nil {
				return err
			}
			c.port = port
		}
	}
	args := []string{"-c", guard, "guard", filepath.Join(c.bin, "postgres"), "-D", "data", "-k", c.dir, "-p", strconv.Itoa(c.port)}
	for _, setting := range []string{
		"listen_addresses=" + listen, "fsync=off", "full_page_writes=off",
		"max_connections=100", "shared_buffers=32MB", "autovacuum=off",
	} {
		args = append(args, "-c", setting)
	}
	c.shell = exec.Command("/bin/sh", args...)
	c.shell.Dir = c.dir
	c.shell.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred, Setpgid: true}
	var err error
	if c.stdin, err = c.shell.StdinPipe(); err != nil {
		return err
	}
	if err := c.shell.Start(); err != nil {
		return err
	}
	c.closed = sync.Once{}
	if err := c.await(); err != nil {
		log, _ := os.ReadFile(filepath.Join(c.dir, "log")) // empty is told as well
		return errors.Join(fmt.Errorf("%w: %s", err, log), c.end(false))
	}
	return nil
}

// freePort returns a loopback port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (c *cluster) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	connector, err := pq.NewConnector(c.dsn("postgres") + " connect_timeout=2")
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startLimit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end stops the server at once, and takes its folder away unless it is kept.
func (c *cluster) end(keep bool) error {
	var err error
	c.closed.Do(func() {
		if keep {
			_, err = io.WriteString(c.stdin, "keep\n")
		}
		err = errors.Join(err, c.stdin.Close())
		var exit *exec.ExitError
		if wait := c.shell.Wait(); !errors.As(wait, &exit) {
			err = errors.Join(err, wait)
		}
	})
	if !keep {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func (c *cluster) dsn(database string) string {
	host := c.dir
	if c.tcp {
		host = "127.0.0.1"
	}
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable", host, c.port, database)
}

// admin runs one statement on the cluster's own database.
func (c *cluster) admin(tb testing.TB, statement string) {
	tb.Helper()
	db, err := sql.Open("postgres", c.dsn("postgres")+" connect_timeout=5")
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// master is the process id of the running server.
func (c *cluster) master() (int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	master, err := strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("reading postmaster.pid: %w", err)
	}
	return master, nil
}

// family lists the server's process and its children.
func (c *cluster) family(master int) []int {
	pids := []int{master}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if fields := status(pid); err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(master) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// status gives what stands behind the name in /proc/PID/stat, the state and
// the parent first; nil if the process is gone.
func status(pid int) []string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// pid (name) state ppid …; the name may hold anything but ends at the last bracket.
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// alive reports whether a process still holds anything.
func alive(pid int) bool {
	fields := status(pid)
	return len(fields) > 0 && fields[0] != "Z"
}
