// Package sip is the door for SIP: a UDP socket on which a PBX offers
// Ringlink a branch of a call (a shadow contact), so that the INVITE's headers
// are seen. It answers 100 or 180, never 200, and gives the branch back with
// 480 after a short while: a group that rings is busy until then, and a 6xx
// would end the whole fork (RFC 3261 section 16.7).
//
// What it sees becomes bridge.Events by way of one callback that must not
// block; nothing that the PBX waits for touches a database, ARI or HTTP.
//
// The package owns its socket, the read loop and the table of INVITE
// transactions. It uses sipgo's parser, messages and server transaction
// (RFC 3261 section 17.2.1), but not sipgo's transport and transaction layer:
// those keep a pool entry for each source port for ever, open new and
// unguarded sockets towards an address in the Via when the pool lacks the
// source, drop answers over 1300 bytes, write refused datagrams to the log and
// end with nil when a read fails. No byte reaches sipgo before the guard has
// passed it, and nothing is ever sent but an answer, to the address that the
// request came from.
//
// Run is one goroutine, the only reader; a timer each for the pending INVITEs
// runs beside it. Nothing is left when Run returns.
package sip
