package cluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"copse/bench/cluster/check"
	"copse/bench/cluster/history"
	"copse/bench/v2api"
	"copse/bench/writemix"
)

// How many clients there are of each kind, and how often each sends. Together
// they stay below 500 requests a second.
const (
	writers       = 6
	quorumReaders = 2
	registerUsers = 5
	transactors   = 2

	writerPace   = 30 * time.Millisecond
	readerPace   = 40 * time.Millisecond
	registerPace = 60 * time.Millisecond
	txnPace      = 80 * time.Millisecond
)

// lagLimit bounds how far the fastest witness may be behind before the writers wait
// for it: v2 keeps 1,000 events, and a watcher that resumes must still find its next one.
const lagLimit = 500

// caller sends a writer's mix.
type caller struct {
	*client
	ctx context.Context
}

func (c caller) Seen() uint64 { return c.run.rec.Seen() }

// Call waits for the writer's turn, and for the witnesses. A writer that has to
// stop in the middle of a mix sends nothing more.
func (c caller) Call(r v2api.Request) (v2api.Outcome, *v2api.Event) {
	if !c.await(c.ctx) || !c.run.pace(c.ctx) {
		return v2api.NotSent, nil
	}
	op := history.Op{Request: r}
	answer := &op
	if c.repeats && r.Write() {
		answer = c.insist(c.ctx, op)
	} else {
		answer = c.send(op)
	}
	return answer.Outcome, answer.Event
}

// write is a writer's life.
func (c *client) write(ctx context.Context, id int) {
	defer c.close()
	mix := writemix.New(c.run.root, id, c.name, c.rng, caller{c, ctx})
	for ctx.Err() == nil {
		mix.Next()
	}
}

// readable draws something that the writers are busy with.
func (c *client) readable() v2api.Request {
	r := v2api.Request{Method: http.MethodGet}
	root := c.run.root
	if root == "" && c.rng.IntN(10) == 0 {
		r.Key, r.Recursive, r.Sorted = "/", c.rng.IntN(2) == 0, c.rng.IntN(2) == 0
		return r
	}
	dir := fmt.Sprintf("%s/w%d", root, c.rng.IntN(writers))
	switch c.rng.IntN(8) {
	case 0:
		r.Key, r.Recursive = dir, true
	case 1:
		r.Key, r.Sorted = root+"/queue", true
	case 2:
		r.Key = root + "/counter"
	case 3:
		r.Key = fmt.Sprintf("%s/ttl%d", dir, c.rng.IntN(6))
	case 4:
		r.Key = dir + "/tree/branch/leaf"
	default:
		r.Key = fmt.Sprintf("%s/k%d", dir, c.rng.IntN(12))
	}
	return r
}

// read is a reader's life, through the log or not.
func (c *client) read(ctx context.Context, quorum bool) {
	defer c.close()
	for c.await(ctx) {
		r := c.readable()
		r.Quorum = quorum
		if !quorum && c.run.traits.own && c.rng.IntN(2) == 0 {
			r.MinIndex = c.run.rec.Seen() // by whoever wrote or saw it, at any member
		}
		c.do(r)
	}
}

// generation is how long a register is used: porcupine judges each separately,
// and can't judge very long ones.
const generation = 8 * time.Second

// useRegisters is the life of a client that sets, compares and swaps, and reads
// a few keys together with others.
func (c *client) useRegisters(ctx context.Context) {
	defer c.close()
	for n := 0; c.await(ctx); n++ {
		if !c.run.pace(ctx) {
			return
		}
		key := fmt.Sprintf("%s%s/g%d-%d", c.run.root, check.RegisterDir, c.run.rec.Now()/generation, c.rng.IntN(2))
		value := fmt.Sprintf("%s-%d", c.name, n)
		get := v2api.Request{Method: http.MethodGet, Key: key, Quorum: true}
		switch c.rng.IntN(4) {
		case 0:
			c.do(v2api.Request{Method: http.MethodPut, Key: key, Value: value})
		case 1:
			c.do(get)
		default:
			op := c.do(get)
			if op.Outcome == v2api.Acked && c.await(ctx) {
				c.do(v2api.Request{Method: http.MethodPut, Key: key, Value: value, PrevValue: op.Event.Node.Value})
			}
		}
	}
}
