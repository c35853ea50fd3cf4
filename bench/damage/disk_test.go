package damage_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
	"unsafe"

	"copse/bench/damage"
	"copse/bench/peer"

	"golang.org/x/sys/unix"
)

var failures = flag.Int("failures", 10, "how often the disk of a running server fails, for each number of shards")

// limitFiles makes each write of the process beyond so many bytes of a file fail.
func limitFiles(pid int, bytes uint64) error {
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	_, _, errno := unix.Syscall6(unix.SYS_PRLIMIT64, uintptr(pid), unix.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// TestDiskFails lets the writes of a running server fail, those of the raft log or of the
// store or both, depending on where in a file they begin to fail. It has to end with exit
// code 1 and one line, and to go on after a restart with all that it had acknowledged.
func TestDiskFails(t *testing.T) {
	drawSeed(t)
	peer.EachShards(t, peer.Kind(*server), func(t *testing.T, shards int) {
		rng := rand.New(rand.NewPCG(*seed, uint64(shards)))
		for range *failures {
			// Above 32 KiB, so that the server can write its log, up to 2 MiB, mostly much less.
			limit := 32<<10 + rng.Uint64N(1<<(10+rng.IntN(12)))
			t.Run(fmt.Sprint(limit), func(t *testing.T) { failDisk(t, shards, limit, rng) })
		}
	})
}

func failDisk(t *testing.T, shards int, limit uint64, rng *rand.Rand) {
	node, err := peer.Launch(peer.Kind(*server), peer.Options{
		Dir: scratch(t), Args: append(peer.Sharded(peer.Kind(*server), shards), "--snapshot-count=1000", "--disk-reserve=0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	client := &http.Client{}
	acked := damage.Acked{}
	for range 300 {
		if err := acked.Write(client, node.URL, rng); err != nil {
			t.Fatal(err)
		}
	}
	if err := limitFiles(node.PID(), limit); err != nil {
		t.Fatal(err)
	}
	for acked.Write(client, node.URL, rng) == nil {
	}
	<-node.Done()
	if why, ok := damage.Ended(node, 1); !ok {
		t.Errorf("after the disk failed at %d bytes: %s", limit, why)
	} else {
		t.Log(why)
	}
	node.LogFile = filepath.Join(filepath.Dir(node.LogFile), "log2")
	if err := node.Restart(); err != nil {
		t.Fatalf("it doesn't start again: %v\n%s", err, node.LogTail())
	}
	if err := acked.Check(client, node.URL); err != nil {
		t.Error(err)
	}
}
