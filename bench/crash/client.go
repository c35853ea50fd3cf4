package crash

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/placement"
	"copse/bench/v2api"
)

// client is shared by all who talk to the server. It keeps connections alive and
// records the index of every answer.
type client struct {
	base string // http://host:port
	http *http.Client
	seen atomic.Uint64 // the highest index that any answer showed
	// shown is the same for the answers about each shard and, last, about the root
	// where it spans several.
	shown []atomic.Uint64

	mu      sync.Mutex
	glances []Glance
}

// answerLimit is far more than a healthy server needs, even with a busy disk.
const answerLimit = 30 * time.Second

func newClient(endpoint string, shards int) *client {
	return &client{
		base:  endpoint,
		shown: make([]atomic.Uint64, max(1, shards)+1),
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			DisableCompression:  true,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// ask sends one request and reads the whole answer.
func (c *client) ask(r *v2api.Request) (v2api.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	floor := c.floor(r.Key)
	if r.Write() {
		floor = c.seen.Load()
	}
	reply, err := v2api.Do(ctx, c.http, c.base, r)
	if err != nil {
		return reply, err
	}
	c.glance(fmt.Sprintf("%s %s?%s (%d)", r.Method, r.Key, r.Query(), reply.Status), r.Key, floor, reply.Index)
	return reply, nil
}

// scope is the part of the tree that an answer about a key concerns: its shard, or everything.
func (c *client) scope(key string) *atomic.Uint64 {
	shards := len(c.shown) - 1
	if shards > 1 && placement.Root(key) {
		return c.everything()
	}
	return &c.shown[placement.Slot(key, shards)]
}

func (c *client) everything() *atomic.Uint64 { return &c.shown[len(c.shown)-1] }

// floor is the index that an answer about a key must not be below.
func (c *client) floor(key string) uint64 {
	return max(c.scope(key).Load(), c.everything().Load())
}

// glance records an index that was shown in an answer about a key. v2 shows zero
// if a request never reached the store.
func (c *client) glance(what, key string, floor, index uint64) {
	if index == 0 {
		return
	}
	c.mu.Lock()
	c.glances = append(c.glances, Glance{what, floor, index})
	c.mu.Unlock()
	c.raise(key, index)
}

// raise records an index that was shown about a key.
func (c *client) raise(key string, index uint64) {
	raise(&c.seen, index)
	raise(c.scope(key), index)
}

func raise(highest *atomic.Uint64, index uint64) {
	for {
		had := highest.Load()
		if index <= had || highest.CompareAndSwap(had, index) {
			return
		}
	}
}

// write sends op and fills in its outcome.
func (c *client) write(op *Op) {
	op.Floor = c.seen.Load()
	reply, err := c.ask(&op.Request)
	outcome, ev, fault := reply.Parse(err)
	if outcome == v2api.Acked && ev.Index() == 0 {
		return // an answer without a node says nothing
	}
	op.Outcome, op.Event = outcome, ev
	switch outcome {
	case v2api.Acked:
		c.glance("the header of "+op.Method+" "+op.Key, ev.Node.Key, ev.Index(), reply.Index)
	case v2api.Refused:
		op.Code = fault.Code
	}
}

// tree reads a node and everything below it; nil if it isn't there.
func (c *client) tree(key string) (map[string]v2api.Node, v2api.Reply, error) {
	reply, err := c.ask(&v2api.Request{Method: http.MethodGet, Key: key, Recursive: true})
	if err != nil {
		return nil, reply, err
	}
	nodes := map[string]v2api.Node{}
	switch outcome, ev, _ := reply.Parse(nil); {
	case outcome == v2api.Acked:
		v2api.Flatten(&ev.Node, nodes)
		delete(nodes, "") // the root is always there
	case reply.Status != http.StatusNotFound:
		return nil, reply, fmt.Errorf("GET %s: status %d, body %.200q", key, reply.Status, reply.Body)
	}
	return nodes, reply, nil
}
