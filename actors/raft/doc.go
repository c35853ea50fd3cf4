// Package raft runs this member's replicas on dragonboat. Besides peerlink and
// raftlog, it is the only package below actors that imports dragonboat.
//
// It owns dragonboat's NodeHost and what is known about its raft groups (shards):
// [Leaders] knows who leads, [Proposer] gets commands into a log and makes reads
// linearizable, [Replicas] starts this member's replicas and changes who has one;
// [Host] puts them together, checks that log and store belong together, and
// transfers leadership. [Compactor] keeps a raft log short. What a command does is
// the state machine's business, who should have a replica package cluster's, and how
// bytes get to another member package peerlink's.
//
//	Proposer ── propose, read index ──▶ ┌────────────┐ ──▶ Machine.Update
//	Replicas ── start, add, remove ───▶ │ dragonboat │ ──▶ peerlink
//	Compactor ── compact ─────────────▶ └────────────┘ ──▶ raftlog
//	Leaders ◀── leader changes ──────────────┤
//	Replicas ◀─ replicas added, removed ─────┘
//
// # Goroutines
//
// One for each Compactor. dragonboat runs its own, which end with Host.Close; its
// event goroutines call into Leaders and Replicas, which never block them.
package raft
