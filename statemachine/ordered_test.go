package statemachine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

const slots = 3

func dataOptions(slot int) statemachine.Options {
	return statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30, Names: unlimited, CacheSizes: statemachine.CacheSizes{Nodes: 16 << 10, Lists: 64 << 10}, Slot: slot, Slots: slots}
}

func plainOptions() statemachine.Options {
	return statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30}
}

func orderOptions() statemachine.Options {
	return statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30, Slots: slots, Slot: statemachine.OrderSlot}
}

func mustOpen(t rapid.TB, o statemachine.Options, dir string, fs vfs.FS) *statemachine.Machine {
	t.Helper()
	o.Dir, o.FS = dir, fs
	m, err := statemachine.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return m
}

// orderedBatch is one entry of a data shard's log, in plain.
type orderedBatch struct {
	epoch  uint64 // 0: the first
	origin uint64
	others int // so many of the commands are in a submission of another member, before this one's
	r      tree.Range
	root   bool
	list   []tree.Command
	settle tree.Index // if there is no list
	clock  tree.Clock // if there is a list
}

// submissionNonce is the one of the actor that this replica's submissions come from.
const submissionNonce = 77

func submissionID(origin, number uint64) tree.RequestID {
	return tree.RequestID{Replica: origin, Nonce: submissionNonce, Number: number}
}

func (b *orderedBatch) entry(raftIndex uint64) sm.Entry {
	head := tree.BatchHead{Epoch: max(b.epoch, 1), Number: raftIndex, Submissions: 1}
	if b.list == nil {
		c := tree.CloseCommand(b.settle)
		cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, head), tree.RequestID{}, 1)
		return sm.Entry{Index: raftIndex, Cmd: tree.AppendCommand(cmd, &c)}
	}
	head.Ordered, head.Root, head.Range, head.Clock = true, b.root, b.r, b.clock
	if b.others > 0 {
		head.Submissions++
	}
	cmd := tree.AppendBatchHead(nil, head)
	if b.others > 0 {
		cmd = tree.AppendSubmission(cmd, submissionID(8, raftIndex), b.others)
	}
	for i := range b.list {
		if i == b.others {
			cmd = tree.AppendSubmission(cmd, submissionID(b.origin, raftIndex), len(b.list)-b.others)
		}
		cmd = tree.AppendCommand(cmd, &b.list[i])
	}
	return sm.Entry{Index: raftIndex, Cmd: cmd}
}

// applyBatch is what rules 4 and 5 say of a batch. The answers are those to its second
// submission.
func (m *model) applyBatch(b *orderedBatch, slot int) (stale bool, answers []string) {
	stale = b.epoch < m.epoch
	m.epoch = max(m.epoch, b.epoch)
	if stale {
		return true, nil
	}
	if b.list == nil {
		m.last = max(m.last, b.settle)
		return false, nil
	}
	if b.r.First <= m.last {
		return true, nil
	}
	m.last = b.r.First - 1
	for i := range b.list {
		c := b.list[i]
		if c.Op != tree.OpExpire && !b.root && strays(&c, slot) || c.Op == tree.OpCreateInOrder && c.Key == "/" && !b.root {
			m.stats.CountWrite(c.Op, false)
			answers = append(answers, string(tree.AppendError(nil, &tree.Error{Code: tree.CodeRaftInternal, Cause: "the key lives in another shard", Index: m.last})))
			continue
		}
		switch {
		case b.root:
			answers = append(answers, m.createInRoot(&c, slot))
		case c.Op == tree.OpExpire: // it has events and no answer, but its place among them
			m.apply(&c)
			answers = append(answers, "")
		default:
			answers = append(answers, m.apply(&c))
		}
	}
	m.last = b.r.Last
	return false, answers[b.others:]
}

