package actors

import (
	"context"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// spanningPatience is how long a read or a watch of / waits for the closed index.
const spanningPatience = time.Second

// Spanning answers what concerns all data shards, where there are several: reads
// and watches of /. What it shows goes by the closed index.
type Spanning struct {
	machines []*statemachine.Machine // by slot
	closed   *Closed
	order    *ReadLane
	hub      *WatchHub
}

// NewSpanning returns what spans the machines, to be brought to life by Run. closed
// has begun; it publishes to Publish. order is the read lane of the order shard.
func NewSpanning(machines []*statemachine.Machine, closed *Closed, window int, order *ReadLane) *Spanning {
	s := &Spanning{machines: machines, closed: closed, order: order}
	s.hub = NewWatchHub(WatchHubOptions{First: closed.Index(), Window: window, History: s.history})
	return s
}

// Publish takes over what has been closed; see WatchHub.Publish.
func (s *Spanning) Publish(last tree.Index, notices []tree.Notice) { s.hub.Publish(last, notices) }

// Run serves until Stop.
func (s *Spanning) Run() error { return s.hub.Run() }

// Stop ends every watcher and returns when Run has.
func (s *Spanning) Stop() { s.hub.Stop() }

// Watchers is the number of parked watchers.
func (s *Spanning) Watchers() int { return s.hub.Watchers() }

// Get answers a read of /. It waits until the closed index covers all that is
// settled here, but not for long: the listing may then show more than st's index
// promises. A quorum read waits, timeout at most, for all that was handed out
// before it, and fails without that.
func (s *Spanning) Get(dst []byte, q tree.Query, timeout time.Duration, state func() tree.State) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if q.Quorum {
		if err := s.catchUp(timeout); err != nil {
			return dst, nil, tree.State{}, raftError(err)
		}
	} else {
		s.settle()
	}
	// The state is read before the nodes, so that the header never promises
	// more than the body holds.
	st := state()
	out, rest, fail := statemachine.GetAcross(s.machines, dst, &q, time.Now().UnixNano())
	if fail != nil {
		return dst, nil, tree.State{}, raftError(fail)
	}
	return out, rest, st, nil
}

// settle waits until the closed index covers what the replicas here have settled.
func (s *Spanning) settle() {
	var at tree.Index
	for _, m := range s.machines {
		at = max(at, m.Index())
	}
	ctx, cancel := context.WithTimeout(context.Background(), spanningPatience)
	defer cancel()
	_ = s.closed.Wait(ctx, at) // later, the index is a promise of less
}

// catchUp waits until the closed index covers all that was handed out before the call.
func (s *Spanning) catchUp(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.order.Wait(timeout); err != nil {
		return err
	}
	if err := s.closed.Wait(ctx, s.closed.Counter()); err != nil {
		return errTimeout
	}
	return nil
}

// Watch registers w; its Since becomes the next index to be closed if it is 0.
func (s *Spanning) Watch(w *tree.Watch, state func() tree.State) (tree.State, *tree.Error) {
	if w.Since == 0 {
		s.settle()
	}
	st := state()
	if w.Since == 0 {
		w.Since = st.Index + 1
	}
	return st, s.hub.Watch(w)
}

// Unwatch takes w out again.
func (s *Spanning) Unwatch(w *tree.Watch) { s.hub.Unwatch(w) }

// history is the HistoryFunc over all shards, up to the closed index. A shard whose
// page is full may hold more right behind it, so nothing above the last event of
// any page is known to be all there is.
func (s *Spanning) history(from tree.Index, most int) (events []tree.Notice, complete tree.Index, err error) {
	until := s.closed.Index() // first: what is closed is in the windows
	pages := make([][]tree.Notice, 0, len(s.machines))
	for _, m := range s.machines {
		page, begins, err := m.History(from, most)
		if err != nil {
			return nil, 0, err
		}
		complete = max(complete, begins)
		if len(page) > 0 {
			until = min(until, page[len(page)-1].Index)
			pages = append(pages, page)
		}
	}
	return mergeNotices(pages, until, most), complete, nil
}

// mergeNotices brings the first events of the pages, those up to until, most of
// them, into one order.
func mergeNotices(pages [][]tree.Notice, until tree.Index, most int) (events []tree.Notice) {
	for len(events) < most {
		next := -1
		for i, page := range pages {
			if len(page) > 0 && page[0].Index <= until && (next < 0 || page[0].Index < pages[next][0].Index) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		events = append(events, pages[next][0])
		pages[next] = pages[next][1:]
	}
	return events
}
