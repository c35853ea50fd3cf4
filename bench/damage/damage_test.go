package damage_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"copse/bench/damage"
	"copse/bench/peer"
)

var (
	trials = flag.Int("trials", 2000, "how many damages of a single member")
	only   = flag.Int("trial", -1, "the number of the only trial, of each sample")
	seed   = flag.Uint64("seed", 0, "seed of the load and of the damages; 0 takes a new one")
	files  = flag.String("files", "", "damage only files whose path matches this regular expression")
	server = flag.String("server", string(peer.Copse), "what to damage")
)

// workers is how many servers run at once.
const workers = 4

// scratch is a directory in memory, if there is such a thing: nothing here is about
// what a crash of the machine does.
func scratch(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "copse-damage-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func drawSeed(t *testing.T) {
	t.Helper()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed=%d", *seed)
}

// TestDamage damages the files of four directories, each with its half of a share.
func TestDamage(t *testing.T) {
	drawSeed(t)
	for _, shards := range peer.ShardCounts() {
		for _, killed := range []bool{false, true} {
			end := "stopped"
			if killed {
				end = "killed"
			}
			t.Run(fmt.Sprintf("%d shards %s", shards, end), func(t *testing.T) {
				dir := scratch(t)
				s, err := damage.NewSample(peer.Kind(*server), filepath.Join(dir, "sample"), shards, killed, *seed)
				if err != nil {
					t.Fatal(err)
				}
				campaign(t, s, dir, shards, *trials/4)
			})
		}
	}
}

// campaign runs so many trials on the sample.
func campaign(t *testing.T, s *damage.Sample, dir string, shards, count int) {
	plan, err := damage.NewPlan(s.Dir, regexp.MustCompile(*files), *seed)
	if err != nil {
		t.Fatal(err)
	}
	var next, refused, served atomic.Int64
	var group sync.WaitGroup
	free, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), 2*workers) // at once, so that they differ
	if err != nil {
		t.Fatal(err)
	}
	for w := range workers {
		place := s.Place
		place.Address, place.PeerURL = free[2*w], "http://"+free[2*w+1]
		group.Go(func() {
			for {
				number := int(next.Add(1)) - 1
				if number >= count {
					return
				}
				if *only >= 0 && number != *only {
					continue
				}
				h := plan.Harm(number)
				trial := filepath.Join(dir, fmt.Sprintf("worker%d", w))
				verdict, why := try(s, h, trial, place, shards)
				switch verdict {
				case damage.Served:
					served.Add(1)
				case damage.Refused:
					refused.Add(1)
				default:
					t.Errorf("-trial=%d, %v: %s", number, h, strings.TrimSpace(why))
					keep(t, trial, number)
				}
				if err := os.RemoveAll(trial); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d refused, %d served", refused.Load(), served.Load())
	if *only < 0 && (refused.Load() == 0 || served.Load() == 0) {
		t.Error("there must be both")
	}
}

func try(s *damage.Sample, h damage.Harm, dir string, place peer.Place, shards int) (damage.Verdict, string) {
	err := s.Copy(dir)
	if err == nil {
		err = h.Do(filepath.Join(dir, "data"))
	}
	if err != nil {
		return damage.Wrong, err.Error()
	}
	return s.Try(peer.Kind(*server), dir, place, shards)
}

// keep puts the directory of a failed trial where it stays.
func keep(t *testing.T, dir string, number int) {
	t.Helper()
	to := filepath.Join(os.TempDir(), fmt.Sprintf("copse-damage-%d", *seed), t.Name(), strconv.Itoa(number))
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Error(err)
		return
	}
	t.Log("it is kept in ", to)
}
