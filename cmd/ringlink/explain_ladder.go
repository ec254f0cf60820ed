package main

import (
	"fmt"
	"strings"
	"time"
)

// lanePicture draws ladders: a column each for those who take part, an arrow
// a line. The demo and explain use it.
type lanePicture struct {
	names []string
	width int // of a lane, in columns
}

// head is the line of names.
func (p lanePicture) head() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9s  ", "")
	for _, name := range p.names {
		fmt.Fprintf(&b, "%-*s", p.width, name)
	}
	return strings.TrimRight(b.String(), " ")
}

// line is an arrow from one lane to another, or a dot on one.
func (p lanePicture) line(at time.Duration, from, to int, text string) string {
	cells := make([]rune, p.width*(len(p.names)-1)+1)
	for i := range cells {
		cells[i] = ' '
		if i%p.width == 0 {
			cells[i] = '│'
		}
	}
	a, b := from*p.width, to*p.width
	for i := min(a, b) + 1; i < max(a, b); i++ {
		cells[i] = '─'
	}
	switch {
	case b > a:
		cells[b-1] = '▶'
	case b < a:
		cells[b+1] = '◀'
	default:
		cells[a] = '●'
	}
	return fmt.Sprintf("%8.3fs  %s  %s", at.Seconds(), string(cells), printable(text))
}
