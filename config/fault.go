package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Fault is one thing that is wrong in a configuration. It never holds the value of a secret.
type Fault struct {
	// File is the configuration's name as it was given to Load or Parse.
	File string
	// Line counts from 1; 0 is a fault of the file as a whole, such as a missing top-level key.
	Line int
	// Path is the key's path, such as "pbxs[0].ari.url"; empty where no key is meant.
	Path string
	// Problem says what is wrong.
	Problem string
	// Advice says what to write.
	Advice string
}

// Error returns "file:line: key.path: what is wrong; what to write", leaving out what is not known.
func (f *Fault) Error() string {
	s := f.File
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
	}
	if f.Path != "" {
		s += ": " + f.Path
	}
	s += ": " + f.Problem
	if f.Advice != "" {
		s += "; " + f.Advice
	}
	return s
}

// Faults returns the faults in an error of Load or Parse, in the order of their lines; none for another error.
func Faults(err error) []*Fault {
	if f, ok := errors.AsType[*Fault](err); ok && error(f) == err {
		return []*Fault{f}
	}
	var all []*Fault
	switch u := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			all = append(all, Faults(e)...)
		}
	case interface{ Unwrap() error }:
		all = Faults(u.Unwrap())
	}
	return all
}

// joinFaults joins the faults in line order; nil when there are none. Faults of one line keep their order.
func joinFaults(faults []*Fault) error {
	slices.SortStableFunc(faults, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}
