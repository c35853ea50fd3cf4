package damage_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"copse/bench/damage"
	"copse/bench/peer"
)

func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount %q: %v: %s", args, err, out)
	}
}

// TestDiskBecomesReadOnly has the file system under a running server become read-only, as ext4 does
// after an error. The server has to end as in TestDiskFails. It needs root.
func TestDiskBecomesReadOnly(t *testing.T) {
	drawSeed(t)
	peer.EachShards(t, peer.Kind(*server), func(t *testing.T, shards int) {
		dir := t.TempDir()
		image, disk := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, 256<<20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
			t.Fatalf("mkfs.ext4: %v: %s", err, out)
		}
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		mount(t, "-o", "loop,errors=remount-ro", image, disk)
		t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
		node, err := peer.Launch(peer.Kind(*server), peer.Options{
			Dir: dir, Args: append(peer.Sharded(peer.Kind(*server), shards), "--disk-reserve=0", "--data-dir="+filepath.Join(disk, "data")),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Kill)
		rng := rand.New(rand.NewPCG(*seed, uint64(shards)))
		client, acked := &http.Client{}, damage.Acked{}
		for range 100 {
			if err := acked.Write(client, node.URL, rng); err != nil {
				t.Fatal(err)
			}
		}
		mount(t, "-o", "remount,abort", disk)
		for acked.Write(client, node.URL, rng) == nil {
		}
		<-node.Done()
		if why, ok := damage.Ended(node, 1); !ok {
			t.Errorf("after the file system became read-only: %s", why)
		}
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Fatalf("umount: %v: %s", err, out)
		}
		mount(t, "-o", "loop", image, disk) // replays ext4's journal
		node.LogFile = filepath.Join(dir, "log2")
		if err := node.Restart(); err != nil {
			t.Fatalf("it doesn't start again: %v\n%s", err, node.LogTail())
		}
		if err := acked.Check(client, node.URL); err != nil {
			t.Error(err)
		}
		node.Kill()
	})
}
