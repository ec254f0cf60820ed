package screenpop_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
)

// cookie is the browser's session as a request header.
func (b *browser) cookie() string {
	base, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.Jar.Cookies(base) {
		return c.Name + "=" + c.Value
	}
	return ""
}

// A request whose body never comes ends in time on every way through the
// server: net/http itself waits for the rest of a body before it answers.
func TestUnsentBodyEndsInTime(t *testing.T) {
	s := newSite(t)
	s.srv.SetAnswers(100 * time.Millisecond)
	host, cookie := strings.TrimPrefix(s.http.URL, "http://"), s.signedIn("one").cookie()
	for _, head := range []string{
		"GET /login HTTP/1.1\r\nHost: " + host,
		"POST /login HTTP/1.1\r\nHost: " + host,
		"POST /login HTTP/1.1\r\nHost: evil.example",
		"POST /login HTTP/1.1\r\nOrigin: https://evil.example\r\nHost: " + host,
		"POST /nothing HTTP/1.1\r\nHost: " + host,
		"GET //login HTTP/1.1\r\nHost: " + host,
		"GET /api/stream HTTP/1.1\r\nHost: " + host,
		"GET /api/stream HTTP/1.1\r\nCookie: " + cookie + "\r\nHost: " + host,
	} {
		t.Run(strings.ReplaceAll(head, cookie, "(session)"), func(t *testing.T) {
			for _, body := range []string{"Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
				c, err := net.Dial("tcp", host)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				if _, err := fmt.Fprintf(c, "%s\r\n%s", head, body); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Errorf("the connection was not closed: %v", err)
				}
			}
		})
	}
	if n := s.hub.Streams(agentOne); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

// HEAD of a stream opens none.
func TestHeadOfAStream(t *testing.T) {
	s := newSite(t)
	if got := s.signedIn("one").do(http.MethodHead, "/api/stream", nil); got.StatusCode != http.StatusOK {
		t.Error(got.Status)
	}
	limit := time.Now().Add(5 * time.Second)
	for s.hub.Streams(agentOne) > 0 && time.Now().Before(limit) {
		time.Sleep(time.Millisecond)
	}
	if n := s.hub.Streams(agentOne); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

// A new password ends every session that began with the old one, whoever
// holds it.
func TestNewPasswordEndsSessions(t *testing.T) {
	s := newSite(t)
	s.srv.SetStream(10*time.Millisecond, screenpop.StreamWriteTimeout)
	thief, other := s.signedIn("one"), s.signedIn("two")
	_, events := thief.listen()
	await(t, events)
	hash, err := screenpop.NewPasswords(screenpop.PasswordOptions{Memory: 64, Time: 1}).HashPassword(t.Context(), "another good one")
	if err != nil {
		t.Fatal(err)
	}
	s.users.change("u1", func(u *screenpop.User) { u.PasswordHash = hash })
	if got := thief.get("/me"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old session: %s", got.Status)
	}
	awaitEnd(t, events)
	if got := other.get("/me"); got.StatusCode != http.StatusOK {
		t.Errorf("somebody else's session: %s", got.Status)
	}
}

// hookedSessions runs before at the next commit.
type hookedSessions struct {
	*sessionMap
	before atomic.Pointer[func()]
}

func (h *hookedSessions) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	if f := h.before.Swap(nil); f != nil {
		(*f)()
	}
	return h.sessionMap.CommitCtx(ctx, token, b, expiry)
}

// A request that puts off the idle time-out while its session is signed out
// does not bring the session back.
func TestSignedOutStaysOut(t *testing.T) {
	hooked := &hookedSessions{}
	s := newSite(t, func(o *screenpop.ServerOptions) {
		hooked.sessionMap = o.Sessions.(*sessionMap)
		o.Sessions = hooked
	})
	b := s.signedIn("one")
	cookie := b.cookie()
	s.late.Add(int64(2 * time.Minute)) // the next request writes
	signOut := func() {
		if got := b.post("/logout", "Cookie", cookie); got.StatusCode != http.StatusSeeOther {
			t.Errorf("signing out: %s", got.Status)
		}
	}
	// The sign-out would itself put off the time-out, and so comes second.
	first := func() { hooked.before.Store(nil); signOut() }
	hooked.before.Store(&first)
	s.browser().get("/me", "Cookie", cookie)
	if got := s.browser().get("/me", "Cookie", cookie); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the sign-out: %s", got.Status)
	}
	if rows, _ := s.sessions.count(); rows != 0 {
		t.Errorf("%d sessions", rows)
	}
}

// panickyPops panics with what must not be logged.
type panickyPops struct{ screenpop.Pops }

func (panickyPops) Pop(context.Context, bridge.AgentID, bridge.PopID) (screenpop.Pop, error) {
	panic("caller +12025550142")
}

func TestPanicIsAnswered(t *testing.T) {
	s := newSite(t, func(o *screenpop.ServerOptions) { o.Pops = panickyPops{o.Pops} })
	b := s.signedIn("one")
	if got := b.get("/pops/p1"); got.StatusCode != http.StatusServiceUnavailable || strings.Contains(got.text, "2025550142") {
		t.Errorf("%s %s", got.Status, got.text)
	}
	if log := s.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "GET /pops/{id}") || strings.Contains(log, "2025550142") {
		t.Errorf("log:\n%s", log)
	}
	if got := b.get("/me"); got.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", got.Status)
	}
}

