// Package figures works out and prints what `make bench` shows: for each figure
// ours beside a peer's, taken in turns in one run, as medians of rounds with
// their spread. It is pure but for the writer that it prints to, runs no
// goroutine, and judges nothing by a failing test: machines differ.
package figures

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Ratio says how ours and the peer's are set against each other.
type Ratio int

// The ways to set ours against the peer's.
const (
	Times     Ratio = iota // ours / peer: "1.8×"
	TimesLess              // peer / ours: "20× less"
	Percent                // ours / peer: "5.5 %"
)

// Figure is one line: a value a round of ours and, if there is a peer, of the
// peer in the same round.
type Figure struct {
	Name string
	Unit string // of Ours and Peer: "ms", "µs", "MB"
	Ours []float64

	PeerName string
	Peer     []float64 // as many as Ours, or none
	Ratio    Ratio

	Aim string // what is aimed at, in words; empty for a figure that is only shown
	Met bool   // whether the aim is reached; without meaning if there is no Aim
}

// Ratios returns the ratio of each round.
func (f Figure) Ratios() []float64 {
	ratios := make([]float64, 0, len(f.Peer))
	for i, peer := range f.Peer {
		r := f.Ours[i] / peer
		switch f.Ratio {
		case TimesLess:
			r = 1 / r
		case Percent:
			r *= 100
		}
		ratios = append(ratios, r)
	}
	return ratios
}

// Quantile is the smallest value that at least the share q (0..1) of the values
// does not exceed: no value is made up between two. It is NaN for no values.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// Median is the Quantile of 0.5.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Table prints figures as they are taken, so that a run that is cut short has
// shown what it had.
type Table struct{ w io.Writer }

// NewTable prints the head.
func NewTable(w io.Writer) *Table {
	t := &Table{w: w}
	t.line("figure", "ours", "peer", "ratio", "aim")
	return t
}

// Add prints one figure.
func (t *Table) Add(f Figure) {
	peer, ratio, aim := "–", "–", "–"
	if len(f.Peer) > 0 {
		peer = spread(f.Peer, f.Unit) + " " + f.PeerName
		ratio = spread(f.Ratios(), [...]string{"×", "× less", "%"}[f.Ratio])
	}
	if f.Aim != "" {
		aim = f.Aim + ": missed"
		if f.Met {
			aim = f.Aim + ": met"
		}
	}
	t.line(fmt.Sprintf("%s (%d rounds)", f.Name, len(f.Ours)), spread(f.Ours, f.Unit), peer, ratio, aim)
}

// Note prints a line that belongs to the figure before.
func (t *Table) Note(format string, args ...any) {
	fmt.Fprintf(t.w, "  "+format+"\n", args...)
}

// line prints cells so that they are easy to read in a terminal and can be put
// into a note as they are.
func (t *Table) line(cells ...string) {
	var b strings.Builder
	for i, width := range []int{64, 30, 44, 30, 0} {
		pad := max(0, width-len([]rune(cells[i])))
		b.WriteString("| " + cells[i] + strings.Repeat(" ", pad) + " ")
	}
	fmt.Fprintln(t.w, b.String()+"|")
}

// spread is the median with the smallest and the largest of the rounds.
func spread(values []float64, unit string) string {
	return fmt.Sprintf("%s %s (%s … %s)", digits(Median(values)), unit, digits(slices.Min(values)), digits(slices.Max(values)))
}

// digits keeps three digits that count.
func digits(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
