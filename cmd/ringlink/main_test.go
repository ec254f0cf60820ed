package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringlink/cmd/internal/lab"
	"ringlink/screenpop"
	"ringlink/store/storetest"
)

// patience is how long a step of an end-to-end test may take on a busy machine.
const patience = 30 * time.Second

// built is the folder of binary, once it was made.
var built string

// binary is the program, built once for all tests of this package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ringlink-test-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "ringlink")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ringlink: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	sayLeftOut()
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// sayLeftOut tells whoever typed a bare `go test ./...` which tiers it leaves
// out. go test swallows what a package that passes prints, so the words go to
// its own standard error, where the system lets us (Linux).
func sayLeftOut() {
	var out []string
	for _, tier := range storetest.Tiers() {
		if !storetest.Mandatory(tier) {
			out = append(out, string(tier))
		}
	}
	if len(out) == 0 {
		return
	}
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", os.Getppid()), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "tiers left out: %s (make test runs them)\n", strings.Join(out, ", "))
}

// gateway is a running `ringlink serve` and its configuration.
type gateway struct {
	t      testing.TB
	config string
	base   string // the desk
	debug  string
	env    []string
	log    *logFile
	cmd    *exec.Cmd
	ended  chan error
}

// logFile gathers what a process writes.
type logFile struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// newGateway writes a configuration for the lab's Asterisk; store is the YAML
// of the store's section. It starts nothing.
func newGateway(t testing.TB, a *lab.Asterisk, store string) *gateway {
	t.Helper()
	dir := t.TempDir()
	desk, debug := freePort(t), freePort(t)
	g := &gateway{
		t: t, config: filepath.Join(dir, "ringlink.yaml"),
		base: fmt.Sprintf("http://127.0.0.1:%d", desk), debug: fmt.Sprintf("http://127.0.0.1:%d", debug),
		env: append(os.Environ(), "ARI_PASSWORD="+a.Password()),
	}
	text := fmt.Sprintf(`external_url: %s
listen: 127.0.0.1:%d
debug_listen: 127.0.0.1:%d
log: {level: debug}
store: %s
pbxs:
  - name: lab
    ari: {url: %s, user: %s, password: {env: ARI_PASSWORD}, app: ringlink-%d}
    trunks: [PJSIP/trunkout]
    trunk_contexts: [from-trunk]
    region: US
`, g.base, desk, debug, store, a.URL(), a.User(), desk)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// sqliteStore is the store's section for a file in a fresh folder.
func sqliteStore(t testing.TB) string {
	return fmt.Sprintf("{driver: sqlite, path: %s}", filepath.Join(t.TempDir(), "ringlink.db"))
}

// ringlink runs a command of the program and returns its standard output.
func (g *gateway) ringlink(stdin string, args ...string) string {
	g.t.Helper()
	out, err := g.try(stdin, args...)
	if err != nil {
		g.t.Fatalf("ringlink %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (g *gateway) try(stdin string, args ...string) (string, error) {
	g.t.Helper()
	path, err := binary()
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(g.env, "RINGLINK_CONFIG="+g.config)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w\n%s%s", err, out.String(), errs.String())
	}
	return out.String(), nil
}

// The lab's agents: login, endpoint. 104 is nobody's.
var labAgents = map[string]string{"ann": "PJSIP/101", "bob": "PJSIP/102", "cleo": "PJSIP/103"}

func labPassword(login string) string { return login + "-has-a-long-password" }

// people adds the lab's agents and their devices by the command line.
func (g *gateway) people() {
	g.t.Helper()
	for login, endpoint := range labAgents {
		g.ringlink(labPassword(login)+"\n", "user", "add", login, "--name", "Agent "+strings.ToUpper(login[:1])+login[1:])
		g.ringlink("", "agent", "map", login, "lab", endpoint)
	}
}

// start runs `ringlink serve` and returns when it is alive; stop ends it.
func (g *gateway) start() {
	g.t.Helper()
	path, err := binary()
	if err != nil {
		g.t.Fatal(err)
	}
	g.log = &logFile{}
	g.cmd = exec.Command(path, "serve", "--config", g.config)
	g.cmd.Env = g.env
	g.cmd.Stderr = g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan<- error) { ended <- c.Wait() }(g.cmd, g.ended)
	g.t.Cleanup(func() {
		g.stop()
		if g.t.Failed() {
			g.t.Logf("log of ringlink serve:\n%s", g.log)
		}
	})
	g.until("alive", func() error {
		_, err := g.get(g.debug+"/healthz", http.StatusOK)
		return err
	})
}

// stop asks the gateway to end, which must be orderly.
func (g *gateway) stop() {
	g.t.Helper()
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-g.ended:
		if err != nil {
			g.t.Errorf("ringlink serve ended with %v", err)
		}
	case <-time.After(patience):
		_ = g.cmd.Process.Kill()
		g.t.Error("ringlink serve did not end")
	}
	g.cmd = nil
}

// kill ends the gateway as a power cut does.
func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	<-g.ended
	g.cmd = nil
}

// ready waits until /readyz says so.
func (g *gateway) ready() {
	g.t.Helper()
	g.until("ready", func() error {
		_, err := g.get(g.debug+"/readyz", http.StatusOK)
		return err
	})
}

// until tries a thing again every few milliseconds until it works.
func (g *gateway) until(what string, try func() error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			g.t.Fatalf("waiting for %s: %v", what, err)
		case ended := <-g.ended:
			g.ended <- ended
			g.t.Fatalf("waiting for %s: ringlink ended: %v\n%s", what, ended, g.log)
		case <-again.C:
		}
	}
}

func (g *gateway) get(url string, want int) (string, error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("GET %s: HTTP %d: %s", url, resp.StatusCode, body)
	}
	return string(body), err
}

// desks signs every agent in and holds their streams until the test ends.
func (g *gateway) desks() map[string]*deskClient {
	g.t.Helper()
	list := map[string]*deskClient{}
	for login := range labAgents {
		list[login] = g.desk(login)
	}
	return list
}

func (g *gateway) desk(login string) *deskClient {
	g.t.Helper()
	d, err := newDeskClient(g.base)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := d.signIn(g.t.Context(), login, labPassword(login)); err != nil {
		g.t.Fatalf("signing %s in: %v", login, err)
	}
	ctx, cancel := context.WithCancel(g.t.Context())
	done, open := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := d.stream(ctx, open); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			g.t.Logf("stream of %s: %v", login, err)
		}
	}()
	g.t.Cleanup(func() { cancel(); <-done })
	select {
	case <-open:
	case <-time.After(patience):
		g.t.Fatalf("the stream of %s did not open", login)
	}
	return d
}

// pops runs `ringlink pops --json --reveal`.
func (g *gateway) pops() (rows []popRow) {
	g.t.Helper()
	dec := json.NewDecoder(strings.NewReader(g.ringlink("", "pops", "--json", "--reveal")))
	for dec.More() {
		var r popRow
		if err := dec.Decode(&r); err != nil {
			g.t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// talking accepts the view of a pop whose agent talks.
func talking(v screenpop.CallView) bool { return v.Pop != "" && v.State == "talking" }
