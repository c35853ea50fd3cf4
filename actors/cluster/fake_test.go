package cluster

import (
	"errors"
	"fmt"
	"sync"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// fakeRaft fakes the raft groups and the list of members for member 1. It records the
// requests that change something.
type fakeRaft struct {
	mu        sync.Mutex
	leader    uint64 // of every shard
	successor uint64
	set       VoterSet
	votes     map[uint64]bool
	removed   bool
	learning  bool
	alone     bool
	remembers bool
	lost      error // Confirm's result
	members   tree.Membership
	calls     []string
	asked     int // for the voters
	changed   loop.Bell
	listBell  loop.Bell
}

func newFakeRaft() *fakeRaft {
	return &fakeRaft{changed: loop.NewBell(), listBell: loop.NewBell()}
}

// change changes the fake's answers.
func (f *fakeRaft) change(change func(f *fakeRaft)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeRaft) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return nil
}

// took returns the requests since the last call.
func (f *fakeRaft) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.calls = nil }()
	return f.calls
}

// get reads one answer.
func get[T any](f *fakeRaft, of func(f *fakeRaft) T) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of(f)
}

func (f *fakeRaft) Membership() *tree.Membership {
	return get(f, func(f *fakeRaft) *tree.Membership { ms := f.members; return &ms })
}
func (f *fakeRaft) MembershipChanged() <-chan struct{} { return f.listBell }
func (f *fakeRaft) Changed() <-chan struct{}           { return f.changed }

func (f *fakeRaft) Leader(uint64) uint64 {
	return get(f, func(f *fakeRaft) uint64 { return f.leader })
}
func (f *fakeRaft) Successor(map[uint64]bool) uint64 {
	return get(f, func(f *fakeRaft) uint64 { return f.successor })
}
func (f *fakeRaft) Transfer(shard, member uint64) error {
	return f.note("let %d lead shard %d", member, shard)
}

func (f *fakeRaft) Execute(_ <-chan struct{}, shard uint64, c *tree.Command) (tree.Reply, error) {
	ops := map[tree.Op]string{tree.OpMemberPublish: "publish"}
	return tree.Reply{}, f.note("%s in shard %d", ops[c.Op], shard)
}
func (f *fakeRaft) Confirm(<-chan struct{}, uint64) error {
	return get(f, func(f *fakeRaft) error { return f.lost })
}

func (f *fakeRaft) VoterSet(uint64) (VoterSet, error) {
	set := get(f, func(f *fakeRaft) VoterSet { f.asked++; return f.set })
	if set.Voters == nil {
		return set, errors.New("no leader")
	}
	return set, nil
}
func (f *fakeRaft) Votes(member uint64) bool {
	return get(f, func(f *fakeRaft) bool { return f.votes[member] })
}
func (f *fakeRaft) AddLearner(shard, member, change uint64) error {
	return f.note("add learner %d to shard %d at %d", member, shard, change)
}
func (f *fakeRaft) AddVoter(shard, member, change uint64) error {
	return f.note("add voter %d to shard %d at %d", member, shard, change)
}
func (f *fakeRaft) RemoveReplica(shard, member, change uint64) error {
	return f.note("remove %d from shard %d at %d", member, shard, change)
}

func (f *fakeRaft) Removed(uint64) bool  { return get(f, func(f *fakeRaft) bool { return f.removed }) }
func (f *fakeRaft) Learning(uint64) bool { return get(f, func(f *fakeRaft) bool { return f.learning }) }
func (f *fakeRaft) Alone(uint64) bool    { return get(f, func(f *fakeRaft) bool { return f.alone }) }
func (f *fakeRaft) EndLearning(shard uint64) {
	_ = f.note("shard %d votes", shard)
	f.change(func(f *fakeRaft) { f.learning = false })
}
func (f *fakeRaft) RestartReplica(_ <-chan struct{}, shard uint64) error {
	f.change(func(f *fakeRaft) { f.learning, f.alone = false, false })
	return f.note("restart shard %d", shard)
}
func (f *fakeRaft) StopReplicas() error { return f.note("stop all replicas") }
func (f *fakeRaft) RemembersVote(uint64) (bool, error) {
	return get(f, func(f *fakeRaft) bool { return f.remembers }), nil
}
func (f *fakeRaft) Snapshot(shard uint64) error { return f.note("snapshot of shard %d", shard) }
