// Package faultproxy sits between the members of a cluster on one machine
// and disturbs their connections: it delays, throttles, holds back, cuts, leaves
// half open and corrupts.
//
// A Mesh has one listener for each member; the others are given its address
// instead of the member's own. The creator of the Mesh identifies the caller of a
// connection (a source port belongs to a process), so that a rule can apply to what
// one member sends to another and not to the way back:
//
//	member 0 ──dials──▶ listener of member 1 ──▶ member 1
//	            bytes 0→1 obey rule(0,1), bytes 1→0 obey rule(1,0)
//
// Goroutines: one for each listener; one for each connection, and a reader and
// a writer for each direction of it; Close ends and awaits them all.
package faultproxy
