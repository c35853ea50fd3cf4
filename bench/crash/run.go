package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/v2api"
	"copse/bench/verdict"
	"copse/bench/writemix"
)

// Server is the server that is killed. peer.Server implements it.
type Server interface {
	Kill()                 // SIGKILL, and wait for the end
	Relaunch() error       // start again, and don't wait
	Done() <-chan struct{} // closed when the process has ended
}

// Options of a run.
type Options struct {
	Endpoint string // http://host:port
	Kills    int
	Seed     uint64
	Writers  int
	Shards   int // over which the server spreads the keys; 0 is one
	// Rewinds says that a stream that starts in the past continues live
	// afterwards. etcd's does not.
	Rewinds bool
	// Twice kills one in so many restarts again while the server
	// is still starting; 0 is none.
	Twice int
	Logf  func(format string, args ...any)
}

// Report is the outcome of a run.
type Report struct {
	Violations []verdict.Violation
	Kills      int
	Acked      int
	Refused    int
	Unknown    int
	Events     int             // seen by the watcher of the whole tree
	Retries    int             // of the first write after a restart
	Restarts   []time.Duration // process start to first answer
}

const (
	// lagLimit bounds how far the slowest watcher may be behind before the writers
	// wait: v2 keeps 1,000 events, and a watcher that resumes must still find its next one.
	lagLimit = 400
	// A load between two kills lasts between these.
	loadShortest = 100 * time.Millisecond
	loadLongest  = 600 * time.Millisecond
	// catchUpLimit ends the wait for something that will never come.
	catchUpLimit = 30 * time.Second
)

// runner is one run at work.
type runner struct {
	opts     Options
	root     string // the load's directory
	server   Server
	client   *client
	board    *board
	watchers []*watcher
	rng      *rand.Rand
	history  History
	report   Report
	latest   atomic.Uint64 // the highest index that a watcher has to see
}

// Run loads and kills a server that has just been started, and checks it after
// each restart. It ends at the first violation, and leaves the server running.
func Run(server Server, opts Options) (Report, error) {
	r := &runner{
		opts:    opts,
		root:    writemix.Root("/crash", opts.Shards),
		server:  server,
		client:  newClient(opts.Endpoint, opts.Shards),
		board:   newBoard(),
		rng:     rand.New(rand.NewPCG(opts.Seed, 0)),
		history: History{Shards: opts.Shards},
	}
	defer r.client.close()
	err := r.begin()
	if err != nil {
		return r.report, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	for _, w := range r.watchers {
		watching.Go(func() { w.run(ctx) })
	}
	defer watching.Wait()
	defer cancel()
	for epoch := 0; r.report.Kills < opts.Kills; epoch++ {
		if err := r.epoch(epoch); err != nil || len(r.report.Violations) > 0 {
			return r.report, err
		}
		if epoch%10 == 9 {
			opts.Logf("%d kills, %d writes acknowledged", r.report.Kills, r.report.Acked)
		}
	}
	return r.report, r.drain()
}

// begin creates the directories and sets up the watchers.
func (r *runner) begin() error {
	if _, err := r.answering(); err != nil {
		return err
	}
	r.client.write(&Op{Request: v2api.Request{Method: http.MethodPut, Key: "/crash-begins", Value: "x"}})
	if r.root == "" { // it would be in the load's way
		r.client.write(&Op{Request: v2api.Request{Method: http.MethodDelete, Key: "/crash-begins"}})
	}
	r.history.Start = r.client.seen.Load()
	for _, w := range []struct {
		name, scope string
		stream      bool
	}{
		{"long-poll on all", r.root, false},
		{"stream on all", r.root, true},
		{"long-poll on one writer", r.root + "/w1", false},
	} {
		r.watchers = append(r.watchers, &watcher{
			client:  r.client,
			board:   r.board,
			stream:  w.stream,
			rewinds: r.opts.Rewinds,
			log:     WatchLog{Name: w.name, Scope: w.scope, From: r.history.Start + 1},
			last:    r.history.Start,
		})
	}
	return nil
}

// epoch is: load, kill in the middle, start again, check.
func (r *runner) epoch(epoch int) error {
	r.load(epoch)
	if err := r.restart(); err != nil {
		return err
	}
	return r.settle(fmt.Sprintf("after restart %d", r.history.Restarts), epoch)
}

// load runs the writers until the server is dead.
func (r *runner) load(epoch int) {
	var over atomic.Bool
	var writing sync.WaitGroup
	writers := make([]*writer, r.opts.Writers)
	for id := range writers {
		w := &writer{
			client: r.client,
			epoch:  epoch,
			over:   &over,
			pace:   func() { r.pace(&over) },
			noted:  r.noted,
		}
		rng := rand.New(rand.NewPCG(r.opts.Seed, uint64(epoch+1)<<16|uint64(id)))
		w.mix = writemix.New(r.root, id, fmt.Sprintf("e%d-w%d", epoch, id), rng, w)
		writers[id] = w
		writing.Go(w.run)
	}
	r.wait(loadShortest + time.Duration(r.rng.Int64N(int64(loadLongest-loadShortest))))
	r.server.Kill()
	r.report.Kills++
	over.Store(true)
	r.board.wake()
	writing.Wait()
	for _, w := range writers {
		r.history.Ops = append(r.history.Ops, w.ops...)
		r.tally(w.ops)
	}
}

// wait lets the load continue, and returns early if the server dies by itself.
func (r *runner) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.server.Done():
	}
}

func (r *runner) tally(ops []Op) {
	for i := range ops {
		switch ops[i].Outcome {
		case v2api.Acked:
			r.report.Acked++
		case v2api.Refused:
			r.report.Refused++
		case v2api.Unknown:
			r.report.Unknown++
		}
	}
}

// noted hears of every acknowledged write that watchers have to see.
func (r *runner) noted(index uint64) {
	for {
		latest := r.latest.Load()
		if index <= latest || r.latest.CompareAndSwap(latest, index) {
			return
		}
	}
}

// pace waits while a watcher of the whole tree is too far behind.
func (r *runner) pace(over *atomic.Bool) {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	for !over.Load() && r.slowest()+lagLimit < r.latest.Load() {
		r.board.cond.Wait()
	}
}

// slowest is the last index that all watchers of the whole tree have seen. The
// board is locked.
func (r *runner) slowest() uint64 {
	last := ^uint64(0)
	for _, w := range r.watchers {
		if w.log.Scope == r.root && w.fault == nil {
			last = min(last, w.last)
		}
	}
	return last
}

// restart starts the server again, sometimes killing it once more before it
// answers, and measures the time to the first answer.
func (r *runner) restart() error {
	for {
		begin := time.Now()
		if err := r.server.Relaunch(); err != nil {
			return err
		}
		r.history.Restarts++
		if r.report.Kills < r.opts.Kills && r.opts.Twice > 0 && r.rng.IntN(r.opts.Twice) == 0 {
			r.wait(time.Duration(r.rng.Int64N(int64(300 * time.Millisecond))))
			r.server.Kill()
			r.report.Kills++
			continue
		}
		answered, err := r.answering()
		if err != nil {
			return err
		}
		r.report.Restarts = append(r.report.Restarts, answered.Sub(begin))
		return nil
	}
}
