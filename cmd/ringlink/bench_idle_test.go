package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringlink/ari/aritest"
	"ringlink/cmd/internal/figures"
)

// startFake runs a fake Asterisk until the test ends.
func startFake(t testing.TB) (*aritest.Asterisk, site) {
	t.Helper()
	const user, password = "ringlink", "fake-asterisk"
	fake, err := aritest.New(aritest.Options{User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fake.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return fake, site{fake.URL(), user, password}
}

// figureStart is the time from exec to the first 200 of /readyz, beside that of
// `ringlink version`, which is what the machine takes for a process and the Go runtime.
func figureStart(t *testing.T, table *figures.Table) {
	_, at := startFake(t)
	path, err := released()
	if err != nil {
		t.Fatal(err)
	}
	floor := func() float64 {
		began := time.Now()
		if out, err := exec.Command(path, "version").CombinedOutput(); err != nil {
			t.Fatalf("ringlink version: %v\n%s", err, out)
		}
		return milliseconds(time.Since(began))
	}
	first := figures.Figure{Name: "start to ready, SQLite, new database", Unit: "ms", PeerName: "ringlink version"}
	again := first
	again.Name = "start to ready, SQLite, database there"
	for range 10 {
		g := newBenchGateway(t, at, "")
		for _, f := range []*figures.Figure{&first, &again} {
			f.Peer = append(f.Peer, floor())
			f.Ours = append(f.Ours, milliseconds(g.startReleased()))
			g.stop()
		}
	}
	for _, f := range []figures.Figure{first, again} {
		f.Aim, f.Met = below(500, "ms", f.Ours)
		table.Add(f)
	}
}

// figureIdle is the resident memory ten seconds after ready, and the CPU that
// went by meanwhile.
func figureIdle(t *testing.T, table *figures.Table) {
	_, at := startFake(t)
	rss := figures.Figure{Name: "idle RSS, SQLite, one PBX, 10 s after ready", Unit: "MB"}
	anon := figures.Figure{Name: "of it anonymous (heap, stacks)", Unit: "MB"}
	cpu := figures.Figure{Name: "idle CPU, ms a second", Unit: "ms"}
	var parts string
	for range rounds {
		g := newBenchGateway(t, at, "")
		g.startReleased()
		before := cpuOf(t, g.cmd.Process.Pid)
		select {
		case <-time.After(10 * time.Second): // the figure's own definition
		case err := <-g.ended:
			t.Fatalf("ringlink ended: %v\n%s", err, g.log)
		}
		m := memory(t, g.cmd.Process.Pid)
		cpu.Ours = append(cpu.Ours, milliseconds(cpuOf(t, g.cmd.Process.Pid)-before)/10)
		rss.Ours, anon.Ours = append(rss.Ours, m["VmRSS"]), append(anon.Ours, m["RssAnon"])
		parts = fmt.Sprintf("binary and libraries in memory %.1f MB, threads %d", m["RssFile"], threads(t, g.cmd.Process.Pid))
		g.stop()
	}
	rss.Aim, rss.Met = below(40, "MB", rss.Ours)
	table.Add(rss)
	table.Add(anon)
	table.Note("%s", parts)
	table.Add(cpu)
}

// memory reads the sizes of /proc/PID/status, in MB.
func memory(t testing.TB, pid int) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		var kB float64
		if _, err := fmt.Sscanf(value, "%f kB", &kB); err == nil {
			sizes[key] = kB * 1024 / 1e6
		}
	}
	return sizes
}

func threads(t testing.TB, pid int) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(pid), "task"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
