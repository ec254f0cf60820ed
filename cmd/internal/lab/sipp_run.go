package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// sippRun is a sipp that plays one scenario.
type sippRun struct {
	tb   testing.TB
	port int
	cmd  *exec.Cmd
	out  bytes.Buffer // owned by cmd until done
	err  error        // owned by the waiting goroutine until done
	done chan struct{}
}

func startSIPp(tb testing.TB, scenario []byte, port int, args ...string) *sippRun {
	tb.Helper()
	r := &sippRun{tb: tb, port: port, done: make(chan struct{})}
	r.cmd = sippCommand(tb.Context(), tb, scenario, append(args, "-p", strconv.Itoa(port))...)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		tb.Fatalf("starting sipp: %v", err)
	}
	go func() {
		defer close(r.done)
		r.err = r.cmd.Wait()
	}()
	// tb.Context ends first and takes the process with it.
	tb.Cleanup(func() { <-r.done })
	return r
}

// awaitBound waits until sipp listens.
func (r *sippRun) awaitBound() {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(r.tb.Context(), phoneTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !bound(r.tb, r.port) {
		select {
		case <-ctx.Done():
			r.tb.Fatalf("waiting for sipp on port %d: %v", r.port, ctx.Err())
		case <-r.done:
			r.tb.Fatalf("waiting for sipp on port %d: it ended: %v\n%s", r.port, r.err, tail(r.out.Bytes()))
		case <-tick.C:
		}
	}
}

// press lets the scenario of the call with this Call-ID go on: an INFO in place of a finger on a key.
func (r *sippRun) press(id string) {
	r.tb.Helper()
	conn, err := net.Dial("udp", loopback(r.port))
	if err != nil {
		r.tb.Fatal(err)
	}
	defer conn.Close()
	info := fmt.Sprintf("INFO sip:caller@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bKhook\r\n"+
		"From: <sip:hook@%[2]s>;tag=hook\r\nTo: <sip:caller@%[1]s>\r\nCall-ID: %[3]s\r\nCSeq: 1 INFO\r\nContent-Length: 0\r\n\r\n",
		loopback(r.port), conn.LocalAddr(), id)
	if _, err := conn.Write([]byte(info)); err != nil {
		r.tb.Fatalf("telling sipp to go on: %v", err)
	}
}

// finish waits for the scenario's end, which must be a good one.
func (r *sippRun) finish() {
	r.tb.Helper()
	timer := time.NewTimer(phoneTime)
	defer timer.Stop()
	select {
	case <-r.done:
		if r.err != nil {
			r.tb.Fatalf("sipp: %v\n%s", r.err, tail(r.out.Bytes()))
		}
	case <-timer.C:
		r.tb.Fatal("sipp did not end its call")
	}
}
