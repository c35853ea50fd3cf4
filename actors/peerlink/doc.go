// Package peerlink carries everything that members say to each other, over one
// port: raft's messages and snapshots, and calls.
package peerlink
