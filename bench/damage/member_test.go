package damage_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"copse/bench/damage"
	"copse/bench/peer"
)

var memberTrials = flag.Int("member-trials", 20, "how many damages of one of three members")

// trio are three members of a cluster, which have been killed.
type trio struct {
	dir    string
	places []peer.Place
	acked  damage.Acked
}

var trioArgs = []string{"--heartbeat-interval=20", "--election-timeout=200", "--snapshot-count=1000"}

// members prepares the members in dir.
func (c *trio) members(t *testing.T, dir string) (all []*peer.Server) {
	t.Helper()
	for _, place := range c.places {
		m, err := peer.Prepare(peer.Kind(*server), peer.Options{Dir: filepath.Join(dir, place.Name), Args: trioArgs}, place)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		t.Cleanup(m.Kill)
	}
	return all
}

// newTrio founds a cluster, writes to it, and kills it.
func newTrio(t *testing.T, dir string, rng *rand.Rand) *trio {
	t.Helper()
	ports, err := peer.FreePorts(rng, 6)
	if err != nil {
		t.Fatal(err)
	}
	c := &trio{dir: dir, acked: damage.Acked{}}
	var list []string
	for i := range 3 {
		p := peer.Place{Name: fmt.Sprintf("m%d", i), Address: ports[2*i], PeerURL: "http://" + ports[2*i+1]}
		c.places = append(c.places, p)
		list = append(list, p.Name+"="+p.PeerURL)
	}
	for i := range c.places {
		c.places[i].Cluster = strings.Join(list, ",")
		if err := os.MkdirAll(filepath.Join(dir, c.places[i].Name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	all := c.members(t, dir)
	start(t, all...)
	ready(t, all...)
	client := &http.Client{}
	for i := range 1500 {
		if err := c.acked.Write(client, all[i%3].URL, rng); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range all {
		m.Kill()
	}
	return c
}

func start(t *testing.T, all ...*peer.Server) {
	t.Helper()
	for _, m := range all {
		if err := m.Relaunch(); err != nil {
			t.Fatal(err)
		}
	}
}

func ready(t *testing.T, all ...*peer.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range all {
		if err := m.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamageOfOneOfThree damages the files of one member. The two others must go on with
// all that was acknowledged; the damaged one is refused, or serves the same.
func TestDamageOfOneOfThree(t *testing.T) {
	drawSeed(t)
	dir := scratch(t)
	rng := rand.New(rand.NewPCG(*seed, 3))
	c := newTrio(t, filepath.Join(dir, "sample"), rng)
	plan, err := damage.NewPlan(filepath.Join(c.dir, c.places[2].Name, "data"), regexp.MustCompile(*files), *seed)
	if err != nil {
		t.Fatal(err)
	}
	for range *memberTrials {
		number := rng.IntN(1 << 30) // beyond those that are always the same
		h := plan.Harm(number)
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Log(h)
			c.try(t, h, filepath.Join(dir, "trial"), rng)
		})
	}
}

func (c *trio) try(t *testing.T, h damage.Harm, dir string, rng *rand.Rand) {
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}()
	all := c.members(t, dir)
	sound, damaged := all[:2], all[2]
	damaged.LogFile += ".trial"
	if err := h.Do(damaged.DataDir); err != nil {
		t.Fatal(err)
	}
	start(t, all...)
	ready(t, sound...)
	client := &http.Client{}
	acked := c.acked.Clone()
	for i := range 20 {
		if err := acked.Write(client, sound[i%2].URL, rng); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if damaged.WaitReady(ctx) == nil && acked.Check(client, damaged.URL) == nil {
		t.Log("it serves the same")
	} else {
		select {
		case <-damaged.Done():
		case <-ctx.Done():
			t.Fatal("the damaged member neither serves nor ends")
		}
		if why, ok := damage.Ended(damaged, 5); !ok {
			t.Error(why)
		}
	}
	for _, m := range sound {
		if err := acked.Check(client, m.URL); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	for _, m := range all {
		m.Kill()
	}
}
