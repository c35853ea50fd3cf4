// Package peerlink carries everything that members send each other, over one port:
// raft's messages and snapshots, calls, and messages without an answer. For dragonboat
// it is the transport and the node registry. It has the members' addresses ([Book]),
// decides who may connect ([Options].Allowed, TLS), and measures the raft traffic for
// /v2/stats.
//
// It doesn't know what calls and messages are about or what is in raft's entries, and
// it decides nothing about membership: its owner does.
//
//	            Book ◀──Set── owner        dragonboat
//	             │                           │    ▲
//	   addresses │    SendMessageBatch, chunk│    │MessageHandler, ChunkHandler
//	             ▼                           ▼    │
//	Call ──▶ caller ──▶ dial ──────────────▶ transport ◀──┐
//	Post ────▶ ▲         │                                │ raft, snapshot
//	                     ▼                                │
//	              a member's port ─── accept ─── serve ───┼─ calls ─────▶ Handler
//	                                                      └─ messages ──▶ Receive
//
// # Who may connect
//
// A connection begins with a handshake (hello.go): the dialer says who it is, whom it
// wants to reach and what for, and is accepted or told why not. Without TLS this
// prevents mistakes, not attacks: anyone who reaches the port and knows the cluster's
// id can pose as any member. With mutual TLS, by a secret that members share or by
// certificates (config/certs), strangers are kept out before the handshake.
//
// What arrives may be anything all the same. Lengths are checked before memory is
// allocated, frames have checksums, and dragonboat's decoders, which trust their
// input, get only what decode.go has checked. Garbage ends the connection it arrived
// on.
//
// # Addresses
//
// For dragonboat, the target of a replica is its member's UUID, and the target of a
// connection is the member's id. Neither ever changes. The member's address is looked
// up in the Book, and its host name resolved, whenever a connection is made.
//
// # Goroutines
//
// One for each port. For each accepted connection one that reads; if it is for calls,
// another one that writes the answers, and one for each call being handled (at most
// 256, and 16 for strangers). For each member that has been called, two while that
// connection lasts, and one while messages wait to be sent to it (post.go). A connection on which dragonboat sends has none: dragonboat's own
// goroutines write. [Link.Close] waits for all of them.
package peerlink
