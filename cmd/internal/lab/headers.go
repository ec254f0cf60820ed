package lab

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// HeaderCall is a call from outside whose INVITE bears headers of the test's
// choice, made by sipp: no phone lets them be written.
type HeaderCall struct {
	tb   testing.TB
	id   string
	port int
	cmd  *exec.Cmd
	out  bytes.Buffer // owned by cmd until done
	err  error        // owned by the waiting goroutine until done
	done chan struct{}
}

// CallWithHeaders places a call whose INVITE has further header lines
// ("P-Asserted-Identity: <sip:+12025550105@example.com>", "Privacy: id"). DTMF of the
// options is not for it. It returns at once; the phone that rings tells that the call is there.
func CallWithHeaders(tb testing.TB, a *Asterisk, o CallOptions, headers ...string) *HeaderCall {
	tb.Helper()
	from := fmt.Sprintf(`"%s" <sip:%s@127.0.0.1>`, o.Name, o.From)
	if o.Anonymous {
		from = `"Anonymous" <sip:anonymous@anonymous.invalid>`
	}
	tmpl, err := template.ParseFS(scenarios, "sipp/headers.xml")
	if err != nil {
		tb.Fatal(err)
	}
	var scenario bytes.Buffer
	err = tmpl.Execute(&scenario, struct {
		To, From string
		Headers  []string
	}{o.To, from, headers})
	if err != nil {
		tb.Fatal(err)
	}
	c := &HeaderCall{tb: tb, port: portBlock(tb), done: make(chan struct{})}
	c.id = fmt.Sprintf("lab-%d-%d", c.port, time.Now().UnixNano())
	c.cmd = sippCommand(tb.Context(), tb, scenario.Bytes(), a.SIPAddr(), "-p", strconv.Itoa(c.port), "-m", "1", "-cid_str", c.id)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	if err := c.cmd.Start(); err != nil {
		tb.Fatalf("starting sipp: %v", err)
	}
	go func() {
		defer close(c.done)
		c.err = c.cmd.Wait()
	}()
	// tb.Context ends first and takes the process with it.
	tb.Cleanup(func() { <-c.done })
	return c
}

// CallID is the Call-ID of its INVITE.
func (c *HeaderCall) CallID() string { return c.id }

// Done is closed when the call is over, whoever ended it.
func (c *HeaderCall) Done() <-chan struct{} { return c.done }

// Hangup ends the call, which must have been answered, and waits for the end.
func (c *HeaderCall) Hangup() {
	c.tb.Helper()
	conn, err := net.Dial("udp", loopback(c.port))
	if err != nil {
		c.tb.Fatal(err)
	}
	defer conn.Close()
	info := fmt.Sprintf("INFO sip:caller@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bKhook\r\n"+
		"From: <sip:hook@%[2]s>;tag=hook\r\nTo: <sip:caller@%[1]s>\r\nCall-ID: %[3]s\r\nCSeq: 1 INFO\r\nContent-Length: 0\r\n\r\n",
		loopback(c.port), conn.LocalAddr(), c.id)
	if _, err := conn.Write([]byte(info)); err != nil {
		c.tb.Fatalf("hanging up by INFO: %v", err)
	}
	timer := time.NewTimer(phoneTime)
	defer timer.Stop()
	select {
	case <-c.done:
		if c.err != nil {
			c.tb.Fatalf("sipp: %v\n%s", c.err, tail(c.out.Bytes()))
		}
	case <-timer.C:
		c.tb.Fatal("sipp did not end its call")
	}
}
