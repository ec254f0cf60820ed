package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ringlink/ari/aritest"
	"ringlink/screenpop"
	"ringlink/store/storetest"
)

// runFake runs a fake Asterisk until the test ends.
func runFake(t *testing.T, o aritest.Options) *aritest.Asterisk {
	t.Helper()
	a, err := aritest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the fake Asterisk ended with %v", err)
		}
	})
	return a
}

// fakeGateway writes a configuration for fake Asterisks: lab, lab2, lab3 …
func fakeGateway(t *testing.T, store string, fakes ...*aritest.Asterisk) *gateway {
	t.Helper()
	desk, debug := freePort(t), freePort(t)
	g := &gateway{
		t: t, config: filepath.Join(t.TempDir(), "ringlink.yaml"),
		base: fmt.Sprintf("http://127.0.0.1:%d", desk), debug: fmt.Sprintf("http://127.0.0.1:%d", debug),
		env: append(os.Environ(), "ARI_PASSWORD=secret"),
	}
	var text strings.Builder
	fmt.Fprintf(&text, "external_url: %s\nlisten: 127.0.0.1:%d\ndebug_listen: 127.0.0.1:%d\nlog: {level: debug}\nstore: %s\npbxs:\n", g.base, desk, debug, store)
	for i, a := range fakes {
		name := "lab"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		fmt.Fprintf(&text, "  - name: %s\n    ari: {url: %s, user: ringlink, password: {env: ARI_PASSWORD}, app: ringlink-%d}\n    trunks: [PJSIP/trunk]\n    region: US\n", name, a.URL(), desk)
	}
	if err := os.WriteFile(g.config, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// lookup finds a variable in the gateway's environment; the last one counts.
func (g *gateway) lookup(name string) (string, bool) {
	for _, v := range slices.Backward(g.env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// serve runs `ringlink serve` within this process, so that the race detector
// sees it, until the test ends or the returned function is called; it must
// leave no goroutine. It returns when the gateway is alive.
func (g *gateway) serve() (stop func()) {
	g.t.Helper()
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(context.Background())
	g.log, g.ended = &logFile{}, make(chan error, 1)
	go func(log io.Writer, ended chan<- error) {
		// Not by way of run, which sets sipgo's logger: a caller of an earlier test may still be using it.
		ended <- (&serveCommand{configFlag{g.config}}).Run(&session{ctx, streams{strings.NewReader(""), io.Discard, log}, g.lookup})
	}(g.log, g.ended)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-g.ended:
			if err != nil {
				g.t.Errorf("ringlink serve ended with %v", err)
			}
		case <-time.After(patience):
			g.t.Error("ringlink serve did not end")
		}
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(before, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")); err != nil {
			g.t.Errorf("goroutines left: %v", err)
		}
	}
	g.t.Cleanup(func() {
		stop()
		if g.t.Failed() {
			g.t.Logf("log of ringlink serve:\n%s", g.log)
		}
	})
	g.until("alive", func() error {
		_, err := g.get(g.debug+"/healthz", http.StatusOK)
		return err
	})
	return stop
}

// player composes the calls of one fake Asterisk and plays them as they happen.
type player struct {
	t *testing.T
	a *aritest.Asterisk
	s *aritest.Script
}

func newPlayer(t *testing.T, a *aritest.Asterisk) player {
	s := aritest.NewScript(time.Now(), "")
	s.Follow(time.Now)
	return player{t, a, s}
}

func (p player) play(steps []aritest.Step) {
	p.t.Helper()
	if err := p.a.PlaySteps(p.t.Context(), steps, 0); err != nil {
		p.t.Fatal(err)
	}
}

// inbound is a call from outside that rings an endpoint.
func (p player) inbound(caller, name, endpoint string) *aritest.Call {
	p.t.Helper()
	c, steps := p.s.Inbound(caller, name, "5000", "sip-"+caller+endpoint)
	p.play(steps)
	p.play(c.Ring(endpoint))
	return c
}

// answered is a call from outside that an endpoint has answered.
func (p player) answered(caller, name, endpoint string) *aritest.Call {
	p.t.Helper()
	c := p.inbound(caller, name, endpoint)
	p.play(c.Answer(endpoint))
	return c
}

// sees waits until the desk shows the agent talking with the caller.
func sees(t *testing.T, d *deskClient, caller string) screenpop.CallView {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := d.wait(ctx, func(v screenpop.CallView) bool { return talking(v) && v.Caller == caller })
	if err != nil {
		t.Fatalf("no pop of %s on the desk: %v", caller, err)
	}
	return v
}

// opens follows the pop's link to its page.
func opens(t *testing.T, d *deskClient, v screenpop.CallView) string {
	t.Helper()
	link, err := d.link(t.Context(), v.Pop)
	if err != nil {
		t.Fatalf("no link: %v", err)
	}
	page, err := d.open(t.Context(), link)
	if err != nil {
		t.Fatalf("opening the link: %v", err)
	}
	return page
}

// metrics reads /metrics: the value of every series.
func (g *gateway) metrics() map[string]float64 {
	g.t.Helper()
	text, err := g.get(g.debug+"/metrics", http.StatusOK)
	if err != nil {
		g.t.Fatal(err)
	}
	m := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			g.t.Fatalf("metric %q: %v", line, err)
		}
		m[line[:at]] = value
	}
	return m
}

