package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"ringlink/cmd/internal/figures"
	"ringlink/screenpop"
)

// rounds is how often each figure is taken; ours and the peer's take turns.
const rounds = 5

// TestFigures takes the figures of the whole gateway and prints them: `make
// bench`. Nothing is asserted on time; a pop that does not come fails. One of
// them: go test -run TestFigures/idle with RINGLINK_BENCH=1.
func TestFigures(t *testing.T) {
	if os.Getenv("RINGLINK_BENCH") == "" {
		t.Skip("figures are taken by make bench, which sets RINGLINK_BENCH")
	}
	table := figures.NewTable(os.Stdout)
	for _, f := range []struct {
		name string
		take func(*testing.T, *figures.Table)
	}{
		{"decode", figureDecode},
		{"start", figureStart},
		{"idle", figureIdle},
		{"events", figureEvents},
		{"cpu", figureCPU},
		{"screen", figureScreen},
	} {
		t.Run(f.name, func(t *testing.T) { f.take(t, table) })
	}
}

// released is the program as `make build` makes it.
var released = sync.OnceValues(func() (string, error) {
	debug, err := binary() // its folder goes at the end of the run
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(debug), "ringlink-released")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ringlink: %w\n%s", err, out)
	}
	return path, nil
})

// site is a PBX for a gateway of the figures.
type site struct{ url, user, password string }

// newBenchGateway is a gateway with the defaults of a real one, its log level
// too. Where the store is Postgres, dsn is its address.
func newBenchGateway(t testing.TB, at site, dsn string) *gateway {
	t.Helper()
	dir := t.TempDir()
	desk, debug := freePort(t), freePort(t)
	g := &gateway{
		t: t, config: filepath.Join(dir, "ringlink.yaml"),
		base: fmt.Sprintf("http://127.0.0.1:%d", desk), debug: fmt.Sprintf("http://127.0.0.1:%d", debug),
		env: append(os.Environ(), "ARI_PASSWORD="+at.password, "STORE_DSN="+dsn),
	}
	store := "{driver: sqlite, path: ringlink.db}"
	if dsn != "" {
		store = "{driver: postgres, dsn: {env: STORE_DSN}}"
	}
	text := fmt.Sprintf(`external_url: %s
listen: 127.0.0.1:%d
debug_listen: 127.0.0.1:%d
store: %s
pbxs:
  - name: lab
    ari: {url: %s, user: %s, password: {env: ARI_PASSWORD}, app: ringlink-%d}
    trunks: [PJSIP/trunkout]
    trunk_contexts: [from-trunk]
    region: US
`, g.base, desk, debug, store, at.url, at.user, desk)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// startReleased starts the released program and returns how long it took until
// /readyz said so.
func (g *gateway) startReleased() time.Duration {
	g.t.Helper()
	path, err := released()
	if err != nil {
		g.t.Fatal(err)
	}
	g.log = &logFile{}
	g.cmd = exec.Command(path, "serve", "--config", g.config)
	g.cmd.Env = g.env
	g.cmd.Stderr = g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan<- error) { ended <- c.Wait() }(g.cmd, g.ended)
	g.t.Cleanup(g.stop)
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err = g.get(g.debug+"/readyz", http.StatusOK); err == nil {
			return time.Since(began)
		}
		select {
		case <-again.C:
		case ended := <-g.ended:
			g.t.Fatalf("ringlink ended: %v\n%s", ended, g.log)
		}
		if time.Since(began) > patience {
			g.t.Fatalf("ringlink is not ready: %v\n%s", err, g.log)
		}
	}
}

// reportingDesk is a desk that tells of each pop that it is drawn, as the page does.
func (g *gateway) reportingDesk(login string) *deskClient {
	g.t.Helper()
	d := g.desk(login)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	told := map[string]bool{}
	go func() {
		defer close(done)
		_, _ = d.wait(ctx, func(v screenpop.CallView) bool { // until ctx ends
			if v.Pop != "" && v.PopState == "offered" && !told[v.Pop] {
				told[v.Pop] = true
				_ = d.shown(ctx, v.Pop) // the gateway may have been stopped
			}
			return false
		})
	}()
	g.t.Cleanup(func() { cancel(); <-done })
	return d
}

// cpuOf is the CPU time that a process has had, user and system, of all its
// threads. Its clock counts nanoseconds where /proc/PID/stat has hundredths of
// a second, which is as much as some calls cost (clock_getcpuclockid(3)).
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	var ts syscall.Timespec
	clock := uintptr(uint32(^pid<<3 | 2))
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		t.Fatalf("reading the CPU clock of process %d: %v", pid, errno)
	}
	return time.Duration(ts.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// below tells whether the median of the rounds is, and how the aim is written.
func below(limit float64, unit string, values []float64) (aim string, met bool) {
	return fmt.Sprintf("< %v %s", limit, unit), figures.Median(values) < limit
}

// latencies are the delays of one round, in ms.
type latencies []float64

// quantiles gives one quantile of each round.
func quantiles(rounds []latencies, q float64) (values []float64) {
	for _, r := range rounds {
		values = append(values, figures.Quantile(r, q))
	}
	return values
}

// pooled are all rounds as one; its worst is what a spread of medians hides.
func pooled(rounds []latencies) (all latencies) {
	for _, r := range rounds {
		all = append(all, r...)
	}
	return all
}

func (l latencies) String() string {
	return fmt.Sprintf("p50 %.2f, p95 %.2f, p99 %.2f, max %.2f ms of %d",
		figures.Quantile(l, 0.5), figures.Quantile(l, 0.95), figures.Quantile(l, 0.99), figures.Quantile(l, 1), len(l))
}
