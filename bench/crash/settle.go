package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"copse/bench/v2api"
)

const pollInterval = time.Millisecond

// answering polls until the server answers, and returns that moment.
func (r *runner) answering() (time.Time, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	limit := time.NewTimer(catchUpLimit)
	defer limit.Stop()
	for {
		reply, err := r.client.ask(&v2api.Request{Method: http.MethodGet, Key: "/"})
		if err == nil && reply.Status == http.StatusOK {
			return time.Now(), nil
		}
		select {
		case <-r.server.Done():
			return time.Time{}, errors.New("the server ended by itself")
		case <-limit.C:
			return time.Time{}, fmt.Errorf("no answer within %v: %v", catchUpLimit, err)
		case <-poll.C:
		}
	}
}

// settle reads the tree, writes a fence, waits until all have seen it, and
// checks everything so far.
func (r *runner) settle(name string, epoch int) error {
	nodes, reply, err := r.client.tree(r.root)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at, err := r.fence(name, epoch+1)
	if err != nil {
		return err
	}
	r.history.Fences = append(r.history.Fences, at)
	r.history.Snapshots = append(r.history.Snapshots, Snapshot{Name: name, Epoch: epoch + 1, Index: reply.Index, Until: at, Nodes: nodes})
	err = r.catchUp(at)
	r.check()
	return err
}

// fence writes until it is acknowledged: v2 allows a server that has just
// started to turn writes down for want of a leader.
func (r *runner) fence(name string, epoch int) (uint64, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for begin, try := time.Now(), 1; ; try++ {
		op := Op{Epoch: epoch, Request: v2api.Request{Method: http.MethodPut, Key: r.root + "/fence", Value: fmt.Sprintf("%s, try %d", name, try)}}
		r.client.write(&op)
		r.history.Ops = append(r.history.Ops, op)
		if op.Outcome == v2api.Acked {
			return op.Event.Index(), nil
		}
		if time.Since(begin) > catchUpLimit {
			return 0, fmt.Errorf("no fence within %v: %v", catchUpLimit, &op)
		}
		r.report.Retries++
		<-poll.C
	}
}

// catchUp waits until every watcher of the whole tree has seen the fence. The
// watcher of one directory can't see it: it has to reach the last change in
// its scope that the others have seen.
func (r *runner) catchUp(fence uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), catchUpLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, r.board.wake)
	defer stop()
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	for {
		behind := ""
		for _, w := range r.watchers {
			if w.fault != nil {
				return w.fault
			}
			if goal := r.goal(w, fence); w.last < goal {
				behind = fmt.Sprintf("%s is at %d and did not see %d", w.log.Name, w.last, goal)
			}
		}
		if behind == "" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("after %v %s", catchUpLimit, behind)
		}
		r.board.cond.Wait()
	}
}

// goal is the last index up to the fence that w has to see. The board is locked.
func (r *runner) goal(w *watcher, fence uint64) uint64 {
	if w.log.Scope == r.root {
		return fence
	}
	seen := r.watchers[0].log.Seen
	for i := len(seen) - 1; i >= 0; i-- {
		if ev := seen[i].Event; ev.Index() <= fence && v2api.Within(ev.Node.Key, w.log.Scope) {
			return ev.Index()
		}
	}
	return 0
}

// check holds everything so far against the promises.
func (r *runner) check() {
	h := r.history
	r.client.mu.Lock()
	h.Glances = r.client.glances
	r.client.mu.Unlock()
	r.board.mu.Lock()
	for _, w := range r.watchers {
		h.Watchers = append(h.Watchers, w.log)
	}
	r.board.mu.Unlock()
	r.report.Events = len(h.Watchers[0].Seen)
	r.report.Violations = Check(&h)
}

// drain waits until all keys with a TTL have expired, each when it was shown to, and compares
// for the last time.
func (r *runner) drain() error {
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for calm := (v2api.Calm{}); ; <-poll.C {
		nodes, _, err := r.client.tree(r.root)
		if err != nil {
			return err
		}
		if over, err := calm.Look(time.Now(), nodes); err != nil {
			return err
		} else if over {
			break
		}
	}
	return r.settle("at the end", len(r.history.Fences))
}
