package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/ari/aritest"
	"ringlink/cmd/internal/lab"
	"ringlink/store/storetest"
)

// recording is a running `ringlink record`.
type recording struct {
	g    *gateway
	file string
	cmd  *exec.Cmd
	log  logFile
}

// record starts `ringlink record` and returns when it hears the PBX.
func (g *gateway) record() *recording {
	g.t.Helper()
	path, err := binary()
	if err != nil {
		g.t.Fatal(err)
	}
	r := &recording{g: g, file: filepath.Join(g.t.TempDir(), "record.jsonl")}
	r.cmd = exec.Command(path, "record", "--config", g.config, "--out", r.file, "--for", "5m")
	r.cmd.Env, r.cmd.Stderr = g.env, &r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.until("the record's start", func() error {
		b, err := os.ReadFile(r.file)
		if err == nil && !bytes.Contains(b, []byte(recordSnapshot)) {
			err = fmt.Errorf("no snapshot yet\n%s", r.log.String())
		}
		return err
	})
	return r
}

// end waits until the record has the end of the call, ends it and returns its
// text.
func (r *recording) end(id string) string {
	r.g.t.Helper()
	r.g.until("the record of the call's end", func() error {
		f, err := os.Open(r.file)
		if err != nil {
			return err
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if strings.Contains(lines.Text(), `"ChannelDestroyed"`) && strings.Contains(lines.Text(), `"id":"`+id+`"`) {
				return nil
			}
		}
		return fmt.Errorf("%s has not ended yet", id)
	})
	_ = r.cmd.Process.Signal(os.Interrupt)
	if err := r.cmd.Wait(); err != nil {
		r.g.t.Errorf("ringlink record ended with %v\n%s", err, r.log.String())
	}
	b, err := os.ReadFile(r.file)
	if err != nil {
		r.g.t.Fatal(err)
	}
	return string(b)
}

