package statemachine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

func TestCurrentIsReadAsItWasWritten(t *testing.T) {
	for _, c := range []current{
		{name: storeName(1)},
		{name: storeName(12), raft: 1 << 60, tree: 7},
		{name: storeName(1), raft: 5, tree: 7, blobs: "blob 000012.blob 90\nblob 000013.blob 1\n"},
	} {
		if got, err := decodeCurrent(c.encode()); err != nil || got != c {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
		text := c.encode()
		for i := range text {
			for bit := range 8 {
				spoiled := []byte(text)
				spoiled[i] ^= 1 << bit
				if got, err := decodeCurrent(string(spoiled)); !errors.Is(err, ErrDamaged) {
					t.Errorf("bit %d of byte %d of %q changed: %+v, %v", bit, i, text, got, err)
				}
			}
			if got, err := decodeCurrent(text[:i]); !errors.Is(err, ErrDamaged) {
				t.Errorf("%q cut at %d: %+v, %v", text, i, got, err)
			}
		}
	}
	newer := fmt.Sprintf("copse store %d\nanything\n", formatRows+1)
	for text, want := range map[string]error{newer + checksumLine(newer): ErrNewerFormat, "store-000001\n": ErrOlderFormat, "garbage\n": ErrDamaged} {
		if _, err := decodeCurrent(text); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// cutting is a file system that a power cut may hit at any moment: before each call that
// changes it, it keeps what a cut would leave of it just then: all, or what was synced.
// (Pebble counts on a directory's changes reaching the disk in their order, which holds for
// ext4 and xfs, but not for a part of them chosen at random.)
type cutting struct {
	vfs.FS
	whole *vfs.MemFS
	mu    sync.Mutex
	left  []*vfs.MemFS
}

func newCutting() *cutting {
	c := &cutting{whole: vfs.NewCrashableMem()}
	random := rand.New(rand.NewPCG(1, 2))
	c.FS = errorfs.Wrap(c.whole, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.left = append(c.left, c.whole.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * random.IntN(2), RNG: random}))
		}
		return nil
	}))
	return c
}

// forget returns what has been kept, and begins anew.
func (c *cutting) forget() []*vfs.MemFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.left
	c.left = nil
	return left
}

// After a power cut at whatever moment, a store opens, and holds what it has to.
func TestAPowerCutAtAnyMoment(t *testing.T) {
	options := func(fs vfs.FS) Options {
		return Options{Dir: "/shard", Replica: 1, Window: 10, WindowBytes: 1 << 30, FS: fs}
	}
	open := func(fs vfs.FS) *Machine {
		m, err := New(options(fs))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	apply := func(m *Machine, index uint64) {
		c := tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte(strings.Repeat("x", int(index)*100))}
		if _, err := m.Update([]sm.Entry{{Index: index, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}}); err != nil {
			t.Fatal(err)
		}
	}
	source := open(vfs.NewMem())
	defer source.Close()
	for i := range uint64(40) {
		apply(source, i+1)
	}
	for name, step := range map[string]struct {
		run func(m *Machine) error
		may []uint64 // raft indexes afterwards
	}{
		"sync":      {(*Machine).Sync, []uint64{20, 30}},
		"close":     {(*Machine).Close, []uint64{20, 30}},
		"force new": {func(m *Machine) error { return m.Renew(Renewal{Members: []tree.Member{{ID: 1}}}) }, []uint64{20, 30, 0}},
		"snapshot": {func(m *Machine) error {
			state, err := source.PrepareSnapshot()
			if err != nil {
				return err
			}
			var stream bytes.Buffer
			if err := source.SaveSnapshot(state, &stream, nil); err != nil {
				return err
			}
			return m.RecoverFromSnapshot(&stream, nil)
		}, []uint64{20, 40}},
	} {
		fs := newCutting()
		m := open(fs)
		for i := range uint64(30) {
			apply(m, i+1)
			if i == 19 {
				if err := m.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		early := fs.forget()
		if err := step.run(m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		left := fs.forget()
		if len(early) < 10 || len(left) < 10 {
			t.Errorf("%s: %d and %d moments", name, len(early), len(left))
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		check := func(i int, cut *vfs.MemFS, may []uint64) uint64 {
			m, err := New(options(cut))
			if err != nil {
				t.Fatalf("%s, moment %d: %v", name, i, err)
			}
			defer m.Close()
			for _, index := range may {
				if m.RaftIndex() == index && (index != 0 || m.Index() == 30) {
					return index
				}
			}
			t.Fatalf("%s, moment %d: at raft entry %d and index %d", name, i, m.RaftIndex(), m.Index())
			return 0
		}
		for i, cut := range left {
			check(i, cut, step.may)
		}
		final := fs.whole.CrashClone(vfs.CrashCloneCfg{})
		check(len(left), final, step.may[len(step.may)-1:])
		for i, cut := range early { // while it was made, and until it was synced
			m, err := New(options(cut))
			if err != nil {
				t.Fatalf("%s, moment %d before: %v", name, i, err)
			}
			if at := m.RaftIndex(); at != 0 && at != 20 {
				t.Errorf("%s, moment %d before: at raft entry %d", name, i, at)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A store that is older than CURRENT says isn't taken for the present one.
func TestAnOlderStoreIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	o := Options{Dir: "/shard", Replica: 1, Window: 10, WindowBytes: 1 << 30, FS: fs}
	grow := func() {
		m, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		next := m.RaftIndex() + 1
		c := tree.Command{Op: tree.OpSet, Key: "/k"}
		if _, err := m.Update([]sm.Entry{{Index: next, Cmd: tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)}}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	grow()
	if ok, err := vfs.Clone(fs, fs, "/shard/store-000001", "/older"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	grow()
	if err := fs.RemoveAll("/shard/store-000001"); err != nil {
		t.Fatal(err)
	}
	if err := fs.Rename("/older", "/shard/store-000001"); err != nil {
		t.Fatal(err)
	}
	_, err := New(o)
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "it ends at raft entry 1 and index 1, but held entry 2 and index 2 before") {
		t.Fatal(err)
	}
}