// notReady waits until /readyz gives a reason for a part.
func (g *gateway) notReady(part, why string) {
	g.t.Helper()
	g.until("/readyz to say "+why, func() error {
		text, err := g.get(g.debug+"/readyz", http.StatusServiceUnavailable)
		if err != nil {
			return err
		}
		var answer struct {
			Ready   bool
			Reasons []reason
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return err
		}
		for _, r := range answer.Reasons {
			if r.Part == part && strings.Contains(r.Why, why) && !r.When.IsZero() && !answer.Ready {
				return nil
			}
		}
		return errors.New(text)
	})
}

// Faults of ARI at start: the gateway is alive, says why it is not ready, says
// so once in its log however often it tries, and is ready when it is mended.
func TestARIFaultsAtStart(t *testing.T) {
	for _, f := range []struct {
		name, why string
		breaks    func(*aritest.Asterisk)
		mend      func(*aritest.Asterisk)
	}{
		{"password", "wrong user or password (401)", func(a *aritest.Asterisk) { a.SetPassword("other") }, func(a *aritest.Asterisk) { a.SetPassword("secret") }},
		{"refused", "connection refused", func(a *aritest.Asterisk) { _ = a.Refuse(true) }, func(a *aritest.Asterisk) { _ = a.Refuse(false) }},
		{"booting", "Asterisk is booting (503)", func(a *aritest.Asterisk) { a.Booting(true) }, func(a *aritest.Asterisk) { a.Booting(false) }},
		{"not found", "ARI is not enabled at this address (404)", func(a *aritest.Asterisk) { a.NoARI(true) }, func(a *aritest.Asterisk) { a.NoARI(false) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // they wait, each in a process of its own
			a := runFake(t, aritest.Options{})
			f.breaks(a)
			g := fakeGateway(t, sqliteStore(t), a)
			g.people()
			g.start()
			g.notReady("ari lab", f.why)
			if out, err := g.try("", "healthcheck"); err == nil || !strings.Contains(out, f.why) {
				t.Errorf("healthcheck says %v: %s", err, out)
			}
			d := g.desk("ann") // the desk works without the PBX
			// Not a wait for something to happen: in these ten seconds nothing must.
			select {
			case <-time.After(10 * time.Second):
			case err := <-g.ended:
				t.Fatalf("ringlink ended: %v", err)
			}
			if n := strings.Count(g.log.String(), `"reason":"`+f.why+`"`); n != 1 {
				t.Errorf("the log says %q %d times in 10 s:\n%s", f.why, n, g.log)
			}
			if n := a.Requests("/ari/events"); f.name != "refused" && n < 2 {
				t.Errorf("%d attempts in 10 s", n)
			}
			f.mend(a)
			g.ready()
			newPlayer(t, a).answered("+12025550101", "", "PJSIP/101")
			sees(t, d, "+12025550101")
			if out := g.ringlink("", "healthcheck"); !strings.Contains(out, `"ready":true`) {
				t.Errorf("healthcheck says %s", out)
			}
		})
	}
}