// createInRoot applies c, of a root batch: the indexes before the next one whose name
// lives here are gaps, if it succeeds.
func (m *model) createInRoot(c *tree.Command, slot int) string {
	running := m.last
	for tree.Slot("/"+tree.InOrderName(m.last+1), slots) != slot {
		m.last++
	}
	at := m.last
	a := m.apply(c)
	if m.last == at { // somebody has made a node of that name
		m.last = running
		a = strings.Replace(a, fmt.Sprintf(`"index":%d}`, at), fmt.Sprintf(`"index":%d}`, running), 1)
	}
	return a
}

// dataLog draws the log of a data shard: batches whose epochs and ranges mostly go up.
func dataLog(t *rapid.T, slot, entries int) []orderedBatch {
	var log []orderedBatch
	top, epoch := tree.Index(5), uint64(3)
	list := commands().Draw(t, "commands")
	list = slices.DeleteFunc(list, func(c tree.Command) bool {
		if c.Op.Membership() {
			return true
		}
		return c.Op != tree.OpExpire && strays(&c, slot) && rapid.IntRange(0, 9).Draw(t, "stray") > 0
	})
	for range entries {
		b := orderedBatch{origin: rapid.SampledFrom([]uint64{replica, replica, 9}).Draw(t, "origin"), epoch: epoch}
		switch rapid.IntRange(0, 9).Draw(t, "leader") {
		case 0:
			b.epoch -= uint64(rapid.IntRange(1, 2).Draw(t, "late"))
		case 1:
			epoch++
			b.epoch = epoch
		}
		if rapid.IntRange(0, 5).Draw(t, "stale") == 0 {
			b.r.First = tree.Index(rapid.Uint64Range(1, uint64(top)).Draw(t, "first"))
		} else {
			b.r.First = top + 1 + tree.Index(rapid.IntRange(0, 9).Draw(t, "gap"))
		}
		slack := tree.Index(rapid.IntRange(0, 3).Draw(t, "slack"))
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case kind == 0:
			b.settle = b.r.First
			top = max(top, b.settle)
		case kind == 1:
			b.root = true
			b.r.Last = b.r.First - 1
			for i := range rapid.IntRange(1, 3).Draw(t, "creates") {
				b.list = append(b.list, tree.Command{Op: tree.OpCreateInOrder, Key: "/", Value: []byte{byte('a' + i)}, Now: 1e18})
				b.r.Last = tree.NextNamed(b.r.Last+1, slot, slots)
			}
		default:
			n := min(len(list), rapid.IntRange(1, 12).Draw(t, "batch"))
			if n == 0 {
				continue
			}
			b.list, list = list[:n], list[n:]
			b.r.Last = b.r.First - 1
			for i := range b.list {
				b.r.Last += tree.Index(b.list[i].Indexes())
			}
			b.r.Last = max(b.r.First, b.r.Last+slack)
		}
		if len(b.list) > 1 {
			b.others = rapid.IntRange(0, len(b.list)-1).Draw(t, "others")
		}
		top = max(top, b.r.Last)
		log = append(log, b)
	}
	return log
}

func TestADataShardDoesWhatTheRulesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		slot := rapid.IntRange(0, slots-1).Draw(rt, "slot")
		log := dataLog(rt, slot, rapid.IntRange(1, 20).Draw(rt, "entries"))
		want := &model{}
		var entries []sm.Entry
		var outcomes []statemachine.Outcome
		var replies [][]string
		var batches []statemachine.BatchID
		for i := range log {
			e := log[i].entry(uint64(3 * (i + 1)))
			entries = append(entries, e)
			stale, a := want.applyBatch(&log[i], slot)
			if log[i].list != nil && log[i].origin == replica {
				outcomes = append(outcomes, statemachine.Outcome{ID: submissionID(replica, e.Index), Stale: stale, RaftIndex: e.Index})
				replies = append(replies, a)
			}
			batches = append(batches, statemachine.BatchID{Epoch: log[i].epoch, Number: e.Index})
		}
		fs := vfs.NewCrashableMem()
		m := mustOpen(rt, dataOptions(slot), "/shard", fs)
		var published []tree.EncodedEvent
		var told []statemachine.Outcome
		var led []statemachine.BatchID
		last, epoch := tree.Index(0), uint64(0)
		m.Subscribe(func(n *statemachine.ApplyResult) {
			if n.Last < last || n.Last != m.Index() || n.Epoch < epoch || n.Jumped || n.Grants != nil || n.Handed != nil {
				rt.Fatalf("after %d in %d, with the index at %d: res %+v", last, epoch, m.Index(), n)
			}
			last, epoch = n.Last, n.Epoch
			led = append(led, n.Batches...)
			published = append(published, n.Events...)
			told = append(told, n.Outcomes...)
		})
		applySplit(rt, m, entries)
		sameAsModel(rt, m, want)
		if !sameNotices(published, want.notices) {
			rt.Fatalf("published %v\nwant %v", published, want.notices)
		}
		for i := range told {
			if got := answers(told[i].Data); strings.Join(got, "") != strings.Join(replies[i], "") {
				rt.Fatalf("outcome %d:\n got %q\nwant %q", i, got, replies[i])
			}
			told[i].Data = nil
		}
		if len(told)+len(outcomes) > 0 && !reflect.DeepEqual(told, outcomes) {
			rt.Fatalf("outcomes %+v\nwant %+v", told, outcomes)
		}
		if epoch != want.epoch || !slices.Equal(led, batches) {
			rt.Fatalf("in epoch %d batches %v\nwant %d, %v", epoch, led, want.epoch, batches)
		}
		checkReplay(rt, fs, m, dataOptions(slot), entries)
	})
}

// checkReplay has the power fail at some point, and the log applied from where the
// store then is: that and a snapshot give the state of m, which it closes.
func checkReplay(rt *rapid.T, fs *vfs.MemFS, m *statemachine.Machine, o statemachine.Options, entries []sm.Entry) {
	want := dump(rt, m)
	power := fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.SampledFrom([]int{0, 30, 100}).Draw(rt, "unsynced"),
		RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
	})
	again := mustOpen(rt, o, "/shard", power)
	at, err := again.Open(nil)
	if err != nil {
		rt.Fatal(err)
	}
	rest := slices.DeleteFunc(slices.Clone(entries), func(e sm.Entry) bool { return e.Index <= at })
	applySplit(rt, again, rest)
	other := mustOpen(rt, o, "/shard", vfs.NewMem())
	jumps := 0
	other.Subscribe(func(n *statemachine.ApplyResult) {
		jumps++
		if !n.Jumped || n.Last != m.Index() || n.Events != nil || n.Outcomes != nil || n.Grants != nil || !slices.Equal(n.Handed, m.Handed()) {
			rt.Fatalf("res of a snapshot: %+v", n)
		}
	})
	if err := other.RecoverFromSnapshot(bytes.NewReader(want), nil); err != nil {
		rt.Fatal(err)
	}
	if jumps != 1 {
		rt.Fatalf("a snapshot was told %d times", jumps)
	}
	for name, replica := range map[string]*statemachine.Machine{"the replay": again, "the snapshot": other} {
		if !bytes.Equal(dump(rt, replica), want) || replica.Index() != m.Index() || !slices.Equal(replica.Handed(), m.Handed()) ||
			replica.Nodes() != m.Nodes() || replica.Expirations() != m.Expirations() {
			rt.Fatalf("%s, from raft index %d on, made another state", name, at)
		}
		mustClose(rt, replica)
	}
	mustClose(rt, m)
}

