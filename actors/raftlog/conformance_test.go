package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"copse/statemachine/metric"
)

// store is a log store under test. open opens its directory, once at a time.
type store struct {
	name string
	open func(t *testing.T, dir string) (db raftio.ILogDB, done func())
}

// stores are copse's and dragonboat's own, which shows that the suite checks what
// dragonboat relies on.
var stores = []store{
	{"ours", func(t *testing.T, dir string) (raftio.ILogDB, func()) {
		o := small()
		o.Fatal = func(err error) { panic(err) }
		db, err := New(o).Create(config.NodeHostConfig{}, nil, []string{dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return db, func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}},
	{"the engine's", engineStore},
}

// engineAddress is a free address, always the same: the directory is pinned to it.
var engineAddress = sync.OnceValue(func() string {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer port.Close()
	return port.Addr().String()
})

// engineStore gets the default store, whose package is internal, from a dragonboat.
func engineStore(t *testing.T, dir string) (raftio.ILogDB, func()) {
	logdb := config.GetTinyMemLogDBConfig()
	logdb.Shards = 1
	nh, err := dragonboat.NewNodeHost(config.NodeHostConfig{
		NodeHostDir: dir, RTTMillisecond: 50, RaftAddress: engineAddress(),
		Expert: config.ExpertConfig{
			Engine: config.EngineConfig{ExecShards: 4, CommitShards: 1, ApplyShards: 1, SnapshotShards: 1, CloseShards: 1},
			LogDB:  logdb,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	field := reflect.ValueOf(nh).Elem().FieldByName("mu").FieldByName("logdb")
	db := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(raftio.ILogDB)
	return db, nh.Close
}

func entries(term uint64, from, to uint64) (list []pb.Entry) {
	for i := from; i <= to; i++ {
		list = append(list, pb.Entry{
			Term: term, Index: i, Type: pb.EncodedEntry, Key: i * 3, ClientID: 1 << 60, SeriesID: 1<<64 - 1, RespondedTo: 7,
			Cmd: []byte(fmt.Sprintf("%d-%d", term, i)),
		})
	}
	return list
}

func update(shard uint64, s pb.State, e []pb.Entry) pb.Update {
	return pb.Update{ShardID: shard, ReplicaID: 9, State: s, EntriesToSave: e}
}

// wants holds what a store should return for shard 1, or another.
type wants struct {
	shard       uint64
	state       pb.State
	first, last uint64 // of the entries behind the snapshot; last < first: there are none
	terms       []uint64
	snapshot    uint64
	none        bool // no state
}

func (w wants) check(db raftio.ILogDB) error {
	shard := max(w.shard, 1)
	ss, err := db.GetSnapshot(shard, 9)
	if err != nil || ss.Index != w.snapshot {
		return fmt.Errorf("snapshot %d, want %d: %v", ss.Index, w.snapshot, err)
	}
	rs, err := db.ReadRaftState(shard, 9, ss.Index)
	if w.none {
		if !errors.Is(err, raftio.ErrNoSavedLog) {
			return fmt.Errorf("state %+v: %v", rs, err)
		}
		return nil
	}
	if err != nil || rs.State != w.state {
		return fmt.Errorf("state %+v, want %+v: %v", rs.State, w.state, err)
	}
	if err := covers(rs, w.first, w.last); err != nil {
		return err
	}
	list, _, err := db.IterateEntries(nil, 0, shard, 9, w.first, w.last+1, 1<<40)
	if err != nil || len(list) != len(w.terms) {
		return fmt.Errorf("%d entries, want %d: %v", len(list), len(w.terms), err)
	}
	for i, term := range w.terms {
		if index := w.first + uint64(i); !reflect.DeepEqual(list[i], entries(term, index, index)[0]) {
			return fmt.Errorf("entry %d is %+v", index, list[i])
		}
	}
	return nil
}

// covers checks a range as dragonboat does: entries before the first don't matter.
func covers(rs raftio.RaftState, first, last uint64) error {
	end := rs.FirstIndex + rs.EntryCount
	if last < first {
		if rs.EntryCount > 0 && end > first {
			return fmt.Errorf("%d entries from %d on, want none from %d", rs.EntryCount, rs.FirstIndex, first)
		}
		return nil
	}
	if rs.FirstIndex > first || rs.EntryCount == 0 || end != last+1 {
		return fmt.Errorf("%d entries from %d on, want %d to %d", rs.EntryCount, rs.FirstIndex, first, last)
	}
	return nil
}

func save(updates ...pb.Update) func(raftio.ILogDB) error {
	return func(db raftio.ILogDB) error { return db.SaveRaftState(updates, 1) }
}

func installed(shard, index uint64, s pb.State, e []pb.Entry) pb.Update {
	u := update(shard, s, e)
	u.Snapshot = pb.Snapshot{ShardID: shard, Index: index, Term: s.Term, Type: pb.OnDiskStateMachine}
	return u
}

func snapshot(shard, index uint64) func(raftio.ILogDB) error {
	return func(db raftio.ILogDB) error {
		return db.SaveSnapshots([]pb.Update{installed(shard, index, pb.State{Term: 1}, nil)})
	}
}

// TestConformance checks what dragonboat relies on in a log store. Each case is checked at
// once, and again after a restart.
func TestConformance(t *testing.T) {
	state := func(term, vote, commit uint64) pb.State { return pb.State{Term: term, Vote: vote, Commit: commit} }
	cases := []struct {
		name  string
		calls []func(raftio.ILogDB) error
		want  []wants
	}{
		{"nothing yet", nil, []wants{{none: true}}},
		{"state and entries", []func(raftio.ILogDB) error{save(update(1, state(1, 2, 2), entries(1, 1, 3)))},
			[]wants{{state: state(1, 2, 2), first: 1, last: 3, terms: []uint64{1, 1, 1}}, {shard: 2, none: true}}},
		{"an empty state is none", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 2), entries(1, 1, 3))), save(update(1, pb.State{}, entries(1, 4, 4))), save(update(1, pb.State{}, nil)),
		}, []wants{{state: state(1, 2, 2), first: 1, last: 4, terms: []uint64{1, 1, 1, 1}}}},
		{"a new leader's entries", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 2), entries(1, 1, 9))), save(update(1, state(2, 3, 3), entries(2, 4, 5))),
		}, []wants{{state: state(2, 3, 3), first: 1, last: 5, terms: []uint64{1, 1, 1, 2, 2}}}},
		{"several shards at once", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 1), entries(1, 1, 1)), update(2, state(4, 0, 2), entries(4, 1, 2)), update(3, state(7, 7, 0), nil)),
		}, []wants{{state: state(1, 2, 1), first: 1, last: 1, terms: []uint64{1}}, {shard: 2, state: state(4, 0, 2), first: 1, last: 2, terms: []uint64{4, 4}}, {shard: 3, state: state(7, 7, 0), first: 1}}},
		{"a commit by itself", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 0), entries(1, 1, 3))), save(update(1, state(1, 2, 2), nil)),
		}, []wants{{state: state(1, 2, 2), first: 1, last: 3, terms: []uint64{1, 1, 1}}}},
		{"a snapshot, and an older one", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 3), entries(1, 1, 5))), snapshot(1, 3), snapshot(1, 2),
		}, []wants{{state: state(1, 2, 3), snapshot: 3, first: 4, last: 5, terms: []uint64{1, 1}}}},
		{"a snapshot of all", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 5), entries(1, 1, 5))), snapshot(1, 5),
		}, []wants{{state: state(1, 2, 5), snapshot: 5, first: 6, last: 5}}},
		{"a received snapshot takes the place of entries", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 3), entries(1, 1, 9))), save(installed(1, 7, state(2, 0, 7), nil)),
		}, []wants{{state: state(2, 0, 7), snapshot: 7, first: 8, last: 7}}},
		{"and entries follow it", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 3), entries(1, 1, 9))), save(installed(1, 70, state(2, 0, 70), entries(2, 71, 72))), save(update(1, state(2, 0, 72), entries(2, 73, 73))),
		}, []wants{{state: state(2, 0, 72), snapshot: 70, first: 71, last: 73, terms: []uint64{2, 2, 2}}}},
		{"entries are let go", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 9), entries(1, 1, 9))), snapshot(1, 8),
			func(db raftio.ILogDB) error { return db.RemoveEntriesTo(1, 9, 6) },
			func(db raftio.ILogDB) error { done, err := db.CompactEntriesTo(1, 9, 6); <-done; return err },
		}, []wants{{state: state(1, 2, 9), snapshot: 8, first: 9, last: 9, terms: []uint64{1}}}},
		{"a replica is removed", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 9), entries(1, 1, 9)), update(2, state(1, 2, 1), entries(1, 1, 1))), snapshot(1, 8),
			func(db raftio.ILogDB) error { return db.RemoveNodeData(1, 9) },
		}, []wants{{none: true}, {shard: 2, state: state(1, 2, 1), first: 1, last: 1, terms: []uint64{1}}}},
		{"a snapshot is imported", []func(raftio.ILogDB) error{
			save(update(1, state(1, 2, 5), entries(1, 1, 5))),
			func(db raftio.ILogDB) error {
				return db.ImportSnapshot(pb.Snapshot{ShardID: 1, Index: 5, Term: 4, Type: pb.OnDiskStateMachine}, 9)
			},
		}, []wants{{state: state(4, 0, 5), snapshot: 5, first: 6, last: 5}}},
	}
	for _, s := range stores {
		for _, c := range cases {
			t.Run(s.name+"/"+c.name, func(t *testing.T) {
				dir := t.TempDir()
				for again := range 2 {
					db, done := s.open(t, dir)
					for i, call := range c.calls {
						if again > 0 {
							break
						}
						if err := call(db); err != nil {
							t.Fatalf("call %d: %v", i, err)
						}
					}
					for _, w := range c.want {
						if err := w.check(db); err != nil {
							t.Errorf("opened %d times: %v", again+1, err)
						}
					}
					done()
				}
			})
		}
	}
}