// Garbage on the websocket is counted by kind, keeps the connection, and pops go on.
func TestGarbageOnTheWebsocket(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	g.people()
	g.serve()
	g.ready()
	d := g.desk("ann")
	p := newPlayer(t, a)
	first := p.answered("+12025550101", "Ada Example", "PJSIP/101")
	sees(t, d, "+12025550101")

	events := func() map[string]float64 {
		m := map[string]float64{}
		for k, v := range g.metrics() {
			if rest, ok := strings.CutPrefix(k, `ringlink_ari_events_total{pbx="lab",result="`); ok {
				m[strings.TrimSuffix(rest, `"}`)] = v
			}
		}
		return m
	}
	before := events()
	garbage := []string{
		``, `x`, `{`, `null`, `[]`, `42`, `"text"`, `{"type":`, "\x00\x01\x02", "{\"type\":\"Dial\xff\xfe\"}",
		`{}`, `{"type":null}`, `{"type":7}`, `{"type":""}`,
		`{"type":"FutureEvent","x":{"y":[1,2,{"z":null}]}}`, `{"type":"StasisBroadcast","broadcast":null}`,
		`{"type":"ChannelCreated"}`, `{"type":"ChannelCreated","channel":null}`, `{"type":"ChannelCreated","channel":7}`,
		`{"type":"ChannelCreated","channel":{}}`, `{"type":"ChannelCreated","channel":{"id":null,"name":null,"caller":null}}`,
		`{"type":"ChannelCreated","timestamp":null,"channel":{"id":"g1","name":"PJSIP/101-1","state":"Up","caller":{"number":null}}}`,
		`{"type":"ChannelCreated","timestamp":"yesterday","channel":{"id":"g2","name":"","state":"Sideways","channelvars":null}}`,
		`{"type":"Dial","caller":null,"peer":null,"dialstatus":null}`, `{"type":"Dial","peer":{"id":"g3"},"dialstatus":"ANSWER"}`,
		`{"type":"BridgeCreated","bridge":null}`, `{"type":"BridgeDestroyed"}`, `{"type":"ChannelEnteredBridge","channel":null,"bridge":null}`,
		`{"type":"ChannelEnteredBridge","channel":{"id":"` + first.ID() + `"},"bridge":{"id":"nowhere","channels":null}}`,
		`{"type":"ChannelVarset","variable":null,"value":null}`, `{"type":"ChannelDestroyed","channel":{"id":"never seen"}}`,
		strings.Repeat("[", 20000), `{"type":"ChannelUserevent","userevent":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}`,
	}
	for _, text := range garbage {
		a.Send([]byte(text))
	}
	a.Send(aritest.Giant(1 << 20))
	total := func(m map[string]float64) (n float64) {
		for _, v := range m {
			n += v
		}
		return n
	}
	g.until("all to be counted", func() error {
		if got := total(events()) - total(before); got != float64(len(garbage)+1) {
			return fmt.Errorf("%v of %d counted", got, len(garbage)+1)
		}
		return nil
	})
	after := events()
	for _, kind := range []string{"malformed", "unknown"} {
		if after[kind] <= before[kind] {
			t.Errorf("no event was counted as %s: %v", kind, after)
		}
	}

	p.play(first.Hangup())
	v := sees(t, d, "+12025550101")
	p.answered("+12025550102", "Bob Example", "PJSIP/101")
	if v2 := sees(t, d, "+12025550102"); v2.Pop == v.Pop {
		t.Error("the second call has the first one's pop")
	}
	for k, n := range g.metrics() {
		if strings.HasPrefix(k, "ringlink_ari_gaps_total{") || strings.HasPrefix(k, "ringlink_ari_reconnects_total{") || strings.HasPrefix(k, "ringlink_ari_gap_seconds_total{") {
			if n != 0 {
				t.Errorf("%s is %v", k, n)
			}
		}
	}
	if n := a.Requests("/ari/events"); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n := len(g.pops()); n != 2 {
		t.Errorf("%d pops, not 2", n)
	}
}