func TestTheOrderShardHandsOut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		counter, handed := tree.Index(0), make([]tree.Index, slots)
		var granted []tree.Grant
		var entries []sm.Entry
		number := uint64(0)
		founded := false
		for i := range rapid.IntRange(1, 20).Draw(rt, "entries") {
			var c tree.Command
			switch kind := rapid.IntRange(0, 9).Draw(rt, "kind"); kind {
			case 0:
				c = founding(tree.Index(rapid.IntRange(0, 9).Draw(rt, "first")), 1, 2)
				if !founded {
					counter = max(counter, c.PrevIndex)
				}
				founded = true
			case 1:
				c = tree.Command{Op: tree.OpSet, Key: "/k"} // there is no tree
			case 2:
				c = tree.AskCommand(slots+1, tree.Ask{Count: 1})
			default:
				var asks []tree.Ask
				for range rapid.IntRange(0, 4).Draw(rt, "asks") {
					number++
					a := tree.Ask{
						ID:    tree.RequestID{Replica: 1, Nonce: 2, Number: number},
						Slot:  rapid.IntRange(0, slots).Draw(rt, "slot"),
						Count: rapid.IntRange(0, 5).Draw(rt, "count"),
						Root:  rapid.Bool().Draw(rt, "root"),
					}
					asks = append(asks, a)
					if a.Slot == slots || a.Count == 0 {
						continue
					}
					r := tree.Range{First: counter + 1, Last: counter + tree.Index(a.Count)}
					if a.Root {
						r.Last = counter
						for range a.Count {
							r.Last = tree.NextNamed(r.Last+1, a.Slot, slots)
						}
					}
					counter, handed[a.Slot] = r.Last, r.Last
					granted = append(granted, tree.Grant{ID: a.ID, Slot: a.Slot, Range: r})
				}
				c = tree.AskCommand(slots, asks...)
			}
			entries = append(entries, sm.Entry{Index: uint64(i + 1), Cmd: tree.AppendCommand(tree.AppendBatch(nil, 9, 1), &c)})
		}
		fs := vfs.NewCrashableMem()
		m := mustOpen(rt, orderOptions(), "/shard", fs)
		var told []tree.Grant
		var after []tree.Index
		m.Subscribe(func(n *statemachine.ApplyResult) {
			told = append(told, n.Grants...)
			after = n.Handed
			if n.Events != nil || n.Outcomes != nil || n.Last != m.Index() {
				rt.Fatalf("res %+v", n)
			}
		})
		applySplit(rt, m, entries)
		if len(told)+len(granted) > 0 && !reflect.DeepEqual(told, granted) {
			rt.Fatalf("granted %+v\nwant %+v", told, granted)
		}
		if m.Index() != counter || !slices.Equal(m.Handed(), handed) || !slices.Equal(after, handed) {
			rt.Fatalf("counter %d, handed out %v and %v; want %d, %v", m.Index(), m.Handed(), after, counter, handed)
		}
		checkReplay(rt, fs, m, orderOptions(), entries)
	})
}

// doOrdered applies one ordered batch and returns what became of it.
func doOrdered(t *testing.T, m *statemachine.Machine, raftIndex uint64, b orderedBatch) (stale bool, replies []string) {
	t.Helper()
	b.origin = replica
	var got []statemachine.Outcome
	m.Subscribe(func(n *statemachine.ApplyResult) { got = append(got, n.Outcomes...) })
	if _, err := m.Update([]sm.Entry{b.entry(raftIndex)}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].ID != submissionID(replica, raftIndex) || got[0].RaftIndex != raftIndex {
		t.Fatalf("outcomes %+v", got)
	}
	return got[0].Stale, answers(got[0].Data)
}

// keyIn is a top-level key of the slot.
func keyIn(slot int) string {
	for name := 'a'; ; name++ {
		if key := "/" + string(name); tree.Slot(key, slots) == slot {
			return key
		}
	}
}

