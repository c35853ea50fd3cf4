// Package httpfront implements v2's HTTP API: it turns requests into calls of a [Backend],
// and results into the bytes that clients of etcd v2 expect. All that clients see, down to
// the spelling of headers, is decided here and in tree's JSON.
//
//	             ┌───────────────────── Server ─────────────────────┐
//	             │                 one goroutine each               │
//	listener ──▶ connections ──▶ route ──▶ parse ──▶ permit ──▶ Backend.Do, Get
//	   ▲         │                                     │            │
//	   │         └─────────────────────────────────────┼────────────┘
//	   │                                               ▼ wait=true
//	   └──── comes back ◀─────── poll loop ◀───── Backend.Watch
//
// It owns the listeners and the connections, where requests begin (framing.go) and how
// fasthttp gets them (intake.go), their timeouts (conn.go), TLS on parked ones
// (wire.go), the permission of each request (access.go), and its own metrics ([Server.WriteMetrics]). It knows nothing of storage and
// of raft; the rules of the tree are in package tree. The checks of probes and the metrics
// of a scrape are handed to it; package ops serves the same on the operations port.
//
// # Goroutines
//
// [Server.Serve] runs on its caller's goroutine and dispatches connections, which another
// one for each address accepts. Each active connection has one, and a short-lived one while
// it is being parked; the poll loop has three for all that wait. [Server.Stop] ends and
// awaits them all. fasthttp's clock for Date headers, one in a process, never ends.
//
// # Bytes
//
// Key and parameters point into the request's buffer and aren't copied: the Backend may use
// a [tree.Query] or [tree.Command] until its method returns.
package httpfront
