package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringlink/store/storetest"
)

// A phone does at once what it is told, but the two cores may be compiling.
const phoneTime = 20 * time.Second

// phoneEvent is what baresip's ctrl_tcp module says of itself.
type phoneEvent struct {
	Type      string `json:"type"` // CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED, REGISTER_OK, ...
	Direction string `json:"direction"`
	PeerURI   string `json:"peeruri"`
	PeerName  string `json:"peerdisplayname"`
	Param     string `json:"param"` // for CALL_CLOSED the reason
}

// baresip is one baresip process and the TCP connection by which it is told what to do.
type baresip struct {
	tb   testing.TB
	name string
	cmd  *exec.Cmd
	conn net.Conn
	log  string // file with its output

	mu      sync.Mutex    // guards what follows
	events  []phoneEvent  // everything that it said
	replies []phoneReply  // answers to commands, oldest first
	lost    error         // why the connection ended
	changed chan struct{} // closed and renewed at every change
}

type phoneReply struct {
	OK   bool   `json:"ok"`
	Data string `json:"data"`
}

// startBaresip starts a baresip and returns when it can be told what to do. It
// has no account: the command uanew makes one, whose registration is then seen.
func startBaresip(tb testing.TB, name string) *baresip {
	tb.Helper()
	storetest.Opted(tb, storetest.TierAsterisk)
	path, err := exec.LookPath("baresip")
	if err != nil {
		storetest.Missing(tb, storetest.TierAsterisk, "baresip: %v", err)
	}
	dir, base := tb.TempDir(), portBlock(tb)
	// aubridge needs no sound card: what comes in goes back out.
	// The answers ring nowhere, and nothing is read from or written to a terminal.
	config := fmt.Sprintf(`sip_listen 127.0.0.1:%d
ctrl_tcp_listen 127.0.0.1:%d
net_interface 127.0.0.1
rtp_ports 25000-29999
statmode_default off
audio_player aubridge,nil
audio_source aubridge,nil
audio_alert aubridge,nil
module_path %s
module g711.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
`, base, base+2, moduleDir())
	for file, text := range map[string]string{"config": config, "accounts": "", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	b := &baresip{tb: tb, name: name, log: filepath.Join(dir, "log"), changed: make(chan struct{})}
	out, err := os.Create(b.log)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close() // the child has its own
	b.cmd = exec.Command(path, "-4", "-f", dir)
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		tb.Fatalf("starting baresip %s: %v", name, err)
	}
	tb.Cleanup(b.stop)
	b.connect(base + 2)
	go b.read()
	return b
}

// moduleDir is where Debian keeps baresip's modules.
func moduleDir() string {
	if dirs, err := filepath.Glob("/usr/lib/*/baresip/modules"); err == nil && len(dirs) > 0 {
		return dirs[0]
	}
	return "/usr/lib/baresip/modules"
}

func (b *baresip) connect(port int) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.tb.Context(), phoneTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// Nothing tells when baresip listens but a connection that succeeds.
		conn, err := net.Dial("tcp", loopback(port))
		if err == nil {
			b.conn = conn
			return
		}
		select {
		case <-ctx.Done():
			b.tb.Fatalf("waiting for baresip %s: %v, %v\n%s", b.name, err, ctx.Err(), b.logText())
		case <-tick.C:
		}
	}
}

// read takes netstrings ("5:hello,") with JSON in them until the connection ends.
func (b *baresip) read() {
	in := bufio.NewReader(b.conn)
	for {
		payload, err := readNetstring(in)
		b.mu.Lock()
		if err != nil {
			b.lost = err
		} else if reply, isReply, err := parseReply(payload); err == nil && isReply {
			b.replies = append(b.replies, reply)
		} else {
			var e phoneEvent
			if err := json.Unmarshal(payload, &e); err == nil {
				b.events = append(b.events, e)
			}
		}
		close(b.changed)
		b.changed = make(chan struct{})
		lost := b.lost != nil
		b.mu.Unlock()
		if lost {
			return
		}
	}
}

