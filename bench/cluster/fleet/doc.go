// Package fleet runs the members of one cluster as processes and injects faults:
// it kills and pauses them, cuts and slows down their network, fills their disk.
//
// Members live on the loopback, joined by faultproxy, or in network namespaces,
// joined by netns. In both cases a client reaches a member through its Dial, which no
// network fault affects. Close stops everything that was started. If the process
// is killed, the kernel kills the servers, and the next fleet removes namespaces
// and mounts.
//
// A Fleet is for one goroutine, except a member's Dial and URL, which may be used by all.
package fleet
