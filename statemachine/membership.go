package statemachine

import (
	"errors"
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Membership returns the members of the cluster as far as this replica has applied the
// log. It is empty before the cluster is founded. It may be called from any goroutine.
func (m *Machine) Membership() *tree.Membership { return m.shared.members.now.Load() }

// MembershipChanged receives a value after Membership has changed, or may have changed
// because a snapshot was installed. Several changes may send a single value. It has one
// reader.
func (m *Machine) MembershipChanged() <-chan struct{} { return m.shared.members.changed }

func loadMembership(from pebble.Reader) (*tree.Membership, error) {
	rec, closer, err := from.Get(membersKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return &tree.Membership{}, nil
	}
	if err != nil {
		return nil, err
	}
	ms, err := tree.ReadMembership(rec)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return ms, errors.Join(err, closer.Close())
}

// changeMembers executes c, which changes the membership. err stops the replica, because
// it can't follow a log that the others can.
func (v *view) changeMembers(c *tree.Command) (refused *tree.Error, err error) {
	if c.Op == tree.OpMemberReplaceAll && v.meta.last < c.PrevIndex {
		return nil, fmt.Errorf("the log continues from a tree at index %d, but this replica is at index %d: remove this member and add it again", c.PrevIndex, v.meta.last)
	}
	founded := v.shared.members.Founded()
	next, refused, err := tree.ApplyMembership(v.shared.members, c, v.meta.last)
	if refused != nil || err != nil {
		return refused, err
	}
	if c.Op == tree.OpFound && !founded {
		v.meta.last = max(v.meta.last, c.PrevIndex)
	}
	if next != v.shared.members {
		v.shared.members = next
		v.must(v.batch.Set(membersKey, tree.AppendMembership(nil, next), nil))
	}
	return nil, nil
}

// ForceNew makes the store the first replica of a new raft group whose only member is
// keep. The tree, its index and its events stay, all other members are removed, and the
// raft log starts from the beginning. Call it before the replica is started, after applying
// the rest of the old log with Update. It is atomic, and durable when it returns.
//
// The new log doesn't contain the tree, so a replica that received the whole log and no
// snapshot would lack it. Therefore the first command of the new log must be an
// OpMemberReplaceAll with this tree's index as its PrevIndex, which such a replica refuses,
// and the log must be compacted before another member joins.
//
// For an order shard, settled is the largest index of this member's data shards, so that
// indexes whose asks are missing from the order shard's old log aren't handed out again.
// For other shards it is 0.
func (m *Machine) ForceNew(keep tree.Member, settled tree.Index) (err error) {
	defer recoverFault(&err)
	// CURRENT never says that the store holds more than it does: it is first, and last.
	v := &m.view
	v.must(m.makeDurable())
	v.must(m.home.change(func(c *current) { c.raft = 0 }))
	batch := m.store.db.NewIndexedBatch()
	defer batch.Close()
	v.reset(batch, m.meta, m.shared.load(), m.expiryLow)
	v.meta.raftIndex, v.meta.hash, v.meta.epoch, v.meta.last = 0, 0, 0, max(v.meta.last, settled) // raft's terms restart too
	alone := tree.MemberCommand(tree.OpMemberReplaceAll, keep)
	refused, err := v.changeMembers(&alone)
	if refused != nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("force a new cluster in %s: %w", m.home.dir, err)
	}
	v.must(batch.Set(metaKey, v.meta.append(v.rec[:0]), nil))
	v.must(batch.Commit(pebble.NoSync))
	m.meta = v.meta
	v.must(m.makeDurable())
	m.published.hashes.restart(0, 0)
	m.announce(v.shared, m.Handed(), &ApplyResult{})
	return nil
}
