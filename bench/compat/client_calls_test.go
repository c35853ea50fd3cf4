package compat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/bench/peer"

	"go.etcd.io/etcd/client/v2"
)

// TestClientSync lets the client learn its endpoints from the server, once and
// automatically.
func TestClientSync(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		c, _, s := newClient(t, kind, shards)
		ctx := within(t)
		if err := c.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if got := c.Endpoints(); !slices.Equal(got, []string{s.URL}) {
			t.Errorf("endpoints are %v, want %s", got, s.URL)
		}
		autoCtx, cancel := context.WithCancel(ctx)
		synced := make(chan error, 1)
		go func() { synced <- c.AutoSync(autoCtx, pollInterval) }()
		version, err := c.GetVersion(ctx)
		if err != nil || !strings.HasPrefix(version.Server, "3.") {
			t.Errorf("version %v, %v", version, err)
		}
		members := client.NewMembersAPI(c)
		list, err := members.List(ctx)
		if err != nil || len(list) != 1 || !slices.Equal(list[0].ClientURLs, []string{s.URL}) {
			t.Errorf("members %v, %v", list, err)
		}
		leader, err := members.Leader(ctx)
		if err != nil || leader.ID != list[0].ID || leader.Name != s.Name {
			t.Errorf("leader %v, %v", leader, err)
		}
		cancel()
		if err := <-synced; !errors.Is(err, context.Canceled) {
			t.Errorf("AutoSync ends with %v", err)
		}
	})
}

// TestClientQueue makes in-order keys from several goroutines and takes them
// in the order of their names, which must be that of their indexes.
func TestClientQueue(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		_, keys, _ := newClient(t, kind, shards)
		ctx := within(t)
		const producers, jobs = 4, 10
		var group sync.WaitGroup
		for p := range producers {
			group.Go(func() {
				for j := range jobs {
					got, err := keys.CreateInOrder(ctx, "/queue", fmt.Sprintf("%d/%d", p, j), nil)
					if err != nil || got.Node.Key != fmt.Sprintf("/queue/%020d", got.Node.CreatedIndex) {
						t.Errorf("created %v, %v", got, err)
						return
					}
				}
			})
		}
		group.Wait()
		got, err := keys.Get(ctx, "/queue", &client.GetOptions{Sort: true})
		if err != nil || len(got.Node.Nodes) != producers*jobs {
			t.Fatalf("queue %v, %v", got, err)
		}
		next := make([]string, producers)
		for p := range next {
			next[p] = fmt.Sprintf("%d/0", p)
		}
		last := uint64(0)
		for _, n := range got.Node.Nodes {
			var p, j int
			if _, err := fmt.Sscanf(n.Value, "%d/%d", &p, &j); err != nil || n.Value != next[p] || n.CreatedIndex <= last {
				t.Errorf("%s holds %q out of turn", n.Key, n.Value)
			}
			next[p], last = fmt.Sprintf("%d/%d", p, j+1), n.CreatedIndex
			if _, err := keys.Delete(ctx, n.Key, &client.DeleteOptions{PrevIndex: n.ModifiedIndex}); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestClientRefresh keeps a key alive without its watcher noticing, until it
// is not kept alive any more.
func TestClientRefresh(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		_, keys, _ := newClient(t, kind, shards)
		ctx := within(t)
		first, err := keys.Set(ctx, "/alive", "here", &client.SetOptions{TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, ttl := range []time.Duration{time.Hour, 2 * time.Minute, time.Second} {
			got, err := keys.Set(ctx, "/alive", "", &client.SetOptions{Refresh: true, TTL: ttl, PrevExist: client.PrevExist})
			if err != nil || got.Node.Value != "here" || got.Node.TTL != int64(ttl.Seconds()) {
				t.Fatalf("refresh by %v: %v, %v", ttl, got, err)
			}
		}
		watcher := keys.Watcher("/alive", &client.WatcherOptions{AfterIndex: first.Index})
		got, err := watcher.Next(ctx)
		if err != nil || got.Action != "expire" || got.PrevNode.Value != "here" {
			t.Errorf("the watcher got %v, %v", got, err)
		}
		if _, err := keys.Set(ctx, "/alive", "", &client.SetOptions{Refresh: true, TTL: time.Minute, PrevExist: client.PrevExist}); !client.IsKeyNotFound(err) {
			t.Errorf("refresh of what is gone: %v", err)
		}
	})
}
