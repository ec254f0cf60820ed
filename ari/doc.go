// Package ari turns the event stream of one Asterisk into bridge.Events.
//
// A Source owns one websocket to /ari/events?subscribeAll=true (its own loop,
// not ari/v5's: that one dies of an event type that it does not know, blocks
// while Asterisk is down and loses events silently), the Decoder that reads
// it, and the REST requests that list channels and bridges after every connect
// and every gap. While Run runs there are three goroutines for a connection
// (reader, pinger, resync); none is left when it returns.
//
// The package decides nothing about calls: it reports what the PBX said, in
// the order of arrival, and says so when something was missed. It never writes
// to the PBX: a read-only ARI user is all it needs.
//
// Sources: docs.asterisk.org, "Asterisk REST Interface" (Events, Channels,
// Bridges, Asterisk) and "Asterisk REST Data Models"; the bounds and the
// behaviour of a real Asterisk 22.10 are from the project's own lab.
package ari
