// Package netns puts each member of a cluster into a network namespace of its
// own, joined by a bridge in one more. The namespaces can't be reached from the
// machine's own network, nor the other way round. Partitions are real: packets
// don't arrive.
//
//	copse-PID-N-sw:  br0 ── v0, v1, v2 ...
//	copse-PID-N-mI:  eth0 192.0.2.(I+1)/24, lo
//
// The names contain the process id and a number, so that runs don't collide; New also removes
// what a killed run has left behind. A client reaches a member over the loopback
// of the member's namespace, through Dial, so no partition between members affects it.
//
// It needs root, and the programs ip, tc (iproute2) and nft (nftables). It
// starts no goroutines.
package netns
