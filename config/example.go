package config

import (
	"bytes"
	_ "embed"
)

//go:embed example.yaml
var example []byte

// Example returns the example configuration: every key with its meaning, its default and its alternatives.
// The caller owns the copy.
func Example() []byte { return bytes.Clone(example) }
