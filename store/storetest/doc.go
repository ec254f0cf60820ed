// Package storetest is the conformance suite that every store must pass, the
// throw-away Postgres cluster that it runs on, and the names of the test tiers.
// It is for tests only.
package storetest
