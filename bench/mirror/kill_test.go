package mirror

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"copse/bench/peer"
	"copse/bench/v2api"
)

var kills = flag.Int("kills", 100, "how often a mirror is killed in its promotion")

// killers is how many mirrors, each with its source, are killed at the same time: most of it is waiting.
const killers = 4

// TestKilledInThePromotion kills mirrors of one member at random moments of their promotion: when one
// starts again, it is a mirror whose writes go to the source, or it has taken over, and nothing in between.
func TestKilledInThePromotion(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64() >> 8
	}
	t.Log("seed", *seed)
	var group sync.WaitGroup
	defer group.Wait()
	for i := range killers {
		random := rand.New(rand.NewPCG(*seed, uint64(i)))
		group.Go(func() { t.Run(fmt.Sprint(i), func(t *testing.T) { newKilling(t, random).run() }) })
	}
}

// newKilling prepares a source and a mirror of it.
func newKilling(t *testing.T, random *rand.Rand) *killing {
	k := &killing{t: t, random: random, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 15 * time.Second}}
	k.source = peer.Start(t, peer.Etcd34)
	for i := range 50 {
		k.put(k.source.URL, fmt.Sprint("/k", i))
	}
	k.mirror = peer.Start(t, peer.Kind(*server), "--mirror-from="+k.source.URL, "--listen-metrics-urls=")
	k.put(k.mirror.URL, "/through")
	k.must(k.mirror.Stop())
	k.saved = filepath.Join(t.TempDir(), "saved")
	k.must(os.CopyFS(k.saved, os.DirFS(k.mirror.DataDir)))
	k.must(k.mirror.Restart())
	return k
}

func (k *killing) run() {
	promoted, count := 0, (*kills+killers-1)/killers
	for i := range count {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			resp, err := v2api.Open(context.Background(), k.client, http.MethodPost, k.mirror.URL+"/v2/copse/mirror/promote?hold=3s&margin=100&force=true", nil)
			if err == nil {
				resp.Body.Close()
			}
		}()
		pause(context.Background(), time.Duration(k.random.IntN(1<<k.random.IntN(7)))*time.Millisecond) // often soon
		k.mirror.Kill()
		<-asked
		k.must(k.mirror.Restart()) // which waits until a write is answered
		if k.look(k.mirror, fmt.Sprint("/after", i)) {
			promoted++
			k.reset()
		}
	}
	k.t.Logf("of %d, %d were promoted", count, promoted)
}

// reset makes what has taken over the mirror that it was.
func (k *killing) reset() {
	k.mirror.Kill()
	k.must(os.RemoveAll(k.mirror.DataDir))
	k.must(os.CopyFS(k.mirror.DataDir, os.DirFS(k.saved)))
	k.must(k.mirror.Restart())
}

type killing struct {
	t      *testing.T
	random *rand.Rand
	client *http.Client
	source *peer.Server
	mirror *peer.Server
	saved  string // the mirror's data before any promotion
}

func (k *killing) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *killing) put(url, key string) (*v2api.Event, v2api.Reply) {
	k.t.Helper()
	reply, err := v2api.Do(context.Background(), k.client, url, &v2api.Request{Method: http.MethodPut, Key: key, Value: "v"})
	_, ev, _ := reply.Parse(err)
	if ev == nil {
		k.t.Fatalf("%s: %d %s %v", key, reply.Status, reply.Body, err)
	}
	return ev, reply
}

// look checks that the server is all of the one or all of the other, and reports whether it has taken over.
func (k *killing) look(mirror *peer.Server, key string) (promoted bool) {
	k.t.Helper()
	var s status
	if err := v2api.GetJSON(context.Background(), k.client, mirror.URL+"/v2/copse/mirror", &s); err != nil {
		k.t.Fatal(err)
	}
	ev, reply := k.put(mirror.URL, key)
	at, err := v2api.Do(context.Background(), k.client, k.source.URL, &v2api.Request{Method: http.MethodGet, Key: key})
	if err != nil {
		k.t.Fatal(err)
	}
	here := at.Status == http.StatusOK
	switch {
	case s.Mirror && (s.EndedAt != 0 || !here || ev.Index() > at.Index || reply.Term >= 1000):
		k.t.Errorf("a mirror, but %+v; %s at %d, term %d; the source: %d %s", s, key, ev.Index(), reply.Term, at.Status, at.Body)
	case !s.Mirror && (s.EndedAt == 0 || here || ev.Index() != s.EndedAt+101 || reply.Term < 1000):
		k.t.Errorf("promoted, but %+v; %s at %d, term %d; the source: %d %s", s, key, ev.Index(), reply.Term, at.Status, at.Body)
	}
	return !s.Mirror
}
