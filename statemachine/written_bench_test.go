package statemachine_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// countingFS counts the bytes written to its files.
type countingFS struct {
	vfs.FS
	written *atomic.Int64
}

type countingFile struct {
	vfs.File
	written *atomic.Int64
}

func (f countingFile) Write(p []byte) (int, error) {
	f.written.Add(int64(len(p)))
	return f.File.Write(p)
}

func (c countingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	return countingFile{f, c.written}, err
}

func (c countingFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(oldname, newname, category)
	return countingFile{f, c.written}, err
}

// BenchmarkWritten overwrites 1,000 keys, and reports the bytes that the store
// writes for each byte of a value. The values don't compress.
func BenchmarkWritten(b *testing.B) {
	for _, size := range []int{64, 256, 512, 1 << 10, 2 << 10, 4 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			fs := countingFS{vfs.Default, new(atomic.Int64)}
			m, err := statemachine.New(statemachine.Options{
				Dir: b.TempDir() + "/shard", Replica: 1, Window: 1000, WindowBytes: 128 << 20, CacheSizes: statemachine.CacheSizes{Nodes: 32 << 20, Lists: 32 << 20}, FS: fs,
			})
			if err != nil {
				b.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			value := make([]byte, size)
			raft, values := uint64(0), 0
			for b.Loop() {
				raft++
				batch := max(1, min(16, 64<<10/size))
				cmd := tree.AppendBatch(nil, 1, batch)
				for range batch {
					for i := range value {
						value[i] = ' ' + byte(random.Uint32()%95)
					}
					cmd = tree.AppendCommand(cmd, &tree.Command{Op: tree.OpSet, Key: orchardKey(random.IntN(1000)), Value: value, Now: 1})
					values++
				}
				if _, err := m.Update([]sm.Entry{{Index: raft, Cmd: cmd}}); err != nil {
					b.Fatal(err)
				}
			}
			if err := m.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(fs.written.Load())/float64(size*values), "written/byte")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(values), "µs/value")
		})
	}
}
