// Package screenpop turns the engine's effects into pops on agents' screens:
// it looks the caller up, decides the mode, writes the row, mints secure
// links, and serves the agent's desk over HTTP.
//
// Popper runs one loop that owns the state of calls and pops, and two fixed
// pools for writes and lookups; Hub runs nothing: an open desk stream is the
// goroutine of its own request. Nothing here blocks the engine: effects go into a
// bounded queue.
package screenpop
