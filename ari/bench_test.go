package ari

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	cyari "github.com/CyCoreSystems/ari/v5"

	"ringlink/ari/aritest"
	"ringlink/bridge"
)

// recorded returns the streams that the lab recorded from a real Asterisk.
func recorded(tb testing.TB) [][]byte {
	tb.Helper()
	files, err := filepath.Glob("../cmd/ringlink/testdata/streams/*.jsonl")
	if err != nil || len(files) == 0 {
		tb.Fatal("no recorded streams", err)
	}
	var all [][]byte
	for _, file := range files {
		events, err := aritest.Load(file)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, events...)
	}
	return all
}

// TestRecordedStreams reads every event that a real Asterisk sent the lab.
func TestRecordedStreams(t *testing.T) {
	d := NewDecoder([]string{"CALL_NUMBER"})
	counts := make(map[Result]int)
	var ev bridge.Event
	for _, text := range recorded(t) {
		result, err := d.Decode(text, &ev)
		if err != nil || result == ResultUnknown || result == ResultReplaced {
			t.Fatalf("%v, %v: %s", result, err, text)
		}
		counts[result]++
		if result == ResultDecoded && ev.Stamp.IsZero() {
			t.Errorf("no stamp: %s", text)
		}
		if result == ResultSkipped {
			if n := testing.AllocsPerRun(1, func() { _, _ = d.Decode(text, &ev) }); n != 0 {
				t.Fatalf("%v allocations for %s", n, text)
			}
		}
	}
	if counts[ResultDecoded] == 0 || counts[ResultSkipped] < counts[ResultDecoded] {
		t.Errorf("results: %v", counts)
	}
}

// BenchmarkDecode measures our decoder alone over the recorded mix; one
// operation is one event.
func BenchmarkDecode(b *testing.B) {
	events := recorded(b)
	d := NewDecoder([]string{"CALL_NUMBER"})
	var ev bridge.Event
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = d.Decode(events[i%len(events)], &ev)
	}
}

// BenchmarkDecodePeer is ari/v5's DecodeEvent over the same events.
func BenchmarkDecodePeer(b *testing.B) {
	events := recorded(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = cyari.DecodeEvent(events[i%len(events)])
	}
}

// BenchmarkDecodeRatio alternates the two in one run and reports how many
// times less time ours takes, the median of the rounds and their extremes.
func BenchmarkDecodeRatio(b *testing.B) {
	events := recorded(b)
	d := NewDecoder([]string{"CALL_NUMBER"})
	var ev bridge.Event
	pass := func(decode func([]byte)) float64 {
		began := time.Now()
		for _, text := range events {
			decode(text)
		}
		return float64(time.Since(began).Nanoseconds()) / float64(len(events))
	}
	const rounds = 9
	for b.Loop() {
		var ours, theirs, ratios []float64
		for range rounds {
			our := pass(func(text []byte) { _, _ = d.Decode(text, &ev) })
			their := pass(func(text []byte) { _, _ = cyari.DecodeEvent(text) })
			ours, theirs, ratios = append(ours, our), append(theirs, their), append(ratios, their/our)
		}
		for _, list := range [][]float64{ours, theirs, ratios} {
			slices.Sort(list)
		}
		b.ReportMetric(ours[rounds/2], "ns/event")
		b.ReportMetric(theirs[rounds/2], "peer-ns/event")
		b.ReportMetric(ratios[rounds/2], "times-less")
		b.ReportMetric(ratios[0], "times-less-min")
		b.ReportMetric(ratios[rounds-1], "times-less-max")
	}
}
