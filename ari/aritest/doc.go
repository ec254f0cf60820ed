// Package aritest is a fake Asterisk: it speaks ARI over real HTTP and a real
// websocket, plays recorded or composed event streams to whoever listens, and
// answers /channels, /bridges and /asterisk/info with the state that follows
// from the events played. It misbehaves on demand in the ways in which a real
// one was seen to.
//
// It serves the tests of package ari and is the PBX of "ringlink demo". It is
// not a telephone system: nothing in it decides, a Script or a recording does.
package aritest
