package treecompat

import (
	"sync"
	"testing"

	"copse/actors/watch"
	"copse/statemachine/tree"
)

// watcher collects the events of one watcher on one side, as JSON.
type watcher struct {
	mu   sync.Mutex
	got  []string
	ends int
}

func (w *watcher) Deliver(n *tree.EncodedEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, string(n.JSON))
}

func (w *watcher) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends++
}

// take returns what came since the last call.
func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

// copse is the tree with a hub, put together the way a shard does.
type copse struct {
	window int
	stats  tree.Stats
	hub    *watch.Hub
	ran    chan error

	mu     sync.Mutex // the hub reads on its own goroutine
	store  tree.MemStore
	last   tree.Index
	events []tree.EncodedEvent
}

func newCopse(window, ringLimit int) *copse {
	c := &copse{window: window, ran: make(chan error, 1)}
	mailboxLimit := 0
	if window >= 1000 {
		// The hub sometimes misses a published batch and reads it again. With a
		// small window that could be too late, and the watch would end.
		mailboxLimit = 1
	}
	c.hub = watch.NewHub(watch.Options{
		Window: window, History: c.history, Exists: c.exists,
		RingLimit: ringLimit, MailboxLimit: mailboxLimit,
	})
	go func() { c.ran <- c.hub.Run() }()
	return c
}

func (c *copse) stop(t testing.TB) {
	c.hub.Stop()
	if err := <-c.ran; err != nil {
		t.Errorf("hub: got %v, want no error", err)
	}
}

func (c *copse) floor() tree.Index {
	return max(c.last, tree.Index(c.window)) - tree.Index(c.window) + 1
}

func (c *copse) history(_ string, from tree.Index, limit int) ([]tree.EncodedEvent, tree.Index, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var events []tree.EncodedEvent
	for _, n := range c.events {
		if n.Index >= max(from, c.floor()) && len(events) < limit {
			events = append(events, n)
		}
	}
	return events, c.floor(), nil
}

func (c *copse) exists(key string) (bool, tree.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := tree.Find(&c.store, key)
	return err == nil, c.last
}

// do carries out cmd, publishes its events, and returns the client's answer.
func (c *copse) do(cmd tree.Command) (answer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var notices []tree.EncodedEvent
	err := tree.Apply(&c.store, &cmd, c.last, func(e *tree.Event) {
		c.last = e.Index()
		notices = append(notices, e.Encoded(tree.AppendEvent(nil, e)))
		answer += string(notices[len(notices)-1].JSON)
	})
	if err != nil {
		answer = string(tree.AppendError(nil, err))
	}
	if cmd.Op == tree.OpExpire {
		c.stats.ExpireCount += uint64(len(notices))
	} else {
		c.stats.CountWrite(cmd.Op, err == nil)
	}
	c.events = append(c.events, notices...)
	c.hub.Publish(c.last, notices)
	return answer
}

// expire removes the nodes that are due at now, a few with each command.
func (c *copse) expire(now int64, limit int) {
	for {
		if _, due := c.store.NextExpiry(now); !due {
			return
		}
		c.do(tree.Command{Op: tree.OpExpire, Now: now, Limit: limit})
	}
}

func (c *copse) get(key string, recursive bool, now int64) string {
	n, err := tree.Find(&c.store, key)
	if err != nil {
		err.Index = c.last
		return string(tree.AppendError(nil, err))
	}
	if !n.Dir {
		return string((&tree.Query{}).AppendFile(nil, &n, now))
	}
	return string(c.store.List(nil, &n, &tree.Query{Recursive: recursive}, now))
}
