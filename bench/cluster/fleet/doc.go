// Package fleet runs the members of one cluster as processes of their own and
// does to them what faults do: kill, pause, part, slow down, fill up the disk.
//
// Members live on the loopback, joined by faultproxy, or in network namespaces,
// joined by netns; either way a client reaches each by its Dial, which no fault
// of the network touches. Close ends all that was started, and a fleet whose
// process was killed goes with it: the kernel ends the servers, and the next
// fleet removes namespaces and mounts.
//
// A Fleet is for one goroutine, but for a member's Dial and URL, which are for all.
package fleet
