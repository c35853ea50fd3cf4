package statemachine_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// orchard is a machine with files in directories of 1,000.
type orchard struct {
	b       *testing.B
	machine *statemachine.Machine
	raft    uint64
}

func plant(b *testing.B, files int) *orchard {
	b.Helper()
	m, err := statemachine.New(statemachine.Options{Dir: b.TempDir() + "/shard", Replica: 1, Window: 1000, WindowBytes: 1 << 30, CacheSizes: statemachine.CacheSizes{Nodes: 32 << 20, Lists: 32 << 20}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	o := &orchard{b: b, machine: m}
	for i := 0; i < files; i += 100 {
		o.write(i, 100)
	}
	return o
}

func orchardKey(i int) string { return fmt.Sprintf("/orchard/row%03d/tree%03d", i/1000, i%1000) }

// write puts count files, from number first on, with one entry.
func (o *orchard) write(first, count int) {
	o.raft++
	cmd := tree.AppendBatch(nil, 1, count)
	value := make([]byte, 64)
	for i := range value {
		value[i] = 'a' + byte(i%26)
	}
	for i := range count {
		cmd = tree.AppendCommand(cmd, &tree.Command{Op: tree.OpSet, Key: orchardKey(first + i), Value: value, Now: 1})
	}
	if _, err := o.machine.Update([]sm.Entry{{Index: o.raft, Cmd: cmd}}); err != nil {
		o.b.Fatal(err)
	}
}

// list reads all of a directory.
func (o *orchard) list(dst []byte, q tree.Query) []byte {
	out, rest, err, fail := o.machine.Get(dst[:0], &q, at(1))
	if err != nil || fail != nil {
		o.b.Fatal(err, fail)
	}
	size := len(out)
	for more := rest != nil; more; {
		var part []byte
		if part, more, fail = rest.Next(); fail != nil {
			o.b.Fatal(fail)
		}
		size += len(part)
	}
	if rest != nil {
		rest.Close()
	}
	o.b.SetBytes(int64(size))
	return out
}

func BenchmarkListOneDirectory(b *testing.B) {
	o := plant(b, 10_000)
	var out []byte
	for b.Loop() {
		out = o.list(out, tree.Query{Key: "/orchard/row003"})
	}
}

func BenchmarkListRecursively(b *testing.B) {
	o := plant(b, 100_000)
	var out []byte
	for b.Loop() {
		out = o.list(out, tree.Query{Key: "/", Recursive: true})
	}
}

// A directory whose files are overwritten all the time, as those of a service
// registry are.
func BenchmarkListWhatIsOverwritten(b *testing.B) {
	o := plant(b, 1000)
	for i := range 1000 {
		o.write(i%10*100, 100)
	}
	var out []byte
	i := 0
	for b.Loop() {
		o.write(i%10*100, 100)
		out = o.list(out, tree.Query{Key: "/orchard/row000"})
		i++
	}
}

func BenchmarkOverwrite(b *testing.B) {
	for _, count := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d at once", count), func(b *testing.B) {
			o := plant(b, 1000)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				o.write(i%900, count)
				i += count
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/write")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	o := plant(b, 1000)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err *tree.Error
		out, _, err, _ = o.machine.Get(out[:0], &tree.Query{Key: "/orchard/row000/tree007"}, at(1))
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGetsAtOnce has all cores read from memory: one key, or each its own.
func BenchmarkGetsAtOnce(b *testing.B) {
	o := plant(b, 1000)
	for name, apart := range map[string]uint64{"one key": 0, "keys apart": 1} {
		b.Run(name, func(b *testing.B) {
			var cores atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				key := fmt.Sprintf("/orchard/row000/tree%03d", apart*cores.Add(1))
				var out []byte
				for pb.Next() {
					out, _, _, _ = o.machine.Get(out[:0], &tree.Query{Key: key}, at(1))
				}
			})
		})
	}
}

func BenchmarkGetOfWhatIsMissing(b *testing.B) {
	o := plant(b, 1000)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		var err *tree.Error
		out, _, err, _ = o.machine.Get(out[:0], &tree.Query{Key: "/orchard/row000/nothing"}, at(1))
		if err == nil {
			b.Fatal("it is there")
		}
	}
}
