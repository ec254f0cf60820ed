// Package bridge is Ringlink's domain: telephone calls as the outside world
// sees them, worked out from the channels, bridges and INVITEs that a PBX
// reports, and the pops that are due to agents.
//
// It owns the state of every running call. One goroutine, the one that is in
// Engine.Run, reads events and writes that state; everything below it
// (State.Apply, Decide) is pure: state, event and time in, effects out. The
// package does no I/O, knows no database, no SIP and no ARI.
package bridge
