package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringlink/ari/aritest"
	"ringlink/screenpop"
)

// stateRig is one gateway whose desks are watched.
type stateRig struct {
	*gateway
	player
	desks map[string]*deskClient
	seen  map[string]int // how much of each desk's history belongs to earlier cases
}

// expect waits until the desk has got this, after what it got in earlier cases.
func (r *stateRig) expect(t *testing.T, login, want string) screenpop.CallView {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	n := 0
	v, err := r.desks[login].wait(ctx, func(v screenpop.CallView) bool {
		if n++; n <= r.seen[login] {
			return false
		}
		got = append(got, viewLine(v))
		return got[len(got)-1] == want
	})
	if err != nil {
		t.Fatalf("%s never got %q but %q", login, want, got)
	}
	return v
}

// viewLine is what a message says of the state: of the call, of the pop, and why.
func viewLine(v screenpop.CallView) string {
	line := v.State
	if v.Pop != "" {
		line += " " + v.PopState
	}
	if v.Cause != "" {
		line += " by " + v.Cause
	}
	if v.To != "" {
		line += " to " + v.To
	}
	if v.Late {
		line += " late"
	}
	return line
}

// answer has the agent answer a new call, whose pop the desk reports as drawn.
func (r *stateRig) answer(t *testing.T, login string) *aritest.Call {
	t.Helper()
	c := r.answered("+12025550101", "", labAgents[login])
	v := r.expect(t, login, "talking offered")
	if err := r.desks[login].shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	r.expect(t, login, "talking shown")
	return c
}

func (r *stateRig) send(t *testing.T, events [][]byte) {
	t.Helper()
	if err := r.a.Play(t.Context(), events, 0); err != nil {
		t.Fatal(err)
	}
}

// Every state of a call and a pop, and every cause that the PBX can bring
// about, on the stream of the desk that it concerns.
func TestStatesOnTheDesk(t *testing.T) {
	fake := runFake(t, aritest.Options{})
	g := streamGateway(t, sqliteStore(t), fake.URL())
	g.team0()
	g.start()
	g.ready()
	r := &stateRig{gateway: g, player: newPlayer(t, fake), desks: g.desks(), seen: map[string]int{}}
	for _, test := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"caller hangs up", func(t *testing.T) {
			c := r.answer(t, "ann")
			r.play(c.Hangup())
			r.expect(t, "ann", "ended ended by hangup")
		}},
		{"held, back, opened, agent hangs up", func(t *testing.T) {
			c := r.answer(t, "ann")
			r.play(c.Hold())
			v := r.expect(t, "ann", "held shown")
			r.play(c.Resume())
			r.expect(t, "ann", "talking shown")
			opens(t, r.desks["ann"], v)
			r.expect(t, "ann", "talking acknowledged")
			r.play(c.HangupBy())
			r.expect(t, "ann", "ended ended by hangup")
		}},
		{"nobody saw it", func(t *testing.T) {
			c := r.answered("+12025550101", "", labAgents["ann"])
			r.expect(t, "ann", "talking offered")
			r.play(c.Hangup())
			r.expect(t, "ann", "ended offered by hangup")
			r.expect(t, "ann", "ended expired by hangup")
		}},
		{"left, then with Bob", func(t *testing.T) {
			parts := transferStream(t, 1)
			r.send(t, parts[0])
			v := r.expect(t, "ann", "talking offered")
			if err := r.desks["ann"].shown(t.Context(), v.Pop); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "ann", "talking shown")
			r.send(t, parts[1])
			r.expect(t, "ann", "ended shown by left")
			r.expect(t, "ann", "ended superseded by transfer to Agent Bob")
			r.expect(t, "bob", "talking offered")
			r.send(t, parts[2])
		}},
		{"answered elsewhere", func(t *testing.T) {
			c, steps := r.s.Inbound("+12025550101", "", "5000", "sip-forked")
			r.play(steps)
			r.play(c.Ring(labAgents["ann"], labAgents["bob"]))
			r.expect(t, "ann", "ringing")
			r.expect(t, "bob", "ringing")
			r.play(c.Answer(labAgents["bob"]))
			r.expect(t, "ann", "ended by answered_elsewhere")
			v := r.expect(t, "bob", "talking offered")
			if err := r.desks["bob"].shown(t.Context(), v.Pop); err != nil {
				t.Fatal(err)
			}
			r.play(c.Hangup())
			r.expect(t, "bob", "ended ended by hangup")
		}},
		{"no answer", func(t *testing.T) {
			c := r.inbound("+12025550101", "", labAgents["ann"])
			r.expect(t, "ann", "ringing")
			r.play(c.NoAnswer(labAgents["ann"]))
			r.expect(t, "ann", "ended by no_answer")
			r.play(c.CallerGivesUp())
		}},
		{"caller gives up", func(t *testing.T) {
			c := r.inbound("+12025550101", "", labAgents["ann"])
			r.expect(t, "ann", "ringing")
			r.play(c.CallerGivesUp())
			r.expect(t, "ann", "ended by caller_gave_up")
		}},
		{"busy", func(t *testing.T) {
			c := r.inbound("+12025550101", "", labAgents["ann"])
			r.expect(t, "ann", "ringing")
			r.play(declined(c.NoAnswer(labAgents["ann"])))
			r.expect(t, "ann", "ended by declined")
			r.play(c.CallerGivesUp())
		}},
		{"in a gap", func(t *testing.T) {
			c, d := r.answer(t, "ann"), r.inbound("+12025550102", "", labAgents["bob"])
			if err := fake.Refuse(true); err != nil {
				t.Fatal(err)
			}
			r.play(c.Hangup())
			r.play(d.Answer(labAgents["bob"]))
			if err := fake.Refuse(false); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "ann", "ended ended by gap")
			v := r.expect(t, "bob", "talking offered late")
			if err := r.desks["bob"].shown(t.Context(), v.Pop); err != nil {
				t.Fatal(err)
			}
			r.expect(t, "bob", "talking shown late")
		}},
		{"Asterisk restarts", func(t *testing.T) {
			r.answer(t, "ann")
			fake.Restart()
			r.expect(t, "ann", "ended ended by lost")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for login, d := range r.desks {
				d.mu.Lock()
				r.seen[login] = len(d.history)
				d.mu.Unlock()
			}
			test.do(t)
		})
	}
}