func TestBootstrapIsKept(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			want := pb.Bootstrap{Addresses: map[uint64]string{1: "a", 9: "b"}, Type: pb.OnDiskStateMachine}
			for again := range 2 {
				db, done := s.open(t, dir)
				if _, err := db.GetBootstrapInfo(2, 9); !errors.Is(err, raftio.ErrNoBootstrapInfo) {
					t.Errorf("of another shard: %v", err)
				}
				if again == 0 {
					if err := db.SaveBootstrapInfo(1, 9, want); err != nil {
						t.Fatal(err)
					}
				}
				got, err := db.GetBootstrapInfo(1, 9)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%+v: %v", got, err)
				}
				list, err := db.ListNodeInfo()
				if err != nil || !reflect.DeepEqual(list, []raftio.NodeInfo{{ShardID: 1, ReplicaID: 9}}) {
					t.Errorf("%v: %v", list, err)
				}
				done()
			}
		})
	}
}

func TestIterateEntriesKeepsToItsLimits(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			db, done := s.open(t, t.TempDir())
			defer done()
			all := entries(1, 1, 20)
			if err := db.SaveRaftState([]pb.Update{update(1, pb.State{Term: 1, Commit: 20}, all)}, 1); err != nil {
				t.Fatal(err)
			}
			one := uint64(all[9].SizeUpperLimit())
			for _, c := range []struct{ low, high, limit, count uint64 }{
				{10, 11, 1 << 40, 1}, {10, 15, 1 << 40, 5}, {10, 15, 0, 1}, {10, 15, one, 2}, {10, 15, 2*one - 1, 2}, {10, 99, 1 << 40, 11}, {21, 22, 1 << 40, 0}, {30, 32, 1 << 40, 0},
			} {
				given := entries(1, c.low-1, c.low-1)
				list, size, err := db.IterateEntries(given, 5, 1, 9, c.low, c.high, c.limit+5)
				want := append(given, all[min(c.low-1, 20):min(c.low-1+c.count, 20)]...)
				if err != nil || !reflect.DeepEqual(list, want) || size != 5+pb.GetEntrySliceSize(want[1:]) {
					t.Errorf("%+v: %d entries of %d bytes, want %d: %v", c, len(list), size, len(want), err)
				}
			}
		})
	}
}