func TestRunningIndexes(t *testing.T) {
	m := mustOpen(t, dataOptions(1), t.TempDir(), nil)
	defer mustClose(t, m)
	here, elsewhere := keyIn(1), keyIn(2)
	set := func(key string) tree.Command { return tree.Command{Op: tree.OpSet, Key: key, Now: 1} }
	stale, got := doOrdered(t, m, 1, orderedBatch{r: tree.Range{First: 10, Last: 12}, list: []tree.Command{
		{Op: tree.OpUpdate, Key: here}, set(here), set(elsewhere), {Op: tree.OpCreateInOrder, Key: "/"},
		set("/"), set(here + "/x"), set(here), set(here), set(here),
	}})
	want := []string{
		`{"errorCode":100,"message":"Key not found","cause":"` + here + `","index":9}`,
		`{"action":"set","node":{"key":"` + here + `","value":"","modifiedIndex":10,"createdIndex":10}}`,
		`{"errorCode":300,"message":"Raft Internal Error","cause":"the key lives in another shard","index":10}`,
		`{"errorCode":300,"message":"Raft Internal Error","cause":"the key lives in another shard","index":10}`,
		`{"errorCode":300,"message":"Raft Internal Error","cause":"the key lives in another shard","index":10}`,
		`{"errorCode":104,"message":"Not a directory","cause":"` + here + `","index":10}`,
		`{"action":"set","node":{"key":"` + here + `","value":"","modifiedIndex":11,"createdIndex":11},"prevNode":{"key":"` + here + `","value":"","modifiedIndex":10,"createdIndex":10}}`,
		`{"action":"set","node":{"key":"` + here + `","value":"","modifiedIndex":12,"createdIndex":12},"prevNode":{"key":"` + here + `","value":"","modifiedIndex":11,"createdIndex":11}}`,
		`{"errorCode":300,"message":"Raft Internal Error","cause":"no index is left","index":12}`,
	}
	if stale || strings.Join(got, "") != strings.Join(want, "\n")+"\n" {
		t.Errorf("stale: %v, %s", stale, got)
	}
	before := m.Stats()
	for _, first := range []tree.Index{1, 12} {
		if stale, got := doOrdered(t, m, 2, orderedBatch{r: tree.Range{First: first, Last: 99}, list: []tree.Command{set(here)}}); !stale || got != nil || m.Index() != 12 {
			t.Errorf("a batch at %d is stale: %v, %s; the index is %d", first, stale, got, m.Index())
		}
	}
	if m.Stats() != before {
		t.Error("what was refused as stale is counted")
	}
	if stale, _ := doOrdered(t, m, 3, orderedBatch{r: tree.Range{First: 13, Last: 20}, list: []tree.Command{{Op: tree.OpUpdate, Key: "/nothing"}}}); stale || m.Index() != 20 {
		t.Errorf("stale: %v; with nothing done, the index is %d, not the range's last", stale, m.Index())
	}
	for _, c := range []struct{ at, want tree.Index }{{15, 20}, {25, 25}, {0, 25}} {
		if got := do(t, m, 4, tree.CloseCommand(c.at)); len(got) != 1 || got[0].Err != nil || m.Index() != c.want {
			t.Errorf("closed up to %d: index %d, want %d (%+v)", c.at, m.Index(), c.want, got)
		}
	}
}

func TestExpiriesTakeNoMoreThanTheirRange(t *testing.T) {
	m := mustOpen(t, dataOptions(1), t.TempDir(), nil)
	defer mustClose(t, m)
	var list []tree.Command
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		list = append(list, tree.Command{Op: tree.OpSet, Key: keyIn(1) + "/" + name, Now: 1, Expires: 5})
	}
	doOrdered(t, m, 1, orderedBatch{r: tree.Range{First: 1, Last: 5}, list: list})
	for _, c := range []struct {
		now         int64
		limit, want int
	}{{4, 10, 0}, {5, 10, 5}, {5, 3, 3}, {5, 0, 0}, {1<<63 - 1, 10, 5}} {
		if got, err := m.Due(c.now, c.limit); got != c.want || err != nil {
			t.Errorf("at %d %d of %d are due, want %d (%v)", c.now, got, c.limit, c.want, err)
		}
	}
	expire := tree.Command{Op: tree.OpExpire, Now: 5, Limit: 100}
	for i, c := range []struct {
		r     tree.Range
		limit int
		left  uint64
	}{
		{tree.Range{First: 10, Last: 11}, 100, 3}, {tree.Range{First: 20, Last: 29}, 1, 2}, {tree.Range{First: 30, Last: 39}, 100, 0},
	} {
		expire.Limit = c.limit
		_, got := doOrdered(t, m, uint64(i+2), orderedBatch{r: c.r, list: []tree.Command{expire}})
		if m.Expirations() != c.left || m.Nodes() != c.left+1 || m.Index() != c.r.Last {
			t.Errorf("%+v: %d of %d are left, index %d: %s", c, m.Expirations(), m.Nodes(), m.Index(), got)
		}
	}
	if n, err := m.Due(1<<62, 9); n != 0 || err != nil {
		t.Errorf("%d are still due, %v", n, err)
	}
}

