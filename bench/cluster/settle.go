package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
)

// settle waits until all keys with a ttl have expired, writes a fence in every
// watched scope, and waits until every watcher has seen its fence. It
// returns the index of the last fence.
func (r *runner) settle() (uint64, error) {
	c := r.newClient("settle", 1, 20*time.Millisecond)
	c.roams = true
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.SettleLimit)
	defer cancel()
	if err := c.drain(ctx); err != nil {
		return 0, err
	}
	goals := map[*watcher]uint64{}
	var last uint64
	for pass := range 2 { // the scope of the whole load is last, and ends the history
		for _, w := range r.watchers {
			if r.ofAll(w) != (pass == 1) || r.ofAll(w) && last > 0 {
				continue
			}
			at, err := c.fence(ctx, w.log)
			if err != nil {
				return 0, err
			}
			goals[w] = at
			if r.ofAll(w) {
				last = at
			}
		}
	}
	return last, r.catchUp(ctx, goals, last)
}

// ofAll: whether it watches the whole load.
func (r *runner) ofAll(w *watcher) bool { return w.log.Scope == r.root && len(w.log.Prefixes) == 0 }

// drain waits for everything with a ttl to go, each when it was shown to.
func (c *client) drain(ctx context.Context) error {
	calm := v2api.Calm{}
	for {
		op := c.do(v2api.Request{Method: http.MethodGet, Key: c.run.root, Recursive: true, Quorum: true})
		if op.Outcome == v2api.Acked {
			nodes := map[string]v2api.Node{}
			v2api.Flatten(&op.Event.Node, nodes)
			if over, err := calm.Look(time.Now(), nodes); over || err != nil {
				return err
			}
		}
		if !c.await(ctx) {
			return fmt.Errorf("after %v something still has a ttl, or can't be read: %v", c.run.opts.SettleLimit, op)
		}
	}
}

// fence writes something that a watch has to see.
func (c *client) fence(ctx context.Context, w *history.Watch) (uint64, error) {
	for try := 0; ; try++ {
		r := v2api.Request{Method: http.MethodPut, Key: w.Keys()[0], Value: fmt.Sprintf("fence of %s, try %d", w.Name, try)}
		if w.Recursive {
			r.Key += "/fence"
		}
		op := c.do(r)
		if op.Outcome == v2api.Acked {
			return op.Event.Index(), nil
		}
		if !c.await(ctx) {
			return 0, fmt.Errorf("no fence within %v: %v", c.run.opts.SettleLimit, op)
		}
	}
}

func (r *runner) catchUp(ctx context.Context, goals map[*watcher]uint64, last uint64) error {
	stop := context.AfterFunc(ctx, r.rec.Wake)
	defer stop()
	behind := ""
	r.rec.Await(func(uint64) bool {
		behind = ""
		for _, w := range r.watchers {
			goal := goals[w]
			if r.ofAll(w) {
				goal = last
			}
			if w.log.Last < goal {
				behind = fmt.Sprintf("%s is at %d and did not see %d", w.log.Name, w.log.Last, goal)
			}
		}
		return behind == "" || ctx.Err() != nil
	})
	if behind != "" {
		r.opts.Logf("after %v %s", r.opts.SettleLimit, behind)
	}
	return nil // the checker reports what is missing, with its reasons
}

// auditLength is how many events of its window each member is asked for at the end.
const auditLength = 900

// audit reads every member whole, the tree and the window, and closes the
// history.
func (r *runner) audit(end uint64, nem *nemesis) (*history.History, error) {
	var finals []history.Final
	for i := range r.fleet.Members {
		c := r.newClient(fmt.Sprintf("audit of m%d", i), uint64(500+i), time.Hour)
		c.member = i
		op := c.do(v2api.Request{Method: http.MethodGet, Key: r.root, Recursive: true, Sorted: true, Quorum: true})
		c.close()
		if op.Outcome != v2api.Acked {
			return nil, fmt.Errorf("the last read: %v", op)
		}
		finals = append(finals, history.Final{Member: i, Index: op.Index, Tree: op.Event.Node})
		from := r.start + 1
		if end > auditLength {
			from = max(from, end-auditLength)
		}
		r.window(i, r.root, from, end)
		if r.traits.rules.NameWindow > 0 { // which reaches further back than that of its shard
			r.window(i, crowded(r.root), r.start+1, r.lastOf(crowded(r.root)))
		}
	}
	return r.rec.Finish(func(h *history.History) {
		h.Start, h.Finals, h.Deaths = r.start, finals, nem.deaths
		h.End = slices.MaxFunc(finals, func(a, b history.Final) int { return int(int64(a.Index) - int64(b.Index)) }).Index
		// A start publishes the member's attributes, once more if that took long;
		// the cluster's version is set after the first. A change of the membership
		// is a few changes in etcd's own part of the tree.
		h.Own = 4 + 3*nem.restarts + 6*nem.changes
	}), nil
}

// lastOf is the last index that the watchers of a scope have seen.
func (r *runner) lastOf(scope string) (last uint64) {
	for _, w := range r.watchers {
		if w.log.Scope == scope {
			last = max(last, r.rec.Last(w.log))
		}
	}
	return last
}

// window asks a member for past events of a scope.
func (r *runner) window(member int, scope string, from, end uint64) {
	w := r.newWatcher(history.Watch{Name: fmt.Sprintf("window of m%d below %s/", member, scope), Scope: scope, Recursive: true}, member, false, r.traits.rewinds)
	defer w.close()
	w.log.From, w.log.Last, w.until = from, from-1, end
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.SettleLimit)
	defer cancel()
	for had := uint64(0); ctx.Err() == nil; {
		last := r.rec.Last(w.log)
		if last >= end || last == had {
			return // the checker will notice what is missing
		}
		if had = last; w.stream {
			w.streamOnce(ctx)
		} else {
			w.poll(ctx, idleLimit, true)
		}
	}
}
