package lab

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringlink/store/storetest"
)

//go:embed sipp/*.xml
var scenarios embed.FS

// UAS names a place where sipp answers calls.
type UAS int

// The places that the lab's Asterisk knows.
const (
	TrunkOut  UAS = 2 // whom an agent reaches by dialling 9 and an outside number
	LoadAgent UAS = 3 // the agent PJSIP/110, whom 5030 dials
)

// StartUAS starts a sipp that rings, answers after the given time and stays
// until the other side hangs up. It is there when StartUAS returns.
func StartUAS(tb testing.TB, a *Asterisk, where UAS, answerAfter time.Duration) {
	tb.Helper()
	port := a.base + int(where)
	// tb.Context ends before the cleanups run, which is where sipp is ended.
	cmd := sippCommand(context.Background(), tb, scenarioFile(tb, "uas.xml"), "-p", strconv.Itoa(port), "-d", strconv.FormatInt(answerAfter.Milliseconds(), 10))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		tb.Fatalf("starting sipp: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // it never ends by itself, only killed
	}()
	tb.Cleanup(func() {
		select {
		case <-done:
			tb.Errorf("sipp on port %d ended by itself:\n%s", port, tail(out.Bytes()))
		default:
			if err := cmd.Process.Kill(); err != nil {
				tb.Errorf("stopping sipp: %v", err)
			}
			<-done
		}
	})
	ctx, cancel := context.WithTimeout(tb.Context(), phoneTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !bound(tb, port) {
		select {
		case <-ctx.Done():
			tb.Fatalf("waiting for sipp on port %d: %v", port, ctx.Err())
		case <-done:
			tb.Fatalf("waiting for sipp on port %d: it ended:\n%s", port, tail(out.Bytes()))
		case <-tick.C:
		}
	}
}

// Load is what a run of SIPpRate was.
type Load struct {
	Calls int
	Took  time.Duration
}

// SIPpRate makes n calls to a number at a steady rate (calls a second), each
// lasting one second, from the fictional numbers +12025550100 to 199, and
// returns when all are over. A call that fails fails the test. Dialling 5030 needs StartUAS(LoadAgent).
func SIPpRate(tb testing.TB, a *Asterisk, to string, rate float64, n int) Load {
	tb.Helper()
	numbers := filepath.Join(tb.TempDir(), "callers.csv")
	var csv strings.Builder
	csv.WriteString("SEQUENTIAL\n")
	for i := range 100 {
		fmt.Fprintf(&csv, "+120255501%02d;\n", i)
	}
	if err := os.WriteFile(numbers, []byte(csv.String()), 0o600); err != nil {
		tb.Fatal(err)
	}
	// sipp takes whole calls in a period: 2.5 a second are 25 in ten.
	const period = 10
	limit := time.Duration(float64(n)/rate*float64(time.Second)) + time.Minute
	cmd := sippCommand(tb.Context(), tb, scenarioFile(tb, "uac.xml"), a.SIPAddr(),
		"-p", strconv.Itoa(portBlock(tb)), "-s", to, "-inf", numbers, "-d", "1000",
		"-r", strconv.Itoa(max(1, int(rate*period+0.5))), "-rp", strconv.Itoa(period*1000), "-m", strconv.Itoa(n),
		"-timeout", strconv.Itoa(int(limit.Seconds()))+"s", "-timeout_error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("sipp, %d calls to %s: %v\n%s", n, to, err, tail(out))
	}
	return Load{Calls: n, Took: time.Since(start)}
}

func scenarioFile(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := scenarios.ReadFile("sipp/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func sippCommand(ctx context.Context, tb testing.TB, scenario []byte, args ...string) *exec.Cmd {
	tb.Helper()
	storetest.Opted(tb, storetest.TierSIPp)
	path, err := exec.LookPath("sipp")
	if err != nil {
		storetest.Missing(tb, storetest.TierSIPp, "sipp: %v", err)
	}
	dir := tb.TempDir()
	file := filepath.Join(dir, "scenario.xml")
	if err := os.WriteFile(file, scenario, 0o600); err != nil {
		tb.Fatal(err)
	}
	fixed := []string{"-sf", file, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-nd"}
	cmd := exec.CommandContext(ctx, path, append(fixed, args...)...)
	cmd.Dir = dir // sipp leaves its files where it stands
	cmd.Env = append(os.Environ(), "TERM=dumb")
	return cmd
}

// bound reports whether some process has the loopback UDP port: sipp does not say when it listens.
func bound(tb testing.TB, port int) bool {
	tb.Helper()
	data, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Contains(data, fmt.Appendf(nil, " 0100007F:%04X ", port))
}

func tail(out []byte) string { return string(out[max(0, len(out)-3000):]) }
