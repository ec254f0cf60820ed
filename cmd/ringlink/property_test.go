package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringlink/ari"
	"ringlink/ari/aritest"
	"ringlink/bridge"
	"ringlink/cmd/internal/lab"
)

// variations is how many random variations of each kind a stream gets; a
// failure names its seed, which stands for the same variation everywhere.
func variations() uint64 {
	if raceDetector {
		return 25
	}
	return 500
}

// offered leaves out how the pops ended: what ended in a gap may be told
// otherwise.
func offered(list []told) []told {
	list = slices.Clone(list)
	for i := range list {
		list[i].End, list[i].To = "", ""
	}
	return list
}

// byCall puts the pops of each call together: a snapshot does not tell which of
// two calls was answered first.
func byCall(list []told) []told {
	return slices.SortedStableFunc(slices.Values(list), func(a, b told) int { return strings.Compare(string(a.Call), string(b.Call)) })
}

// A cut and a resync after every single event, in the same process and in a
// new one: the same pops, none twice, none lost.
func TestPropertyCutAfterEveryEvent(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		for i := 0; i <= len(r.list) && !t.Failed(); i++ {
			for _, fresh := range []bool{false, true} {
				got, want := r.cut(t, i, i, 0, fresh)
				if d := cmp.Diff(byCall(want), byCall(got)); d != "" {
					t.Errorf("cut after event %d (new process %v): pops (-want +got)\n%s", i, fresh, d)
				}
			}
		}
	})
}

// A gap anywhere, of any length, in the same process or a new one, and some
// events of before the snapshot after it.
func TestPropertyGaps(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		for seed := uint64(0); seed < variations() && !t.Failed(); seed++ {
			rnd := rand.New(rand.NewPCG(seed, 2))
			i, fresh := rnd.IntN(len(r.list)), rnd.IntN(2) == 0
			if fresh {
				i = 0
			}
			j := i + rnd.IntN(len(r.list)-i)
			overlap := rnd.IntN(12)
			got, want := r.cut(t, i, j, overlap, fresh)
			if d := cmp.Diff(byCall(offered(want)), byCall(offered(got))); d != "" {
				t.Errorf("seed %d: gap from event %d to %d, overlap %d, new process %v: pops (-want +got)\n%s", seed, i, j, overlap, fresh, d)
			}
		}
	})
}

// Another order and repetitions: the same pops in the same order, with the
// same facts and ends, and the same outcome.
func TestPropertyOrder(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		for seed := uint64(0); seed < variations() && !t.Failed(); seed++ {
			p := newTeller(r.flow)
			p.play(t, shuffled(r.list, rand.New(rand.NewPCG(seed, 1)))...)
			if d := cmp.Diff(byCall(r.pops), byCall(p.pops)) + cmp.Diff(r.calls, p.calls); d != "" {
				t.Errorf("seed %d: pops and calls (-want +got)\n%s", seed, d)
			}
		}
	})
}

// Two replicas on one stream come to the very same effects.
func TestPropertyTwoReplicas(t *testing.T) {
	for _, f := range lab.Flows() {
		events := flowStream(t, f)
		_, one := runEvents(t, f, events)
		_, two := runEvents(t, f, events)
		if d := cmp.Diff(one, two); d != "" {
			t.Errorf("%s: (-one +two)\n%s", f.Name, d)
		}
	}
}

// What the events say that the PBX has is what the PBX itself said it had when
// it was asked during the recording.
func TestPropertySnapshotsAreLikeRecorded(t *testing.T) {
	eachRecorded(t, func(t *testing.T, r *recordedCall) {
		data, err := os.ReadFile(filepath.Join("testdata", "streams", filepath.Base(t.Name())+".bridges.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return // nobody came into a bridge
		} else if err != nil {
			t.Fatal(err)
		}
		want := members(bridgesOf(t, data))
		if !slices.ContainsFunc(r.list, func(m instant) bool { return cmp.Equal(want, members(m.after.Bridges)) }) {
			t.Errorf("at no moment the bridges are %v", want)
		}
	})
}

func members(list []bridge.Bridge) map[bridge.BridgeID]string {
	all := map[bridge.BridgeID]string{}
	for _, b := range list {
		slices.Sort(b.Channels)
		all[b.ID] = b.Type + fmt.Sprint(b.Channels)
	}
	return all
}

// BenchmarkCorrelate measures events a second on one core, and what they
// allocate: decoded beforehand, and from the bytes of the websocket on.
func BenchmarkCorrelate(b *testing.B) {
	var texts [][]byte
	var decoded []bridge.Event
	for _, f := range lab.Flows() {
		list, err := aritest.Load(streamFile(f.Name))
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, list...)
		decoded = append(decoded, readStream(b, streamFile(f.Name))...)
	}
	start := func() *bridge.State {
		s := bridge.NewState([]bridge.PBXOptions{labPBX}, bridge.Limits{})
		s.Apply(&labDevices, time.Time{}, nil)
		return s
	}
	perSecond := func(b *testing.B, events int) {
		b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(events), "events/op")
	}
	b.Run("apply", func(b *testing.B) {
		b.ReportAllocs()
		var out []bridge.Effect
		for b.Loop() {
			s := start()
			for i := range decoded {
				out = s.Apply(&decoded[i], time.Time{}, out[:0])
			}
		}
		perSecond(b, len(decoded))
	})
	b.Run("decode and apply", func(b *testing.B) {
		b.ReportAllocs()
		var out []bridge.Effect
		d := ari.NewDecoder([]string{"CALL_NUMBER"})
		for b.Loop() {
			s := start()
			for _, text := range texts {
				var ev bridge.Event
				if result, _ := d.Decode(text, &ev); result == ari.ResultDecoded {
					ev.PBX = "lab"
					out = s.Apply(&ev, time.Time{}, out[:0])
				}
			}
		}
		perSecond(b, len(texts))
	})
}
