package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/cluster/history"
	"copse/bench/v2api"
)

// answerLimit bounds how long a client waits for an answer. It is shorter than the time after
// which a member without a leader gives up, so that clients move on.
const answerLimit = 3 * time.Second

// client talks to all members on behalf of one client, and records what it does.
type client struct {
	name    string
	run     *runner
	rng     *rand.Rand
	http    []*http.Client // one for each member, with connections of its own
	member  int            // the current one
	roams   bool           // moves to another member sometimes, and after errors
	ordered bool           // records on which connection its reads were
	repeats bool           // its writes have ids, and it repeats them
	ids     int            // that it has used
	conns   map[net.Conn]int
	next    *time.Ticker // its pace
}

// connIDs numbers the connections of ordered clients.
type connIDs struct{ last atomic.Int64 }

func (c *connIDs) next() int { return int(c.last.Add(1)) }

func newHTTP(m *fleet.Member) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         m.Dial,
		MaxIdleConnsPerHost: 2,
		DisableCompression:  true,
	}}
}

func (r *runner) newClient(name string, stream uint64, pace time.Duration) *client {
	c := &client{name: name, run: r, rng: rand.New(rand.NewPCG(r.opts.Seed, stream)), conns: map[net.Conn]int{}, next: time.NewTicker(pace)}
	for _, m := range r.servers {
		c.http = append(c.http, newHTTP(m))
	}
	return c
}

func (c *client) close() {
	c.next.Stop()
	for _, h := range c.http {
		h.CloseIdleConnections()
	}
}

// do sends one request to the client's member, and records it.
func (c *client) do(r v2api.Request) *history.Op { return c.send(history.Op{Request: r}) }

// send sends what op says, and records the rest of it.
func (c *client) send(op history.Op) *history.Op {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	op.Client, op.Member = c.name, c.member
	if c.ordered {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { op.Conn = c.connID(info.Conn) }})
	}
	rec := c.run.rec
	op.Invoke = rec.Now()
	reply := c.call(ctx, &op)
	op.Return = rec.Now()
	op.Index, op.Raft, op.Term = reply.Index, reply.Raft, reply.Term
	rec.Note(&op)
	rec.Cluster(reply.Cluster)
	if !op.Answered() && c.roams || c.roams && c.rng.IntN(50) == 0 {
		c.move()
	}
	return &op
}

// call makes the request and interprets its answer.
func (c *client) call(ctx context.Context, op *history.Op) (reply v2api.Reply) {
	var err error
	if op.Txn == nil {
		reply, err = v2api.Do(ctx, c.http[c.member], c.run.servers[c.member].URL, &op.Request)
		op.Outcome, op.Event, op.Fault = reply.Parse(err)
		return reply
	}
	txn := *op.Txn // each try has its own answer
	op.Txn = &txn
	reply, err = v2api.DoTxn(ctx, c.http[c.member], c.run.servers[c.member].URL, &txn.Txn, op.RequestID)
	op.Outcome, txn.Events, op.Fault = reply.ParseTxn(err)
	if n := len(txn.Events); n > 0 {
		op.Event = &txn.Events[n-1]
	}
	return reply
}

// tries is how often a request with an id is sent at most.
const tries = 10

// insist sends a request with an id of its own until it is answered, each time at another member, and
// sometimes once more.
func (c *client) insist(ctx context.Context, op history.Op) (answer *history.Op) {
	c.ids++
	op.RequestID = fmt.Sprintf("%s-%d", c.name, c.ids)
	for range tries {
		done := c.send(op)
		if answer == nil || done.Answered() {
			answer = done
		}
		if done.Answered() && c.rng.IntN(6) > 0 {
			break
		}
		c.move()
		if !c.await(ctx) {
			break
		}
	}
	return answer
}

func (c *client) connID(conn net.Conn) int {
	id, known := c.conns[conn]
	if !known {
		clear(c.conns) // an ordered client has one connection at a time
		id = c.run.conns.next()
		c.conns[conn] = id
	}
	return id
}

// move goes to the next member, never to the spare one.
func (c *client) move() { c.member = (c.member + 1) % len(c.run.fleet.Members) }

// await waits for the client's next turn; false when the run is over.
func (c *client) await(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c.next.C:
		return true
	}
}
