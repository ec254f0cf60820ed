package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

// pastTurns is what the store has of the pops that the teller made.
func (p *teller) pastTurns() (list []bridge.PastTurn) {
	for i, pop := range p.pops {
		list = append(list, bridge.PastTurn{
			Call: pop.Call, Pop: pop.Pop, Agent: pop.Agent, Device: bridge.Device{PBX: "lab", Endpoint: pop.Device},
			Facts: pop.Facts, Answered: p.offered[i], Open: pop.End == "",
		})
	}
	return list
}

// A process that dies after any event of any recorded stream, and one that
// starts then with what the store has: together they make the pops that one
// alone makes, none twice, none lost, each with its end.
func TestRestartGoesOnWithTurns(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		for i := 1; i < len(r.list); i++ {
			first := r.teller(t, 0)
			first.play(t, eventsOf(r.list[:i])...)
			for _, late := range []bool{false, true} { // the store answers before the PBX does, or after
				second := r.teller(t, i)
				turns := bridge.Event{Kind: bridge.EventTurns, PBX: "lab", Turns: first.pastTurns()}
				up := bridge.Event{Kind: bridge.EventSourceUp, PBX: "lab", Snapshot: r.list[i-1].after}
				if late {
					second.play(t, up, turns)
				} else {
					second.play(t, turns, up)
				}
				if late && !cmp.Equal(ids(second.pops), ids(openPops(first.pops))) {
					continue // named anew before the store was heard: as good as can be
				}
				second.play(t, eventsOf(r.list[i:])...)
				if diff := cmp.Diff(r.pops, joined(t, first.pops, second.pops)); diff != "" {
					t.Fatalf("killed after event %d (store late: %v; -want +got):\n%s", i, late, diff)
				}
			}
		}
	})
}

func ids(pops []told) (list []bridge.PopID) {
	for _, p := range pops {
		list = append(list, p.Pop)
	}
	return list
}

func openPops(pops []told) []told {
	return slices.DeleteFunc(slices.Clone(pops), func(p told) bool { return p.End != "" })
}

// joined is what the store has after both runs.
func joined(t *testing.T, first, second []told) []told {
	t.Helper()
	all := slices.Clone(first)
	for _, p := range second {
		i := slices.IndexFunc(all, func(o told) bool { return o.Pop == p.Pop })
		switch {
		case i < 0:
			all = append(all, p)
		case all[i].End != "":
			t.Errorf("pop %s of %s had ended and came again", p.Pop, p.Agent)
		default:
			all[i] = p
		}
	}
	return all
}