// declined turns steps in which a device does not answer into those of one
// that is busy.
func declined(steps []aritest.Step) (busy []aritest.Step) {
	for _, s := range steps {
		s.Event = []byte(strings.NewReplacer("NOANSWER", "BUSY", `"cause":19`, `"cause":17`).Replace(string(s.Event)))
		busy = append(busy, s)
	}
	return busy
}

// The line to the PBX is cut for five seconds, while a call is answered, one
// transferred and one ended: within a second of the
// reconnect each desk shows what is due, marked late, and no ghost stays.
func TestCutForFiveSeconds(t *testing.T) {
	fake := runFake(t, aritest.Options{})
	line := newCable(t, fake.URL())
	g := streamGateway(t, sqliteStore(t), line.url())
	g.team0()
	g.start()
	g.ready()
	r := &stateRig{gateway: g, player: newPlayer(t, fake), desks: g.desks(), seen: map[string]int{}}
	ends := r.answer(t, "cleo")
	parts := transferStream(t, 1)
	r.send(t, parts[0])
	v := r.expect(t, "ann", "talking offered")
	if err := r.desks["ann"].shown(t.Context(), v.Pop); err != nil {
		t.Fatal(err)
	}
	rings := r.inbound("+12025550104", "", labAgents["cleo"])
	line.cut(true)
	cut := time.Now()
	g.notReady("ari lab", "")
	r.play(ends.Hangup())
	r.send(t, parts[1])
	r.play(rings.Answer(labAgents["cleo"]))
	time.Sleep(time.Until(cut.Add(5 * time.Second))) // the length of the cut, nothing is waited for
	line.cut(false)
	began, took := time.Time{}, map[string]time.Duration{}
	g.until("the reconnect", func() error {
		if m := g.metrics(); m[`ringlink_ari_up{pbx="lab"}`] != 1 {
			return fmt.Errorf("not up")
		}
		return nil
	})
	began = time.Now()
	for _, want := range [][2]string{
		{"ann", "ended superseded by transfer to Agent Bob"}, {"bob", "talking offered late"},
		{"cleo", "talking offered late"}, {"cleo", "ended ended by gap"},
	} {
		r.expect(t, want[0], want[1])
		took[want[0]+": "+want[1]] = time.Since(began)
	}
	for what, d := range took {
		if d > time.Second {
			t.Errorf("%s came %v after the reconnect", what, d)
		}
	}
	if gap := g.metrics()[`ringlink_ari_gap_seconds_total{pbx="lab"}`]; gap < 4.5 || gap > 12 {
		t.Errorf("%v gap seconds counted", gap)
	}
	r.play(rings.Hangup())
	r.send(t, parts[2])
	for login, want := range map[string]int{"ann": 1, "bob": 1, "cleo": 2} {
		if n := len(r.desks[login].pops()); n != want {
			t.Errorf("%s saw %d pops, want %d", login, n, want)
		}
	}
	rows := g.allEnded(0)
	late := map[string]bool{}
	for _, row := range rows {
		late[fmt.Sprintf("%s %s", row.Agent, row.Caller)] = row.Late
	}
	if len(rows) != 4 || !late["bob +12025550101"] || !late["cleo +12025550104"] || late["ann +12025550101"] || late["cleo +12025550101"] {
		t.Errorf("late: %v", late)
	}
}
