// Package tree holds the rules of the v2 key space: what a key is, what each
// operation does to the nodes, which event it leaves behind, and what a client
// is told when it is refused.
//
// It owns the vocabulary that every other package shares: [Node], [Command],
// [Event], [Error], [Index], [State], [Query] and [Watch], and of the cluster
// [Member], [Membership] and [Cluster], of shards [Slot], [Ask] and [Grant]. It knows nothing of
// HTTP, raft or Pebble, imports the standard library only, starts no goroutine
// and reads no clock: time arrives inside the [Command].
//
// # The rules on one page
//
//   - A key is a clean absolute path. "/" is the root: a directory that always
//     exists and can't be changed. A name that starts with "_" hides its node
//     from listings and from recursive watchers above it.
//   - Every command that succeeds takes the next index, exactly one (an expiry
//     takes one per expired node). A command that fails takes none.
//   - Missing parents come into being with the command's index, as permanent
//     directories, with no event of their own.
//   - A change of the cluster's membership, by [ApplyMembership], is none of the
//     tree's: it takes no index and leaves no event. Only founding sets the
//     index that the first key follows on.
//   - Where there are several shards, each tree is told which index is the latest
//     ([Range], [NextNamed]): then indexes have gaps, and grow all the same.
//   - [Apply] is the only way a node changes. It is deterministic: the same
//     commands on the same [Store] give the same nodes, events and errors.
//
// The v2 API's own page and the observed answers of etcd 3.4 decide the details.
package tree
