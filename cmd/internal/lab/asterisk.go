package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringlink/store/storetest"
)

const (
	bootTime = 60 * time.Second // on a machine whose two cores are compiling
	cliTime  = 20 * time.Second
	stopTime = 10 * time.Second
)

// launcher runs a command inside the shared tree, in a mount namespace of its
// own: the tree read-only, the instance's folder on /lab. The mounts go when
// the last process of the namespace does, also after kill -9.
const launcher = `set -eu
tree=$1 dir=$2; shift 2
mount --bind "$tree" "$tree"
mount -o remount,ro,bind "$tree"
mount -t tmpfs tmpfs "$tree/tmp"
mount --bind "$dir" "$tree/lab"
mount --bind "$dir/hosts" "$tree/etc/hosts"
mount --bind /proc "$tree/proc"
mount --rbind /dev "$tree/dev"
exec chroot "$tree" "$@"`

// Asterisk is a real Asterisk 22 of one test.
type Asterisk struct {
	tb   testing.TB
	tree string
	dir  string
	base int // its block of ports: ARI, SIP, what the trunk and the sipp agent reach

	// Owned by the test's goroutine.
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has been waited for
	http bool
}

// Tree is the Debian tree with Asterisk 22 that .ci/setup makes.
func Tree() (string, error) {
	cache := os.Getenv("RINGLINK_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(user, "ringlink")
	}
	tree := filepath.Join(cache, "asterisk-22")
	if _, err := os.Stat(filepath.Join(tree, "lab")); err != nil {
		return "", fmt.Errorf("no Asterisk tree: %w", err)
	}
	return tree, nil
}

// StartAsterisk starts an Asterisk and returns when it is fully booted. It is
// stopped, and its folder removed, when the test ends. Without the tier asterisk
// the test is skipped, or fails where the tier is mandatory.
func StartAsterisk(tb testing.TB, o Options) *Asterisk {
	tb.Helper()
	storetest.Opted(tb, storetest.TierAsterisk)
	if os.Geteuid() != 0 {
		storetest.Missing(tb, storetest.TierAsterisk, "entering the tree needs root")
	}
	tree, err := Tree()
	if err != nil {
		storetest.Missing(tb, storetest.TierAsterisk, "%v", err)
	}
	a := &Asterisk{tb: tb, tree: tree, dir: memoryDir(tb), base: portBlock(tb), http: !o.HTTPOff}
	for _, sub := range []string{"etc", "run", "log/cdr-csv", "spool", "db", "keys/keys", "cache"} {
		if err := os.MkdirAll(filepath.Join(a.dir, sub), 0o755); err != nil {
			tb.Fatalf("preparing Asterisk's folder: %v", err)
		}
	}
	set, err := a.settings(o)
	if err == nil {
		err = a.writeHosts()
	}
	if err == nil {
		err = writeConfig(filepath.Join(a.dir, "etc"), set, o.Files)
	}
	if err != nil {
		tb.Fatalf("configuring Asterisk: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("Asterisk's log ends:\n%s", a.logTail())
		}
		a.Stop()
	})
	a.start()
	return a
}

// memoryDir is a folder in memory, where there is such: Asterisk syncs its
// database to the disk, which takes it seconds while a database test is running beside it.
func memoryDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ringlink-lab-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("removing Asterisk's folder: %v", err)
		}
	})
	return dir
}

// writeHosts lets Asterisk find its own name, which it looks up at every call,
// without asking a name server and, after that, a root server of the Internet.
func (a *Asterisk) writeHosts() error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.dir, "hosts"), []byte("127.0.0.1 localhost "+name+"\n"), 0o644)
}

