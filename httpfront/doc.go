// Package httpfront speaks v2's HTTP API: it turns requests into questions to
// a [Backend], and answers into bytes that clients of etcd v2 know. What they
// see, down to the spelling of a header, is decided here and in tree's JSON.
//
//	             ┌──────────────── Server ────────────────┐
//	             │            one goroutine each          │
//	listener ──▶ connections ──▶ route ──▶ parse ──▶ Backend.Do, Get
//	   ▲         │                           │            │
//	   │         └───────────────────────────┼────────────┘
//	   │                                     ▼ wait=true
//	   └──── comes back ◀─── poll loop ◀─ Backend.Watch
//
// It owns the listeners and the connections, their time-outs (conn.go), the TLS on
// them (wire.go, for what is parked), and the counts of what it does
// ([Server.WriteMetrics]). It doesn't know how a key is stored, what raft is, or
// where an event comes from; the rules of the tree are package tree's. What is
// checked by a probe and written by a scrape is handed to it; package ops answers
// the same on a port of its own.
//
// # Goroutines
//
// [Server.Serve] runs in its caller's and hands out connections; one more for
// each address accepts them. Each connection that isn't parked has one, and a
// short-lived one while it is being parked; the poll loop has a fixed few for all
// that are. [Server.Stop] ends and awaits them all. One of fasthttp's, which renders the date once a
// second for the whole process, never ends.
//
// # Bytes
//
// Key and parameters are used where the request's buffer holds them, without a
// copy: a [tree.Query] or [tree.Command] is the Backend's until its method
// returns, and not longer.
package httpfront
