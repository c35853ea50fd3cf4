// Package repeats kills leaders between a write that has a requestId and its repetition at another
// member, and shows that nothing is carried out twice.
//
//	requests ──first try──▶ three members ◀──SIGKILL── the leader's, before, at or after the answer
//	    └─────repeats─────▶ those that live, and the killed one when it is back
//
// Each write makes nodes in order, so a second time would show as further nodes: at the end each member is
// read. The whole load under all faults is the business of package cluster, where some writers repeat as well.
//
// Goroutines: a round has one for each request, and awaits them.
package repeats
