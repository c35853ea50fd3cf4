package statemachine

import (
	"errors"
	"fmt"
	"sync/atomic"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// membership is what a machine makes known of who belongs to the cluster.
type membership struct {
	now  atomic.Pointer[tree.Membership] // never nil
	bell chan struct{}                   // capacity 1
}

// set makes next known, and rings if it is another one.
func (m *membership) set(next *tree.Membership) {
	if m.now.Swap(next) != next {
		select {
		case m.bell <- struct{}{}:
		default: // it rings already
		}
	}
}

// Membership is who belongs to the cluster, as far as this replica has applied
// the log; nobody does before the cluster is founded. It may be called from any
// goroutine.
func (m *Machine) Membership() *tree.Membership { return m.members.now.Load() }

// MembershipChanged receives after Membership has changed, or may have because
// a snapshot came in. Changes in quick succession ring once. One reader.
func (m *Machine) MembershipChanged() <-chan struct{} { return m.members.bell }

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
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return ms, errors.Join(err, closer.Close())
}

// changeMembers carries out c, which changes the membership. err stops the
// replica: it can't read what the others could.
func (v *view) changeMembers(c *tree.Command) (refused *tree.Error, err error) {
	if c.Op == tree.OpMemberReplaceAll && v.meta.last < c.PrevIndex {
		return nil, fmt.Errorf("the log goes on from a tree at index %d, which this replica at index %d never got: remove this member and add it anew", c.PrevIndex, v.meta.last)
	}
	founded := v.members.Founded()
	next, refused, err := tree.ApplyMembership(v.members, c, v.meta.last)
	if refused != nil || err != nil {
		return refused, err
	}
	if c.Op == tree.OpFound && !founded {
		v.meta.last = max(v.meta.last, c.PrevIndex)
	}
	if next != v.members {
		v.members = next
		v.must(v.batch.Set(membersKey, tree.AppendMembership(nil, next), nil))
	}
	return nil, nil
}

// ForceNew makes the store the first of a new raft group, whose only member is
// keep: the tree, its index and its events stay, everyone else is removed, and
// the raft log begins anew. It is durable when ForceNew returns, and to be
// called before the replica is started; a crash leaves all of it done or
// nothing. What the old log still holds has to be applied, with Update, before.
//
// The tree is then older than the new log, so a replica that gets all of the
// log and no snapshot would lack it. The first command in the new log must be
// an OpMemberReplaceAll with this tree's index as its PrevIndex, which such a
// replica refuses, and the log must be compacted before another member joins.
//
// Of an order shard, settled is the largest index of the data shards here: what the
// old log of this one has lost of their asks isn't handed out again. Of others it is 0.
func (m *Machine) ForceNew(keep tree.Member, settled tree.Index) (err error) {
	defer caught(&err)
	batch := m.store.db.NewIndexedBatch()
	defer batch.Close()
	v := &m.view
	v.reset(batch, m.meta, m.Membership(), m.expiryLow)
	v.meta.raftIndex, v.meta.epoch, v.meta.last = 0, 0, max(v.meta.last, settled) // raft's terms begin anew too
	alone := tree.MemberCommand(tree.OpMemberReplaceAll, keep)
	refused, err := v.changeMembers(&alone)
	if refused != nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("force a new cluster in %s: %w", m.dir, err)
	}
	v.must(batch.Set(metaKey, v.meta.append(v.rec[:0]), nil))
	v.must(batch.Commit(pebble.Sync))
	m.meta = v.meta
	m.announce(v.members, m.Handed(), &ApplyResult{})
	return nil
}
