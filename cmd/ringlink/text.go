package main

import (
	"io"
	"strings"
	"unicode"
)

// printable keeps foreign text from steering a terminal: control and format
// characters, among them those that turn the writing direction, become "?".
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// tableRow joins cells for a tabwriter, each made printable.
func tableRow(cells ...string) string {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	return strings.Join(cells, "\t")
}

// copyLimited copies at most 1 MiB.
func copyLimited(w io.Writer, r io.Reader) (int64, error) {
	return io.Copy(w, io.LimitReader(r, 1<<20))
}