func (a *Asterisk) settings(o Options) (settings, error) {
	modules, err := filepath.Glob(filepath.Join(a.tree, "usr/lib/*/asterisk/modules"))
	if err != nil || len(modules) != 1 {
		return settings{}, fmt.Errorf("looking for the module folder in %s: found %v, %w", a.tree, modules, err)
	}
	set := settings{
		SystemName: o.SystemName, ChannelVars: o.ChannelVars, HTTPOff: o.HTTPOff,
		ModuleDir: strings.TrimPrefix(modules[0], a.tree),
		HTTPPort:  a.base, SIPPort: a.base + 1, TrunkUASPort: a.base + 2, AgentUASPort: a.base + 3,
		PasswordHash: ariPasswordHash, IVRPassword: ivrPassword, Phones: phoneAccounts(),
	}
	if set.SystemName == "" {
		set.SystemName = "lab"
	}
	if set.ChannelVars == "" && !o.NoChannelVars {
		set.ChannelVars = DefaultChannelVars
	}
	return set, nil
}

// command is a command inside the tree.
func (a *Asterisk) command(ctx context.Context, args ...string) *exec.Cmd {
	words := append([]string{"-m", "--propagation", "private", "--", "/bin/sh", "-c", launcher, "lab", a.tree, a.dir}, args...)
	cmd := exec.CommandContext(ctx, "unshare", words...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/tmp"}
	return cmd
}

func (a *Asterisk) start() {
	a.tb.Helper()
	console, err := os.OpenFile(filepath.Join(a.dir, "log", "console"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer console.Close() // the child has its own
	// Not tied to a context: Stop and Kill end it.
	cmd := a.command(context.Background(), "asterisk", "-f", "-C", "/lab/etc/asterisk.conf")
	cmd.Stdout, cmd.Stderr = console, console
	// Its own group, so that a Ctrl-C in the terminal reaches the test first; and
	// it dies with the test binary however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		a.tb.Fatalf("starting Asterisk: %v", err)
	}
	a.cmd, a.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		// Its exit code says nothing: it is killed more often than not.
		_ = cmd.Wait()
	}(a.done)
	a.awaitBoot()
}

// awaitBoot polls, because Asterisk tells nobody when it is there: the control
// socket first, then its own word that it is fully booted, then ARI, which answers 503 for a while.
func (a *Asterisk) awaitBoot() {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), bootTime)
	defer cancel()
	a.poll(ctx, "its control socket", func() bool {
		_, err := os.Stat(filepath.Join(a.dir, "run", "asterisk.ctl"))
		return err == nil
	})
	a.poll(ctx, "being fully booted", func() bool {
		out, err := a.cli(ctx, "core waitfullybooted")
		return err == nil && strings.Contains(out, "fully booted")
	})
	if a.http {
		a.poll(ctx, "ARI", func() bool { return a.Get(ctx, "/ari/asterisk/ping", nil) == nil })
	}
}

func (a *Asterisk) poll(ctx context.Context, what string, there func() bool) {
	a.tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-ctx.Done():
			a.tb.Fatalf("waiting for Asterisk, %s: %v\n%s", what, ctx.Err(), a.logTail())
		case <-a.done:
			a.tb.Fatalf("waiting for Asterisk, %s: it ended\n%s", what, a.logTail())
		case <-tick.C:
		}
	}
}

// URL is the base of its HTTP server, "http://127.0.0.1:PORT"; ARI is below it at /ari.
func (a *Asterisk) URL() string { return "http://" + loopback(a.base) }

// SIPAddr is where it takes SIP over UDP, "127.0.0.1:PORT".
func (a *Asterisk) SIPAddr() string { return loopback(a.base + 1) }

// User and Password are the read-only ARI user, whose password stands crypted in ari.conf.
func (a *Asterisk) User() string { return ariUser }

// Password belongs to User.
func (a *Asterisk) Password() string { return ariPassword }

// IVRUser and IVRPassword are the writing ARI user.
func (a *Asterisk) IVRUser() string { return ivrUser }

// IVRPassword belongs to IVRUser.
func (a *Asterisk) IVRPassword() string { return ivrPassword }

// Dir is its own folder: etc, log (with log/cdr-csv/Master.csv), run, spool, db.
func (a *Asterisk) Dir() string { return a.dir }

// PID is its process id, for CPU figures.
func (a *Asterisk) PID() int { return a.cmd.Process.Pid }