// TestModelFitsTheStores compares random calls with the model. It removes no replicas,
// because dragonboat's store remembers the states of removed ones.
func TestModelFitsTheStores(t *testing.T) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(3) {
				dir, draw, m := t.TempDir(), seeded(seed), model{}
				for range 2 {
					db, done := s.open(t, dir)
					for range 60 {
						step := m.next(draw, false)
						if err := step.call(db); err != nil {
							t.Fatal(err)
						}
						m = step.after
						if err := m.differs(db, true); err != nil {
							t.Fatalf("seed %d, %s: %v", seed, step.what, err)
						}
					}
					done()
				}
			}
		})
	}
}

// TestManyWorkers runs three workers for each shard: one writes, one reads, one compacts.
func TestManyWorkers(t *testing.T) {
	dir := t.TempDir()
	db, done := stores[0].open(t, dir)
	const shards, last = 4, 400
	var work sync.WaitGroup
	for shard := uint64(1); shard <= shards; shard++ {
		saved := make(chan uint64, last)
		work.Go(func() {
			defer close(saved)
			for i := uint64(1); i <= last; i++ {
				if err := db.SaveRaftState([]pb.Update{update(shard, pb.State{Term: 1, Commit: i}, entries(1, i, i))}, shard); err != nil {
					t.Error(err)
				}
				saved <- i
			}
		})
		work.Go(func() {
			for i := range saved {
				list, _, err := db.IterateEntries(nil, 0, shard, 9, i, i+1, 0)
				if err != nil || len(list) != 1 || list[0].Index != i {
					t.Errorf("entry %d: %v, %v", i, list, err)
				}
				if i%50 == 0 {
					if err := errors.Join(snapshot(shard, i)(db), db.RemoveEntriesTo(shard, 9, i-10)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	done()
	db, done = stores[0].open(t, dir)
	defer done()
	for shard := uint64(1); shard <= shards; shard++ {
		if err := (wants{shard: shard, state: pb.State{Term: 1, Commit: last}, snapshot: last, first: last + 1, last: last}).check(db); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatIsNotNewCostsNothing counts syncs.
func TestWhatIsNotNewCostsNothing(t *testing.T) {
	d := newDisc()
	c := &counts{Syncs: metric.NewDurations()}
	o := small()
	o.Logger = slog.New(slog.DiscardHandler)
	db, err := open(d, o, c)
	if err != nil {
		t.Fatal(err)
	}
	call := func(what string, want uint64, u ...pb.Update) {
		t.Helper()
		before := c.Syncs.Count()
		if err := db.SaveRaftState(u, 1); err != nil {
			t.Fatal(err)
		}
		if got := c.Syncs.Count() - before; got != want {
			t.Errorf("%s: %d syncs, want %d", what, got, want)
		}
	}
	s := pb.State{Term: 1, Vote: 9}
	call("the first entries", 1, update(1, s, entries(1, 1, 3)), update(2, s, entries(1, 1, 3)), update(3, s, nil))
	call("the same state", 0, update(1, s, nil), update(2, pb.State{}, nil))
	s.Commit = 3
	call("a commit", 0, update(1, s, nil))
	call("a vote", 1, update(2, pb.State{Term: 2, Vote: 1}, nil))
	call("entries and their commit", 1, update(2, pb.State{Term: 2, Vote: 1, Commit: 4}, entries(1, 4, 4)))
	call("nobody", 0)
}

// TestALongContentIsKeptForLongOnes: a buffer for many megabytes is used by the next content that is as long, and by
// none that is short: it is let go of once all are short.
func TestALongContentIsKeptForLongOnes(t *testing.T) {
	db, err := openAt(newDisc(), small())
	if err != nil {
		t.Fatal(err)
	}
	left, got := make([]byte, 0, 3*contentLimit), 0
	db.long.New = func() any { got++; return &left }
	save := func(index uint64, size int) {
		e := pb.Entry{Index: index, Term: 1, Cmd: make([]byte, size)}
		update := pb.Update{ShardID: 1, ReplicaID: 1, State: pb.State{Term: 1, Vote: 1}, EntriesToSave: []pb.Entry{e}}
		if err := db.SaveRaftState([]pb.Update{update}, 1); err != nil {
			t.Fatal(err)
		}
	}
	save(1, 2*contentLimit)
	if got == 0 || left[:1][0] == 0 {
		t.Error("a long content isn't made in a buffer that is there")
	}
	for index := uint64(2); index < 9; index++ {
		save(index, 5)
		runtime.GC() // two of them free what isn't used in between
	}
	if b, ok := db.contents.Get().(*[]byte); ok && cap(*b) > contentLimit {
		t.Errorf("%d bytes are kept for short ones", cap(*b))
	}
	db.long.New = nil
	if db.long.Get() != nil {
		t.Error("a long buffer is kept")
	}
}

// TestALongBufferFitsWhatIsMadeInIt: one that many entries would just not fit into isn't used, nor is one that is more
// than twice as large as they need.
func TestALongBufferFitsWhatIsMadeInIt(t *testing.T) {
	node := raftio.NodeInfo{ShardID: 1, ReplicaID: 1}
	list := entries(1, 1, 100)
	for i := range list {
		list[i].Cmd = make([]byte, contentLimit/50)
	}
	need := entriesAtMost(list)
	for size, used := range map[int]bool{need - 1: false, need: true, 2 * need: true, 2*need + 1: false, 64 << 20: false} {
		l, left := &raftLog{}, make([]byte, 0, size)
		l.long.New = func() any { return &left }
		content := appendEntries(l.lengthen(nil, list), node, list)
		if same := &content[0] == &left[:1][0]; same != used {
			t.Errorf("entries of %d bytes at most are made in a buffer for %d: %v", need, size, same)
		}
	}
}
