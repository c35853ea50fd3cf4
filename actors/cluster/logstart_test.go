package cluster

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// leaderlessLog is the log of a new generation whose shards have no leader.
type leaderlessLog struct{ renewalLog }

func (l *leaderlessLog) Leader(uint64) uint64         { return 0 }
func (l *leaderlessLog) Ready(uint64) <-chan struct{} { return nil }

// A member of a new generation that started without a quorum has its log from the first entry.
// It leads later, and a newcomer must get the tree with a snapshot.
func TestALogStartsAnewBeforeAReplicaIsAdded(t *testing.T) {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 100, WindowBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	machines := []*statemachine.Machine{m}
	if err := Renew(machines, Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://p"}}}, Shards: 1, Index: 9}); err != nil {
		t.Fatal(err)
	}
	log := &leaderlessLog{renewalLog{first: map[uint64]uint64{MembersShard: 1}, crash: 9}}
	start := &LogStart{Log: log, Machines: machines, Later: true}
	j := Joiner{Log: log, Machines: machines, Shards: 1, Start: start.Move, Timeout: time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Missing: func() string { return "" }}
	if err := j.Join(make(chan struct{})); err != nil || log.calls != nil {
		t.Fatalf("without a quorum: %v, %v", log.calls, err)
	}
	f := newFakeRaft()
	f.leader, f.members.Members, f.set = 1, members(1, 2), VoterSet{Change: 9, Voters: ids(1)}
	a := newMembership(f, MembershipOptions{Dir: testDir(t, false)})
	a.o.Start = start
	if _, err := a.step(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"propose to 1", "compact 1"}; !slices.Equal(log.calls, want) {
		t.Errorf("the log was asked for %q, want %q", log.calls, want)
	}
	if got, want := f.took(), []string{"add learner 2 to shard 1 at 9"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
	log.first[MembersShard], log.crash, log.killed = 1, 0, errors.New("killed")
	if _, err := a.step(); err == nil || f.took() != nil {
		t.Errorf("a replica was added although the log starts as before: %v", err)
	}
}

// idleLog ignores the first compaction, as dragonboat does whose snapshot is aborted or late.
type idleLog struct {
	renewalLog
	ignored int
}

func (l *idleLog) Compact(shard, overhead uint64) error {
	if l.ignored--; l.ignored >= 0 {
		l.calls = append(l.calls, "ignored")
		return nil
	}
	return l.renewalLog.Compact(shard, overhead)
}

func TestACompactionThatCameToNothingIsAskedForAgain(t *testing.T) {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 100, WindowBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := Renew([]*statemachine.Machine{m}, Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://p"}}}, Shards: 1, Index: 9}); err != nil {
		t.Fatal(err)
	}
	log := &idleLog{renewalLog{first: map[uint64]uint64{MembersShard: 1}, crash: 9}, 1}
	stop := make(chan struct{})
	time.AfterFunc(5*time.Second, func() { close(stop) })
	if err := (&LogStart{Log: log, Machines: []*statemachine.Machine{m}, Later: true}).Move(stop, MembersShard); err != nil {
		t.Fatal(err, log.calls)
	}
}
