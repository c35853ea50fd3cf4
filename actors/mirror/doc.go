// Package mirror makes a cluster follow a live source, until it is promoted: "copse serve
// --mirror-from".
//
// A [Gate], on each member, passes writes and quorum reads on to the source, and answers once
// this member has applied the result, so that clients read their own writes. A [Follower], which
// works on the leader only, reads the source's events one by one from its history and proposes
// them. After a hole it reads everything and proposes the difference. It also carries out the promotion.
//
//	client ─▶ Gate ──────────────▶ source ◀─────── Follower, on the leader
//	           │ ◀── applied ── machine ◀── log ◀────┘
//
// It doesn't own how the source is asked (package source), nor what the changes do
// (packages statemachine and statemachine/mirror), nor how members and operators reach it
// (package actors). Whether there is a mirror at all is state of the cluster.
//
// # Goroutines
//
// One for the Follower, while it runs. A Gate has none: it works on those of its callers.
package mirror
