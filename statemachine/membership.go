package statemachine

import (
	"errors"
	"fmt"
	"slices"

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
		if c.PrevValue != "" {
			if err := v.beginMirror(c.PrevValue); err != nil {
				return nil, err
			}
		}
	}
	if next != v.shared.members {
		v.shared.members = next
		v.must(v.batch.Set(membersKey, tree.AppendMembership(nil, next), nil))
	}
	return nil, nil
}

// Renewal says how a store begins a new generation of its cluster.
type Renewal struct {
	Members []tree.Member // the only ones from now on; those before count as removed
	Shards  int           // data shards; a store that knows their number keeps its own
	// TermBase is the cluster's from now on, and Index the tree's: both higher than any that
	// a client may have been shown. Neither falls, whatever is given.
	TermBase uint64
	Index    tree.Index
	// KeepWindow keeps the event window: nothing but what is in it happened up to Index.
	KeepWindow bool
}

// Renew makes the store the first state of a new raft group, whose log starts from the
// beginning. The tree, users and roles stay. The event window, unless it is kept, is empty: whoever waits for
// an event up to r.Index is told that it is gone. Call it before the replica is started,
// after applying the rest of an old log with Update, or after filling a new store. It is
// atomic, and durable when it returns. All shards of the cluster get the same Renewal.
//
// The new log doesn't contain the tree, so a replica that received the whole log and no
// snapshot would lack it. Therefore the first command of the new log must be an
// OpMemberReplaceAll with this tree's index as its PrevIndex, which such a replica refuses,
// and the log must be compacted before another member joins: cluster.LogStart does both.
func (m *Machine) Renew(r Renewal) (err error) {
	defer recoverFault(&err)
	// CURRENT never says that the store holds more than it does: it is first, and last.
	v := &m.view
	v.must(m.makeDurable())
	v.must(m.home.change(func(c *current) { c.raft = 0 }))
	batch := m.store.db.NewIndexedBatch()
	defer batch.Close()
	v.reset(writer{home: m.home, db: m.store.db, batch: batch}, m.meta, m.shared.load(), m.expiryLow)
	v.meta.raftIndex, v.meta.hash, v.meta.epoch, v.meta.last = 0, 0, 0, max(v.meta.last, r.Index) // raft's terms restart too
	if !r.KeepWindow {
		v.emptyWindow()
	}
	if err := v.renewMembers(r); err != nil {
		return fmt.Errorf("begin a new generation in %s: %w", m.home.dir, err)
	}
	handed := m.Handed()
	if m.place.order {
		// All that was handed out is settled, in stores that a newcomer doesn't have yet.
		handed = slices.Repeat([]tree.Index{v.meta.last}, m.place.slots)
		v.must(batch.Set(handedKey, appendHanded(nil, handed), nil))
	}
	v.saveMeta()
	v.must(batch.Commit(pebble.NoSync))
	m.meta, m.recent = v.meta, recent{limit: m.recent.limit}
	v.must(m.makeDurable())
	m.published.hashes.restart(0, 0)
	m.announce(v.shared, handed, &ApplyResult{})
	return nil
}

// renewMembers makes r's members the only ones, and sets the term base.
func (v *view) renewMembers(r Renewal) error {
	c := tree.MemberCommand(tree.OpMemberReplaceAll, r.Members...)
	c.Limit = r.Shards
	if refused, err := v.changeMembers(&c); err != nil {
		return err
	} else if refused != nil {
		return refused
	}
	next := *v.shared.members
	next.TermBase = max(next.TermBase, r.TermBase)
	v.shared.members = &next
	v.must(v.batch.Set(membersKey, tree.AppendMembership(nil, &next), nil))
	return nil
}