// Postgres is away at the start: the gateway waits, says so once, and comes up by itself.
func TestPostgresAwayAtStart(t *testing.T) {
	db := storetest.PostgresServer(t)
	db.Kill()
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, "{driver: postgres, dsn: {env: DSN}}", a)
	g.env = append(g.env, "DSN="+db.DSN())
	g.serve()
	g.notReady("store", "refused")
	// The retries go on meanwhile; each one that fails is counted.
	g.until("a few attempts", func() error {
		n := g.metrics()[`ringlink_store_duration_seconds_count{operation="ping",result="unavailable"}`]
		if n < 3 {
			return fmt.Errorf("%v attempts", n)
		}
		return nil
	})
	if n := strings.Count(g.log.String(), "the store does not answer"); n != 1 {
		t.Errorf("the log says %d times that the store is away", n)
	}
	db.Restart()
	g.ready()
	g.people()
	d := g.desk("ann")
	p := newPlayer(t, a)
	g.until("the devices", func() error {
		c := p.answered("+12025550101", "", "PJSIP/101")
		defer func() { p.play(c.Hangup()) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := d.wait(ctx, talking)
		return err
	})
}

// Postgres is killed while calls go on: pops come at once, marked degraded and
// without a link; when it is back their rows follow and the link works.
func TestPostgresKilled(t *testing.T) {
	db := storetest.PostgresServer(t)
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, "{driver: postgres, dsn: {env: DSN}}", a)
	g.env = append(g.env, "DSN="+db.DSN())
	g.people()
	g.importText(labDirectory)
	g.serve()
	g.ready()
	d := g.desk("ann")
	p := newPlayer(t, a)

	first := p.answered("+12025550101", "", "PJSIP/101")
	v := sees(t, d, "+12025550101")
	if v.Degraded {
		t.Error("a pop with the store there is degraded")
	}
	if err := d.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	db.Kill()
	g.notReady("store", "")
	p.play(first.Hangup())
	second := p.answered("+12025550102", "", "PJSIP/101")
	v = sees(t, d, "+12025550102")
	if !v.Degraded {
		t.Error("the pop is not marked as degraded")
	}
	status := 0
	if _, err := d.link(t.Context(), v.Pop); err == nil {
		t.Error("a link without a store")
	} else if s, ok := errors.AsType[*statusError](err); ok {
		status = s.status
	}
	if status != http.StatusServiceUnavailable && status != http.StatusConflict {
		t.Errorf("asking for a link without a store: HTTP %d", status)
	}
	db.Restart()
	g.ready()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := d.wait(ctx, func(w screenpop.CallView) bool { return w.Pop == v.Pop && !w.Degraded }); err != nil {
		t.Errorf("the pop stays degraded: %v", err)
	}
	if page := opens(t, d, v); !strings.Contains(page, "12025550102") && !strings.Contains(page, "+1 202") {
		t.Errorf("the page does not show the caller:\n%s", page)
	}
	p.play(second.Hangup())
	rows := g.allEnded(0)
	slices.SortFunc(rows, func(x, y popRow) int { return strings.Compare(x.Caller, y.Caller) })
	if len(rows) != 2 || rows[0].Degraded || !rows[1].Degraded || rows[1].AcknowledgedAt == nil || rows[0].State != "ended" {
		t.Errorf("rows: %+v", rows)
	}
}