func readNetstring(in *bufio.Reader) ([]byte, error) {
	size, err := in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
	if err != nil || n < 0 || n > 1<<20 {
		return nil, fmt.Errorf("reading a netstring: size %q", size)
	}
	payload := make([]byte, n+1) // with the comma
	_, err = io.ReadFull(in, payload)
	return payload[:n], err
}

func parseReply(payload []byte) (r phoneReply, isReply bool, err error) {
	var both struct {
		Response bool `json:"response"`
		phoneReply
	}
	err = json.Unmarshal(payload, &both)
	return both.phoneReply, both.Response, err
}

// command runs one of baresip's commands and returns what it answered.
func (b *baresip) command(name, params string) string {
	b.tb.Helper()
	payload, err := json.Marshal(map[string]string{"command": name, "params": params})
	if err != nil {
		b.tb.Fatal(err)
	}
	b.mu.Lock()
	b.replies = nil // commands are given one at a time
	b.mu.Unlock()
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(payload), payload); err != nil {
		b.tb.Fatalf("baresip %s: %s %s: %v\n%s", b.name, name, params, err, b.logText())
	}
	var reply phoneReply
	b.wait(b.tb.Context(), "an answer to "+name, func() bool {
		if len(b.replies) == 0 {
			return false
		}
		reply = b.replies[0]
		return true
	})
	if !reply.OK {
		b.tb.Fatalf("baresip %s: %s %s: %s\n%s", b.name, name, params, reply.Data, b.logText())
	}
	return reply.Data
}

// wait blocks until there is what is waited for; there is called with mu held.
func (b *baresip) wait(ctx context.Context, what string, there func() bool) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, phoneTime)
	defer cancel()
	for {
		b.mu.Lock()
		ok, lost, changed := there(), b.lost, b.changed
		b.mu.Unlock()
		if ok {
			return
		}
		if lost != nil {
			b.tb.Fatalf("baresip %s: waiting for %s: the connection ended: %v\n%s", b.name, what, lost, b.logText())
		}
		select {
		case <-ctx.Done():
			b.tb.Fatalf("baresip %s: waiting for %s: %v\n%s", b.name, what, ctx.Err(), b.logText())
		case <-changed:
		}
	}
}

// await waits for an event of a type among those from place on and returns it and its place.
func (b *baresip) await(ctx context.Context, from int, typ string) (phoneEvent, int) {
	b.tb.Helper()
	at := -1
	var found phoneEvent
	b.wait(ctx, typ, func() bool {
		for i := from; i < len(b.events); i++ {
			if b.events[i].Type == typ {
				at, found = i, b.events[i]
				return true
			}
		}
		return false
	})
	return found, at
}

// mark is the place after everything said so far.
func (b *baresip) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events)
}

// dtmf keys digits one by one, each a command of its own: baresip ends a digit
// only with the next or at the command's end.
func (b *baresip) dtmf(digits string) {
	b.tb.Helper()
	for _, d := range digits {
		b.command("sndcode", string(d))
	}
}

// count says how many events of a type there have been.
func (b *baresip) count(typ string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.events {
		if e.Type == typ {
			n++
		}
	}
	return n
}

func (b *baresip) stop() {
	if b.conn != nil {
		b.conn.Close()
	}
	// It unregisters and hangs up on SIGTERM, and is killed if that takes long.
	kill := func(sig syscall.Signal) {
		if err := syscall.Kill(-b.cmd.Process.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			b.tb.Errorf("stopping baresip %s: %v", b.name, err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = b.cmd.Wait() // ended by a signal, so its exit code says nothing
	}()
	kill(syscall.SIGTERM)
	timer := time.NewTimer(3 * time.Second)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		kill(syscall.SIGKILL)
		<-done
	}
}

func (b *baresip) logText() string {
	data, err := os.ReadFile(b.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}
