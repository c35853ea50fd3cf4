// Package cluster runs a cluster of a v2 server's members as real processes,
// loads it, does to it what goes wrong in the world, and has everything that
// its clients noted down judged by an independent checker.
//
//	clients ──requests──▶ members (fleet) ◀──kill, pause, cut, slow, fill── nemesis ◀── schedule
//	   └──ops, events──▶ history.Recorder ──▶ check.Check, check.Registers ──▶ verdict
//
// The schedule comes from a seed, or from a file, and is printed either way.
// Writers, quorum readers, local readers, register clients and watchers go on
// through all faults; the numbers of requests and of events are bounded by
// their pace, and the run by its length. At the end everything is healed, what
// has a ttl is left to expire, a fence is written for each watcher, and all
// members are read whole.
//
// Goroutines: Run owns one for each client and each watcher, and awaits them
// all; the nemesis runs on Run's own.
package cluster
