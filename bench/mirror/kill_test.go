package mirror

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"copse/bench/peer"
	"copse/bench/v2api"
)

var kills = flag.Int("kills", 30, "how often a mirror is killed in its promotion")

// TestKilledInThePromotion kills a mirror of one member at random moments of its promotion: when it
// starts again, it is a mirror whose writes go to the source, or it has taken over, and nothing in between.
func TestKilledInThePromotion(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64() >> 8
	}
	t.Log("seed", *seed)
	random := rand.New(rand.NewPCG(*seed, 99))
	source := peer.Start(t, peer.Etcd34)
	k := &killing{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 15 * time.Second}, source: source}
	for i := range 50 {
		k.put(source.URL, fmt.Sprint("/k", i))
	}
	mirror := peer.Start(t, peer.Kind(*server), "--mirror-from="+source.URL, "--listen-metrics-urls=")
	k.put(mirror.URL, "/through")
	if err := mirror.Stop(); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(mirror.DataDir)); err != nil {
		t.Fatal(err)
	}
	promoted := 0
	for i := range *kills {
		if err := os.RemoveAll(mirror.DataDir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(mirror.DataDir, os.DirFS(saved)); err != nil {
			t.Fatal(err)
		}
		if err := mirror.Restart(); err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			resp, err := v2api.Open(context.Background(), k.client, http.MethodPost, mirror.URL+"/v2/copse/mirror/promote?hold=3s&margin=100&force=true", nil)
			if err == nil {
				resp.Body.Close()
			}
		}()
		pause(context.Background(), time.Duration(random.IntN(1<<random.IntN(7)))*time.Millisecond) // often soon
		mirror.Kill()
		<-asked
		if err := mirror.Restart(); err != nil { // which waits until a write is answered
			t.Fatal(err)
		}
		if k.look(mirror, fmt.Sprint("/after", i)) {
			promoted++
		}
	}
	t.Logf("of %d, %d were promoted", *kills, promoted)
}

type killing struct {
	t      *testing.T
	client *http.Client
	source *peer.Server
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
