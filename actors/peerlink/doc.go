// Package peerlink carries everything that members say to each other, over one
// port: raft's messages and snapshots, and calls. It is the engine's transport
// and its node registry, it knows where members are ([Book]), who may speak
// ([Options].Allowed, TLS), and it measures the raft traffic for /v2/stats.
//
// It does not know what calls are about, nor what is in raft's entries; and it
// decides nothing about membership: it is told.
//
//	            Book ◀──Set── owner          engine
//	             │                           │    ▲
//	   addresses │    SendMessageBatch, chunk│    │MessageHandler, ChunkHandler
//	             ▼                           ▼    │
//	Call ──▶ caller ──▶ dial ──────────────▶ transport ◀──┐
//	                     │                                │ raft, snapshot
//	                     ▼                                │
//	              a member's port ─── accept ─── serve ───┴─ calls ──▶ Handler
//
// # Who may speak
//
// A connection begins with a handshake (hello.go) in which the dialer says who
// it is, whom it looks for and what it wants, and is let in or told why not.
// Without TLS that keeps mistakes out, not attackers: whoever reaches the port
// and knows the cluster's id can be any member. As with etcd, the peer port
// belongs into a network that is trusted, or behind mutual TLS.
//
// What comes over the wire may be anything all the same. Lengths are checked
// before they are believed, frames have checksums, and the engine's decoders,
// which trust their input, get to see it only after decode.go has. Garbage costs
// the connection that it came on.
//
// # Addresses
//
// To the engine, a replica's target is its member's UUID, and the target of a
// connection is the member's id: neither ever changes. Where the member is gets
// looked up in the Book, and its name resolved, whenever a connection is made.
//
// # Goroutines
//
// One for each port listened on. For each accepted connection one that reads;
// if it is for calls one more that writes the answers, and one for each call
// being handled (of which there are 256 at most, and 16 of strangers'). For each
// member that has been called, two while that connection lasts. A connection on
// which the engine sends has none: the engine's own writes. [Link.Close] waits
// for all of them.
package peerlink
