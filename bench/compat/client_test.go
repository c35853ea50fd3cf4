package compat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/bench/peer"
	"copse/bench/placement"

	"go.etcd.io/etcd/client/v2"
)

// newClient connects etcd's own Go client to a server of the kind.
func newClient(t *testing.T, kind peer.Kind, shards int) (client.Client, client.KeysAPI, *peer.Server) {
	t.Helper()
	s := peer.Start(t, kind, append(serverArgs("", kind), peer.Sharded(kind, shards)...)...)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{Endpoints: []string{s.URL}, Transport: cancellable{transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c, client.NewKeysAPI(c), s
}

// cancellable makes net/http's transport fit the client, which is older than
// contexts.
type cancellable struct{ *http.Transport }

func (c cancellable) CancelRequest(*http.Request) {}

// eachKind runs a test with every server: a test that the reference fails
// proves nothing about copse.
func eachKind(t *testing.T, test func(t *testing.T, kind peer.Kind, shards int)) {
	t.Parallel()
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			peer.EachShards(t, kind, func(t *testing.T, shards int) { test(t, kind, shards) })
		})
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*answerLimit)
	t.Cleanup(cancel)
	return ctx
}

func code(err error) int {
	var e client.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// TestClientLock lets two clients contend for a lock with compare and swap, as
// users do: create it if absent, wait for its removal, and delete only
// one's own. A counter without any other protection must end up right.
func TestClientLock(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		_, keys, _ := newClient(t, kind, shards)
		ctx := within(t)
		const rounds = 20
		var counter atomic.Int64 // loaded and stored, so that an intruder shows
		var contenders sync.WaitGroup
		for _, owner := range []string{"one", "two"} {
			contenders.Go(func() {
				for range rounds {
					if err := lock(ctx, keys, owner); err != nil {
						t.Errorf("%s locks: %v", owner, err)
						return
					}
					n := counter.Load()
					if _, err := keys.Get(ctx, "/lock", nil); err != nil {
						t.Errorf("%s reads: %v", owner, err)
					}
					counter.Store(n + 1)
					if _, err := keys.Delete(ctx, "/lock", &client.DeleteOptions{PrevValue: owner}); err != nil {
						t.Errorf("%s unlocks: %v", owner, err)
						return
					}
				}
			})
		}
		contenders.Wait()
		if n := counter.Load(); n != 2*rounds {
			t.Errorf("the counter shows %d, want %d", n, 2*rounds)
		}
		// A client that doesn't hold it can neither take nor release it.
		if err := lock(ctx, keys, "one"); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Set(ctx, "/lock", "two", &client.SetOptions{PrevValue: "two"}); code(err) != client.ErrorCodeTestFailed {
			t.Errorf("a stranger's swap: %v", err)
		}
		if _, err := keys.Delete(ctx, "/lock", &client.DeleteOptions{PrevValue: "two"}); code(err) != client.ErrorCodeTestFailed {
			t.Errorf("a stranger's removal: %v", err)
		}
		if got, err := keys.Set(ctx, "/lock", "one, renewed", &client.SetOptions{PrevValue: "one", TTL: time.Minute}); err != nil || got.Action != "compareAndSwap" {
			t.Errorf("the owner's swap: %v, %v", got, err)
		}
	})
}

func lock(ctx context.Context, keys client.KeysAPI, owner string) error {
	for {
		_, err := keys.Set(ctx, "/lock", owner, &client.SetOptions{PrevExist: client.PrevNoExist, TTL: time.Minute})
		if code(err) != client.ErrorCodeNodeExist {
			return err
		}
		var e client.Error
		errors.As(err, &e)
		watcher := keys.Watcher("/lock", &client.WatcherOptions{AfterIndex: e.Index})
		for {
			got, err := watcher.Next(ctx)
			if err != nil {
				return err
			}
			if got.Node.Value == "" {
				break
			}
		}
	}
}

// TestClientResync follows a directory, falls out of the window, gets the error,
// reads the whole state and continues from there: no change is lost.
func TestClientResync(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		_, keys, _ := newClient(t, kind, shards)
		ctx := within(t)
		set := func(key, value string) {
			t.Helper()
			if _, err := keys.Set(ctx, key, value, nil); err != nil {
				t.Fatal(err)
			}
		}
		set("/conf/a", "1")
		mirror := map[string]string{}
		resync := func() client.Watcher {
			t.Helper()
			got, err := keys.Get(ctx, "/conf", &client.GetOptions{Recursive: true, Quorum: true})
			if err != nil {
				t.Fatal(err)
			}
			clear(mirror)
			collect(mirror, got.Node)
			return keys.Watcher("/conf", &client.WatcherOptions{AfterIndex: got.Index, Recursive: true})
		}
		watcher := resync()
		set("/conf/b/c", "2")
		set("/conf/a", "3")
		follow := func(n int) error {
			for range n {
				got, err := watcher.Next(ctx)
				if err != nil {
					return err
				}
				if got.Action == "delete" {
					delete(mirror, got.Node.Key)
				} else {
					mirror[got.Node.Key] = got.Node.Value
				}
			}
			return nil
		}
		if err := follow(2); err != nil {
			t.Fatal(err)
		}
		expect(t, mirror, "/conf/a=3 /conf/b/c=2")

		const more = 1001 // than the window holds
		for range more {
			set(neighbour("/conf", shards), "x")
		}
		set("/conf/d", "4")
		if err := follow(1); code(err) != client.ErrorCodeEventIndexCleared {
			t.Fatalf("behind the window: %v", err)
		}
		watcher = resync()
		expect(t, mirror, "/conf/a=3 /conf/b/c=2 /conf/d=4")
		if _, err := keys.Delete(ctx, "/conf/a", nil); err != nil {
			t.Fatal(err)
		}
		set("/conf/b/c", "5")
		if err := follow(2); err != nil {
			t.Fatal(err)
		}
		expect(t, mirror, "/conf/b/c=5 /conf/d=4")
	})
}

// neighbour is a key elsewhere in the same shard, for each has its own window.
func neighbour(key string, shards int) string {
	for n := 0; ; n++ {
		elsewhere := fmt.Sprintf("/elsewhere%d", n)
		if placement.Slot(elsewhere, shards) == placement.Slot(key, shards) {
			return elsewhere
		}
	}
}

func collect(into map[string]string, n *client.Node) {
	if !n.Dir {
		into[n.Key] = n.Value
	}
	for _, child := range n.Nodes {
		collect(into, child)
	}
}

func expect(t *testing.T, got map[string]string, want string) {
	t.Helper()
	var pairs []string
	for key, value := range got {
		pairs = append(pairs, key+"="+value)
	}
	slices.Sort(pairs)
	if s := strings.Join(pairs, " "); s != want {
		t.Errorf("the mirror holds %s, want %s", s, want)
	}
}
