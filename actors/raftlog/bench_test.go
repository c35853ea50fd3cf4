package raftlog

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

func openReal(b testing.TB, dir string) raftio.ILogDB {
	b.Helper()
	db, err := New(Options{Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { panic(err) }}).Create(config.NodeHostConfig{}, nil, []string{dir}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkSave saves one or many entries and waits for the disk.
func BenchmarkSave(b *testing.B) {
	for _, c := range []struct{ count, size int }{{1, 100}, {64, 100}, {1, 4 << 10}, {1, 64 << 10}, {1, 1 << 20}} {
		b.Run(fmt.Sprintf("%dx%d", c.count, c.size), func(b *testing.B) {
			db := openReal(b, b.TempDir())
			defer db.Close()
			b.SetBytes(int64(c.count * c.size))
			index := uint64(0)
			for b.Loop() {
				var list []pb.Entry
				for range c.count {
					index++
					list = append(list, pb.Entry{Term: 1, Index: index, Cmd: make([]byte, c.size)})
				}
				if err := db.SaveRaftState([]pb.Update{update(1, pb.State{Term: 1, Commit: index}, list)}, 1); err != nil {
					b.Fatal(err)
				}
				if index%20_000 == 0 {
					_ = db.RemoveEntriesTo(1, 9, index)
				}
			}
		})
	}
}

// BenchmarkStart reads a log of a gigabyte, of entries of 150 bytes in frames of 32.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	db := openReal(b, dir)
	index := uint64(0)
	for size := 0; size < 1<<30; {
		var list []pb.Entry
		for range 32 {
			index++
			list = append(list, pb.Entry{Term: 1, Index: index, Cmd: make([]byte, 150)})
		}
		size += 32 * 180
		if err := db.SaveRaftState([]pb.Update{update(1, pb.State{Term: 1, Commit: index}, list)}, 1); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	var total int64
	names, _ := filepath.Glob(filepath.Join(dir, Subdirectory, "*"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	for b.Loop() {
		began := time.Now()
		db := openReal(b, dir)
		b.ReportMetric(time.Since(began).Seconds()/(float64(total)/(1<<30)), "s/GiB")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(index), "entries")
}