func TestWhatIsAnotherShards(t *testing.T) {
	set := tree.Command{Op: tree.OpSet, Key: keyIn(1)}
	ask := tree.AskCommand(slots, tree.Ask{Slot: 1, Count: 3})
	closing := tree.CloseCommand(9)
	for name, c := range map[string]struct {
		o    statemachine.Options
		c    tree.Command
		fine bool
	}{
		"a write without an index":        {dataOptions(1), set, false},
		"a write to the order shard":      {orderOptions(), set, false},
		"an ask of a data shard":          {dataOptions(1), ask, false},
		"an ask of the only shard":        {plainOptions(), ask, false},
		"an ask of the order shard":       {orderOptions(), ask, true},
		"closing the order shard":         {orderOptions(), closing, false},
		"closing the only shard":          {plainOptions(), closing, false},
		"closing a data shard":            {dataOptions(1), closing, true},
		"a write to the only shard":       {plainOptions(), set, true},
		"a write to the only shard of 1":  {statemachine.Options{Replica: replica, Window: window, WindowBytes: 1 << 30, Slots: 1}, set, true},
		"an ask for another many shards":  {orderOptions(), tree.AskCommand(slots+1, tree.Ask{Slot: 1, Count: 3}), false},
		"an ask that nobody would put":    {orderOptions(), tree.AskCommand(slots, tree.Ask{Slot: slots, Count: 3}), true},
		"a membership of the order shard": {orderOptions(), founding(7, 1), true},
	} {
		m := mustOpen(t, c.o, t.TempDir(), nil)
		got := do(t, m, 1, c.c)
		if len(got) != 1 || (got[0].Err == nil) != c.fine || !c.fine && (got[0].Err.Code != tree.CodeRaftInternal || m.Index() != 0) {
			t.Errorf("%s: %+v, index %d", name, got, m.Index())
		}
		mustClose(t, m)
	}
	// A log that only a shard of several has stops the others.
	b := orderedBatch{r: tree.Range{First: 1, Last: 1}, list: []tree.Command{set}}
	for name, o := range map[string]statemachine.Options{"order": orderOptions(), "only": {Replica: replica, Window: window, WindowBytes: 1 << 30}} {
		m := mustOpen(t, o, t.TempDir(), nil)
		if _, err := m.Update([]sm.Entry{b.entry(1)}); err == nil || m.Index() != 0 {
			t.Errorf("the %s shard has applied an ordered batch", name)
		}
		mustClose(t, m)
	}
	// And asks that can't be read stop the order shard.
	m := mustOpen(t, orderOptions(), t.TempDir(), nil)
	defer mustClose(t, m)
	ask.Value = ask.Value[1:]
	if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &ask)}}); err == nil {
		t.Error("asks cut short were granted")
	}
}

func TestAnOrderShardOfOtherSlotsIsRefused(t *testing.T) {
	dir := t.TempDir()
	m := mustOpen(t, orderOptions(), dir, nil)
	do(t, m, 1, tree.AskCommand(slots, tree.Ask{Slot: 1, Count: 3}))
	image := dump(t, m)
	mustClose(t, m)
	o := orderOptions()
	o.Slots, o.Dir = slots+1, dir
	if _, err := statemachine.New(o); !errors.Is(err, statemachine.ErrDamaged) {
		t.Errorf("opened: %v", err)
	}
	other := mustOpen(t, o, t.TempDir(), nil)
	defer mustClose(t, other)
	if err := other.RecoverFromSnapshot(bytes.NewReader(image), nil); err == nil {
		t.Error("its snapshot was taken in")
	}
}

