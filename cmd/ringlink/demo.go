package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

//go:embed demo.csv
var demoDirectory string

// The demo's PBX and its agents; everything is fictional.
const (
	demoPBX     = "demo"
	demoPassEnv = "RINGLINK_DEMO_ARI_PASSWORD"
	demoPass    = "fake-asterisk"
)

var demoAgents = []struct{ login, name, endpoint string }{
	{"ann", "Ann Agent", "PJSIP/101"},
	{"bob", "Bob Agent", "PJSIP/102"},
}

// demoCommand shows the main job: the real gateway, with a fake Asterisk and a
// SIP caller on loopback.
type demoCommand struct {
	Calls int  `default:"0" help:"How many calls to play; 0 goes round until it is stopped, with --exit 6."`
	Exit  bool `help:"Let built-in agents sign in, hold the stream and redeem the links over HTTP, then end; exit code 1 if anything was not as it should be."`
	JSON  bool `help:"One JSON object a call instead of the ladders."`
	Log   bool `help:"Show the gateway's log on standard error."`
}

// demo is a running one.
type demo struct {
	demoCommand
	*session
	app    *app
	fake   *aritest.Asterisk
	script *aritest.Script
	caller *demoCaller
	ladder *ladder
	desks  map[string]*deskClient // by login; only with --exit
	pause  time.Duration          // between two things that people do
}

// Run starts everything on free ports of loopback, plays calls, and stops.
func (c *demoCommand) Run(s *session) (err error) {
	if c.Exit && c.Calls == 0 {
		c.Calls = len(stories)
	}
	d := &demo{demoCommand: *c, session: s, pause: 900 * time.Millisecond}
	if c.Exit {
		d.pause = 30 * time.Millisecond
	}
	logs := io.Discard
	if c.Log {
		logs = s.err
	}
	out := s.out
	if c.JSON {
		out = io.Discard
	}
	d.ladder = newLadder(out)
	if err := d.build(slog.New(slog.NewTextHandler(logs, nil))); err != nil {
		return err
	}
	l := newLifecycle(d.app.log, stopLimit)
	defer func() { err = errors.Join(err, l.stop()) }()
	l.run("ladder", d.ladder.Run)
	l.run("fake Asterisk", d.fake.Run)
	l.run("ringlink", d.app.Run)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	go func() { // a part that fails ends the demo
		if err := l.wait(ctx); err != nil {
			fmt.Fprintln(s.err, "ringlink:", err)
			cancel()
		}
	}()
	err = d.play(ctx)
	if errors.Is(err, context.Canceled) && s.ctx.Err() != nil {
		return nil
	}
	return err
}

// build makes the fake Asterisk, the gateway and the caller.
func (d *demo) build(log *slog.Logger) (err error) {
	if d.fake, err = aritest.New(aritest.Options{User: "ringlink", Password: demoPass}); err != nil {
		return err
	}
	desk, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	debug, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sip, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cfg, err := demoConfig(desk.Addr(), sip.LocalAddr(), d.fake.URL())
	if err != nil {
		return err
	}
	if d.app, err = newApp(cfg, log, appOptions{observe: d.ladder.observe, desk: desk, debug: debug, sip: sip}); err != nil {
		return err
	}
	d.script = aritest.NewScript(time.Now(), "demo")
	d.script.Names = map[string]string{}
	for _, a := range demoAgents {
		d.script.Names[a.endpoint] = a.name
	}
	d.script.Follow(time.Now)
	d.caller, err = newDemoCaller(sip.LocalAddr().String())
	return err
}

func demoConfig(desk, sip net.Addr, asterisk string) (*config.Config, error) {
	text := fmt.Sprintf(`external_url: http://%[1]s
listen: %[1]s
debug_listen: 127.0.0.1:0
store: {driver: sqlite, path: ":memory:"}
sip: {listen: "%[2]s", allow: [%[3]s]}
pbxs:
  - name: %[4]s
    ari: {url: %[5]s, user: ringlink, password: {env: %[6]s}, app: ringlink-demo}
    trunks: [PJSIP/trunk]
    region: US
`, desk, sip, netip.MustParsePrefix("127.0.0.1/32"), demoPBX, asterisk, demoPassEnv)
	return config.Parse("demo.yaml", []byte(text), os.TempDir(), func(name string) (string, bool) {
		return demoPass, name == demoPassEnv
	})
}

// prepare fills the store and, with --exit, signs the built-in agents in.
func (d *demo) prepare(ctx context.Context) error {
	if err := waitFor(ctx, func() bool { return len(d.app.notReady()) == 0 }); err != nil {
		return fmt.Errorf("waiting for the gateway: %w", err)
	}
	if _, err := d.app.db.Import(ctx, strings.NewReader(demoDirectory), store.ImportOptions{Name: "demo.csv", Region: "US"}); err != nil {
		return err
	}
	d.desks = map[string]*deskClient{}
	for _, a := range demoAgents {
		user, err := d.app.db.AddUser(ctx, store.NewUser{Login: a.login, Name: a.name, Role: screenpop.RoleAgent, PasswordHash: "!"})
		if err != nil {
			return err
		}
		if err := d.app.db.MapDevice(ctx, a.login, bridge.Device{PBX: demoPBX, Endpoint: a.endpoint}); err != nil {
			return err
		}
		address := d.app.server.MintSignIn(user.ID)
		if !d.Exit {
			fmt.Fprintf(d.out, "%s's desk (%s), once:  %s\n", a.name, a.endpoint, address)
			continue
		}
		_, token, _ := strings.Cut(address, "#")
		if d.desks[a.login], err = d.openDesk(ctx, token); err != nil {
			return err
		}
	}
	d.app.tellDevices(ctx, "")
	return nil
}

// openDesk signs a built-in agent in and holds its stream until ctx ends.
func (d *demo) openDesk(ctx context.Context, token string) (*deskClient, error) {
	c, err := newDeskClient(d.app.cfg.ExternalURL.String())
	if err != nil {
		return nil, err
	}
	if err := c.signInOnce(ctx, token); err != nil {
		return nil, err
	}
	open, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- c.stream(ctx, open) }()
	select {
	case <-open:
		return c, nil
	case err := <-failed:
		return nil, err
	}
}

// play plays the calls, one after the other.
func (d *demo) play(ctx context.Context) error {
	defer d.caller.close()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if !d.Exit {
		fmt.Fprint(d.out, "\nThe first call comes when the desk is open. Ctrl-C ends the demo.\n\n")
		if err := waitFor(ctx, func() bool { return d.app.hub.Streams("ann")+d.app.hub.Streams("bob") > 0 }); err != nil {
			return err
		}
	}
	bad := 0
	for n := 1; d.Calls == 0 || n <= d.Calls; n++ {
		result, err := d.call(ctx, n, stories[(n-1)%len(stories)])
		if err != nil {
			return fmt.Errorf("call %d: %w", n, err)
		}
		if d.JSON {
			if err := result.print(d.out); err != nil {
				return err
			}
		}
		if len(result.Wrong) > 0 {
			bad++
		}
		if !d.Exit {
			if err := sleep(ctx, 4*time.Second); err != nil {
				return err
			}
		}
	}
	if d.Exit {
		if bad > 0 {
			return fmt.Errorf("%d of %d calls were not as they should be", bad, d.Calls)
		}
		return nil
	}
	fmt.Fprintln(d.out, "That was the last call; the desk stays open until Ctrl-C.")
	<-ctx.Done()
	return ctx.Err()
}

// waitFor looks every few milliseconds until it is so.
func waitFor(ctx context.Context, so func() bool) error {
	for !so() {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
