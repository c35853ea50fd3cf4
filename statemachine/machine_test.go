package statemachine_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// tempDir is a directory for one draw of a property.
func tempDir(t *testing.T, n *int) string {
	*n++
	return fmt.Sprintf("%s/%d", t.TempDir(), *n)
}

func TestMachineDoesWhatTheModelDoes(t *testing.T) {
	dirs := 0
	rapid.Check(t, func(rt *rapid.T) {
		list := commands().Draw(rt, "commands")
		want := &model{}
		var expected []string
		for i := range list {
			a := want.apply(&list[i])
			if list[i].Op == tree.OpExpire {
				a = "" // it has events, and no answer of its own
			}
			expected = append(expected, a)
		}
		entries := raftLog(rt, list)

		dir := tempDir(t, &dirs)
		m := mustNew(rt, dir)
		var published []tree.EncodedEvent
		m.Subscribe(func(n *statemachine.ApplyResult) { published = append(published, n.Events...) })
		done := applySplit(rt, m, entries)
		sameAsModel(rt, m, want)
		if !sameNotices(published, want.notices) {
			rt.Fatalf("published %v\nwant %v", published, want.notices)
		}
		checkAnswers(rt, done, expected)

		mustClose(rt, m)
		m = mustNew(rt, dir)
		defer mustClose(rt, m)
		if at, err := m.Open(nil); err != nil || at != entries[len(entries)-1].Index {
			rt.Fatalf("reopened at raft index %d (%v), want %d", at, err, entries[len(entries)-1].Index)
		}
		sameAsModel(rt, m, want)
	})
}

// checkAnswers compares the replies of all commands, of which each has one.
func checkAnswers(t *rapid.T, done []sm.Entry, expected []string) {
	var got []string
	for _, e := range done {
		if e.Result.Value != e.Index {
			t.Fatalf("entry %d says it is %d", e.Index, e.Result.Value)
		}
		got = append(got, answers(e.Result.Data)...)
	}
	if !slices.Equal(got, expected) {
		t.Fatalf("answers:\n got %q\nwant %q", got, expected)
	}
}

func dump(t rapid.TB, m *statemachine.Machine) []byte {
	t.Helper()
	state, err := m.PrepareSnapshot()
	if err != nil {
		t.Fatalf("PrepareSnapshot: %v", err)
	}
	var buf bytes.Buffer
	if err := m.SaveSnapshot(state, &buf, nil); err != nil {
		t.Fatalf("SaveSnapshot: %v", err)
	}
	return buf.Bytes()
}

func TestReplicasAreEqualToTheByte(t *testing.T) {
	dirs := 0
	rapid.Check(t, func(rt *rapid.T) {
		list := commands().Draw(rt, "commands")
		entries := raftLog(rt, list)
		one, two := mustNew(rt, tempDir(t, &dirs)), mustNew(rt, tempDir(t, &dirs))
		applySplit(rt, one, entries)
		applySplit(rt, two, entries)
		a, b := dump(rt, one), dump(rt, two)
		mustClose(rt, two)
		if !bytes.Equal(a, b) {
			rt.Fatalf("the same log in other portions made another store")
		}

		// A third takes the snapshot in over what it had, and goes on.
		three := mustNew(rt, tempDir(t, &dirs))
		applySplit(rt, three, entries[:len(entries)/2])
		cut := rapid.IntRange(0, len(a)-1).Draw(rt, "cut")
		flipped := bytes.Clone(a)
		flipped[cut] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		before := dump(rt, three)
		for name, bad := range map[string][]byte{"cut short": a[:cut], "with a flipped bit": flipped} {
			if err := three.RecoverFromSnapshot(bytes.NewReader(bad), nil); err == nil {
				rt.Fatalf("a snapshot %s at %d of %d was taken in", name, cut, len(a))
			}
			if !bytes.Equal(before, dump(rt, three)) {
				rt.Fatalf("a refused snapshot has changed the store")
			}
		}
		if err := three.RecoverFromSnapshot(bytes.NewReader(a), nil); err != nil {
			rt.Fatalf("RecoverFromSnapshot: %v", err)
		}
		more := raftLog(rt, commands().Draw(rt, "more"))
		for i := range more {
			more[i].Index += entries[len(entries)-1].Index
		}
		applySplit(rt, one, more)
		applySplit(rt, three, more)
		if !bytes.Equal(dump(rt, one), dump(rt, three)) {
			rt.Fatalf("after a snapshot the same log made another store")
		}
		mustClose(rt, one)
		mustClose(rt, three)
	})
}