// A new generation of several shards: all of them begin at one index, with an empty window.
func TestRenewSeveral(t *testing.T) {
	r := statemachine.Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://a:1"}}}, Shards: slots, TermBase: 9, Index: 50}
	dir := t.TempDir()
	m := mustOpen(t, orderOptions(), dir, nil)
	found := founding(7, 1, 2)
	found.Limit = slots
	do(t, m, 1, found)
	do(t, m, 2, tree.AskCommand(slots, tree.Ask{Slot: 1, Count: 3}))
	var last statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { last = *n })
	if err := m.Renew(r); err != nil { // a data shard knows more
		t.Fatal(err)
	}
	want := []tree.Index{50, 50, 50}
	check := func() {
		t.Helper()
		ms := m.Membership()
		if m.Index() != 50 || m.RaftIndex() != 0 || !slices.Equal(m.Handed(), want) || !slices.Equal(ids(ms), []uint64{1}) || ms.Shards != slots || ms.TermBase != 9 {
			t.Errorf("counter %d, handed %v, members %+v", m.Index(), m.Handed(), ms)
		}
	}
	if check(); !slices.Equal(last.Handed, want) {
		t.Errorf("told of %v handed out", last.Handed)
	}
	mustClose(t, m)
	m = mustOpen(t, orderOptions(), dir, nil)
	check()
	r.TermBase, r.Index = 3, 20 // neither falls
	if err := m.Renew(r); err != nil {
		t.Fatal(err)
	}
	check()
	mustClose(t, m)
}

func TestRenewADataShard(t *testing.T) {
	dir := t.TempDir()
	data := mustOpen(t, dataOptions(1), dir, nil)
	doOrdered(t, data, 1, orderedBatch{r: tree.Range{First: 8, Last: 10}, list: []tree.Command{{Op: tree.OpSet, Key: keyIn(1), Value: []byte(large)}, {Op: tree.OpSet, Key: keyIn(1)}}})
	if stale, _ := doOrdered(t, data, 2, orderedBatch{epoch: 5, r: tree.Range{First: 11, Last: 12}, list: []tree.Command{{Op: tree.OpUpdate, Key: "/nothing"}}}); stale {
		t.Error("a batch of a later epoch is stale")
	}
	r := statemachine.Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"http://a:1"}}}, Shards: slots, Index: 50}
	if err := data.Renew(r); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if data.Index() != 50 || data.RaftIndex() != 0 || data.Nodes() != 1 || data.Floor() != 51 {
			t.Errorf("settled %d at raft's %d, %d nodes, window from %d", data.Index(), data.RaftIndex(), data.Nodes(), data.Floor())
		}
		if events, oldest, err := data.History(1, 10); len(events) != 0 || oldest != 51 || err != nil {
			t.Errorf("%d events, from %d on: %v", len(events), oldest, err)
		}
		if bytes.Contains(dump(t, data), []byte(large)) {
			t.Error("a value that only an event had is still there")
		}
	}
	check()
	mustClose(t, data)
	data = mustOpen(t, dataOptions(1), dir, nil)
	defer mustClose(t, data)
	check()
	again := tree.MemberCommand(tree.OpMemberReplaceAll)
	again.PrevIndex = data.Index()
	if got := do(t, data, 1, again); len(got) != 1 || got[0].Err == nil || got[0].Err.Code != tree.CodeQuorumLoss {
		t.Errorf("the new log begins with %+v", got)
	}
	// Raft's terms begin anew, and so do the epochs.
	if stale, _ := doOrdered(t, data, 2, orderedBatch{epoch: 2, r: tree.Range{First: 51, Last: 51}, list: []tree.Command{{Op: tree.OpSet, Key: keyIn(1)}}}); stale || data.Nodes() != 1 {
		t.Errorf("a batch of the new log's second term is stale: %v", stale)
	}
	if events, oldest, err := data.History(51, 10); len(events) != 1 || oldest != 51 || err != nil {
		t.Errorf("%d events, from %d on: %v", len(events), oldest, err)
	}
}

