package statemachine_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// BenchmarkGrown reads and overwrites keys at random, of few and of many: µs of CPU are those of the whole
// process, with what the store does in the background. Values don't compress. In caches of 128 MiB most of the
// nodes of many keys have to be read from the store; in 1 GiB all are in memory.
func BenchmarkGrown(b *testing.B) {
	for _, size := range []struct{ keys, cacheMiB int }{{10_000, 128}, {1_000_000, 128}, {1_000_000, 1024}} {
		g := grow(b, size.keys, size.cacheMiB<<20)
		b.Run(fmt.Sprintf("get of %d in %d MiB", size.keys, size.cacheMiB), func(b *testing.B) { g.each(b, g.get) })
		b.Run(fmt.Sprintf("set of %d in %d MiB", size.keys, size.cacheMiB), func(b *testing.B) { g.each(b, g.set) })
	}
}

// grown is a machine as a member with the defaults has it, with keys in directories of 1,000.
type grown struct {
	b      *testing.B
	m      *statemachine.Machine
	keys   int
	raft   uint64
	random *rand.Rand
	value  []byte
	out    []byte
}

const (
	grownBatch = 32
	grownWarm  = 2000 // batches before those that count: caches are filled, and what growing has left is compacted
)

func grow(b *testing.B, keys, caches int) *grown {
	cache := pebble.NewCache(int64(caches / 2))
	b.Cleanup(cache.Unref)
	m, err := statemachine.New(statemachine.Options{Dir: b.TempDir() + "/shard", Replica: 1, Window: 1000, WindowBytes: 128 << 20,
		Cache: cache, CacheSizes: statemachine.CacheSizes{Nodes: caches / 4, Lists: caches / 4}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	g := &grown{b: b, m: m, keys: keys, random: rand.New(rand.NewPCG(1, 2)), value: make([]byte, 100)}
	next := 0
	for next < keys {
		g.write(func() int { next++; return next - 1 })
	}
	if err := m.Sync(); err != nil {
		b.Fatal(err)
	}
	return g
}

// write sets the keys of the next numbers with one entry.
func (g *grown) write(next func() int) {
	g.raft++
	cmd := tree.AppendBatch(nil, 1, grownBatch)
	for range grownBatch {
		for i := range g.value {
			g.value[i] = ' ' + byte(g.random.Uint32()%95)
		}
		cmd = tree.AppendCommand(cmd, &tree.Command{Op: tree.OpSet, Key: orchardKey(next()), Value: g.value, Now: 1})
	}
	if _, err := g.m.Update([]sm.Entry{{Index: g.raft, Cmd: cmd}}); err != nil {
		g.b.Fatal(err)
	}
}

func (g *grown) any() int { return g.random.IntN(g.keys) }

func (g *grown) set() { g.write(g.any) }

func (g *grown) get() {
	for range grownBatch {
		var err *tree.Error
		if g.out, _, err, _ = g.m.Get(g.out[:0], &tree.Query{Key: orchardKey(g.any())}, at(1)); err != nil {
			g.b.Fatal(err)
		}
	}
}

// each reports the CPU time of each key of a batch.
func (g *grown) each(b *testing.B, batch func()) {
	for range grownWarm {
		batch()
	}
	before := g.used(b)
	for b.Loop() {
		batch()
	}
	b.ReportMetric(float64(g.used(b)-before)/float64(b.N*grownBatch)/1e3, "cpu-µs/key")
}

// used is the CPU time that the process has taken, in ns.
func (g *grown) used(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
