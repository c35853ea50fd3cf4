// Package order has what a member needs to keep one index over several data shards:
// the [ClosedIndex], up to which all shards are applied here; [Spanning], which serves
// reads of the root and watches on it by that; and the [Balancer], which spreads the
// shards' leaders over the members. With one data shard none of it is used.
//
// It doesn't hand out indexes: the order shard's state machine does (package
// statemachine), asked by the leaders of the data shards (package shard). It proposes
// nothing.
//
//	order shard's Machine ──▶ ClosedIndex ──events, in order──▶ Spanning's watch.Hub
//	data shards' Machines ──▶     │
//	                              └──index──▶ reads of the root
//
// docs/SHARDS.md has the rules; the numbers in comments are theirs.
//
// # Goroutines
//
// One for Spanning's hub, and two for the Balancer.
package order
