package figures

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for _, tt := range []struct {
		q    float64
		want float64
	}{{0, 1}, {0.2, 1}, {0.21, 2}, {0.5, 3}, {0.95, 5}, {1, 5}} {
		if got := Quantile(values, tt.q); got != tt.want {
			t.Errorf("Quantile(%v) = %v, want %v", tt.q, got, tt.want)
		}
	}
	if !cmp.Equal(values, []float64{5, 1, 4, 2, 3}) {
		t.Error("Quantile changed its argument's order")
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	table := NewTable(&b)
	table.Add(Figure{Name: "CPU", Unit: "ms", Ours: []float64{1, 2, 3}, PeerName: "Asterisk", Peer: []float64{20, 20, 20}, Ratio: Percent, Aim: "≤ 10 %", Met: true})
	table.Add(Figure{Name: "decode", Unit: "ns", Ours: []float64{400}, PeerName: "DecodeEvent", Peer: []float64{20000}, Ratio: TimesLess, Aim: "≥ 60×"})
	table.Add(Figure{Name: "size", Unit: "MB", Ours: []float64{30.04}})
	table.Note("%d of them", 3)
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"| figure | ours | peer | ratio | aim |",
		"| CPU (3 rounds) | 2 ms (1 … 3) | 20 ms (20 … 20) Asterisk | 10 % (5 … 15) | ≤ 10 %: met |",
		"| decode (1 rounds) | 400 ns (400 … 400) | 20000 ns (20000 … 20000) DecodeEvent | 50 × less (50 … 50) | ≥ 60×: missed |",
		"| size (1 rounds) | 30 MB (30 … 30) | – | – | – |",
		"3 of them",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