func TestLongListingsComeInParts(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	want := &model{}
	value := bytes.Repeat([]byte("v"), 5000)
	for i := range 200 {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%03d/k", i), Value: value}
		want.apply(&c)
		cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
	}
	q := tree.Query{Key: "/d", Recursive: true}
	out, rest, _, _ := m.Get(nil, &q, at(0))
	if rest == nil {
		t.Fatalf("1 MB came in one part of %d bytes", len(out))
	}
	rest.Close()
	if got := read(t, m, &q, 0); got != want.get(&q, 0) {
		t.Fatalf("the parts don't make the whole")
	}
	// A listing under way outlives the machine's interest in the store.
	_, rest, _, _ = m.Get(nil, &q, at(0))
	state, err := m.PrepareSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := m.SaveSnapshot(state, &buf, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.RecoverFromSnapshot(&buf, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rest.Next(); err != nil {
		t.Fatalf("reading on: %v", err)
	}
	rest.Close()
}

func TestEntriesThatCantBeReadStopTheReplica(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: []byte{99}}}); err == nil || !strings.Contains(err.Error(), "newer version of copse") {
		t.Fatalf("an entry of a newer format: %v", err)
	}
	good := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &tree.Command{Op: tree.OpSet, Key: "/k"})
	if _, err := m.Update([]sm.Entry{{Index: 2, Cmd: good}}); err == nil {
		t.Fatal("a replica that skipped an entry went on")
	}
	if m.Index() != 0 {
		t.Fatal("something was applied")
	}
}

func TestReadsAfterCloseFail(t *testing.T) {
	m := mustNew(t, t.TempDir())
	if _, err := m.PrepareSnapshot(); err != nil { // never streamed
		t.Fatal(err)
	}
	mustClose(t, m)
	mustClose(t, m)
	if _, _, _, fail := m.Get(nil, &tree.Query{Key: "/"}, at(0)); !errors.Is(fail, statemachine.ErrClosed) {
		t.Fatalf("get: %v", fail)
	}
}

func TestExpirationsAreAnnounced(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	index := uint64(0)
	do := func(c tree.Command) {
		t.Helper()
		index++
		cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
		if _, err := m.Update([]sm.Entry{{Index: index, Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
	}
	next := func() int64 {
		t.Helper()
		at, ok, err := m.NextExpiry()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return 0
		}
		return at
	}
	woken := func() bool {
		select {
		case <-m.ExpiryWake():
			return true
		default:
			return false
		}
	}
	woken() // once at the start
	if next() != 0 {
		t.Fatal("something is due in an empty tree")
	}
	do(tree.Command{Op: tree.OpSet, Key: "/later", Expires: 200})
	if !woken() || next() != 200 {
		t.Fatal("the first expiration wasn't announced")
	}
	do(tree.Command{Op: tree.OpSet, Key: "/latest", Expires: 300})
	if woken() {
		t.Fatal("a later expiration woke the expirer")
	}
	do(tree.Command{Op: tree.OpSet, Key: "/d/sooner", Expires: 100})
	if !woken() || next() != 100 {
		t.Fatal("an earlier expiration wasn't announced")
	}
	do(tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true})
	do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 150, Limit: 10})
	if next() != 200 {
		t.Fatalf("what a directory's removal left behind is still due at %d", next())
	}
	do(tree.Command{Op: tree.OpUpdate, Key: "/later", Refresh: true, Expires: 50})
	if !woken() || next() != 50 {
		t.Fatal("an expiration moved forward wasn't announced")
	}
	do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 1000, Limit: 1})
	if next() != 300 {
		t.Fatal("more than the limit was expired")
	}
	do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 1000, Limit: 1})
	if next() != 0 || m.Stats().ExpireCount != 2 {
		t.Fatalf("left: %d, expired: %d", next(), m.Stats().ExpireCount)
	}
}

func TestPowerCutsLoseNothingThatWasSynced(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := commands().Draw(rt, "commands")
		entries := raftLog(rt, list)
		fs := vfs.NewCrashableMem()
		open := func(fs vfs.FS) *statemachine.Machine {
			m, err := statemachine.New(statemachine.Options{Dir: "/shard", Replica: replica, Window: window, WindowBytes: 1 << 30, FS: fs})
			if err != nil {
				rt.Fatalf("New: %v", err)
			}
			return m
		}
		m := open(fs)
		synced := rapid.IntRange(0, len(entries)).Draw(rt, "synced")
		applySplit(rt, m, entries[:synced])
		if err := m.Sync(); err != nil {
			rt.Fatal(err)
		}
		applySplit(rt, m, entries[synced:])
		cut := fs.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(rt, "unsynced"),
			RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
		})
		mustClose(rt, m)

		m = open(cut)
		defer mustClose(rt, m)
		at, err := m.Open(nil)
		if err != nil || synced > 0 && at < entries[synced-1].Index {
			rt.Fatalf("after the cut: raft index %d, %v; entry %d of %d was synced", at, err, synced, len(entries))
		}
		// Raft delivers again what the store doesn't hold.
		var again []sm.Entry
		for _, e := range entries {
			if e.Index > at {
				again = append(again, sm.Entry{Index: e.Index, Cmd: e.Cmd})
			}
		}
		applySplit(rt, m, again)
		want := &model{}
		for i := range list {
			want.apply(&list[i])
		}
		sameAsModel(rt, m, want)
	})
}

