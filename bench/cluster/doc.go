// Package cluster runs a cluster of a v2 server as real processes, puts load on it,
// injects the faults that happen in practice, and has an independent checker judge
// everything that the clients recorded.
//
//	clients ──requests──▶ members (fleet) ◀──kill, pause, cut, slow, fill── nemesis ◀── schedule
//	   └──ops, events──▶ history.Recorder ──▶ check.Check, check.Registers ──▶ verdict
//
// The schedule comes from a seed or from a file, and is printed in either case.
// Writers, of whom some repeat what isn't answered, transactors, quorum readers, local readers, register
// clients and watchers continue through all faults. Their pace bounds the number of requests and events, and
// the run's length bounds the run. At the end all faults are healed, keys with a
// ttl expire, a fence is written for each watcher, and all members are read
// completely.
//
// Goroutines: Run owns one for each client and each watcher, and awaits them
// all; the nemesis runs on Run's own.
package cluster
