package screenpop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringlink/screenpop"
)

// event is one message of a stream as a browser gets it.
type event struct{ id, name, data string }

// listen opens a stream. The channel gets its events and comments (as name
// ":") and is closed when the stream ends.
func (b *browser) listen() (*http.Response, <-chan event) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+"/api/stream", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	events := make(chan event, 8192)
	go func() {
		defer close(events)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				switch {
				case e.name != "":
					events <- e
				case value != "":
					events <- event{name: ":"}
				}
				e = event{}
			}
		}
	}()
	return res, events
}

func await(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream has ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	return event{}
}

// awaitEnd reads until the stream has ended.
func awaitEnd(t *testing.T, events <-chan event) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-limit:
			t.Fatal("the stream goes on")
		}
	}
}

func TestStream(t *testing.T) {
	s := newSite(t)
	s.hub.Publish(agentOne, talking("c1"))
	_, writes := s.sessions.count()
	one := s.signedIn("one")
	res, events := one.listen()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" ||
		res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Ringlink-Desk") != string(agentOne) {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	first := await(t, events)
	var calls []screenpop.CallView
	if err := json.Unmarshal([]byte(first.data), &calls); err != nil || first.name != "state" || len(calls) != 1 || first.id == "" {
		t.Errorf("first event %+v: %v", first, err)
	}
	s.hub.Publish(agentTwo, talking("c2"))
	s.hub.Publish(agentOne, talking("c3"))
	second := await(t, events)
	var call screenpop.CallView
	if err := json.Unmarshal([]byte(second.data), &call); err != nil || second.name != "call" || call.Call != "c3" || second.id == first.id {
		t.Errorf("second event %+v: %v", second, err)
	}
	if _, now := s.sessions.count(); now != writes+1 { // the sign-in's
		t.Errorf("%d writes of sessions, want 1", now-writes)
	}
	s.hub.Close()
	awaitEnd(t, events)
	if got := one.get("/api/stream"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the hub closed: %s", got.Status)
	}
}

func TestTooManyStreams(t *testing.T) {
	s := newSite(t)
	one := s.signedIn("one")
	for range 8 {
		if res, events := one.listen(); res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		} else {
			await(t, events)
		}
	}
	if got := one.get("/api/stream"); got.StatusCode != http.StatusTooManyRequests || !strings.Contains(got.text, "close some") {
		t.Errorf("%s %s", got.Status, got.text)
	}
}

// A stream ends with its session, at the next heartbeat at the latest.
func TestStreamEndsWithItsSession(t *testing.T) {
	if screenpop.StreamHeartbeat > 15*time.Second {
		t.Errorf("heartbeats are %v apart", screenpop.StreamHeartbeat)
	}
	for name, end := range map[string]func(*site, *browser){
		"signed out": func(_ *site, b *browser) { b.post("/logout") },
		"revoked":    func(s *site, _ *browser) { s.sessions.clear() },
		"expired":    func(s *site, _ *browser) { s.late.Add(int64(25 * time.Hour)) },
		"disabled": func(s *site, _ *browser) {
			s.users.change("u1", func(u *screenpop.User) { u.Disabled = true })
		},
		"another agent's now": func(s *site, _ *browser) {
			s.users.change("u1", func(u *screenpop.User) { u.Agent = agentTwo })
		},
		"expired while the store is away": func(s *site, _ *browser) {
			s.sessions.fail(errors.New("away"))
			s.late.Add(int64(25 * time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.srv.SetStream(10*time.Millisecond, screenpop.StreamWriteTimeout)
			b := s.signedIn("one")
			_, events := b.listen()
			for await(t, events).name != ":" { // the session held once
			}
			end(s, b)
			awaitEnd(t, events)
		})
	}
}

// Signing out in one browser does not end the desk of another for long.
func TestOtherSessionComesBack(t *testing.T) {
	s := newSite(t)
	here, there := s.signedIn("one"), s.signedIn("one")
	_, events := there.listen()
	await(t, events)
	here.post("/logout")
	awaitEnd(t, events)
	if res, again := there.listen(); res.StatusCode != http.StatusOK || await(t, again).name != "state" {
		t.Errorf("the other session: %s", res.Status)
	}
}

// The store's absence ends no stream: pops go on without it.
func TestStreamOutlivesTheStore(t *testing.T) {
	s := newSite(t)
	s.srv.SetStream(5*time.Millisecond, screenpop.StreamWriteTimeout)
	_, events := s.signedIn("one").listen()
	await(t, events)
	s.sessions.fail(errors.New("away"))
	for range 5 {
		if e := await(t, events); e.name != ":" {
			t.Fatalf("%+v", e)
		}
	}
	s.hub.Publish(agentOne, talking("c1"))
	for {
		if e := await(t, events); e.name == "call" {
			break
		}
	}
}

// Row 54: a reader that has stalled is cut within the write time-out of a full
// socket, and nobody else notices.
func TestStalledReaderIsCut(t *testing.T) {
	if screenpop.StreamWriteTimeout > 5*time.Second {
		t.Errorf("a flush may take %v", screenpop.StreamWriteTimeout)
	}
	const limit = 500 * time.Millisecond
	s := newSite(t)
	s.srv.SetStream(time.Minute, limit)
	b := s.signedIn("one")
	_, quick := b.listen()
	await(t, quick)
	stalled := s.stall(b)
	defer stalled.Close()

	big := talking("c1")
	big.TicketTitle = strings.Repeat("x", 4<<10)
	var slowest time.Duration
	began := time.Now() // the sockets hold a few messages only, see newSite
	for i := 0; s.hub.Streams(agentOne) > 1; i++ {
		if time.Since(began) > limit+5*time.Second {
			t.Fatal("the stalled reader is still there")
		}
		big.CallNumber = fmt.Sprint(i)
		sent := time.Now()
		s.hub.Publish(agentOne, big)
		if e := await(t, quick); e.name != "call" {
			t.Fatalf("%+v", e)
		}
		slowest = max(slowest, time.Since(sent))
		time.Sleep(time.Millisecond) // calls come slower than this; the queue is not what cuts here
	}
	if cut := time.Since(began); cut < limit || cut > limit+3*time.Second {
		t.Errorf("cut after %v, want %v and the time to fill a socket", cut, limit)
	}
	if slowest > limit {
		t.Errorf("the other reader waited %v", slowest)
	}
	if _, err := io.Copy(io.Discard, stalled); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the stalled connection: %v", err)
	}
}

// stall opens a stream of the browser's session over a socket that it never
// reads.
func (s *site) stall(b *browser) net.Conn {
	s.t.Helper()
	at := s.http.Listener.Addr().String()
	dialer := net.Dialer{}
	conn, err := dialer.DialContext(s.t.Context(), "tcp", at)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		s.t.Fatal(err)
	}
	base, err := url.Parse(b.base)
	if err != nil {
		s.t.Fatal(err)
	}
	before := s.hub.Streams(agentOne)
	fmt.Fprintf(conn, "GET /api/stream HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", at, b.Jar.Cookies(base)[0])
	limit := time.Now().Add(10 * time.Second)
	for s.hub.Streams(agentOne) == before {
		if time.Now().After(limit) {
			s.t.Fatal("the stream did not open")
		}
		time.Sleep(time.Millisecond)
	}
	return conn
}