// explained runs a command that prints explanations with --json.
func (g *gateway) explained(args ...string) (list []explained) {
	g.t.Helper()
	dec := json.NewDecoder(strings.NewReader(g.ringlink("", args...)))
	for dec.More() {
		var x explained
		if err := dec.Decode(&x); err != nil {
			g.t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

// explainUntil asks for the newest call of these words until it has ended and
// has this reason.
func (g *gateway) explainUntil(what, reason string, args ...string) (x explained) {
	g.t.Helper()
	g.until(what, func() error {
		out, err := g.try("", append([]string{"explain", "--json"}, args...)...)
		if err != nil {
			return err
		}
		x = explained{}
		if err := json.Unmarshal([]byte(out), &x); err != nil {
			return err
		}
		if x.EndedAt == nil || x.Reason != reason {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	return x
}

// compareReplay checks that the record of what the gateway saw comes to the
// gateway's pops.
func (r *recording) compareReplay(want []popRow) {
	t := r.g.t
	t.Helper()
	var live, again []string
	for _, p := range want {
		live = append(live, p.Call+" "+p.Device+" "+p.Mode)
	}
	for _, x := range r.g.explained("replay", "--json", r.file) {
		for _, p := range x.Pops {
			again = append(again, p.Call+" "+p.Device+" "+p.Mode)
		}
	}
	if len(live) == 0 || !cmp.Equal(live, again) {
		t.Errorf("live %v, replayed %v", live, again)
	}
}

// explainGateway is a gateway whose PBX "lab" is a fake Asterisk.
func explainGateway(t *testing.T) (*gateway, *aritest.Asterisk, *aritest.Script) {
	t.Helper()
	fake, err := aritest.New(aritest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fake.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	desk, debug := freePort(t), freePort(t)
	g := &gateway{
		t: t, config: filepath.Join(t.TempDir(), "ringlink.yaml"), env: append(os.Environ(), "ARI_PASSWORD=secret"),
		base: fmt.Sprintf("http://127.0.0.1:%d", desk), debug: fmt.Sprintf("http://127.0.0.1:%d", debug),
	}
	text := fmt.Sprintf(`external_url: %s
listen: 127.0.0.1:%d
debug_listen: 127.0.0.1:%d
store: %s
pbxs:
  - name: lab
    ari: {url: %s, user: ringlink, password: {env: ARI_PASSWORD}, app: ringlink-1}
    trunks: [PJSIP/trunk]
    region: US
`, g.base, desk, debug, sqliteStore(t), fake.URL())
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script := aritest.NewScript(time.Now(), "lab")
	script.Follow(time.Now)
	return g, fake, script
}

// An administrator asks why nothing popped, types what is answered, and the
// next call pops. Meanwhile a record is made, which shows no number, name or
// Call-ID and comes to the same pop.
func TestExplainMendRecordReplay(t *testing.T) {
	g, fake, script := explainGateway(t)
	g.ringlink(labPassword("ann")+"\n", "user", "add", "ann", "--name", "Agent Ann")
	g.start()
	g.ready()
	rec := g.record()
	play := func(steps []aritest.Step) {
		if err := fake.PlaySteps(t.Context(), steps, 0); err != nil {
			t.Fatal(err)
		}
	}
	call := func(n int) *aritest.Call {
		c, steps := script.Inbound("+442079460123", "Jane Doe", "442079460199", fmt.Sprintf("secret-%d@pbx.example.com", n))
		play(slices.Concat(steps, c.SetCallNumber("771042"), c.Ring("PJSIP/101"), c.Answer("PJSIP/101")))
		return c
	}
	one := call(1)
	play(one.Hangup())
	first := one.ID()
	var x explained
	for _, args := range [][]string{{first}, {"lab/" + first}, {"+442079460123"}, {"+44 20 7946 0123"}, {"PJSIP/101"}, {"lab PJSIP/101"}, {"lab:PJSIP/101"}, {"secret-1@pbx.example.com"}, {}} {
		x = g.explainUntil("the explanation by "+strings.Join(args, " "), "no_agent_for_device", args...)
	}
	words := strings.Fields(strings.Replace(x.Mend[0], "LOGIN", "ann", 1))
	if x.Caller != "…23" || len(x.Mend) != 1 || words[0] != "ringlink" {
		t.Fatalf("%+v", x)
	}
	if text := g.ringlink("", "explain", "PJSIP/101"); !strings.Contains(text, x.Mend[0]) || strings.Contains(text, "442079460123") {
		t.Errorf("in words:\n%s", text)
	}
	g.ringlink("", words[1:]...)
	var two *aritest.Call
	g.until("the device's agent", func() error { // who uses which device is asked for every two seconds
		two = call(2)
		for range 20 {
			if len(g.pops()) > 0 {
				return nil
			}
		}
		play(two.Hangup())
		return fmt.Errorf("nothing pops")
	})
	second := two.ID()
	g.until("the pop's explanation, while the call runs", func() error {
		out, err := g.try("", "explain", "--json", second)
		if err == nil {
			err = json.Unmarshal([]byte(out), &x)
		}
		if err == nil && (len(x.Pops) != 1 || x.Pops[0].Mode != "ivr" || x.Pops[0].Pushed == nil || len(x.Lookups) == 0) {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	play(two.Hangup())
	g.explainUntil("a pop without a desk", "agent_without_desk", second)
	text := rec.end(second)
	for _, secret := range []string{"2079460123", "2079460199", "Jane", "Doe", "secret-", "example.com", "771042"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is left in the record", secret)
		}
	}
	rec.compareReplay(g.pops())
}

// The same from a real Asterisk, for one flow.
func TestRecordAsterisk(t *testing.T) {
	storetest.Opted(t, storetest.TierAsterisk)
	site := lab.StartSite(t, lab.Options{}, "lab-test")
	g := newGateway(t, site.Asterisk, sqliteStore(t))
	g.people()
	g.start()
	g.ready()
	rec := g.record()
	flows := lab.Flows()
	f := flows[slices.IndexFunc(flows, func(f lab.Flow) bool { return f.Name == "blind_transfer_refer" })]
	site.Settle(t)
	f.Run(t, site)
	var rows []popRow
	g.until("the pops", func() error {
		if rows = g.pops(); len(rows) != len(f.Pops) {
			return fmt.Errorf("%d pops", len(rows))
		}
		return nil
	})
	text := rec.end(rows[0].UniqueID)
	for _, secret := range []string{"2025550101", "Ada", rows[0].SIPCallID} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is left in the record", secret)
		}
	}
	rec.compareReplay(rows)
}
