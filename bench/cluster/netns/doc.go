// Package netns puts each member of a cluster into a network namespace of its
// own, joined by a bridge that lives in one more: nothing of it can be reached
// from the machine's own network, and nothing of that from inside. Partitions
// are real ones, packets that don't arrive.
//
//	copse-PID-sw:  br0 ── v0, v1, v2 ...
//	copse-PID-mI:  eth0 192.0.2.(I+1)/24, lo
//
// The names carry the process id, so that runs don't meet; New also removes
// what a killed run has left behind. A client reaches a member over the loopback
// of the member's namespace, by Dial: no partition between members touches it.
//
// It needs root, and the programs ip, tc (iproute2) and nft (nftables). It
// starts no goroutines.
package netns
