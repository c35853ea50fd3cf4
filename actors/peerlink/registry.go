package peerlink

import (
	"fmt"

	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
)

// RegistryFactory returns the ExpertConfig.NodeRegistryFactory for dragonboat. With it,
// the targets of replicas are [MemberUUID]s, and so is NodeHostConfig.NodeHostID.
func (l *Link) RegistryFactory() raft.NodeRegistryFactory { return registryFactory{l.o.Book} }

type registryFactory struct{ book *Book }

// Create implements config.NodeRegistryFactory.
func (f registryFactory) Create(string, uint64, raft.TargetValidator) (raftio.INodeRegistry, error) {
	return registry(f), nil
}

// registry tells dragonboat where replicas are. It stores nothing, since the id of a
// replica is its member's, in every shard.
type registry struct{ book *Book }

// Close implements raftio.INodeRegistry, as do the other methods.
func (registry) Close() error { return nil }

// Add ignores a new replica and its target, its member's UUID.
func (registry) Add(uint64, uint64, string) {}

// Remove ignores that a replica was removed: the book says which members there are.
func (registry) Remove(uint64, uint64) {}

// RemoveShard ignores that a shard was removed.
func (registry) RemoveShard(uint64) {}

// Resolve returns the replica's target for GetConnection, and the key of the connection
// that carries the shard's messages.
//
// There are three connections to a member. Everything that waits for a connection is
// sent in one batch, so fewer connections need fewer system calls; but a message has to
// wait for those before it. The first shard has a connection of its own, since the
// others wait for its small entries (it hands out indexes); the others share two.
func (r registry) Resolve(shard, replica uint64) (target, key string, err error) {
	if len(r.book.urls(replica)) == 0 {
		return "", "", fmt.Errorf("member %x: %w", replica, errUnknown)
	}
	target = TargetOf(replica)
	switch {
	case shard == 1:
		return target, target + "-first", nil
	case shard%2 == 0:
		return target, target + "-even", nil
	default:
		return target, target + "-odd", nil
	}
}
