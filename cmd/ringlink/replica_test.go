package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
	"ringlink/store/storetest"
)

// soon is within which a replica's desks show what another replica saw: two
// readings of the store, and room for a busy machine.
const soon = 2 * time.Second

// replicas are two gateways on one Postgres and one fake Asterisk.
type replicas struct {
	t    *testing.T
	fake *aritest.Asterisk
	db   *store.DB
	a, b *gateway
	play player
}

const replicaStore = "{driver: postgres, dsn: {env: RINGLINK_TEST_DSN}}"

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	t.Setenv("RINGLINK_TEST_DSN", storetest.Postgres(t))
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(before, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")); err != nil {
			t.Errorf("goroutines left: %v", err)
		}
	})
	fake := runFake(t, aritest.Options{})
	db, err := store.Open(t.Context(), store.Options{Driver: store.Postgres, DSN: os.Getenv("RINGLINK_TEST_DSN")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := &replicas{t: t, fake: fake, db: db, a: streamGateway(t, replicaStore, fake.URL()), b: streamGateway(t, replicaStore, fake.URL())}
	r.play = newPlayer(t, fake)
	r.a.team0()
	return r
}

// serve runs the gateways within this process, as gateway.serve does, until the
// test ends: then no goroutine may be left of any of them.
func (r *replicas) serve(list ...*gateway) {
	r.t.Helper()
	for _, g := range list {
		ctx, cancel := context.WithCancel(context.Background())
		g.log, g.ended = &logFile{}, make(chan error, 1)
		go func() {
			g.ended <- (&serveCommand{configFlag{g.config}}).Run(&session{ctx, streams{strings.NewReader(""), io.Discard, g.log}, g.lookup})
		}()
		r.t.Cleanup(func() {
			cancel()
			if err := <-g.ended; err != nil {
				r.t.Errorf("ringlink serve ended with %v", err)
			}
			if r.t.Failed() {
				r.t.Logf("log of ringlink serve:\n%s", g.log)
			}
		})
		g.until("alive", func() error {
			_, err := g.get(g.debug+"/healthz", http.StatusOK)
			return err
		})
	}
	for _, g := range list {
		g.ready()
	}
}

// rows are all pops in the store, oldest first.
func (r *replicas) rows() []screenpop.Pop {
	r.t.Helper()
	list, err := r.db.ListPops(r.t.Context(), screenpop.PopQuery{})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// within waits for a view on the desk and checks that it is there soon.
func within(t *testing.T, d *deskClient, what string, match func(screenpop.CallView) bool) screenpop.CallView {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := d.wait(ctx, match)
	if took := time.Since(began); err != nil || took > soon {
		t.Fatalf("%s: after %v: %v\n%+v", what, took, err, d.history)
	}
	return v
}

// moved is the agent's desk at another replica: the browser's cookie goes along.
func (g *gateway) moved(d *deskClient) *deskClient {
	g.t.Helper()
	m, err := newDeskClient(g.base)
	if err != nil {
		g.t.Fatal(err)
	}
	m.client.Jar = d.client.Jar // a cookie does not know ports: this is one browser behind one address
	ctx, cancel := context.WithCancel(g.t.Context())
	done, open := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := m.stream(ctx, open); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
			g.t.Logf("stream: %v", err)
		}
	}()
	g.t.Cleanup(func() { cancel(); <-done })
	select {
	case <-open:
	case <-time.After(patience):
		g.t.Fatal("the session does not hold at the other replica")
	}
	return m
}

