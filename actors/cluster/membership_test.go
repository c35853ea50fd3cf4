package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/datadir"
	"copse/actors/loop/looptest"
	"copse/statemachine/tree"
)

const electionTimeout = time.Second

func testDir(t *testing.T, learning bool) *datadir.Dir {
	t.Helper()
	d, err := datadir.Open(filepath.Join(t.TempDir(), "data"), datadir.Identity{
		ClusterID: 1, MemberID: 1, Name: "a", Shards: 1, ExecShards: 1, Host: "box", Marks: datadir.Marks{Learning: learning},
	}, datadir.Claim{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// members returns the given members, already started.
func members(ids ...uint64) (list []tree.Member) {
	for _, id := range ids {
		list = append(list, tree.Member{ID: id, Name: "a", ClientURLs: []string{"http://c"}, PeerURLs: []string{"http://p"}})
	}
	return list
}

func ids(list ...uint64) map[uint64]bool {
	set := map[uint64]bool{}
	for _, id := range list {
		set[id] = true
	}
	return set
}

// newMembership returns the actor of member 1 of one shard.
func newMembership(f *fakeRaft, o MembershipOptions) *Membership {
	o.Self, o.Shards, o.Election, o.Name, o.ClientURLs = 1, 1, electionTimeout, "a", []string{"http://c"}
	if o.SetAddresses == nil {
		o.SetAddresses = func(map[uint64][]string) {}
	}
	if o.Refused == nil {
		o.Refused = func(context.Context) error { return nil }
	}
	if o.Wrong == nil {
		o.Wrong = func() string { return "" }
	}
	o.Able = func(context.Context) Abilities { return full }
	o.Start = &LogStart{}
	o.EndWatches = func() { _ = f.note("end all watches") }
	return NewMembership(f, f, o, slog.New(slog.DiscardHandler))
}

// Each case is one step: the actor's requests to raft, and whether it needs another step.
func TestAStepTowardsTheList(t *testing.T) {
	two := func(f *fakeRaft) {
		f.leader, f.members.Members, f.set = 1, members(1, 2), VoterSet{Change: 9, Voters: ids(1, 2)}
	}
	tests := map[string]struct {
		given func(f *fakeRaft)
		want  []string
		more  bool
		fails bool
	}{
		"all is as it should be":         {two, nil, false, false},
		"a member is new":                {func(f *fakeRaft) { two(f); f.members.Members = members(1, 2, 3) }, []string{"add learner 3 to shard 1 at 9"}, true, false},
		"it learns already":              {func(f *fakeRaft) { two(f); f.members.Members = members(1, 2, 3); f.set.Learners = ids(3) }, nil, false, false},
		"a replica can't come back":      {func(f *fakeRaft) { two(f); f.members.Members = members(1, 2, 3); f.set.Removed = ids(3) }, nil, false, false},
		"a member was removed":           {func(f *fakeRaft) { two(f); f.members.Members, f.members.Removed = members(1), []uint64{2} }, []string{"remove 2 from shard 1 at 9"}, true, false},
		"a learner was removed":          {func(f *fakeRaft) { two(f); f.set.Learners, f.members.Removed = ids(4), []uint64{4} }, []string{"remove 4 from shard 1 at 9"}, true, false},
		"the list lags behind":           {func(f *fakeRaft) { two(f); f.members.Members = members(1) }, nil, false, false},
		"another leads":                  {func(f *fakeRaft) { two(f); f.leader, f.members.Removed = 2, []uint64{2} }, nil, false, false},
		"the voters aren't known":        {func(f *fakeRaft) { two(f); f.set = VoterSet{} }, nil, true, true},
		"no longer alone":                {func(f *fakeRaft) { two(f); f.alone, f.successor = true, 2 }, []string{"let 2 lead shard 1"}, true, false},
		"no longer alone, nobody heard":  {func(f *fakeRaft) { two(f); f.alone = true }, nil, true, true},
		"still alone":                    {func(f *fakeRaft) { two(f); f.alone, f.members.Members, f.set.Voters = true, members(1), ids(1) }, nil, false, false},
		"unpublished":                    {func(f *fakeRaft) { two(f); f.members.Members[0].Name = "" }, []string{"publish in shard 1"}, false, false},
		"other client URLs":              {func(f *fakeRaft) { two(f); f.members.Members[0].ClientURLs = nil }, []string{"publish in shard 1"}, false, false},
		"learns, and isn't caught up":    {func(f *fakeRaft) { two(f); f.learning, f.lost = true, errors.New("not yet") }, nil, true, true},
		"learns, and isn't added yet":    {func(f *fakeRaft) { two(f); f.learning, f.set.Voters = true, ids(2) }, nil, true, false},
		"learns, and has caught up":      {func(f *fakeRaft) { two(f); f.learning, f.set.Voters, f.set.Learners = true, ids(2), ids(1) }, []string{"add voter 1 to shard 1 at 9"}, true, false},
		"its vote would be forgotten":    {func(f *fakeRaft) { two(f); f.learning = true }, []string{"snapshot of shard 1"}, true, false},
		"started too late for its vote":  {func(f *fakeRaft) { two(f); f.learning, f.remembers = true, true }, []string{"restart shard 1"}, false, false},
		"no leader: nothing can be done": {func(f *fakeRaft) { two(f); f.leader = 0 }, nil, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFakeRaft()
			tt.given(f)
			a := newMembership(f, MembershipOptions{Dir: testDir(t, false)})
			more, err := a.step()
			if got := f.took(); !slices.Equal(got, tt.want) {
				t.Errorf("asked for %q, want %q", got, tt.want)
			}
			if more != tt.more || (err != nil) != tt.fails {
				t.Errorf("more: %v, want %v; error: %v", more, tt.more, err)
			}
		})
	}
}

func TestALearnerBecomesAVoterForGood(t *testing.T) {
	f := newFakeRaft()
	f.leader, f.learning, f.members.Members = 2, true, members(1, 2)
	f.set = VoterSet{Change: 5, Voters: ids(2), Learners: ids(1)}
	dir := testDir(t, true)
	a := newMembership(f, MembershipOptions{Dir: dir})
	steps := []struct {
		before func(f *fakeRaft)
		want   []string
	}{
		{func(*fakeRaft) {}, []string{"add voter 1 to shard 1 at 5"}},
		{func(f *fakeRaft) { f.set.Voters = ids(1, 2) }, []string{"snapshot of shard 1"}},
		{func(*fakeRaft) {}, []string{"snapshot of shard 1"}},
		{func(f *fakeRaft) { f.remembers = true }, []string{"shard 1 votes"}},
		{func(*fakeRaft) {}, nil},
	}
	for i, s := range steps {
		f.change(s.before)
		if _, err := a.step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := f.took(); !slices.Equal(got, s.want) {
			t.Fatalf("step %d: asked for %q, want %q", i, got, s.want)
		}
	}
	if stored, err := datadir.Read(dir.Path()); err != nil || stored.Learning {
		t.Errorf("stored: %+v, %v", stored, err)
	}
}

// A former single member restarts while another leads, and asks for the leadership, but
// not for ever.
func TestAMemberThatWasAloneAsksToLeadAgain(t *testing.T) {
	f := newFakeRaft()
	f.leader, f.alone, f.members.Members = 2, true, members(1, 2)
	a := newMembership(f, MembershipOptions{Dir: testDir(t, false)})
	for range reclaimAttempts + 5 {
		if _, err := a.step(); err != nil {
			t.Fatal(err)
		}
	}
	want := append([]string{"restart shard 1"}, slices.Repeat([]string{"let 1 lead shard 1"}, reclaimAttempts)...)
	if got := f.took(); !slices.Equal(got, want) {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestTheAddressBookFollowsTheList(t *testing.T) {
	var book []uint64
	f := newFakeRaft()
	f.leader, f.members.Members, f.set = 2, members(1, 2, 3), VoterSet{Voters: ids(1, 2, 3)}
	a := newMembership(f, MembershipOptions{
		Dir: testDir(t, false), SetAddresses: func(urls map[uint64][]string) { book = slices.Sorted(maps.Keys(urls)) },
	})
	for _, tt := range []struct {
		what   string
		before func(f *fakeRaft)
		want   []uint64
	}{
		{"all", func(*fakeRaft) {}, []uint64{1, 2, 3}},
		{"one was removed, and still votes", func(f *fakeRaft) {
			f.members.Members, f.members.Removed, f.votes = members(1, 2), []uint64{3}, ids(3)
		}, []uint64{1, 2, 3}},
		{"its vote is gone", func(f *fakeRaft) { f.votes = nil }, []uint64{1, 2}},
	} {
		f.change(tt.before)
		if _, err := a.step(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(book, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.what, book, tt.want)
		}
	}
}

// runRemoved runs the actor until it ends by itself, inside a bubble.
func runRemoved(t *testing.T, f *fakeRaft, refused error) (*datadir.Dir, time.Duration) {
	t.Helper()
	dir := testDir(t, false)
	a := newMembership(f, MembershipOptions{Dir: dir, Questions: Questions{Refused: func(context.Context) error { return refused }}})
	began := time.Now()
	if err := a.Run(); !errors.Is(err, ErrRemoved) {
		t.Errorf("Run: got %v", err)
	}
	a.Stop()
	if stored, err := datadir.Read(dir.Path()); err != nil || !stored.Removed {
		t.Errorf("stored: %+v, %v", stored, err)
	}
	return dir, time.Since(began)
}

func TestARemovedMemberStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.leader, f.successor, f.members.Members, f.members.Removed = 1, 2, members(2, 3), []uint64{1}
		f.set = VoterSet{Voters: ids(1, 2, 3)}
		const departs = 5*time.Second + 1 // when no timer of the actor's fires
		go func() {                       // the others remove its replica, once another leads
			synctest.Wait()
			f.change(func(f *fakeRaft) { f.leader = 2 })
			time.Sleep(departs)
			f.change(func(f *fakeRaft) { f.removed = true })
			f.changed.Ring()
		}()
		if _, took := runRemoved(t, f, nil); took != departs {
			t.Errorf("it took %v", took)
		}
		if got := f.took(); !slices.Equal(got, []string{"let 2 lead shard 1"}) {
			t.Errorf("asked for %q", got)
		}
	})
	synctest.Test(t, func(t *testing.T) { // nobody is there to remove it
		f := newFakeRaft()
		f.leader, f.members.Removed = 2, []uint64{1}
		if _, took := runRemoved(t, f, nil); took != departLimit {
			t.Errorf("without the others: it took %v", took)
		}
	})
}

func TestAMemberThatWasAwayLearnsThatItWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.members.Members = members(1, 2, 3)
		if _, took := runRemoved(t, f, ErrRemoved); took < 2*electionTimeout {
			t.Errorf("asked after %v already", took)
		}
	})
}

func TestAMemberOfAFormerGenerationStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.members.Members = members(1, 2, 3)
		former := fmt.Errorf("said so: %w", ErrFormer)
		dir := testDir(t, false)
		a := newMembership(f, MembershipOptions{Dir: dir, Questions: Questions{Refused: func(context.Context) error { return former }}})
		if err := a.Run(); err != former {
			t.Errorf("Run: got %v", err)
		}
		a.Stop()
		if stored, err := datadir.Read(dir.Path()); err != nil || stored.Removed {
			t.Errorf("stored: %+v, %v", stored, err)
		}
	})
}

func TestTheListAndRaftWakeTheActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.leader, f.members.Members, f.set = 1, members(1), VoterSet{Change: 1, Voters: ids(1)}
		a := newMembership(f, MembershipOptions{Dir: testDir(t, false)})
		ended := make(chan error, 1)
		go func() { ended <- a.Run() }()
		synctest.Wait()
		f.change(func(f *fakeRaft) { f.members.Members = members(1, 2) })
		f.listBell.Ring()
		synctest.Wait()
		if got := f.took(); !slices.Equal(got, []string{"add learner 2 to shard 1 at 1"}) {
			t.Errorf("after the list's bell: %q", got)
		}
		f.change(func(f *fakeRaft) { f.set.Voters, f.members.Removed = ids(1, 2), []uint64{2} })
		f.changed.Ring()
		synctest.Wait()
		if got := f.took(); !slices.Equal(got, []string{"remove 2 from shard 1 at 1"}) {
			t.Errorf("after raft's bell: %q", got)
		}
		a.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestMembershipStartsAndStops(t *testing.T) {
	dir := testDir(t, false)
	looptest.StartStop(t, func() looptest.Actor { return newMembership(newFakeRaft(), MembershipOptions{Dir: dir}) })
}

