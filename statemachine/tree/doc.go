// Package tree holds the rules of the v2 key space: what a key is, what each
// operation does to the nodes, which event it produces, and which error refuses it.
//
// It owns the vocabulary that every other package shares: [Node], [Command],
// [Event], [Error], [Index], [State], [Query] and [Watch]; [Member], [Membership]
// and [Cluster] for the cluster; [Slot], [Ask] and [Grant] for several shards. It
// also owns the encoding of everything that goes into a raft entry (batch.go,
// codec.go, membercodec.go, shards.go) and the JSON that v2 clients read (json.go,
// listing.go).
//
// It doesn't own HTTP, raft or storage: the [Store] that commands work on belongs
// to the caller, and HTTP statuses to httpfront. It imports only the standard
// library, starts no goroutine and reads no clock: time arrives inside the
// [Command].
//
// # The rules on one page
//
//   - A key is a clean absolute path. "/" is the root: a directory that always
//     exists and can't be changed. A name that starts with "_" hides its node
//     from listings and from recursive watchers above it.
//   - Every command that succeeds takes exactly one index, the next (an expiry
//     takes one per expired node). A command that fails takes none.
//   - Missing parents are created with the command's index, as permanent
//     directories, without events of their own.
//   - A change of the cluster's membership ([ApplyMembership]) doesn't touch the
//     tree: it takes no index and produces no event. Only founding the cluster
//     sets the index, so that the first key gets the one after it.
//   - Nor does a change of users and roles ([OpAuth]), whose rules are in package auth.
//   - With several shards, each shard's batches carry the indexes they may use
//     ([Range], [NextNamed]), so a shard's indexes have gaps but still grow.
//   - [Apply] is the only way a node changes. It is deterministic: the same
//     commands on the same [Store] give the same nodes, events and errors.
//
// The v2 API's own page and the observed answers of etcd 3.4 decide the details.
package tree