// Both replicas see a call: one row, drawn once on each desk; what the agent
// does at one shows at the other.
func TestReplicasShareAPop(t *testing.T) {
	r := newReplicas(t)
	r.serve(r.a, r.b)
	atA, atB, bob := r.a.desk("ann"), r.b.desk("ann"), r.b.desk("bob")
	call := r.play.answered("+12025550101", "Ada Example", "PJSIP/101")
	v := sees(t, atA, "+12025550101")
	if w := sees(t, atB, "+12025550101"); w.Pop != v.Pop {
		t.Errorf("two pops: %s and %s", v.Pop, w.Pop)
	}
	state := func(s bridge.PopState) func(screenpop.CallView) bool {
		return func(w screenpop.CallView) bool { return w.Pop == v.Pop && w.PopState == string(s) }
	}
	if err := atA.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	within(t, atB, "shown at A", state(bridge.PopShown))
	opens(t, atB, v)
	within(t, atA, "opened at B", state(bridge.PopAcknowledged))
	r.play.play(call.Hangup())
	within(t, atA, "ended", state(bridge.PopEnded))
	within(t, atB, "ended", state(bridge.PopEnded))
	for name, d := range map[string]*deskClient{"A": atA, "B": atB, "bob": bob} {
		if n := len(d.pops()); n != 1 && name != "bob" || n != 0 && name == "bob" {
			t.Errorf("desk %s saw %d pops", name, n)
		}
	}
	r.a.until("the row", func() error {
		if rows := r.rows(); len(rows) != 1 || rows[0].State != bridge.PopEnded || rows[0].Cause != "hangup" {
			return fmt.Errorf("rows: %+v", rows)
		}
		return nil
	})
}

// A replica that starts in the middle of a call, or an administrator's command,
// ends nothing of the others.
func TestReplicaStartsDuringCall(t *testing.T) {
	r := newReplicas(t)
	r.serve(r.a)
	ann := r.a.desk("ann")
	call := r.play.answered("+12025550101", "", "PJSIP/101")
	v := sees(t, ann, "+12025550101")
	if err := ann.shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	// A pop that the new replica cannot know: it has no part in its PBX's calls.
	alien := screenpop.Pop{ID: "alien", Call: "elsewhere/1.0", Agent: "ann", Answered: time.Now(), Offered: time.Now()}
	if _, _, err := r.db.OfferPop(t.Context(), alien); err != nil {
		t.Fatal(err)
	}
	ghost := screenpop.Pop{ID: "ghost", Call: "lab/1.0", Agent: "cleo", Answered: time.Now(), Offered: time.Now().Add(-time.Hour)}
	if _, _, err := r.db.OfferPop(t.Context(), ghost); err != nil {
		t.Fatal(err)
	}
	r.a.ringlink("", "pops")
	r.a.ringlink("", "migrate")
	r.serve(r.b)
	atB := r.b.moved(ann)
	sees(t, atB, "+12025550101")
	r.b.until("the ghost's end", func() error {
		if row, err := r.db.PopByID(t.Context(), "ghost"); err != nil || row.State != bridge.PopExpired {
			return fmt.Errorf("the ghost is %s, %v", row.State, err)
		}
		return nil
	})
	for id, want := range map[bridge.PopID]bridge.PopState{bridge.PopID(v.Pop): bridge.PopShown, "alien": bridge.PopOffered} {
		if row, err := r.db.PopByID(t.Context(), id); err != nil || row.State != want {
			t.Errorf("pop %s is %s, %v; want %s", id, row.State, err, want)
		}
	}
	r.play.play(call.Hangup())
	within(t, atB, "ended", func(w screenpop.CallView) bool { return w.Pop == v.Pop && w.State == "ended" })
}

