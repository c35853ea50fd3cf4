package damage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"copse/bench/peer"
	"copse/bench/v2api"
)

// Sample is a stopped data directory, and what it must serve.
type Sample struct {
	Dir   string
	Args  []string // further flags
	Place peer.Place
	Truth Truth
}

// lives is how often a sample's server is started: the files of earlier starts are
// replaced, and their successors have names of their own.
const lives = 4

// NewSample runs a server in dir and puts a load on it through several lives. The last
// ends with a kill if killed is set.
func NewSample(kind peer.Kind, dir string, shards int, killed bool, seed uint64) (*Sample, error) {
	args := append(peer.Sharded(kind, shards), "--snapshot-count=1000")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	node, err := peer.Launch(kind, peer.Options{Dir: dir, Args: args})
	if err != nil {
		return nil, err
	}
	defer node.Kill()
	s := &Sample{Dir: node.DataDir, Args: args, Place: node.Place()}
	rng := rand.New(rand.NewPCG(seed, 0))
	client := &http.Client{Timeout: time.Minute}
	for life := range lives {
		if life > 0 {
			if err := node.Restart(); err != nil {
				return nil, err
			}
		}
		// The last life writes little: most of what it serves is what it has read.
		if err := load(client, node.URL, rng, []int{1500, 500, 300, 20}[life]); err != nil {
			return nil, err
		}
		if life == lives-1 {
			if s.Truth, err = Read(context.Background(), client, node.URL, shards); err != nil {
				return nil, err
			}
		}
		if life%2 == 0 || life == lives-1 && killed {
			node.Kill()
		} else if err := node.Stop(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load writes count times, one after the other, so that each has an entry of its own.
func load(client *http.Client, base string, rng *rand.Rand, count int) error {
	for i := range count {
		r := v2api.Request{Method: http.MethodPut, Key: fmt.Sprintf("/dir%d/sub%d/key%d", rng.IntN(9), rng.IntN(3), rng.IntN(12))}
		size := rng.IntN(200)
		switch rng.IntN(40) {
		case 0:
			size = 20 << 10
		case 1, 2, 3, 4, 5:
			r.Method = http.MethodDelete
		case 6:
			r.TTL = 1_000_000
		}
		if i == count-1 {
			r = v2api.Request{Method: http.MethodPut, Key: endKey}
		}
		if r.Write() && r.Method == http.MethodPut {
			r.Value = strings.Repeat(fmt.Sprintf("%016x", rng.Uint64()), 1+size/16)
		}
		reply, err := v2api.Do(context.Background(), client, base, &r)
		if outcome, _, fault := reply.Parse(err); outcome != v2api.Acked && (fault == nil || fault.Code != 100) {
			return fmt.Errorf("%v: %v %v", &r, err, fault)
		}
	}
	return nil
}

// Copy makes a copy of the sample's directory at to, which must not exist.
func (s *Sample) Copy(to string) error { return os.CopyFS(filepath.Join(to, "data"), os.DirFS(s.Dir)) }