// Whoever guesses tokens or hammers on the door is told to wait, and fills no
// table: one row for each run of refusals.
func TestGuessedTokensAreLimited(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	limited := 0
	for i := range 200 {
		got := b.do(http.MethodPost, "/signin", url.Values{"token": {fmt.Sprint("guess", i)}})
		if got.StatusCode == http.StatusTooManyRequests && got.Header.Get("Retry-After") != "" {
			limited++
		}
	}
	if limited < 178 {
		t.Errorf("%d of 200 guesses were limited", limited)
	}
	for range 100 {
		b.login("one", "wrong")
	}
	if n := len(s.store.Trail()); n > 30 {
		t.Errorf("300 tries wrote %d rows", n)
	}
	if s.audited("login_limited", "") == 0 {
		t.Error("no refusal was audited")
	}
}

// Row 51 over HTTP: of 100 posts of one link exactly one opens it.
func TestRedemptionRaceOverHTTP(t *testing.T) {
	s := newSite(t)
	s.pop("p1", agentOne)
	b := s.signedIn("one")
	link := s.link("p1", agentOne)
	var opened, refused atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			switch got := b.post(link); got.StatusCode {
			case http.StatusSeeOther:
				opened.Add(1)
			case http.StatusGone:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	if opened.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d opened, %d refused", opened.Load(), refused.Load())
	}
}

// A link to a pop that is over or has moved on opens, and its page says so.
func TestLinkOfAPopThatIsOver(t *testing.T) {
	for state, want := range map[bridge.PopState]string{
		bridge.PopSuperseded: "moved on to somebody else",
		bridge.PopExpired:    "has ended",
		bridge.PopEnded:      "has ended",
	} {
		s := newSite(t)
		s.pop("p1", agentOne, func(p *screenpop.Pop) { p.State = state })
		b := s.signedIn("one")
		got := b.post(s.link("p1", agentOne))
		if page := b.get(got.Header.Get("Location")); page.StatusCode != http.StatusOK || !strings.Contains(page.text, want) {
			t.Errorf("%s: %s %s", state, got.Status, page.text)
		}
	}
}

func TestStaticFilesAreCompressed(t *testing.T) {
	s := newSite(t)
	b := s.signedIn("one")
	_, rest, _ := strings.Cut(b.get("/").text, `src="/static/desk.`)
	name, _, _ := strings.Cut(rest, `"`)
	path := "/static/desk." + name
	plain := b.get(path, "Accept-Encoding", "identity")
	for accept, packed := range map[string]bool{
		"gzip, deflate, br, zstd": true, "br;q=1.0, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "br": false, "*": false, "identity": false,
	} {
		got := b.get(path, "Accept-Encoding", accept)
		if got.StatusCode != http.StatusOK || got.Header.Get("Vary") != "Accept-Encoding" || (got.Header.Get("Content-Encoding") == "gzip") != packed {
			t.Errorf("%s: %s %v", accept, got.Status, got.Header)
		}
		text := got.text
		if packed {
			r, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil || len(got.text) > len(b)/2 {
				t.Errorf("%s: %d bytes for %d, %v", accept, len(got.text), len(b), err)
			}
			text = string(b)
		}
		if text != plain.text {
			t.Errorf("%s: another content", accept)
		}
	}
	if got := b.do(http.MethodHead, path, nil, "Accept-Encoding", "gzip"); got.StatusCode != http.StatusOK || got.text != "" || got.ContentLength <= 0 {
		t.Errorf("HEAD: %s, %d bytes", got.Status, got.ContentLength)
	}
}

// Over HTTP/2, which browsers speak over HTTPS, a deadline of the past ends a
// stream though nothing waits to be written: an idle desk must stay open.
func TestStreamOverHTTP2(t *testing.T) {
	var s *site
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.srv.Handler().ServeHTTP(w, r) }))
	secure.EnableHTTP2 = true
	s = newSite(t, func(o *screenpop.ServerOptions) {
		o.ExternalURL = &url.URL{Scheme: "https", Host: secure.Listener.Addr().String()}
	})
	secure.StartTLS()
	t.Cleanup(func() { s.hub.Close(); secure.CloseClientConnections(); secure.Close() })
	const writes = 50 * time.Millisecond
	s.srv.SetStream(4*writes, writes)
	s.srv.SetAnswers(4 * writes)
	b := s.browser()
	b.base, b.Transport = secure.URL, secure.Client().Transport
	if got := b.login("one", goodPassword); got.StatusCode != http.StatusSeeOther || got.ProtoMajor != 2 {
		t.Fatalf("%s %s", got.Proto, got.Status)
	}
	_, events := b.listen()
	for n := 0; n < 3; { // heartbeats, each long after the last flush
		if await(t, events).name == ":" {
			n++
		}
	}
	s.hub.Publish(agentOne, talking("c1"))
	if e := await(t, events); e.name != "call" {
		t.Errorf("%+v", e)
	}
}
