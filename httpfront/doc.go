// Package httpfront implements v2's HTTP API: it turns requests into calls of a [Backend],
// and results into the bytes that clients of etcd v2 expect. All that clients see, down to
// the spelling of headers, is decided here and in tree's JSON.
//
//	             ┌───────────────────────── Server ──────────────────────────┐
//	             │      what is short                                        │
//	listener ──▶ poll loops ──────────▶ route ──▶ parse ──▶ permit ──▶ Backend.GetCached, Submit, Confirm, Load
//	             ▲   │   ▲                ▲                   │   └────▶ Backend.Do, Get, Watch
//	   answered, │   │   └── reply ───────┼───────────────────┼───────────────┘        ▲
//	   or parked │   ▼ what may block     │                   │                        │
//	             └─ goroutines ───────────┴───────────────────┴────────────────────────┘
//
// A connection belongs to one poll loop, an actor with an epoll set, for as long as it lasts. The
// loop reads what has come; fasthttp parses it and prints the answer. Requests that are whole and
// small are served there if nothing about them waits: reads of what is in memory, and writes and
// quorum reads, whose replies come back through the loop's mailbox while others are served, as do
// reads of single nodes that a reader has brought into memory from disk (readers.go). For
// everything else, a goroutine gets the connection until the request is answered: listings that
// aren't in memory, long answers, bodies that are large or come in pieces, passwords, handshakes, watches
// until they are parked, the other routes. So no client waits for another, but for one read from disk.
//
// The package owns the listeners and the connections (connections.go, pollloop.go, conn.go), how the
// loops wait and what they call (epoll_linux.go, calls_linux.go), where requests begin (framing.go, respell.go),
// what the loop serves (serving.go) and how fasthttp gets the rest (intake.go), timeouts (conn.go; in
// the loop, sweep in parkedconns.go), TLS without blocking (wire.go), the permission of each request
// (access.go), and its own metrics ([Server.WriteMetrics]). It knows nothing of storage and of raft;
// the rules of the tree are in package tree. The checks of probes and the metrics of a scrape are
// handed to it; package ops serves the same on the operations port.
//
// # Goroutines
//
// [Server.Serve] accepts connections on its caller's goroutine. A poll loop has three for all its
// connections, for a moment one for each large answer to a write, and one for every two reads from
// disk; there is one loop for each processor. A request that the loop leaves to a goroutine has one, at most one for each connection,
// and a short-lived one while a watch is being parked.
// [Server.Stop] ends and awaits them all. fasthttp's clock for Date headers, one in a process, never
// ends.
//
// # Bytes
//
// Key and parameters point into the request's buffer and aren't copied: the Backend may use
// a [tree.Query] or [tree.Command] until its method returns, or has notified.
package httpfront