// What an INVITE said to one replica alone is on the desks of both.
func TestReplicasShareFacts(t *testing.T) {
	r := newReplicas(t)
	port := freePort(t)
	config, err := os.ReadFile(r.a.config)
	if err != nil {
		t.Fatal(err)
	}
	config = append(config, fmt.Sprintf("sip: {listen: \"127.0.0.1:%d\", allow: [127.0.0.1]}\n", port)...)
	if err := os.WriteFile(r.a.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.serve(r.a, r.b)
	atA, atB := r.a.desk("ann"), r.b.desk("ann")
	r.play.answered("", "", "PJSIP/101") // no caller ID
	none := func(v screenpop.CallView) bool { return talking(v) && v.Caller == "" && v.Opens == "popup" }
	within(t, atA, "the pop", none)
	within(t, atB, "the pop", none)
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join([]string{
		"INVITE sip:5000@ringlink.example.com SIP/2.0", "Via: SIP/2.0/UDP pbx.example.com:5060;branch=z9hG4bKx;rport", "Max-Forwards: 70",
		`From: <sip:+12025550123@pbx.example.com>;tag=a1`, "To: <sip:5000@ringlink.example.com>", "Call-ID: sip-PJSIP/101", "CSeq: 1 INVITE", "Content-Length: 0", "", "",
	}, "\r\n")); err != nil {
		t.Fatal(err)
	}
	better := func(v screenpop.CallView) bool {
		return v.Caller == "+12025550123" && v.Mode == "caller_id" && v.Opens == "caller_info"
	}
	v := within(t, atA, "the INVITE's caller at A", better)
	within(t, atB, "the INVITE's caller at B", better)
	r.a.until("the row", func() error {
		row, err := r.db.PopByID(t.Context(), bridge.PopID(v.Pop))
		if err != nil || row.Facts.Caller.Number != "+12025550123" || row.Decision.Mode != bridge.ModeCallerID {
			return fmt.Errorf("row %+v, %v", row, err)
		}
		return nil
	})
}

// One replica dies, or stands still for a while, while calls go on: the other's
// desks lose nothing, and who was at the first finds the call at the other.
func TestReplicaDiesOrStands(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		t.Run(signal.String(), func(t *testing.T) {
			r := newReplicas(t)
			r.a.start()
			r.a.ready()
			r.serve(r.b)
			ann, bob := r.a.desk("ann"), r.b.desk("bob")
			first := r.play.answered("+12025550101", "", "PJSIP/101")
			v := sees(t, ann, "+12025550101")
			second := r.play.inbound("+12025550102", "", "PJSIP/102") // rings when it happens
			if err := r.a.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			r.play.play(second.Answer("PJSIP/102"))
			w := within(t, bob, "bob's pop", func(v screenpop.CallView) bool { return talking(v) && v.Caller == "+12025550102" })
			if err := bob.shown(t.Context(), w.Pop); err != nil {
				t.Error(err)
			}
			moved := r.b.moved(ann)
			if at := sees(t, moved, "+12025550101"); at.Pop != v.Pop {
				t.Errorf("at the other replica it is pop %s, was %s", at.Pop, v.Pop)
			}
			if err := moved.shown(t.Context(), v.Pop); err != nil {
				t.Error(err)
			}
			r.play.play(first.Hangup())
			within(t, moved, "the end", func(at screenpop.CallView) bool { return at.Pop == v.Pop && at.State == "ended" })
			r.play.play(second.Hangup())
			within(t, bob, "the end", func(at screenpop.CallView) bool { return at.Pop == w.Pop && at.State == "ended" })
			if signal == syscall.SIGSTOP { // it wakes up with a world of before
				if err := r.a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				r.a.ready()
				r.play.answered("+12025550103", "", "PJSIP/102")
				sees(t, bob, "+12025550103")
				within(t, ann, "the end at the one that stood", func(at screenpop.CallView) bool { return at.Pop == v.Pop && at.State == "ended" })
			} else {
				r.a.buried()
			}
			var rows []screenpop.Pop
			r.b.until("the rows", func() error {
				rows = r.rows()
				for _, row := range rows[:2] {
					if row.State != bridge.PopEnded || row.Cause != "hangup" {
						return fmt.Errorf("pop of %s is %s by %s", row.Agent, row.State, row.Cause)
					}
				}
				return nil
			})
			if n := len(rows); n != 2 && signal == syscall.SIGKILL || n != 3 && signal == syscall.SIGSTOP {
				t.Errorf("%d rows", n)
			}
			if n := len(moved.pops()); n != 1 {
				t.Errorf("ann's desk saw %d pops", n)
			}
		})
	}
}

// buried takes notice of the gateway's death.
func (g *gateway) buried() {
	<-g.ended
	g.cmd = nil
}