// The gateway is killed while two agents talk, and started again: the call that
// goes on is back on its desk with the same pop, the one that has ended meanwhile is closed.
func TestGatewayKilledInCall(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	g.people()
	g.start()
	g.ready()
	ann, bob := g.desk("ann"), g.desk("bob")
	p := newPlayer(t, a)
	stays := p.answered("+12025550101", "", "PJSIP/101")
	goes := p.answered("+12025550102", "", "PJSIP/102")
	v := sees(t, ann, "+12025550101")
	if err := ann.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	gone := sees(t, bob, "+12025550102")
	g.until("both rows", func() error {
		if n := len(g.pops()); n != 2 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	g.kill()
	p.play(goes.Hangup())
	g.start()
	g.ready()
	again := g.desk("ann")
	if w := sees(t, again, "+12025550101"); w.Pop != v.Pop || w.Call != v.Call {
		t.Errorf("the running call is back as pop %s of %s, it was %s of %s", w.Pop, w.Call, v.Pop, v.Call)
	}
	opens(t, again, v)
	g.until("the other call's end", func() error {
		for _, r := range g.pops() {
			if r.Pop == gone.Pop && r.EndedAt == nil {
				return fmt.Errorf("it is %s", r.State)
			}
			if r.Pop == v.Pop && r.EndedAt != nil {
				t.Fatalf("the running call's pop has ended: %+v", r)
			}
		}
		return nil
	})
	p.play(stays.Hangup())
	for _, r := range g.allEnded(0) {
		want := map[string]string{v.Pop: "ended", gone.Pop: "expired"}[r.Pop] // nobody had drawn the second
		if r.State != want {
			t.Errorf("pop of %s is %s (%s), want %s", r.Agent, r.State, r.Cause, want)
		}
	}
	if n := len(g.pops()); n != 2 {
		t.Errorf("%d pops, not 2", n)
	}
}

// Two PBXs whose endpoints, channel ids and SIP Call-IDs are the same, at the
// same time: each agent gets the caller of the own PBX.
func TestTwoPBXs(t *testing.T) {
	a1, a2 := runFake(t, aritest.Options{}), runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a1, a2)
	g.people()
	g.ringlink("", "agent", "map", "bob", "lab2", "PJSIP/101")
	g.serve()
	g.ready()
	desks := g.desks()
	p1 := newPlayer(t, a1)
	p2 := player{t, a2, aritest.NewScript(time.Now(), "")}
	p2.s.Follow(time.Now)
	c1, steps1 := p1.s.Inbound("+12025550101", "", "5000", "same-call-id")
	c2, steps2 := p2.s.Inbound("+12025550102", "", "5000", "same-call-id")
	p1.play(steps1)
	p2.play(steps2)
	if _, n1, _ := strings.Cut(c1.ID(), "."); !strings.HasSuffix(c2.ID(), "."+n1) {
		t.Fatalf("the ids %s and %s are not alike", c1.ID(), c2.ID())
	}
	p1.play(c1.Ring("PJSIP/101"))
	p2.play(c2.Ring("PJSIP/101"))
	p2.play(c2.Answer("PJSIP/101"))
	p1.play(c1.Answer("PJSIP/101"))
	v1, v2 := sees(t, desks["ann"], "+12025550101"), sees(t, desks["bob"], "+12025550102")
	if v1.Call == v2.Call || v1.Pop == v2.Pop {
		t.Errorf("calls %s and %s, pops %s and %s are mixed up", v1.Call, v2.Call, v1.Pop, v2.Pop)
	}
	p1.play(c1.Hangup())
	p2.play(c2.Hangup())
	var got []string
	for _, r := range g.allEnded(0) {
		got = append(got, r.Agent+" "+r.PBX+" "+r.Device+" "+r.Caller)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"ann lab PJSIP/101 +12025550101", "bob lab2 PJSIP/101 +12025550102"}, got); diff != "" {
		t.Errorf("pops (-want +got):\n%s", diff)
	}
	for login, want := range map[string]int{"ann": 1, "bob": 1, "cleo": 0} {
		if n := len(desks[login].pops()); n != want {
			t.Errorf("%s saw %d pops, want %d", login, n, want)
		}
	}
}

// certify writes a self-signed certificate of 127.0.0.1 and its key.
func certify(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ringlink test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// HTTPS from files: a desk works over it, a changed certificate is taken, a
// broken one is not, and plain HTTP on its port gets nothing.
func TestHTTPSFromFiles(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "desk.crt"), filepath.Join(dir, "desk.key")
	roots := x509.NewCertPool()
	roots.AddCert(certify(t, certFile, keyFile, 1))
	plain := g.base
	g.base = strings.Replace(g.base, "http:", "https:", 1)
	g.mend(t, "external_url: "+plain, fmt.Sprintf("external_url: %s\ntls: {cert_file: %s, key_file: %s}", g.base, certFile, keyFile))
	g.people()
	g.serve()
	g.ready()

	serial := func() (int64, error) {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(g.base, "https://"), &tls.Config{RootCAs: roots})
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if n, err := serial(); err != nil || n != 1 {
		t.Fatalf("certificate %d, %v", n, err)
	}
	d, err := newDeskClient(g.base)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	d.client.Transport = transport
	if err := d.signIn(t.Context(), "ann", labPassword("ann")); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(g.base)
	if err != nil {
		t.Fatal(err)
	}
	cookies := d.client.Jar.Cookies(at)
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "__Host-") {
		t.Errorf("the session's cookie over HTTPS: %d of them, not one __Host-", len(cookies))
	}
	if _, err := g.get(plain+"/login", http.StatusOK); err == nil {
		t.Error("plain HTTP is answered")
	}

	roots.AddCert(certify(t, certFile, keyFile, 2))
	g.until("the new certificate", func() error {
		n, err := serial()
		if err == nil && n != 2 {
			err = fmt.Errorf("certificate %d", n)
		}
		return err
	})
	if err := os.WriteFile(certFile, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.until("the broken certificate to be noticed", func() error {
		if n, err := serial(); err != nil || n != 2 {
			t.Fatalf("certificate %d, %v", n, err)
		}
		if !strings.Contains(g.log.String(), "the changed certificate cannot be read") {
			return errors.New("nothing in the log")
		}
		return nil
	})
}