// streamGateway writes a configuration for the PBX of the recorded streams,
// played at url, with the devices of the replay's team 0. Its people are added.
func streamGateway(t *testing.T, store, url string) *gateway {
	t.Helper()
	desk, debug := freePort(t), freePort(t)
	g := &gateway{
		t: t, config: filepath.Join(t.TempDir(), "ringlink.yaml"),
		base: fmt.Sprintf("http://127.0.0.1:%d", desk), debug: fmt.Sprintf("http://127.0.0.1:%d", debug),
		env: append(os.Environ(), "ARI_PASSWORD=secret"),
	}
	text := fmt.Sprintf(`external_url: %s
listen: 127.0.0.1:%d
debug_listen: 127.0.0.1:%d
log: {level: debug}
store: %s
pbxs:
  - name: lab
    ari: {url: %s, user: ringlink, password: {env: ARI_PASSWORD}, app: ringlink-%d}
    trunks: [PJSIP/trunkout, PJSIP/trunk]
    trunk_contexts: [from-trunk]
    region: US
`, g.base, desk, debug, store, url, desk)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// team0 gives the agents the endpoints of the replay's team 0 too.
func (g *gateway) team0() {
	g.people()
	for login := range labAgents {
		_, endpoint := replayAgent(login, 0)
		g.ringlink("", "agent", "map", login, "lab", endpoint)
	}
}

// beside opens the gateway's SQLite file beside it.
func beside(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Driver: store.SQLite, Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// killRig plays one recorded stream again and again to a gateway that dies.
type killRig struct {
	*gateway
	fake   *aritest.Asterisk
	db     *store.DB
	r      *recordedCall
	events [][]byte
	number int
}

// rows are the pops of the newest playing, in the order of their turns.
func (k *killRig) rows(since time.Time) []screenpop.Pop {
	k.t.Helper()
	list, err := k.db.ListPops(k.t.Context(), screenpop.PopQuery{Since: since})
	if err != nil {
		k.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b screenpop.Pop) int { return a.Answered.Compare(b.Answered) })
	return list
}

// begun is how many pops the first n events make, ended how many of them end.
func (k *killRig) begun(n int) (begun, ended int) {
	for _, pop := range k.r.pops {
		if k.r.from[pop.Pop] < n {
			begun++
		}
		if k.r.to[pop.Pop] < n {
			ended++
		}
	}
	return begun, ended
}

func (k *killRig) play(events [][]byte) {
	k.t.Helper()
	if err := k.fake.Play(k.t.Context(), events, 0); err != nil {
		k.t.Fatal(err)
	}
}

// round plays the stream once, with a power cut right after event n (0: none)
// and a new start, and says what is in the store after it.
func (k *killRig) round(n int) []string {
	k.number += replayTeams // team 0
	var events [][]byte
	for _, e := range renewed(k.t, k.events, k.number, 0, time.Now()) {
		events = append(events, e.text)
	}
	began := time.Now()
	if k.cmd == nil {
		k.start()
		k.ready()
	}
	if n > 0 {
		k.play(events[:n-1])
		begun, _ := k.begun(n - 1)
		k.until("the rows before the end", func() error {
			if rows := k.rows(began); len(rows) != begun {
				return fmt.Errorf("%d rows, want %d", len(rows), begun)
			}
			return nil
		})
		k.play(events[n-1 : n])
		k.kill()
		k.start()
		k.ready()
		k.due(began, n)
	}
	_, ended := k.begun(n)
	k.play(events[n:])
	all := len(k.r.pops)
	k.until("the pops", func() error {
		if rows := k.rows(began); len(rows) != all {
			return fmt.Errorf("%d rows, want %d", len(rows), all)
		}
		if n > 0 && ended == all { // ended in the gap: found when the other replicas have had their moment
			for _, row := range k.rows(began) {
				if !row.State.Final() {
					return fmt.Errorf("pop of %s is %s", row.Agent, row.State)
				}
			}
		} else if m := k.metrics(); m[`ringlink_calls_total{outcome="answered"}`] < 1 {
			return fmt.Errorf("the call goes on")
		}
		return nil
	})
	k.stop() // writes what is left
	var list []string
	for _, row := range k.rows(began) {
		late := ""
		if row.Late {
			late = " late"
		}
		if i := slices.IndexFunc(k.r.pops, func(p told) bool { return p.Agent == row.Agent && k.r.from[p.Pop] == n-1 }); row.Late && i >= 0 {
			late = "" // the process died at the very event
		}
		list = append(list, fmt.Sprintf("%s %s caller=%s dialled=%s number=%s %s to=%s%s", row.Agent, row.Device.Endpoint,
			row.Facts.Caller.Number.Reveal(), row.Facts.Dialled.Reveal(), row.Facts.CallNumber, row.State, row.To, late))
	}
	return list
}

// due checks that after the start what runs is there within a second.
func (k *killRig) due(began time.Time, n int) {
	k.t.Helper()
	ready := time.Now()
	begun, ended := k.begun(n)
	k.until("what is due after the start", func() error {
		if rows := k.rows(began); len(rows) < begun && begun > ended {
			return fmt.Errorf("%d rows, want %d", len(rows), begun)
		}
		return nil
	})
	if took := time.Since(ready); took > time.Second {
		k.t.Errorf("killed after event %d: what was due came after %v", n, took)
	}
}

// Ringlink is killed at events of recorded streams, at each that begins or ends
// a pop among them, and starts again: the same pops as undisturbed.
func TestKilledInStream(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	for _, flow := range []string{"direct", "blind_transfer_refer", "attended_transfer_code", "queue_ring_all"} {
		t.Run(flow, func(t *testing.T) {
			t.Parallel() // each with processes of its own
			fake := runFake(t, aritest.Options{Clock: func() time.Time { return time.Now().Add(-time.Hour) }})
			path := filepath.Join(t.TempDir(), "ringlink.db")
			k := &killRig{fake: fake, gateway: streamGateway(t, "{driver: sqlite, path: "+path+"}", fake.URL()), r: recordCall(t, flow)}
			var err error
			if k.events, err = aritest.Load(streamFile(flow)); err != nil {
				t.Fatal(err)
			}
			k.team0()
			k.db = beside(t, path)
			want := k.round(0)
			if len(want) != len(k.r.pops) || strings.Contains(fmt.Sprint(want), "late") {
				t.Fatalf("undisturbed: %v", want)
			}
			points := map[int]bool{}
			for i := 1; i < len(k.r.list); i += max(1, len(k.r.list)/8) {
				points[i] = true
			}
			for _, pop := range k.r.pops {
				for _, at := range []int{k.r.from[pop.Pop] + 1, k.r.to[pop.Pop] + 1} {
					points[min(at, len(k.r.list))] = true
				}
			}
			for n := range points {
				if diff := cmp.Diff(want, k.round(n)); diff != "" {
					t.Errorf("killed after event %d (-undisturbed +got):\n%s", n, diff)
				}
			}
		})
	}
}