// CLI runs a console command, as `asterisk -rx` does, and returns what it printed.
func (a *Asterisk) CLI(command string) string {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), cliTime)
	defer cancel()
	out, err := a.cli(ctx, command)
	if err != nil {
		a.tb.Fatalf("asterisk -rx %q: %v\n%s", command, err, out)
	}
	return out
}

func (a *Asterisk) cli(ctx context.Context, command string) (string, error) {
	out, err := a.command(ctx, "asterisk", "-C", "/lab/etc/asterisk.conf", "-rx", command).CombinedOutput()
	return string(out), err
}

// Get reads path ("/ari/channels") as the read-only user into w, if there is a w.
func (a *Asterisk) Get(ctx context.Context, path string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+path, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(ariUser, ariPassword)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if w == nil {
		w = io.Discard
	}
	_, err = io.Copy(w, res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("GET %s: %s", path, res.Status), err)
	}
	return err
}

// CDR waits for a row of its call records that holds text (a number, a unique
// id) and returns it. Asterisk writes them a little after the call.
func (a *Asterisk) CDR(text string) string {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), cliTime)
	defer cancel()
	row := ""
	a.poll(ctx, "a call record with "+text, func() bool {
		data, err := os.ReadFile(filepath.Join(a.dir, "log", "cdr-csv", "Master.csv"))
		if err != nil {
			return false // not before the first call
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				row = line
				return true
			}
		}
		return false
	})
	return row
}

// Kill ends it as kill -9 and a power cut do. Restart brings it back.
//
// Asterisk writes its database a second late, and a registration younger than
// that would be lost with it: Kill first waits until SQLite's journal is gone.
func (a *Asterisk) Kill() {
	a.tb.Helper()
	select {
	case <-a.done:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(a.tb.Context(), stopTime)
	defer cancel()
	a.poll(ctx, "its database being written", func() bool {
		_, err := os.Stat(filepath.Join(a.dir, "db", "astdb.sqlite3-journal"))
		return errors.Is(err, os.ErrNotExist)
	})
	a.signal(syscall.SIGKILL)
	<-a.done
}

// Pause stops the process without ending it: sockets stay open and silent. Continue goes on.
func (a *Asterisk) Pause() { a.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (a *Asterisk) Continue() { a.signal(syscall.SIGCONT) }

// Stop ends it in good order; calls are cut. It does nothing if it has ended already.
func (a *Asterisk) Stop() {
	if a.cmd == nil {
		return
	}
	a.Continue() // a paused process takes no SIGTERM
	a.signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
		a.tb.Logf("Asterisk did not end within %v of SIGTERM and is killed", stopTime)
		a.signal(syscall.SIGKILL)
		<-a.done
	}
}

// Restart starts it again on the same ports, after Stop or Kill or as a Kill
// and start in one. The phones' registrations outlive it, in its database.
func (a *Asterisk) Restart() {
	a.tb.Helper()
	a.Kill()
	// Left behind by a kill, it would be taken for that of the new process.
	if err := os.Remove(filepath.Join(a.dir, "run", "asterisk.ctl")); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.tb.Fatal(err)
	}
	a.start()
}

func (a *Asterisk) signal(sig syscall.Signal) {
	select {
	case <-a.done: // ended and waited for: the id may be another's by now
	default:
		// The group: Asterisk runs helpers (AGI, mpg123) of its own.
		if err := syscall.Kill(-a.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			a.tb.Errorf("sending %v to Asterisk: %v", sig, err)
		}
	}
}

func (a *Asterisk) logTail() string {
	var b strings.Builder
	for _, name := range []string{"console", "messages.log"} {
		data, err := os.ReadFile(filepath.Join(a.dir, "log", name))
		if err != nil {
			continue // it may not have come so far
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		lines = lines[max(0, len(lines)-25):]
		fmt.Fprintf(&b, "== %s\n%s\n", name, bytes.Join(lines, []byte("\n")))
	}
	return b.String()
}
