// Package config owns Ringlink's configuration file: its shape, its defaults, its strict loading and
// the secrets that it names.
//
// [Load] reads one YAML file and reports every fault in it at once, each as a [Fault] with line, key path,
// what is wrong and what to write. The defaults, ranges and choices of a key stand in the tags of its struct
// field, so that the text of the structs, the checks and [Config.Dump] cannot disagree:
//
//	yaml:"link_ttl"      the key
//	default:"60s"        what holds when the key is absent, in YAML
//	range:"1s..60s"      the smallest and the largest value
//	oneof:"json|text"    the only values
//	required:"true"      an absent key is a fault
//	example:"10.0.0.5"   what the advice of a fault shows
//
// Secrets are never written in the file: it names a file or an environment variable, and the value lives in a
// [Secret], which redacts itself wherever it is printed.
//
// The package runs no goroutine, imports no other package of Ringlink, and after Load it touches no file.
package config
