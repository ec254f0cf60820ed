// Package screenpop turns the engine's effects into pops on agents' screens:
// it looks the caller up, decides the mode, writes the row, mints secure
// links, and serves the agent's desk over HTTP.
//
// Popper runs a fixed pool of workers; Hub one goroutine per open desk stream
// (the request's own). Nothing here blocks the engine: effects go into a
// bounded queue.
package screenpop
