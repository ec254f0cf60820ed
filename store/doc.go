// Package store keeps what Ringlink knows in SQLite or Postgres: the directory
// (organizations, people, numbers, tickets), agents and their devices, users
// and sessions, pops, secure links and the audit trail.
//
// It implements the small interfaces that package screenpop declares, with one
// portable SQL text for both engines; only the migrations are written twice.
// Postgres (lib/pq) is for real sites, SQLite (modernc, no cgo) for the demo
// and small desks.
//
// Every method that takes a context ends within Options.QueryTimeout, also on
// a server that is stopped or cut off: the deadline stands on the connection's
// socket, since lib/pq alone does not end a query whose server is silent. The
// exceptions, Migrate, Sweep and Import, say so.
//
// The package starts no goroutine of its own (database/sql and the drivers
// start theirs) and never deletes a pop or
// anything of the directory. Times are BIGINT
// microseconds since 1970 UTC, set from Go's clock; 0 stands for "not yet".
package store
