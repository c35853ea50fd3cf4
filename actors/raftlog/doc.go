// Package raftlog keeps the raft log: for each replica its entries, its hard state, and
// what is known of its snapshot. The engine has it behind its public interface, in place of
// its own stores, both of which take a damaged record for the end of the log and start
// without what follows.
//
// What is saved is on disk when the call returns, and comes back at the next start. What a
// crash has left of a write that was not acknowledged is dropped. Everything else that
// doesn't fit is a [Damage], which names the file and the place, and nothing is served.
//
// The log is a directory of segments; format.go draws a file and lists what a crash leaves
// of it, record.go draws what is in a frame. One write and one sync carry whatever all
// shards have to save at that moment. In memory there is, for each entry, where it is
// (index.go), and the newest entries themselves, up to a limit in bytes. A start reads all
// segments from the front to the back (load.go).
//
// The package knows nothing of what entries contain nor what shards are for, and nobody
// else knows the format. It has no goroutine: the engine's step workers write, its snapshot
// workers write that there are snapshots, and any of them reads.
//
// Bounds: a segment has 32 MiB unless one frame needs more; one is given back when at most
// an eighth of it is still wanted, so the log takes about eight times what is wanted at the
// very worst, and usually little more than that; two files of segments are kept for use
// again. In memory an entry costs 12 bytes besides the 16 MiB of the newest ones.
package raftlog
