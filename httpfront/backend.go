package httpfront

import "copse/statemachine/tree"

// Backend is what the front-end needs from the rest of the server. Every
// method may be called from many goroutines at once.
type Backend interface {
	// Do proposes c and waits until it is applied on this member, or is known
	// to have failed. It always answers, soon after the request time-out at the
	// latest; trouble with raft is Reply.Err with CodeRaftInternal. c and what it holds may be
	// reused once Do has returned.
	Do(c *tree.Command) tree.Reply

	// Get appends the answer to q, as v2 prints it with the newline, to dst.
	// A long listing comes in parts: rest, if not nil, yields what follows
	// out, and must be closed; q.Key is in use until then.
	Get(dst []byte, q tree.Query) (out []byte, rest tree.Rest, st tree.State, err *tree.Error)

	// Watch registers w, or refuses it with CodeEventIndexClosed. Deliveries
	// may start before Watch returns. st is the moment the watch starts from:
	// every later change that concerns w is delivered.
	Watch(w *tree.Watch) (st tree.State, err *tree.Error)
	// Unwatch takes w out again; no effect if it has been served already. A
	// delivery that is under way may still arrive.
	Unwatch(w *tree.Watch)

	// State is where this member stands.
	State() tree.State
	// Stats are the counters of /v2/stats/store.
	Stats() tree.Stats
	// Cluster is what this member knows of the cluster.
	Cluster() *tree.Cluster
	// Shards is what this member knows of the shards.
	Shards() tree.ShardsStatus
	// PeerStats is the raft traffic with the other members, in finite numbers.
	PeerStats() tree.PeerStats

	// AddMember makes a new member, which is to start with these peer URLs, a
	// part of the cluster; UpdateMember gives one other peer URLs; RemoveMember
	// takes one out, for good. Each refuses with one of the membership's codes,
	// or with CodeRaftInternal, and always answers, as Do does.
	AddMember(peerURLs []string) (tree.Member, *tree.Error)
	UpdateMember(id uint64, peerURLs []string) *tree.Error
	RemoveMember(id uint64) *tree.Error

	// Healthy reports whether a leader is known and a quorum answers within a
	// second.
	Healthy() bool
}