// Readers run beside an updater, and must never see less than they know of.
func TestReadsNeverGoBack(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	const keys, writes = 4, 3000
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 4 {
		readers.Go(func() {
			key := fmt.Sprintf("/k%d", r)
			for last := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				known := int(m.Index())
				q := tree.Query{Key: key}
				out, err, cached := m.GetCached(nil, &q, at(0))
				if fail := error(nil); !cached {
					if out, _, err, fail = m.Get(nil, &q, at(0)); fail != nil {
						continue
					}
				}
				if err != nil {
					continue // not written yet
				}
				var got int
				if _, err := fmt.Sscanf(string(out), `{"action":"get","node":{"key":"`+key+`","value":"%d"`, &got); err != nil {
					t.Errorf("%v in %s", err, out)
					return
				}
				// Write i has index i+1, and goes to key i%keys.
				if got < last || got < known-keys {
					t.Errorf("read %d of %s after %d, at index %d", got, key, last, known)
					return
				}
				last = got
			}
		})
	}
	for i := range writes {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/k%d", i%keys), Value: fmt.Append(nil, i)}
		cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}

// update applies one command as raft entry index.
func update(t *testing.T, m *statemachine.Machine, index int, c tree.Command) {
	t.Helper()
	cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
	if _, err := m.Update([]sm.Entry{{Index: uint64(index), Cmd: cmd}}); err != nil {
		t.Fatal(err)
	}
}

func TestAWiderWindowDoesntPromiseWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	m := mustNew(t, dir)
	if _, oldest, err := m.History(1, 1); err != nil || oldest != 1 {
		t.Fatalf("an empty window begins with %d, %v", oldest, err)
	}
	for i := range 1000 {
		update(t, m, i+1, tree.Command{Op: tree.OpSet, Key: "/k"})
	}
	mustClose(t, m)
	m, err := statemachine.New(statemachine.Options{Dir: dir, Replica: replica, Window: 5000, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	got, oldest, err := m.History(500, 1)
	if err != nil || oldest > got[0].Index || got[0].Index > 801 {
		t.Fatalf("the window begins with %d and holds %d (%v)", oldest, got[0].Index, err)
	}
}

func TestOneEntryExpiresNoMoreThanItCanTell(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	index := 0
	do := func(c tree.Command) { index++; update(t, m, index, c) }
	value := bytes.Repeat([]byte("v"), 300<<10)
	for i := range 10 {
		do(tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/k%d", i), Value: value, Expires: 5})
	}
	do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 10, Limit: 1000})
	if n := m.Stats().ExpireCount; n == 0 || n > 5 {
		t.Fatalf("%d values of 300 KiB went in one entry", n)
	}
	for range 10 {
		do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 10, Limit: 1000})
	}
	if n := m.Stats().ExpireCount; n != 10 {
		t.Fatalf("%d of 10 went in the end", n)
	}
	// Expirations that a directory left behind are dropped in portions, too.
	for i := range 2500 {
		do(tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i), Expires: 20})
	}
	do(tree.Command{Op: tree.OpSet, Key: "/last", Expires: 21})
	do(tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true})
	entries := 0
	for m.Stats().ExpireCount == 10 {
		entries++
		do(tree.Command{Op: tree.OpExpire, Key: "/", Now: 30, Limit: 1000})
	}
	if entries != 3 {
		t.Fatalf("2,500 left behind took %d entries", entries)
	}
}

func TestLargeEntriesStayReadableInTheWindow(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	want := &model{}
	var batch []byte
	value := bytes.Repeat([]byte("v"), 400<<10)
	const commands = 10
	batch = tree.AppendBatch(nil, replica, commands)
	for i := range commands {
		c := tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/k%d", i), Value: value}
		want.apply(&c)
		batch = tree.AppendCommand(batch, &c)
	}
	if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: batch}}); err != nil {
		t.Fatal(err)
	}
	var got []tree.EncodedEvent
	for from := tree.Index(1); len(got) < commands; from = got[len(got)-1].Index + 1 {
		page, _, err := m.History(from, 1000)
		if err != nil || len(page) == 0 {
			t.Fatalf("after %d events: %v", len(got), err)
		}
		for _, n := range page {
			n.JSON, n.Late = n.Text(), nil
			got = append(got, n)
		}
	}
	if !sameNotices(got, want.notices) {
		t.Fatal("the window tells another story")
	}
}

// at is a clock that stands still.
func at(now int64) func() int64 { return func() int64 { return now } }
