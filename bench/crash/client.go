package crash

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/v2api"
)

// client is everybody's way to the server; it keeps connections alive and
// notes the index of every answer.
type client struct {
	base string // http://host:port
	http *http.Client
	seen atomic.Uint64 // the highest index that any answer showed

	mu      sync.Mutex
	glances []Glance
}

// answerLimit is far above what a healthy server needs, also with a busy disk.
const answerLimit = 30 * time.Second

func newClient(endpoint string) *client {
	return &client{
		base: endpoint,
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
	floor := c.seen.Load()
	reply, err := v2api.Do(ctx, c.http, c.base, r)
	if err != nil {
		return reply, err
	}
	c.glance(fmt.Sprintf("%s %s?%s (%d)", r.Method, r.Key, r.Query(), reply.Status), floor, reply.Index)
	return reply, nil
}

// glance notes an index that was shown. Zero is what v2 shows where a request
// never came as far as the store.
func (c *client) glance(what string, floor, index uint64) {
	if index == 0 {
		return
	}
	c.mu.Lock()
	c.glances = append(c.glances, Glance{what, floor, index})
	c.mu.Unlock()
	c.raise(index)
}

func (c *client) raise(index uint64) {
	for {
		seen := c.seen.Load()
		if index <= seen || c.seen.CompareAndSwap(seen, index) {
			return
		}
	}
}

// write carries out op and fills in what became of it.
func (c *client) write(op *Op) {
	op.Floor = c.seen.Load()
	reply, err := c.ask(&op.Request)
	outcome, ev, fault := reply.Parse(err)
	if outcome == v2api.Acked && ev.Index() == 0 {
		return // an answer without a node tells nothing
	}
	op.Outcome, op.Event = outcome, ev
	switch outcome {
	case v2api.Acked:
		c.glance("the header of "+op.Method+" "+op.Key, ev.Index(), reply.Index)
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
	case reply.Status != http.StatusNotFound:
		return nil, reply, fmt.Errorf("GET %s: status %d, body %.200q", key, reply.Status, reply.Body)
	}
	return nodes, reply, nil
}