// from is a client whose connections come from an address of loopback.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Behind a trusted proxy the desk takes what came by HTTPS, from that proxy only.
func TestTrustedProxy(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	g.mend(t, "external_url: "+g.base, "external_url: https://desk.example.com\ntrusted_proxies: [127.0.0.2/32]")
	g.serve()
	for _, c := range []struct {
		name, source, host string
		proto              []string
		want               int
	}{
		{"as it should be", "127.0.0.2", "desk.example.com", []string{"https"}, http.StatusOK},
		{"in capitals", "127.0.0.2", "DESK.example.com", []string{"HTTPS"}, http.StatusOK},
		{"no word of HTTPS", "127.0.0.2", "desk.example.com", nil, http.StatusForbidden},
		{"plain HTTP", "127.0.0.2", "desk.example.com", []string{"http"}, http.StatusForbidden},
		{"the client's word, then the proxy's", "127.0.0.2", "desk.example.com", []string{"https, http"}, http.StatusForbidden},
		{"the same in two headers", "127.0.0.2", "desk.example.com", []string{"https", "http"}, http.StatusForbidden},
		{"a source that is not trusted", "127.0.0.1", "desk.example.com", []string{"https"}, http.StatusForbidden},
		{"another host", "127.0.0.2", "127.0.0.1", []string{"https"}, http.StatusMisdirectedRequest},
		{"another host's port", "127.0.0.2", "desk.example.com:8443", []string{"https"}, http.StatusMisdirectedRequest},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.base+"/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		for _, p := range c.proto {
			req.Header.Add("X-Forwarded-Proto", p)
		}
		resp, err := from(t, c.source).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: HTTP %d, want %d", c.name, resp.StatusCode, c.want)
		}
		if c.want != http.StatusOK && resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a cookie is set", c.name)
		}
	}
}

// Nothing is open without a session: every route, by every method, with no
// cookie and with one that is made up.
func TestNothingIsOpen(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	g.people()
	g.serve()
	g.ready()
	p := newPlayer(t, a)
	d := g.desk("ann")
	p.answered("+12025550101", "Ada Example", "PJSIP/101")
	v := sees(t, d, "+12025550101")
	link, err := d.link(t.Context(), v.Pop)
	if err != nil {
		t.Fatal(err)
	}
	client := from(t, "127.0.0.1")
	walk := func(method, path string, header http.Header) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, g.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		for _, c := range resp.Cookies() {
			if c.MaxAge >= 0 && c.Value != "" {
				t.Errorf("%s %s sets the cookie %s", method, path, c.Name)
			}
		}
		return resp.StatusCode, string(body) + resp.Header.Get("Location")
	}
	closed := []string{
		"/", "/standby", "/me", "/api/stream", "/api/pops/" + v.Pop + "/shown", "/api/pops/" + v.Pop + "/acknowledge",
		"/api/pops/" + v.Pop + "/link", "/pops/" + v.Pop, link, "/logout",
	}
	open := []string{"/login", "/signin", "/static/app.css"} // what it takes to sign in
	nothing := []string{
		"/metrics", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/heap", "/api", "/api/pops", "/api/users", "/admin", "/static/", "/static/../server.go",
		"/o/", "/pops/", "/.git/config", "/index.html", "/events", "/api/stream/", "//", "/%2e%2e/",
	}
	secrets := []string{"12025550101", "Ada Example", v.Pop + `"`, "PJSIP/101"}
	for _, header := range []http.Header{
		{},
		{"Sec-Fetch-Site": {"same-origin"}, "Cookie": {"session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
		{"Authorization": {"Basic cmluZ2xpbms6c2VjcmV0"}, "Accept": {"text/event-stream"}},
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
			for _, path := range slices.Concat(closed, nothing) {
				status, text := walk(method, path, header)
				toLogin := status == http.StatusSeeOther && strings.Contains(text, "/login")
				moved := (status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect) && slices.Contains(nothing, path) // a tidier path, which is walked too
				if status < 400 && !toLogin && !moved {
					t.Errorf("%s %s is open: HTTP %d", method, path, status)
				}
				if status >= 500 && status != http.StatusNotImplemented {
					t.Errorf("%s %s fails: HTTP %d", method, path, status)
				}
				for _, secret := range secrets {
					if strings.Contains(text, secret) && !(toLogin && strings.Contains(path, v.Pop)) {
						t.Errorf("%s %s gives away %s", method, path, secret)
					}
				}
			}
		}
		for _, path := range open[:2] {
			if status, _ := walk("GET", path, header); status != http.StatusOK {
				t.Errorf("GET %s: HTTP %d", path, status)
			}
		}
	}
	// None of it spent the link.
	if _, err := d.open(t.Context(), link); err != nil {
		t.Errorf("the link is spent: %v", err)
	}
}

