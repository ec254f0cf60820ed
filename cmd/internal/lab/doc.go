// Package lab is the telephone laboratory of the end-to-end tests: real
// Asterisks, real SIP phones, callers from outside, a steady load, a recorder of
// ARI streams and a real Chromium.
//
// Asterisk 22 runs out of the Debian tree that .ci/setup builds in the cache
// folder, in a mount namespace of its own and with folders and loopback ports of
// its own, so that several may run at once. The phones and callers are baresip,
// the load is sipp. Everything that is started ends with the test that started it.
//
// The helpers end the test by tb.Fatal when something does not happen within
// its time, so they are to be called from the test's own goroutine. They wait
// for what the other side reports and never for time to pass.
package lab
