package peerlink

import (
	"fmt"

	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
)

// RegistryFactory returns what goes into the engine's
// ExpertConfig.NodeRegistryFactory. The targets of raft's membership are then
// [MemberUUID]s, and so is NodeHostConfig.NodeHostID.
func (l *Link) RegistryFactory() raft.NodeRegistryFactory { return registryFactory{l.o.Book} }

type registryFactory struct{ book *Book }

// Create implements config.NodeRegistryFactory.
func (f registryFactory) Create(string, uint64, raft.TargetValidator) (raftio.INodeRegistry, error) {
	return registry(f), nil
}

// registry tells the engine where replicas are. It has nothing to remember: a
// replica's id is its member's, in every shard.
type registry struct{ book *Book }

// Close implements raftio.INodeRegistry, and so do the others.
func (registry) Close() error { return nil }

// Add is told of a replica and its target, which is its member's UUID.
func (registry) Add(uint64, uint64, string) {}

// Remove is told of a replica that is gone. That its member is, the book tells.
func (registry) Remove(uint64, uint64) {}

// RemoveShard is told of a shard that is gone.
func (registry) RemoveShard(uint64) {}

// Resolve returns what to call the replica's member in GetConnection, and which
// of the connections to it messages of the shard take.
//
// There are three to a member. All that waits for one is sent in one batch, so
// the fewer there are the fewer system calls; but what is in front has to be
// sent first. The first shard has its own, since the others wait for its small
// entries (it hands indexes out); the others share two.
func (r registry) Resolve(shard, replica uint64) (target, key string, err error) {
	if len(r.book.urls(replica)) == 0 {
		return "", "", fmt.Errorf("member %x: %w", replica, errUnknown)
	}
	target = targetOf(replica)
	switch {
	case shard == 1:
		return target, target + "-first", nil
	case shard%2 == 0:
		return target, target + "-even", nil
	default:
		return target, target + "-odd", nil
	}
}