// What the log of a whole run says, at its most talkative, names nobody.
func TestLogNamesNobody(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	port := freePort(t) // of TCP; the UDP port of that number is as likely free
	g.mend(t, "pbxs:", fmt.Sprintf("sip: {listen: \"127.0.0.1:%d\", allow: [127.0.0.1]}\npbxs:", port))
	g.people()
	g.importText(labDirectory)
	g.start()
	g.ready()
	d := g.desk("ann")
	p := newPlayer(t, a)
	caller, err := newDemoCaller(fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer caller.close()
	invite, err := caller.invite(t.Context(), story{display: "Ada Caller", number: "+12025550101"}, "sip-+12025550101PJSIP/101")
	if err != nil {
		t.Fatal(err)
	}
	known := p.inbound("+12025550101", "Ada Caller", "PJSIP/101")
	if err := invite.completedElsewhere(t.Context()); err != nil {
		t.Fatal(err)
	}
	invite.close()
	p.play(known.Answer("PJSIP/101"))
	v := sees(t, d, "+12025550101")
	if err := d.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	link, err := d.link(t.Context(), v.Pop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.open(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := d.open(t.Context(), link); err == nil {
		t.Error("the link opened twice")
	}
	p.play(known.Hangup())
	withheld, steps := p.s.Withheld("+12025550133", "5000", "sip-withheld")
	p.play(steps)
	p.play(withheld.SetCallNumber("1042"))
	p.play(withheld.Queue("support"))
	p.play(withheld.Ring("PJSIP/101", "PJSIP/102"))
	p.play(withheld.Answer("PJSIP/101"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := d.wait(ctx, func(v screenpop.CallView) bool { return talking(v) && v.CallNumber == "1042" && v.Ticket != "" }); err != nil {
		t.Fatal(err)
	}
	p.play(withheld.HangupBy())
	missed := p.inbound("+12025550144", "Gideon Gaveup", "PJSIP/101")
	p.play(missed.CallerGivesUp())
	for _, text := range []string{
		`{"type":"ChannelCreated","channel":{"id":"x","caller":{"name":"Mallory Malformed","number":"+12025550155"`,
		`{"type":"Novelty +12025550166","caller":"Nora Novelty"}`,
		`{"type":"ChannelCreated","channel":{"id":7,"name":"PJSIP/trunk-+12025550155"}}`,
	} {
		a.Send([]byte(text))
	}
	strange, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer strange.Close()
	for _, text := range []string{"junk +12025550177 Sally Strange", "INVITE sip:+12025550177@x SIP/2.0\r\nFrom: Sally Strange <sip:+12025550177@x>\r\n\r\n"} {
		if _, err := io.WriteString(strange, text); err != nil {
			t.Fatal(err)
		}
	}
	other, err := newDeskClient(g.base)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.signIn(t.Context(), "ann", "a wrong password of ann's"); err == nil {
		t.Error("a wrong password signs in")
	}
	if _, err := other.open(t.Context(), link); err == nil {
		t.Error("a link opens without a session")
	}
	rows := g.allEnded(0)
	if len(rows) != 2 {
		t.Errorf("%d pops", len(rows))
	}
	var cookies []string
	at, err := url.Parse(g.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.client.Jar.Cookies(at) {
		cookies = append(cookies, c.Value)
	}
	if len(cookies) == 0 {
		t.Fatal("no session cookie to look for")
	}
	g.stop()

	log := g.log.String()
	if n := strings.Count(log, `"msg":`); n < 10 {
		t.Errorf("only %d lines were logged", n)
	}
	forbidden := append(cookies, strings.TrimPrefix(link, "/o/"), labPassword("ann"), "a wrong password", "secret",
		"Ada", "Gideon", "Mallory", "Nora", "Sally", "Example Ltd", "Helpdesk Example", "Printer on fire", "1042",
		"2025550101", "2025550133", "2025550144", "2025550155", "2025550166", "2025550177", "202) 555", "202-555", "202 555")
	for line := range strings.Lines(log) {
		for _, f := range forbidden {
			if strings.Contains(line, f) {
				t.Errorf("the log gives away %q: %s", f, line)
			}
		}
	}
	calls := 0
	lines := bufio.NewScanner(strings.NewReader(log))
	for lines.Scan() {
		var l map[string]any
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Errorf("the log is not JSON: %s", lines.Text())
		}
		if l["outcome"] != nil {
			calls++
		}
	}
	if calls != 3 {
		t.Errorf("%d lines about calls that are over, want one each of 3", calls)
	}
}

// The number of series does not grow with callers, hosts, logins or addresses.
func TestMetricSeries(t *testing.T) {
	a := runFake(t, aritest.Options{})
	g := fakeGateway(t, sqliteStore(t), a)
	g.people()
	g.serve()
	g.ready()
	d := g.desk("ann")
	p := newPlayer(t, a)
	client := from(t, "127.0.0.1")
	round := func(n int) {
		t.Helper()
		number := fmt.Sprintf("+1202555%04d", n)
		c, steps := p.s.Inbound(number, fmt.Sprintf("Caller %d", n), strconv.Itoa(5000+n), fmt.Sprintf("call-%d", n))
		p.play(steps)
		if n%2 == 1 {
			p.play(c.SetCallNumber(strconv.Itoa(100000 + n)))
		}
		p.play(c.Ring("PJSIP/101", "PJSIP/102"))
		p.play(c.Answer("PJSIP/101"))
		v := sees(t, d, number)
		opens(t, d, v)
		p.play(c.Hangup())
		gone, steps := p.s.Withheld(number, "5000", fmt.Sprintf("gone-%d", n))
		p.play(steps)
		p.play(gone.Ring("PJSIP/101"))
		p.play(gone.CallerGivesUp())
		a.Send(fmt.Appendf(nil, `{"type":"Novelty%d"}`, n))
		for _, path := range []string{fmt.Sprintf("/nothing/%d", n), fmt.Sprintf("/o/token%d", n), fmt.Sprintf("/pops/p%d", n)} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = fmt.Sprintf("host%d.example.com", n)
			if n%2 == 0 {
				req.Host = ""
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err := d.shown(t.Context(), fmt.Sprintf("p%d", n)); err == nil {
			t.Error("a pop that is not there was shown")
		}
	}
	const warm, callers = 4, 200
	for n := range warm {
		round(n)
	}
	before := series(t, g.metrics())
	for n := range callers {
		round(warm + n)
	}
	if diff := cmp.Diff(before, series(t, g.metrics())); diff != "" {
		t.Errorf("series (-before +after %d callers):\n%s", callers, diff)
	}
	if n := len(g.pops()); n != warm+callers {
		t.Errorf("%d pops, want %d", n, warm+callers)
	}
	if len(before) < 50 {
		t.Errorf("only %d series", len(before))
	}
}

// storeSeries come with the first operation of their kind and result; both are words of closed sets.
var storeSeries = regexp.MustCompile(`^ringlink_store_duration_seconds_[a-z]+\{operation="[a-z_]+",result="[a-z_]+"(,le="[0-9.+Inf]+")?\}$`)

// series lists the names and labels of metrics, and looks whether they are ours.
func series(t *testing.T, m map[string]float64) (list []string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(name, "ringlink_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is not ours", name)
		}
		if !storeSeries.MatchString(name) {
			list = append(list, name)
		}
	}
	return list
}