func TestAMemberWithWrongDataStepsOutAndIsKeptOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.leader, f.members.Members, f.set = 1, members(1, 2, 3), VoterSet{Voters: ids(1, 2, 3)}
		var refused error
		dir := testDir(t, false)
		a := newMembership(f, MembershipOptions{Dir: dir, Questions: Questions{Wrong: func() string { return "it differs" }, Refused: func(context.Context) error { return refused }}})
		for i, want := range [][]string{{"end all watches", "stop all replicas"}, {"end all watches"}} {
			if more, err := a.step(); more || err != nil {
				t.Fatal(more, err)
			}
			if got := f.took(); !slices.Equal(got, want) {
				t.Errorf("step %d: asked for %q, want %q", i, got, want)
			}
		}
		if stored, err := datadir.Read(dir.Path()); err != nil || stored.Differs != "it differs" {
			t.Errorf("stored %q, %v", stored.Differs, err)
		}
		// The others have removed it.
		refused = ErrRemoved
		time.Sleep(2 * electionTimeout)
		if _, err := a.step(); !errors.Is(err, ErrRemoved) {
			t.Errorf("a removed member goes on: %v", err)
		}
	})
}

func TestVotersAreAskedForWhenSomethingHasChanged(t *testing.T) {
	dir := testDir(t, false)
	synctest.Test(t, func(t *testing.T) {
		f := newFakeRaft()
		f.leader, f.members.Members, f.set = 1, members(1, 2), VoterSet{Voters: ids(1, 2)}
		a := newMembership(f, MembershipOptions{Dir: dir})
		ended := make(chan error)
		go func() { ended <- a.Run() }()
		asked := func(after time.Duration) (n int) {
			time.Sleep(after)
			synctest.Wait()
			f.change(func(f *fakeRaft) { n, f.asked = f.asked, 0 })
			return n
		}
		if n := asked(time.Minute + time.Millisecond); n != 7 {
			t.Errorf("asked %d times in an idle minute, want 7", n)
		}
		f.changed.Ring()
		if n := asked(time.Millisecond); n != 1 {
			t.Errorf("asked %d times when the voters had changed", n)
		}
		f.listBell.Ring()
		if n := asked(time.Millisecond); n != 1 {
			t.Errorf("asked %d times when the list had changed", n)
		}
		f.change(func(f *fakeRaft) { f.set = VoterSet{} })
		if n := asked(11 * time.Second); n < 2 {
			t.Errorf("asked %d times while there was no answer", n)
		}
		a.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
