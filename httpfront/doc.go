// Package httpfront speaks v2's HTTP API: it turns requests into questions to
// a [Backend], and answers into bytes that clients of etcd v2 know. What they
// see, down to the spelling of a header, is decided here and in tree's JSON.
//
//	             ┌──────────────── Server ────────────────────┐
//	listener ──▶ reactor ──▶ parse ──▶ Backend.Peek, Ask, Confirm
//	             │  ▲   │               │                     │
//	             │  │   └──▶ fasthttp ──┼─▶ Backend.Do, Get, …│
//	             │  │           │       │                     │
//	             └──┼───────────┼───────┼─────────────────────┘
//	                │           ▼       ▼ wait=true
//	                └──────── parker ◀── Backend.Watch
//
// It owns the listeners and the connections, the TLS on them ([Certificates],
// and wire.go for what is parked), and the counts of what it does
// ([Server.WriteMetrics]). It doesn't know how a key is
// stored, what raft is, or where an event comes from; the rules of the tree
// are package tree's. What is checked by a probe and written by a scrape is handed
// to it; package ops answers the same on a port of its own.
//
// # Goroutines
//
// [Server.Serve] runs in its caller's and hands out connections; one more for
// each address accepts them. A reactor for each processor serves them with two
// (reactor.go). A connection has one of its own while a listing is sent on it,
// while it is being parked, and while fasthttp has it, as it has all with TLS; the
// parker has a fixed few for all that are parked. [Server.Stop] ends and awaits
// them all. One of fasthttp's, which renders the date once a
// second for the whole process, never ends.
//
// # Bytes
//
// Key and parameters are used where the request's buffer holds them, without a
// copy: a [tree.Query] or [tree.Command] is the Backend's until its method
// returns, and not longer; that of Backend.Ask, until it has been answered.
package httpfront