// Whoever is given a filled store, as a restore is, founds a cluster with it.
func TestRenewANewStore(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	three := []tree.Member{{ID: 1, PeerURLs: []string{"a"}}, {ID: 2, PeerURLs: []string{"b"}}, {ID: 3, PeerURLs: []string{"c"}}}
	if err := m.Renew(statemachine.Renewal{Members: three, Shards: 1, TermBase: 7, Index: 1000}); err != nil {
		t.Fatal(err)
	}
	if ms := m.Membership(); !slices.Equal(ids(ms), []uint64{1, 2, 3}) || ms.Shards != 1 || ms.TermBase != 7 || len(ms.Removed) > 0 || m.Index() != 1000 {
		t.Errorf("members %+v, index %d", ms, m.Index())
	}
	// The base stays, whatever becomes of the members.
	do(t, m, 1,
		tree.MemberCommand(tree.OpMemberAdd, tree.Member{ID: 4, PeerURLs: []string{"d"}}),
		tree.MemberCommand(tree.OpMemberRemove, tree.Member{ID: 1}),
		tree.MemberCommand(tree.OpMemberPublish, tree.Member{ID: 2, Name: "two"}),
		tree.MemberCommand(tree.OpMemberReplaceAll, three[2]))
	other := mustNew(t, t.TempDir())
	defer mustClose(t, other)
	if err := other.RecoverFromSnapshot(bytes.NewReader(dump(t, m)), nil); err != nil {
		t.Fatal(err)
	}
	if ms := other.Membership(); !slices.Equal(ids(ms), []uint64{3}) || ms.TermBase != 7 {
		t.Errorf("members %+v", ms)
	}
	if err := m.Renew(statemachine.Renewal{}); err == nil {
		t.Error("a cluster without members")
	}
}

func TestWhatWasHandedOutIsntChangedUnderItsReaders(t *testing.T) {
	m := mustOpen(t, orderOptions(), t.TempDir(), nil)
	defer mustClose(t, m)
	var res [][]tree.Index
	m.Subscribe(func(n *statemachine.ApplyResult) { res = append(res, n.Handed) })
	held := [][]tree.Index{m.Handed()}
	for i := range 3 {
		do(t, m, uint64(i+1), tree.AskCommand(slots, tree.Ask{Slot: 1, Count: 1}))
		res[i][0] = 99 // it is the subscriber's
		held = append(held, m.Handed())
	}
	for i, h := range held {
		if want := []tree.Index{0, tree.Index(i), 0}; !slices.Equal(h, want) {
			t.Errorf("after %d asks %v were handed out, want %v", i, h, want)
		}
	}
}

// The window of a data shard is counted in events: indexes that nothing came of don't
// shorten it.
func TestTheWindowHoldsEventsNotIndexes(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, dataOptions(1), "/shard", fs)
	var at []tree.Index
	look := func() {
		t.Helper()
		want := tree.Index(1)
		if n := len(at); n >= window {
			want = at[n-window]
		}
		if m.Floor() != want {
			t.Fatalf("after %d events the window begins at %d, want %d", len(at), m.Floor(), want)
		}
		events, complete, err := m.History(want, 1)
		if err != nil || complete != want || len(events) != 1 || want > 1 && events[0].Index != want {
			t.Fatalf("%v from %d on, complete from %d (%v)", events, want, complete, err)
		}
	}
	for i := range 5 * window {
		first := tree.Index(10*i + 1)
		at = append(at, first)
		doOrdered(t, m, uint64(i+1), orderedBatch{r: tree.Range{First: first, Last: first + 9}, list: []tree.Command{
			{Op: tree.OpSet, Key: keyIn(1)}, {Op: tree.OpCreate, Key: keyIn(1)},
		}})
		look()
	}
	mustClose(t, m)
	m = mustOpen(t, dataOptions(1), "/shard", fs)
	defer mustClose(t, m)
	look()
}
